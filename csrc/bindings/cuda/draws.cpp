// The draws for Python: philox, draw_integers and draw_normals of the reference, into arrays that Python made.
#include "draws/draws.hpp"

#include "array.hpp"
#include "module.hpp"

namespace dualwalk::cuda {
namespace {

void philox_job(const py::object& counter, std::uint64_t seed, const py::object& out, const py::tuple& here) {
  const Array words(counter, "counter");
  expect(words.ndim() >= 1 && words.shape(words.ndim() - 1) == 4, "counter must have shape (..., 4)");
  philox_words(words.read<std::uint32_t>(), words.size() / 4, seed, Array(out, "out").write<std::uint32_t>(words.size()), Here(here).stream);
}

void draw_integers_job(std::uint64_t seed, std::uint32_t operation, std::uint32_t copy, std::uint32_t block, const py::object& bounds,
                       const py::object& out, const py::tuple& here) {
  const Array limits(bounds, "bounds");
  draw_integers({seed, operation, copy, block}, limits.read<std::uint32_t>(), limits.size(),
                Array(out, "out").write<std::uint32_t>(limits.size()), Here(here).stream);
}

void draw_normals_job(std::uint64_t seed, std::size_t first, const py::object& out, const py::tuple& here) {
  const Array rows(out, "out");
  expect(rows.ndim() == 2, "out must be 2-D");
  with_float(rows, [&](auto zero) {
    draw_normals(seed, first, rows.shape(0), rows.shape(1), rows.write<decltype(zero)>(), Here(here).stream);
  });
}

}  // namespace

void bind_draws(py::module_& m) {
  using py::arg;
  m.def("philox", &philox_job, arg("counter"), arg("seed"), arg("out"), arg("here"));
  m.def("draw_integers", &draw_integers_job, arg("seed"), arg("operation"), arg("copy"), arg("block"), arg("bounds"), arg("out"), arg("here"));
  m.def("draw_normals", &draw_normals_job, arg("seed"), arg("first"), arg("out"), arg("here"));
}

}  // namespace dualwalk::cuda
