// Walks on local duals for Python.
#include "walks/local.hpp"

#include "walks.hpp"

namespace dualwalk::cuda {
namespace {

void walk_local_job(const py::object& x, const py::object& mean, const py::object& curvature, const py::object& factor,
                    const py::object& constant, const py::object& plan, const py::object& shape, const py::tuple& ends,
                    const py::tuple& here) {
  const Array points(x, "x"), rows(factor, "factor");
  with_float(points, [&](auto zero) {
    using T = decltype(zero);
    const Walk<T> walk = walk_of<T>(points, plan, ends, shape);
    const std::int64_t n = points.shape(0), d = points.shape(1);
    expect(rows.ndim() == 3 && (rows.shape(0) == 1 || rows.shape(0) == n) && rows.shape(2) == d,
           "factor must be (1 or n_walks, n_factors, n_features)");
    const std::int64_t places = rows.shape(0);
    LocalDual<T> dual{};
    dual.mean = Array(mean, "mean").read<T>(places * d);
    dual.curvature = Array(curvature, "curvature").read<T>(places * d);
    dual.factor = rows.read<T>();
    dual.constant = Array(constant, "constant").read<T>(places);
    dual.n_factors = static_cast<std::size_t>(rows.shape(1));
    dual.one_for_all = places == 1;
    Here room(here);
    walk_local(walk, dual, room, room.stream);
  });
}

}  // namespace

void bind_walk_local(py::module_& m) {
  using py::arg;
  m.def("walk_local", &walk_local_job, arg("x"), arg("mean"), arg("curvature"), arg("factor"), arg("constant"), arg("plan"),
        arg("shape"), arg("ends"), arg("here"));
}

}  // namespace dualwalk::cuda
