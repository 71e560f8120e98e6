// Walks on mixtures, and annealing along their path, for Python.
#include "walks.hpp"
#include "walks/mixture.hpp"

namespace dualwalk::cuda {
namespace {

// `parts` is (axes, the same turned, starts, precisions, log scales, pull, constant), tables for n_times.
template <class T>
MixtureDual<T> mixture_of(const py::tuple& parts, std::int64_t n_features, std::int64_t n_times) {
  expect(parts.size() == 7, "a mixture must have seven parts");
  const Array axes(parts[0], "axes");
  expect(axes.ndim() == 3 && axes.shape(0) > 0 && axes.shape(1) == n_features && axes.shape(2) == n_features,
         "axes must be (n_components, n_features, n_features)");
  const std::int64_t n_components = axes.shape(0), numbers = n_times * n_components * n_features;
  MixtureDual<T> dual{};
  dual.axes = axes.read<T>();
  dual.turned = Array(parts[1], "turned axes").read<T>(axes.size());
  dual.starts = Array(parts[2], "starts").read<T>(numbers);
  dual.precisions = Array(parts[3], "precisions").read<T>(numbers);
  dual.log_scales = Array(parts[4], "log scales").read<T>(n_times * n_components);
  dual.n_components = static_cast<std::size_t>(n_components);
  dual.n_features = static_cast<std::size_t>(n_features);
  dual.pull = static_cast<T>(parts[5].cast<double>());
  dual.constant = static_cast<T>(parts[6].cast<double>());
  return dual;
}

void walk_mixture_job(const py::object& x, const py::tuple& parts, const py::object& plan, const py::object& shape,
                      const py::tuple& ends, const py::tuple& here) {
  const Array points(x, "x");
  with_float(points, [&](auto zero) {
    using T = decltype(zero);
    const Walk<T> walk = walk_of<T>(points, plan, ends, shape);
    Here room(here);
    walk_mixture(walk, mixture_of<T>(parts, points.shape(1), 1), room, room.stream);
  });
}

// `turns` (n_steps, 4) are the plan's moves.
void anneal_mixture_job(const py::object& x, const py::tuple& parts, const py::object& turns, const py::object& plan,
                        const py::tuple& ends, const py::tuple& here) {
  const Array points(x, "x"), moves(turns, "turns");
  expect(points.ndim() == 2 && points.shape(0) > 0 && points.shape(1) > 0, "x must be 2-D and not empty");
  expect(moves.ndim() == 2 && moves.shape(1) == 4, "turns must be (n_steps, 4)");
  const std::int64_t n = points.shape(0), d = points.shape(1), n_steps = moves.shape(0), limit = (std::int64_t{1} << 32) - 1;
  expect(n < limit && n_steps < limit, "walks and steps are limited to 2^32 - 2");
  with_float(points, [&](auto zero) {
    using T = decltype(zero);
    static_assert(sizeof(Turn<T>) == 4 * sizeof(T), "turns lie one after the other");
    const double angle = setting<double>(plan, "start_angle");
    Anneal<T> anneal{};
    anneal.x = points.write<T>();
    anneal.trajectory = write_or_null<T>(plan.attr("trajectory"), "trajectory", n * (n_steps + 1) * d);
    anneal.f = Array(ends[0], "f").write<double>(n);
    anneal.steps = Array(ends[1], "n_steps").write<std::int64_t>(n);
    anneal.reached = Array(ends[2], "reached").write<bool>(n);
    anneal.turns = reinterpret_cast<const Turn<T>*>(moves.read<T>());
    anneal.n_walks = static_cast<std::size_t>(n);
    anneal.n_features = static_cast<std::size_t>(d);
    anneal.n_steps = static_cast<std::size_t>(n_steps);
    anneal.renoise = setting<bool>(plan, "renoise");
    anneal.keep = static_cast<T>(std::cos(angle));
    anneal.add = static_cast<T>(std::sin(angle));
    anneal.seed = setting<std::uint64_t>(plan, "seed");
    Here room(here);
    anneal_mixture(anneal, mixture_of<T>(parts, d, n_steps + 1), room, room.stream);
  });
}

}  // namespace

void bind_walk_mixture(py::module_& m) {
  using py::arg;
  m.def("walk_mixture", &walk_mixture_job, arg("x"), arg("parts"), arg("plan"), arg("shape"), arg("ends"), arg("here"));
  m.def("anneal_mixture", &anneal_mixture_job, arg("x"), arg("parts"), arg("turns"), arg("plan"), arg("ends"), arg("here"));
}

}  // namespace dualwalk::cuda
