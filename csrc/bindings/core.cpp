// The module dualwalk._core: NumPy arrays in, the compiled loops of cpu/ behind, the GIL released while they run.
#include <pybind11/stl.h>

#include <cmath>
#include <string>
#include <vector>

#include "checks.hpp"
#include "kernels.hpp"
#include "nodes.hpp"
#include "running.hpp"

namespace dualwalk {
namespace {

void select_level(const std::string& name) {
  const Kernels* chosen = kernels(name.c_str());
  if (chosen == nullptr) {
    std::string have;
    for (const char* const* level = levels(); *level; ++level) have += std::string(have.empty() ? "" : ", ") + *level;
    throw py::value_error("the SIMD level must be one that this processor and build have (" + have + "); got '" + name + "'");
  }
  active = chosen;
}

std::vector<std::string> level_names() {
  std::vector<std::string> names;
  for (const char* const* level = levels(); *level; ++level) names.emplace_back(*level);
  return names;
}

Array<std::uint32_t> philox_words(const Array<std::uint32_t>& counter, std::uint64_t seed) {
  expect(counter.ndim() >= 1 && counter.shape(counter.ndim() - 1) == 4, "counter must have shape (..., 4)");
  Array<std::uint32_t> out(std::vector<py::ssize_t>(counter.shape(), counter.shape() + counter.ndim()));
  for (py::ssize_t i = 0; i < counter.size(); i += 4) {
    Words words;
    std::memcpy(&words, counter.data() + i, sizeof(words));
    words = philox(words, seed);
    std::memcpy(out.mutable_data() + i, &words, sizeof(words));
  }
  return out;
}

Array<std::uint32_t> draw_integers(std::uint64_t seed, std::uint32_t operation, std::uint32_t copy, std::uint32_t block,
                                   const Array<std::uint32_t>& bounds) {
  Array<std::uint32_t> out(bounds.size());
  for (py::ssize_t i = 0; i < bounds.size(); ++i) expect(bounds.data()[i] > 0, "bounds must be positive");
  active->draw_integers({seed, operation, copy, block}, bounds.data(), bounds.size(), out.mutable_data());
  return out;
}

void permute_marginals(const py::array& x, const Array<std::int32_t>& block, std::uint32_t operation, std::uint64_t seed,
                       py::array out, int n_threads) {
  expect(x.ndim() >= 2 && out.ndim() == x.ndim() + 1, "x must be at least 2-D, and out one dimension more");
  expect((out.flags() & py::array::c_style) && out.writeable(), "out must be C-contiguous and writeable");
  expect(x.itemsize() == out.itemsize(), "x and out must have items of one size");
  expect(n_threads >= 1, "n_threads must be at least 1");
  std::size_t n_columns = 1;
  for (py::ssize_t axis = 0; axis < x.ndim(); ++axis) {
    expect(out.shape(axis + 1) == x.shape(axis), "out must have shape (n_copies, *x.shape)");
    if (axis) n_columns *= x.shape(axis);
  }
  expect(static_cast<std::size_t>(block.size()) == n_columns, "block must name a block for every column");
  expect(x.shape(0) < (py::ssize_t{1} << 32) && out.shape(0) < (py::ssize_t{1} << 32), "rows and copies are limited to 2^32");
  const std::size_t item = x.itemsize();
  expect(item == 1 || item == 2 || item == 4 || item == 8 || item == 16, "items must have 1, 2, 4, 8 or 16 bytes");
  if (out.size() == 0) return;
  // the byte offset of every column, whatever the strides of the axes behind it
  std::vector<std::ptrdiff_t> offset(n_columns, 0);
  std::size_t repeat = n_columns;
  for (py::ssize_t axis = 1; axis < x.ndim(); ++axis) {
    const std::size_t length = x.shape(axis);
    repeat /= length;
    for (std::size_t c = 0; c < n_columns; ++c) offset[c] += static_cast<std::ptrdiff_t>(c / repeat % length) * x.strides(axis);
  }
  Permutation job{static_cast<const char*>(x.data()),
                  x.strides(0),
                  offset.data(),
                  block.data(),
                  static_cast<char*>(out.mutable_data()),
                  item,
                  static_cast<std::size_t>(out.shape(0)),
                  static_cast<std::size_t>(x.shape(0)),
                  n_columns,
                  operation,
                  seed,
                  n_threads};
  run_released([&] { return active->permute(job); });
}

template <class T>
Array<double> log_mean_exp(const Array<T>& f, const py::object& weights, const py::object& gradient, int n_threads) {
  expect(f.ndim() == 2 && f.shape(1) > 0 && n_threads >= 1, "f must be 2-D with at least one column");
  Array<double> value(f.shape(0));
  const LogMeanExp<T> job{f.data(),
                          optional_data<T>(weights, f.size(), "weights must be like f"),
                          optional_output<T>(gradient, f.size(), "gradient must be like f"),
                          value.mutable_data(),
                          static_cast<std::size_t>(f.shape(0)),
                          static_cast<std::size_t>(f.shape(1)),
                          n_threads};
  run_released([&] { return active->of(T{}).log_mean_exp(job); });
  return value;
}

template <class T>
double mean_log_sigmoid(const Array<T>& f, int sign, const py::object& gradient, int n_threads) {
  expect(f.size() > 0 && n_threads >= 1 && (sign == 1 || sign == -1), "f must not be empty, sign must be 1 or -1");
  LogSigmoid<T> job{f.data(), optional_output<T>(gradient, f.size(), "gradient must be like f"),
                    static_cast<std::size_t>(f.size()), sign, n_threads, 0.0};
  run_released([&] { return active->of(T{}).log_sigmoid(job); });
  return job.value;
}

template <class T>
bool elementary(const std::string& name, const Array<T>& x, Array<T> out) {
  expect(x.size() == out.size(), "out must be like x");
  return active->of(T{}).elementary(name.c_str(), x.data(), out.mutable_data(), x.size());
}

struct WalkArguments {
  std::size_t n_steps;
  double step_size, noise, tolerance;
  py::object target, low, high;
  std::uint64_t seed;
  py::object trajectory;
  int n_threads;
};

// Runs call(walk) on the settings; returns (f, steps, reached).
template <class T, class Call>
py::tuple run_walk(Array<T>& x, const WalkArguments& a, Call call) {
  expect(x.ndim() == 2 && x.shape(0) > 0 && x.shape(1) > 0 && a.n_threads >= 1, "x must be 2-D and not empty");
  expect(x.shape(0) < (py::ssize_t{1} << 32) && a.n_steps < (std::size_t{1} << 32), "walks and steps are limited to 2^32");
  expect(a.low.is_none() == a.high.is_none(), "low and high go together");
  const py::ssize_t n = x.shape(0), d = x.shape(1);
  Array<double> f(n);
  Array<std::int64_t> steps(n);
  Array<bool> reached(n);
  Signals signals;
  const Walk<T> walk{x.mutable_data(),
                     optional_output<T>(a.trajectory, n * d * static_cast<py::ssize_t>(a.n_steps + 1), "trajectory must be (n_walks, n_steps + 1, n_features)"),
                     f.mutable_data(),
                     steps.mutable_data(),
                     reached.mutable_data(),
                     optional_data<T>(a.target, n, "target must be (n_walks,)"),
                     optional_data<T>(a.low, d, "low must be (n_features,)"),
                     optional_data<T>(a.high, d, "high must be (n_features,)"),
                     static_cast<std::size_t>(n),
                     static_cast<std::size_t>(d),
                     a.n_steps,
                     static_cast<T>(a.step_size),
                     static_cast<T>(a.noise * std::sqrt(2 * a.step_size)),
                     static_cast<T>(a.tolerance),
                     a.seed,
                     a.n_threads,
                     &Signals::poll,
                     &signals};
  run_released([&] { return call(walk); });
  return py::make_tuple(f, steps, reached);
}

template <class T>
py::tuple walk_mlp(Array<T> x, const std::vector<Array<T>>& weights, const std::vector<Array<T>>& biases, std::size_t n_steps,
                   double step_size, double noise, double tolerance, py::object target, py::object low, py::object high,
                   std::uint64_t seed, py::object trajectory, int n_threads) {
  expect(!weights.empty() && weights.size() == biases.size() && weights.size() <= 64, "1 to 64 layers, a bias for each");
  std::vector<std::size_t> width{static_cast<std::size_t>(x.shape(1))};
  std::vector<const T*> weight, bias;
  for (std::size_t l = 0; l < weights.size(); ++l) {
    expect(weights[l].ndim() == 2 && static_cast<std::size_t>(weights[l].shape(1)) == width.back() &&
               biases[l].size() == weights[l].shape(0) && weights[l].shape(0) > 0,
           "layer shapes must follow one another");
    width.push_back(weights[l].shape(0));
    weight.push_back(weights[l].data());
    bias.push_back(biases[l].data());
  }
  expect(width.back() == 1, "the last layer must have one output");
  const MlpDual<T> dual{weights.size(), width.data(), weight.data(), bias.data()};
  return run_walk(x, {n_steps, step_size, noise, tolerance, target, low, high, seed, trajectory, n_threads}, [&](const Walk<T>& walk) {
    return active->of(T{}).walk_mlp(walk, dual);
  });
}

template <class T>
py::tuple walk_local(Array<T> x, const Array<T>& mean, const Array<T>& curvature, const Array<T>& factor, const Array<T>& constant,
                     std::size_t n_steps, double step_size, double noise, double tolerance, py::object target, py::object low,
                     py::object high, std::uint64_t seed, py::object trajectory, int n_threads) {
  expect(mean.ndim() == 2 && factor.ndim() == 3, "mean must be 2-D and factor 3-D");
  const py::ssize_t places = mean.shape(0), d = mean.shape(1);
  expect((places == 1 || places == x.shape(0)) && d == x.shape(1), "one neighbourhood for all walks, or one for each");
  expect(curvature.size() == mean.size() && constant.size() == places && factor.shape(0) == places && factor.shape(2) == d,
         "curvature, factor and constant must have a row for each neighbourhood");
  const LocalDual<T> dual{mean.data(), curvature.data(), factor.data(), constant.data(), static_cast<std::size_t>(factor.shape(1)), places == 1};
  return run_walk(x, {n_steps, step_size, noise, tolerance, target, low, high, seed, trajectory, n_threads}, [&](const Walk<T>& walk) {
    return active->of(T{}).walk_local(walk, dual);
  });
}

template <class T>
void bind(py::module_& m) {
  using py::arg;
  m.def("log_mean_exp", &log_mean_exp<T>, arg("f").noconvert(), arg("weights").none(true), arg("gradient").none(true), arg("n_threads"));
  m.def("mean_log_sigmoid", &mean_log_sigmoid<T>, arg("f").noconvert(), arg("sign"), arg("gradient").none(true), arg("n_threads"));
  m.def("elementary", &elementary<T>, arg("name"), arg("x").noconvert(), arg("out").noconvert());
  m.def("walk_mlp", &walk_mlp<T>, arg("x").noconvert(), arg("weights"), arg("biases"), arg("n_steps"), arg("step_size"), arg("noise"),
        arg("tolerance"), arg("target").none(true), arg("low").none(true), arg("high").none(true), arg("seed"),
        arg("trajectory").none(true), arg("n_threads"));
  m.def("walk_local", &walk_local<T>, arg("x").noconvert(), arg("mean").noconvert(), arg("curvature").noconvert(),
        arg("factor").noconvert(), arg("constant").noconvert(), arg("n_steps"), arg("step_size"), arg("noise"), arg("tolerance"),
        arg("target").none(true), arg("low").none(true), arg("high").none(true), arg("seed"), arg("trajectory").none(true),
        arg("n_threads"));
  bind_nodes<T>(m);
}

}  // namespace
}  // namespace dualwalk

PYBIND11_MODULE(_core, m) {
  using namespace dualwalk;
  using py::arg;
  m.doc() = "The compiled CPU kernels of dualwalk; call them through the package, which checks arguments.";
  m.def("levels", &level_names);
  m.def("level", [] { return std::string(active->level); });
  m.def("select_level", &select_level, arg("name"));
  m.def("philox", &philox_words, arg("counter").noconvert(), arg("seed"));
  m.def("draw_integers", &draw_integers, arg("seed"), arg("operation"), arg("copy"), arg("block"), arg("bounds").noconvert());
  m.def("permute_marginals", &permute_marginals, arg("x"), arg("block").noconvert(), arg("operation"), arg("seed"), arg("out"), arg("n_threads"));
  bind<float>(m);
  bind<double>(m);
}
