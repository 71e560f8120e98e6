// log-mean-exp and the mean log-sigmoid for Python, into arrays that Python made.
#include "objective/objective.hpp"

#include "array.hpp"
#include "module.hpp"

namespace dualwalk::cuda {
namespace {

void log_mean_exp_job(const py::object& f, const py::object& weights, const py::object& gradient, const py::object& value,
                      const py::tuple& place) {
  const Array table(f, "f");
  expect(table.ndim() == 3, "f must be 3-D");
  const std::int64_t n = table.size(), n_values = table.shape(0) * table.shape(2);
  Here here(place);
  with_float(table, [&](auto zero) {
    using T = decltype(zero);
    const auto along = [&](std::size_t axis) { return static_cast<std::size_t>(table.shape(axis)); };
    log_mean_exp<T>({table.read<T>(), read_or_null<T>(weights, "weights", n), Array(value, "value").write<T>(n_values),
                     write_or_null<T>(gradient, "gradient", n), along(0), along(1), along(2)},
                    here, here.stream);
  });
}

void log_mean_exp_segments_job(const py::object& f, const py::object& offsets, const py::object& weights,
                               const py::object& gradient, const py::object& value, const py::tuple& place) {
  const Array values(f, "f"), ends(offsets, "offsets");
  const std::int64_t n = values.size(), count = ends.size() - 1;
  expect(count >= 0, "offsets must not be empty");
  Here here(place);
  with_float(values, [&](auto zero) {
    using T = decltype(zero);
    log_mean_exp_segments<T>({values.read<T>(), read_or_null<T>(weights, "weights", n), ends.read<std::int64_t>(),
                              Array(value, "value").write<T>(count), write_or_null<T>(gradient, "gradient", n),
                              static_cast<std::size_t>(count), static_cast<std::size_t>(n)},
                             here, here.stream);
  });
}

void mean_log_sigmoid_job(const py::object& f, int sign, const py::object& gradient, const py::object& value,
                          const py::tuple& place) {
  const Array values(f, "f");
  Here here(place);
  with_float(values, [&](auto zero) {
    using T = decltype(zero);
    mean_log_sigmoid<T>({values.read<T>(), Array(value, "value").write<double>(1),
                         write_or_null<T>(gradient, "gradient", values.size()), static_cast<std::size_t>(values.size()), sign},
                        here, here.stream);
  });
}

}  // namespace

void bind_objective(py::module_& m) {
  using py::arg;
  m.def("log_mean_exp", &log_mean_exp_job, arg("f"), arg("weights"), arg("gradient"), arg("value"), arg("here"));
  m.def("log_mean_exp_segments", &log_mean_exp_segments_job, arg("f"), arg("offsets"), arg("weights"), arg("gradient"),
        arg("value"), arg("here"));
  m.def("mean_log_sigmoid", &mean_log_sigmoid_job, arg("f"), arg("sign"), arg("gradient"), arg("value"), arg("here"));
}

}  // namespace dualwalk::cuda
