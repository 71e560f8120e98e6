// Walks for Python: a WalkPlan of the reference and a WalkState to be filled say what every one of them needs.
#pragma once

#include <cmath>
#include <cstdint>
#include <string>

#include "array.hpp"
#include "walks/walk.hpp"

namespace dualwalk::cuda {

void bind_walk_mlp(py::module_& m);
void bind_walk_local(py::module_& m);
void bind_walk_mixture(py::module_& m);

template <class Value>
Value setting(const py::object& plan, const char* name) {
  return plan.attr(name).cast<Value>();
}

// The batch that walks x in place; `ends` is (f, n_steps, reached), and shape is None or (factor, diagonal or None).
template <class T>
Walk<T> walk_of(const Array& x, const py::object& plan, const py::tuple& ends, const py::object& shape) {
  const auto n_steps = setting<std::int64_t>(plan, "n_steps");
  const auto step_size = setting<double>(plan, "step_size");
  const py::object target = plan.attr("target"), low = plan.attr("low"), high = plan.attr("high");
  expect(x.ndim() == 2 && x.shape(0) > 0 && x.shape(1) > 0, "x must be 2-D and not empty");
  const std::int64_t n = x.shape(0), d = x.shape(1), limit = (std::int64_t{1} << 32) - 1;
  expect(n < limit && n_steps < limit, "walks and steps are limited to 2^32 - 2");
  expect(low.is_none() == high.is_none(), "low and high go together");
  expect(ends.size() == 3, "ends must be (f, n_steps, reached)");
  Walk<T> walk{};
  walk.x = x.write<T>();
  walk.trajectory = write_or_null<T>(plan.attr("trajectory"), "trajectory", n * (n_steps + 1) * d);
  walk.f = Array(ends[0], "f").write<double>(n);
  walk.steps = Array(ends[1], "n_steps").write<std::int64_t>(n);
  walk.reached = Array(ends[2], "reached").write<bool>(n);
  walk.target = read_or_null<T>(target, "target", n);
  walk.low = read_or_null<T>(low, "low", d);
  walk.high = read_or_null<T>(high, "high", d);
  walk.n_walks = static_cast<std::size_t>(n);
  walk.n_features = static_cast<std::size_t>(d);
  walk.n_steps = static_cast<std::size_t>(n_steps);
  walk.step_size = static_cast<T>(step_size);
  walk.noise_scale = static_cast<T>(setting<double>(plan, "noise") * std::sqrt(2 * step_size));
  walk.tolerance = static_cast<T>(setting<double>(plan, "tolerance"));
  walk.seed = setting<std::uint64_t>(plan, "seed");
  if (!shape.is_none()) {
    const auto parts = shape.cast<py::tuple>();
    expect(parts.size() == 2, "shape must be (factor, diagonal or None)");
    const Array factor(parts[0], "factor");
    expect(factor.ndim() == 3 && (factor.shape(0) == 1 || factor.shape(0) == n) && factor.shape(2) == d,
           "factor must be (1 or n_walks, n_factors, n_features)");
    walk.shape.factor = factor.read<T>();
    walk.shape.diagonal = read_or_null<T>(parts[1], "diagonal", factor.shape(0) * d);
    walk.shape.n_factors = static_cast<std::size_t>(factor.shape(1));
    walk.shape.one_for_all = factor.shape(0) == 1;
  }
  return walk;
}

}  // namespace dualwalk::cuda
