// The spanning tree for Python, into arrays that Python made.
#include "tree/tree.hpp"

#include "array.hpp"
#include "module.hpp"

namespace dualwalk::cuda {
namespace {

void spanning_tree_job(const py::object& weight, const py::object& first, const py::object& order, const py::object& parent,
                       const py::tuple& here_) {
  const Array weights(weight, "weight");
  expect(weights.ndim() == 2 && weights.shape(0) == weights.shape(1), "weight must be square");
  const std::int64_t d = weights.shape(0);
  expect(d > 0 && d < (std::int64_t{1} << 31), "weight must have from 1 to 2**31 - 1 columns");
  Here here(here_);
  with_float(weights, [&](auto zero) {
    spanning_tree(weights.read<decltype(zero)>(), static_cast<std::size_t>(d), Array(first, "first").read<std::int64_t>(1),
                  Array(order, "order").write<std::int64_t>(d), Array(parent, "parent").write<std::int64_t>(d - 1), here, here.stream);
  });
}

}  // namespace

void bind_tree(py::module_& m) {
  using py::arg;
  m.def("spanning_tree", &spanning_tree_job, arg("weight"), arg("first"), arg("order"), arg("parent"), arg("here"));
}

}  // namespace dualwalk::cuda
