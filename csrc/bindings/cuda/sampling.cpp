// relax_local and balance_columns of the reference for Python, into arrays that Python made.
#include "sampling/sampling.hpp"

#include "array.hpp"
#include "module.hpp"

namespace dualwalk::cuda {
namespace {

constexpr std::int64_t MOST_ROWS = (std::int64_t{1} << 32) - 1;

void relax_local_job(const py::object& points, const py::object& neighbors, double decay, std::uint64_t seed,
                     const py::object& out, const py::tuple& here) {
  const Array rows(points, "points"), index(neighbors, "neighbors");
  expect(rows.ndim() == 2 && index.ndim() == 2 && index.shape(1) > 0,
         "points and neighbors must be 2-D, neighbors with at least one column");
  expect(index.shape(0) < MOST_ROWS, "rows are limited to 2^32 - 2");
  with_float(rows, [&](auto zero) {
    using T = decltype(zero);
    Relaxation<T> job{};
    job.points = rows.read<T>();
    job.neighbors = index.read<std::int64_t>();
    job.out = Array(out, "out").write<T>(index.shape(0) * rows.shape(1));
    job.n_rows = static_cast<std::size_t>(index.shape(0));
    job.n_members = static_cast<std::size_t>(index.shape(1));
    job.n_features = static_cast<std::size_t>(rows.shape(1));
    job.decay = decay;
    job.seed = seed;
    Here room(here);
    relax_local(job, room, room.stream);
  });
}

void balance_columns_job(const py::object& points, const py::object& place, const py::object& table, const py::object& tied,
                         const py::object& values, const py::tuple& here) {
  const Array rows(points, "points"), quantiles(table, "table");
  expect(rows.ndim() == 2 && quantiles.ndim() == 2 && quantiles.shape(0) > 0 && quantiles.shape(1) == rows.shape(1),
         "points and table must be 2-D with as many columns, the table not empty");
  expect(rows.shape(0) < MOST_ROWS, "rows are limited to 2^32 - 2");
  with_float(rows, [&](auto zero) {
    using T = decltype(zero);
    Balance<T> job{};
    job.points = rows.read<T>();
    job.place = Array(place, "place").read<double>(rows.shape(0));
    job.table = quantiles.read<T>();
    job.tied = Array(tied, "tied").read<bool>(rows.shape(1));
    job.values = Array(values, "values").write<T>(rows.size());
    job.n_rows = static_cast<std::size_t>(rows.shape(0));
    job.n_columns = static_cast<std::size_t>(rows.shape(1));
    job.n_quantiles = static_cast<std::size_t>(quantiles.shape(0));
    Here room(here);
    balance_columns(job, room, room.stream);
  });
}

}  // namespace

void bind_sampling(py::module_& m) {
  using py::arg;
  m.def("relax_local", &relax_local_job, arg("points"), arg("neighbors"), arg("decay"), arg("seed"), arg("out"), arg("here"));
  m.def("balance_columns", &balance_columns_job, arg("points"), arg("place"), arg("table"), arg("tied"), arg("values"),
        arg("here"));
}

}  // namespace dualwalk::cuda
