// walk_mlp for Python; the matrices come packed by backends/_cuda_walk_mlp.py.
#include <pybind11/stl.h>

#include "walks.hpp"
#include "walks/mlp.hpp"
#include "walks/noise.hpp"

namespace dualwalk::cuda {
namespace {

Precision precision_of(const std::string& name) {
  expect(name == "full" || name == "tf32" || name == "bf16", "precision must be full, tf32 or bf16");
  return name == "full" ? Precision::full : name == "tf32" ? Precision::tf32 : Precision::bf16;
}

template <class T>
const T* matrix(const py::handle& object, const char* name, std::size_t n_rows, std::size_t n_columns) {
  return Array(object, name).read<T>(static_cast<std::int64_t>(n_rows * whole_fours(n_columns)));
}

// Hidden layers are (forward, backward, bias), `last` the last layer's (weights, bias).
template <class T>
MlpDual<T> mlp_of(const std::vector<std::size_t>& width, const py::list& layers, const py::object& gram,
                  const py::tuple& last) {
  expect(layers.size() <= MAX_HIDDEN && width.size() == layers.size() + 1, "at most 63 hidden layers, one width more");
  MlpDual<T> dual{};
  dual.n_hidden = static_cast<unsigned>(layers.size());
  for (unsigned l = 0; l < dual.n_hidden; ++l) {
    const auto layer = layers[l].cast<py::tuple>();
    expect(width[l + 1] < (std::size_t{1} << 31) && width[l] < (std::size_t{1} << 31), "layers are limited to 2^31 - 1 units");
    dual.layer[l].forward = matrix<T>(layer[0], "forward", width[l], width[l + 1]);
    dual.layer[l].backward = matrix<T>(layer[1], "backward", width[l + 1], width[l]);
    dual.layer[l].bias = Array(layer[2], "bias").read<T>(static_cast<std::int64_t>(width[l + 1]));
    dual.layer[l].n_in = static_cast<unsigned>(width[l]);
    dual.layer[l].n_out = static_cast<unsigned>(width[l + 1]);
  }
  if (!gram.is_none()) {
    expect(dual.n_hidden > 0, "a Gram matrix needs a hidden layer");
    dual.gram = matrix<T>(gram, "gram", width[1], width[1]);
  }
  dual.last = Array(last[0], "last").read<T>(static_cast<std::int64_t>(width.back()));
  dual.last_bias = Array(last[1], "bias").read<T>(1);
  return dual;
}

void walk_mlp_job(const py::object& x, const std::vector<std::size_t>& width, const py::list& layers, const py::object& gram,
                  const py::tuple& last, const std::string& precision, const py::object& plan, const py::tuple& ends,
                  const py::tuple& here) {
  const Array rows(x, "x");
  const bool fits = rows.ndim() == 2 && !width.empty() && width[0] == static_cast<std::size_t>(rows.shape(1));
  expect(fits, "x must be (n_walks, the first width)");
  with_float(rows, [&](auto zero) {
    using T = decltype(zero);
    Here memory(here);
    const auto walk = walk_of<T>(rows, plan, ends, py::none());
    const auto dual = mlp_of<T>(width, layers, gram, last);
    walk_mlp(walk, dual, precision_of(precision), memory, memory.stream);
  });
}

void draw_step_noise_job(std::uint64_t seed, std::uint32_t step, const py::object& out, const py::tuple& here) {
  const Array rows(out, "out");
  expect(rows.ndim() == 2, "out must be 2-D");
  with_float(rows, [&](auto zero) {
    draw_step_noise(seed, step, rows.shape(0), rows.shape(1), rows.write<decltype(zero)>(), Here(here).stream);
  });
}

}  // namespace

void bind_walk_mlp(py::module_& m) {
  using py::arg;
  m.def("walk_mlp", &walk_mlp_job, arg("x"), arg("width"), arg("layers"), arg("gram"), arg("last"), arg("precision"),
        arg("plan"), arg("ends"), arg("here"));
  m.def("draw_step_noise", &draw_step_noise_job, arg("seed"), arg("step"), arg("out"), arg("here"));
}

}  // namespace dualwalk::cuda
