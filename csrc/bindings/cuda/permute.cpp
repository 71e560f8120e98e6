// permute_marginals for Python: x as it lies, labels of its columns, and where the result goes.
#include "permute/permute.hpp"

#include "array.hpp"
#include "module.hpp"

namespace dualwalk::cuda {
namespace {

void permute_job(const py::object& x, const py::object& block, std::uint32_t operation, std::uint64_t seed, const py::object& out,
                 std::uint32_t longest, const py::tuple& here) {
  const Array from(x, "x"), to(out, "out");
  expect(from.ndim() == 2 || from.ndim() == 3, "x must be 2-D or 3-D");
  expect(to.ndim() == from.ndim() + 1, "out must have one dimension more than x");
  for (std::size_t axis = 0; axis < from.ndim(); ++axis) expect(from.shape(axis) == to.shape(axis + 1), "out must have copies of x's shape");
  const std::size_t item = from.item_size(), last = from.ndim() - 1;
  expect(item == 1 || item == 2 || item == 4 || item == 8 || item == 16, "x must have items of 1, 2, 4, 8 or 16 bytes");
  expect(to.item_size() == item, "x and out must have items of one size");
  expect(operation == SHUFFLE || operation == RESAMPLE || operation == SHIFT, "no such operation");
  expect(longest >= 1, "longest must be at least 1");
  expect(static_cast<std::uint64_t>(from.shape(0)) < std::uint64_t{1} << 32, "x must have fewer than 2^32 rows");
  if (to.size() == 0) return;
  const std::int64_t n_inner = from.shape(last), n_columns = from.size() / from.shape(0);
  Permutation job{};
  job.x = static_cast<const char*>(from.raw());
  job.row_stride = from.stride(0);
  job.outer_stride = last == 2 ? from.stride(1) : 0;
  job.inner_stride = from.stride(last);
  for (const std::uintptr_t part : {reinterpret_cast<std::uintptr_t>(job.x), static_cast<std::uintptr_t>(job.row_stride),
                                    static_cast<std::uintptr_t>(job.outer_stride), static_cast<std::uintptr_t>(job.inner_stride)})
    expect(part % item == 0, "x must be aligned to its items (pass a copy of it)");
  expect(reinterpret_cast<std::uintptr_t>(to.raw()) % item == 0, "out must be aligned to its items");
  job.n_inner = static_cast<std::size_t>(n_inner);
  job.block = Array(block, "block").read<std::int32_t>(n_columns);
  job.out = static_cast<char*>(to.write_raw());
  job.item_size = item;
  job.n_copies = static_cast<std::size_t>(to.shape(0));
  job.n_rows = static_cast<std::size_t>(from.shape(0));
  job.n_columns = static_cast<std::size_t>(n_columns);
  job.operation = operation;
  job.longest = longest;
  job.seed = seed;
  Here place(here);
  permute_marginals(job, place, place.stream);
}

}  // namespace

void bind_permute(py::module_& m) {
  using py::arg;
  m.def("permute_marginals", &permute_job, arg("x"), arg("block"), arg("operation"), arg("seed"), arg("out"), arg("longest"), arg("here"));
}

}  // namespace dualwalk::cuda
