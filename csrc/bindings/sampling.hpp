// The two jobs of a sampled block of rows for Python: relax_local and balance_columns of the reference.
#pragma once

#include "checks.hpp"
#include "running.hpp"

namespace dualwalk {

inline Array<double> draw_normals(std::uint64_t seed, std::uint32_t first, std::uint32_t n_rows, std::uint32_t n_columns) {
  expect(first + std::uint64_t{n_rows} <= (std::uint64_t{1} << 32), "rows are limited to 2^32");
  Array<double> out({static_cast<py::ssize_t>(n_rows), static_cast<py::ssize_t>(n_columns)});
  double* const data = out.mutable_data();
  run_released([&] { return active().of(0.0).draw_normals(seed, first, n_rows, n_columns, data); });
  return out;
}

template <class T>
Array<T> relax_local(const Array<T>& points, const Array<std::int64_t>& neighbors, double decay, std::uint64_t seed, int n_threads) {
  expect(points.ndim() == 2 && neighbors.ndim() == 2 && neighbors.shape(1) > 0, "points and neighbors must be 2-D");
  expect(neighbors.shape(0) < (py::ssize_t{1} << 32), "rows are limited to 2^32");
  finite(decay, -1.0, 1.0, "decay must be from -1 to 1");
  const std::int64_t* const begin = neighbors.data();
  expect(std::all_of(begin, begin + neighbors.size(), [&](std::int64_t i) { return i >= 0 && i < points.shape(0); }),
         "neighbors must be rows of points");
  Array<T> out({neighbors.shape(0), points.shape(1)});
  Signals signals;
  const Relaxation<T> job{points.data(),
                          neighbors.data(),
                          out.mutable_data(),
                          static_cast<std::size_t>(neighbors.shape(0)),
                          static_cast<std::size_t>(neighbors.shape(1)),
                          static_cast<std::size_t>(points.shape(1)),
                          decay,
                          seed,
                          threads(n_threads),
                          &Signals::poll,
                          &signals};
  if (out.size() > 0) run_released([&] { return active().of(T{}).relax_local(job); });
  return out;
}

template <class T>
Array<T> balance_columns(const Array<T>& points, const Array<double>& place, const Array<T>& table, const Array<bool>& tied, int n_threads) {
  expect(points.ndim() == 2 && table.ndim() == 2 && table.shape(0) > 0 && table.shape(1) == points.shape(1),
         "points and table must be 2-D with as many columns, the table not empty");
  expect(has_shape(place, {points.shape(0)}) && has_shape(tied, {points.shape(1)}), "place must be (n_rows,), tied (n_columns,)");
  expect(points.shape(0) < (py::ssize_t{1} << 31), "rows are limited to 2^31");
  const double* const begin = place.data();
  expect(std::all_of(begin, begin + place.size(), [](double p) { return p >= 0 && p <= 1; }), "place must be from 0 to 1");
  const auto* const bytes = reinterpret_cast<const std::uint8_t*>(tied.data());  // as a bool, any other value is undefined
  expect(std::all_of(bytes, bytes + tied.size(), [](std::uint8_t b) { return b <= 1; }), "tied must be False or True");
  Array<T> values({points.shape(0), points.shape(1)});
  Signals signals;
  const Balance<T> job{points.data(),
                       place.data(),
                       table.data(),
                       tied.data(),
                       values.mutable_data(),
                       static_cast<std::size_t>(points.shape(0)),
                       static_cast<std::size_t>(points.shape(1)),
                       static_cast<std::size_t>(table.shape(0)),
                       threads(n_threads),
                       &Signals::poll,
                       &signals};
  run_released([&] { return active().of(T{}).balance_columns(job); });
  return values;
}

template <class T>
void bind_sampling(py::module_& m) {
  using py::arg;
  m.def("relax_local", &relax_local<T>, arg("points"), arg("neighbors"), arg("decay"), arg("seed").noconvert(), arg("n_threads").noconvert());
  m.def("balance_columns", &balance_columns<T>, arg("points"), arg("place"), arg("table"),
        arg("tied"), arg("n_threads").noconvert());
}

}  // namespace dualwalk
