// Walks and annealing for Python: a plan (WalkPlan or AnnealPlan of the reference) says what every one of them needs.
#pragma once

#include <pybind11/stl.h>

#include <cmath>
#include <vector>

#include "checks.hpp"
#include "running.hpp"

namespace dualwalk {

// A field of a plan; kept by the caller, for it may be made for this call alone.
inline py::object field(const py::object& plan, const char* name) {
  if (!py::hasattr(plan, name)) throw py::type_error(std::string("dualwalk._core: plan must have the field ") + name);
  return plan.attr(name);
}
// Floats from any number, everything else without conversion: 1.5 is no number of steps.
template <class Value>
Value setting(const py::object& plan, const char* name) {
  py::detail::make_caster<Value> caster;
  if (!caster.load(field(plan, name), std::is_floating_point<Value>::value))
    throw py::type_error(std::string("dualwalk._core: plan has a wrong number as ") + name);
  return py::detail::cast_op<Value>(caster);
}

// The arrays behind a preconditioner, or nothing.
template <class T>
struct ShapeArrays {
  Preconditioner<T> shape{};
  Extent factor{py::array()}, diagonal{py::array()};

  ShapeArrays(const py::object& given, py::ssize_t n_walks, py::ssize_t d) {
    if (given.is_none()) return;
    expect(py::isinstance<py::tuple>(given), "shape must be (factor, diagonal or None)");
    const auto parts = py::reinterpret_borrow<py::tuple>(given);
    expect(parts.size() == 2 && py::isinstance<Array<T>>(parts[0]), "shape must be (factor, diagonal or None)");
    const auto rows = py::reinterpret_borrow<Array<T>>(parts[0]);
    expect(rows.ndim() == 3 && (rows.shape(0) == 1 || rows.shape(0) == n_walks) && rows.shape(2) == d,
           "the preconditioner's factor must be (1 or n_walks, n_factors, n_features)");
    const Optional<T> squares(parts[1], {rows.shape(0), d}, "the preconditioner's diagonal must be (1 or n_walks, n_features)");
    shape = {rows.data(), squares.data(), static_cast<std::size_t>(rows.shape(1)), rows.shape(0) == 1};
    factor = rows;
    diagonal = squares;
  }
};

template <class T>
Optional<T> trajectory_of(const py::object& plan, py::ssize_t n_walks, py::ssize_t n_steps, py::ssize_t d) {
  return {field(plan, "trajectory"), {n_walks, n_steps + 1, d}, "trajectory must be (n_walks, n_steps + 1, n_features)"};
}

// Ends of a batch, to be filled and returned as (f, steps, reached).
struct Ends {
  Array<double> f;
  Array<std::int64_t> steps;
  Array<bool> reached;

  explicit Ends(py::ssize_t n) : f(n), steps(n), reached(n) {}
  py::tuple tuple() const { return py::make_tuple(f, steps, reached); }
};

// Runs call(walk) on the settings of the plan; `dual` are the arrays of the dual function.
template <class T, class Call>
py::tuple run_walk(Array<T>& x, const py::object& plan, const py::object& shape, const std::vector<Extent>& dual, Call call) {
  const auto n_steps = setting<std::size_t>(plan, "n_steps");
  const double step_size = finite(setting<double>(plan, "step_size"), 0.0, HUGE_VAL, "step_size must be finite and above 0");
  expect(step_size > 0, "step_size must be finite and above 0");
  const double noise = finite(setting<double>(plan, "noise"), 0.0, HUGE_VAL, "noise must be finite and not negative");
  const double tolerance = finite(setting<double>(plan, "tolerance"), 0.0, HUGE_VAL, "tolerance must be finite and not negative");
  const int n_threads = threads(setting<int>(plan, "n_threads"));
  const py::object target = field(plan, "target"), low = field(plan, "low"), high = field(plan, "high");
  expect(x.ndim() == 2 && x.shape(0) > 0 && x.shape(1) > 0, "x must be 2-D and not empty");
  expect(x.shape(0) < (py::ssize_t{1} << 32) && n_steps < (std::size_t{1} << 32) - 1, "walks and steps are limited to 2^32");
  expect(low.is_none() == high.is_none(), "low and high go together");
  const py::ssize_t n = x.shape(0), d = x.shape(1);
  const ShapeArrays<T> shaped(shape, n, d);
  const Optional<T> trajectory = trajectory_of<T>(plan, n, static_cast<py::ssize_t>(n_steps), d);
  const Optional<T> goal(target, {n}, "target must be (n_walks,)");
  const Optional<T> least(low, {d}, "low must be (n_features,)"), most(high, {d}, "high must be (n_features,)");
  expect_apart({x, trajectory}, {goal, least, most, shaped.factor, shaped.diagonal});
  for (const Extent& part : dual) expect_apart({x, trajectory}, {part});
  Ends ends(n);
  Signals signals;
  const Walk<T> walk{x.mutable_data(),
                     trajectory.mutable_data(),
                     ends.f.mutable_data(),
                     ends.steps.mutable_data(),
                     ends.reached.mutable_data(),
                     goal.data(),
                     least.data(),
                     most.data(),
                     static_cast<std::size_t>(n),
                     static_cast<std::size_t>(d),
                     n_steps,
                     static_cast<T>(step_size),
                     static_cast<T>(noise * std::sqrt(2 * step_size)),
                     static_cast<T>(tolerance),
                     shape.is_none() ? nullptr : &shaped.shape,
                     setting<std::uint64_t>(plan, "seed"),
                     n_threads,
                     &Signals::poll,
                     &signals};
  run_released([&] { return call(walk); });
  return ends.tuple();
}

constexpr std::size_t LINE_BYTES = 64, PANEL_BYTES = 192;  // as in packed_matrix.hpp

template <class T>
py::ssize_t whole_lines(std::size_t n) {
  constexpr std::size_t line = LINE_BYTES / sizeof(T);
  return static_cast<py::ssize_t>((n + line - 1) / line * line);
}

// Vectors in whole lines, or a matrix in panels that begin at a line; pack_lines and pack_panels of backends/_native_panels.py
// make them.
template <class T>
const T* packed(const Array<T>& array, Lengths shape, const char* what) {
  expect(has_shape(array, shape), what);
  return array.data();
}
template <class T>
const T* panels(const Array<T>& array, std::size_t n_entries, std::size_t n_columns) {
  constexpr std::size_t panel = PANEL_BYTES / sizeof(T);
  const auto n_panels = static_cast<py::ssize_t>((n_entries + panel - 1) / panel);
  expect(reinterpret_cast<std::uintptr_t>(array.data()) % LINE_BYTES == 0, "panels must begin at a cache line");
  return packed(array, {n_panels, static_cast<py::ssize_t>(n_columns), static_cast<py::ssize_t>(panel)}, "panels do not fit the matrix");
}

template <class T>
py::tuple walk_mlp(Array<T> x, const std::vector<std::size_t>& width, const std::vector<Array<T>>& forward,
                   const std::vector<Array<T>>& backward, const std::vector<Array<T>>& biases, const Array<T>& last,
                   const py::object& plan, const py::object& shape) {
  const std::size_t n_layers = biases.size();
  expect(n_layers > 0 && n_layers <= 64 && width.size() == n_layers + 1 && forward.size() == n_layers - 1 &&
             backward.size() == n_layers - 1,
         "1 to 64 layers, widths and biases for each");
  expect(x.ndim() == 2 && width[0] == static_cast<std::size_t>(x.shape(1)) && width.back() == 1,
         "the first layer must have n_features inputs, the last one output");
  const bool sane = std::all_of(width.begin(), width.end(), [](std::size_t w) { return w > 0 && w < (std::size_t{1} << 40); });
  expect(sane, "widths must be positive");
  std::vector<const T*> there, back, bias;
  std::vector<Extent> arrays{last};
  for (std::size_t l = 0; l < n_layers; ++l) {
    bias.push_back(packed(biases[l], {whole_lines<T>(width[l + 1])}, "biases must be in whole lines"));
    arrays.emplace_back(biases[l]);
    if (l + 1 == n_layers) break;
    arrays.insert(arrays.end(), {forward[l], backward[l]});
    there.push_back(panels(forward[l], width[l + 1], width[l]));
    back.push_back(panels(backward[l], width[l], width[l + 1]));
  }
  const T* const top = packed(last, {whole_lines<T>(width[n_layers - 1])}, "last must be in whole lines");
  const MlpDual<T> dual{n_layers, width.data(), there.data(), back.data(), bias.data(), top};
  return run_walk(x, plan, shape, arrays, [&](const Walk<T>& walk) { return active().of(T{}).walk_mlp(walk, dual); });
}

template <class T>
py::tuple walk_local(Array<T> x, const Array<T>& mean, const Array<T>& curvature, const Array<T>& factor,
                     const Array<T>& constant, const py::object& plan, const py::object& shape) {
  expect(x.ndim() == 2 && mean.ndim() == 2 && factor.ndim() == 3, "x and mean must be 2-D and factor 3-D");
  const py::ssize_t places = mean.shape(0), d = mean.shape(1);
  expect((places == 1 || places == x.shape(0)) && d == x.shape(1), "one neighbourhood for all walks, or one for each");
  expect(same_shape(curvature, mean) && has_shape(constant, {places}) && factor.shape(0) == places && factor.shape(2) == d,
         "curvature, factor and constant must have a row for each neighbourhood");
  const LocalDual<T> dual{mean.data(),     curvature.data(), factor.data(),
                          constant.data(), static_cast<std::size_t>(factor.shape(1)), places == 1};
  const std::vector<Extent> arrays{mean, curvature, factor, constant};
  return run_walk(x, plan, shape, arrays, [&](const Walk<T>& walk) { return active().of(T{}).walk_local(walk, dual); });
}

template <class T>
MixtureDual<T> mixture_of(const Array<T>& x, const Array<T>& forward, const Array<T>& backward, const Array<T>& starts,
                          const Array<T>& precisions, const Array<T>& log_scales, py::ssize_t n_times, double pull,
                          double constant) {
  expect(x.ndim() == 2 && log_scales.ndim() == 2 && log_scales.shape(0) == n_times && log_scales.shape(1) > 0,
         "x must be 2-D, log_scales (n_times, n_components)");
  finite(pull, -HUGE_VAL, HUGE_VAL, "pull must be finite");
  finite(constant, -HUGE_VAL, HUGE_VAL, "constant must be finite");
  const std::size_t d = x.shape(1), n_components = log_scales.shape(1);
  expect(n_components <= SIZE_MAX / 256 / std::max<std::size_t>(d, 1), "the axes must fit in memory");
  const py::ssize_t line = whole_lines<T>(d), k = log_scales.shape(1);
  const char* const wanted = "starts and precisions must have whole lines for each time and component";
  return {n_components,
          d,
          panels(forward, n_components * line, d),
          panels(backward, d, n_components * d),
          packed(starts, {n_times, k, line}, wanted),
          packed(precisions, {n_times, k, line}, wanted),
          log_scales.data(),
          static_cast<T>(pull),
          static_cast<T>(constant)};
}

template <class T>
py::tuple walk_mixture(Array<T> x, const Array<T>& forward, const Array<T>& backward, const Array<T>& starts,
                       const Array<T>& precisions, const Array<T>& log_scales, double pull, double constant,
                       const py::object& plan, const py::object& shape) {
  const MixtureDual<T> dual = mixture_of(x, forward, backward, starts, precisions, log_scales, 1, pull, constant);
  const std::vector<Extent> arrays{forward, backward, starts, precisions, log_scales};
  return run_walk(x, plan, shape, arrays, [&](const Walk<T>& walk) { return active().of(T{}).walk_mixture(walk, dual); });
}

template <class T>
py::tuple anneal_mixture(Array<T> x, const Array<T>& forward, const Array<T>& backward, const Array<T>& starts,
                         const Array<T>& precisions, const Array<T>& log_scales, double pull, double constant,
                         const py::object& plan) {
  const py::object moved = field(plan, "moves");
  expect(py::isinstance<Array<double>>(moved), "moves must be (n_steps, 4)");
  const auto table = py::reinterpret_borrow<Array<double>>(moved);
  expect(table.ndim() == 2 && table.shape(1) == 4, "moves must be (n_steps, 4)");
  const py::ssize_t n_steps = table.shape(0);
  const int n_threads = threads(setting<int>(plan, "n_threads"));
  expect(x.ndim() == 2 && x.shape(0) > 0 && x.shape(1) > 0, "x must be 2-D and not empty");
  expect(x.shape(0) < (py::ssize_t{1} << 32), "walks are limited to 2^32");
  const py::ssize_t n = x.shape(0), d = x.shape(1);
  const MixtureDual<T> dual = mixture_of(x, forward, backward, starts, precisions, log_scales, n_steps + 1, pull, constant);
  std::vector<Move<T>> moves;
  for (py::ssize_t i = 0; i < n_steps; ++i)
    moves.push_back({static_cast<T>(table.at(i, 0)), static_cast<T>(table.at(i, 1)), static_cast<T>(table.at(i, 2)),
                     static_cast<T>(table.at(i, 3))});
  const double angle = finite(setting<double>(plan, "start_angle"), -HUGE_VAL, HUGE_VAL, "start_angle must be finite");
  const Optional<T> trajectory = trajectory_of<T>(plan, n, n_steps, d);
  expect_apart({x, trajectory}, {forward, backward, starts, precisions, log_scales, table});
  Ends ends(n);
  std::fill_n(ends.reached.mutable_data(), n, false);
  Signals signals;
  const Anneal<T> anneal{x.mutable_data(),
                         trajectory.mutable_data(),
                         ends.f.mutable_data(),
                         ends.steps.mutable_data(),
                         moves.data(),
                         static_cast<std::size_t>(n),
                         static_cast<std::size_t>(d),
                         static_cast<std::size_t>(n_steps),
                         setting<bool>(plan, "renoise"),
                         static_cast<T>(std::cos(angle)),
                         static_cast<T>(std::sin(angle)),
                         setting<std::uint64_t>(plan, "seed"),
                         n_threads,
                         &Signals::poll,
                         &signals};
  run_released([&] { return active().of(T{}).anneal_mixture(anneal, dual); });
  return ends.tuple();
}

template <class T>
void bind_walks(py::module_& m) {
  using py::arg;
  m.def("walk_mlp", &walk_mlp<T>, arg("x"), arg("width").noconvert(), arg("forward"), arg("backward"), arg("biases"),
        arg("last"), arg("plan"), arg("shape").none(true));
  m.def("walk_local", &walk_local<T>, arg("x"), arg("mean"), arg("curvature"),
        arg("factor"), arg("constant"), arg("plan"), arg("shape").none(true));
  m.def("walk_mixture", &walk_mixture<T>, arg("x"), arg("forward"), arg("backward"),
        arg("starts"), arg("precisions"), arg("log_scales"), arg("pull"), arg("constant"),
        arg("plan"), arg("shape").none(true));
  m.def("anneal_mixture", &anneal_mixture<T>, arg("x"), arg("forward"), arg("backward"),
        arg("starts"), arg("precisions"), arg("log_scales"), arg("pull"), arg("constant"),
        arg("plan"));
}

}  // namespace dualwalk
