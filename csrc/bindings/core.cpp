// The module dualwalk._core: NumPy arrays in, the compiled loops of cpu/ behind, the GIL released while they run.
#include <pybind11/stl.h>

#include <algorithm>
#include <string>
#include <vector>

#include "checks.hpp"
#include "kernels.hpp"
#include "nodes.hpp"
#include "running.hpp"
#include "sampling.hpp"
#include "walks.hpp"

namespace dualwalk {
namespace {

bool is_word(const std::string& name) { return name.find('\0') == std::string::npos; }

void select_level(const std::string& name) {
  const Kernels* chosen = is_word(name) ? kernels(name.c_str()) : nullptr;
  if (chosen == nullptr) {
    std::string have;
    for (const char* const* level = levels(); *level; ++level) have += std::string(have.empty() ? "" : ", ") + *level;
    throw py::value_error("the SIMD level must be one that this processor and build have (" + have + "); got '" + name + "'");
  }
  chosen_level.store(chosen, std::memory_order_release);
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
  expect(bounds.ndim() == 1 && operation < 256, "bounds must be 1-D, operation below 256");
  Array<std::uint32_t> out(bounds.size());
  for (py::ssize_t i = 0; i < bounds.size(); ++i) expect(bounds.data()[i] > 0, "bounds must be positive");
  active().draw_integers({seed, operation, copy, block}, bounds.data(), bounds.size(), out.mutable_data());
  return out;
}

void permute_marginals(const py::array& x, const Array<std::int32_t>& block, std::uint32_t operation, std::uint64_t seed,
                       py::array out, int n_threads, std::uint32_t longest) {
  expect(x.ndim() >= 2 && out.ndim() == x.ndim() + 1, "x must be at least 2-D, and out one dimension more");
  expect((out.flags() & py::array::c_style) && out.writeable(), "out must be C-contiguous and writeable");
  expect(x.dtype().equal(out.dtype()) && !x.dtype().attr("hasobject").cast<bool>(), "x and out must have one dtype, without objects");
  expect(operation == SHUFFLE || operation == RESAMPLE || operation == SHIFT, "operation must be to shuffle, to resample or to shift");
  expect(longest >= 1 && longest <= LONGEST_CHAIN, "longest must be from 1 to 28672");
  std::size_t n_columns = 1;
  for (py::ssize_t axis = 0; axis < x.ndim(); ++axis) {
    expect(out.shape(axis + 1) == x.shape(axis), "out must have shape (n_copies, *x.shape)");
    if (axis) n_columns *= x.shape(axis);
  }
  expect(block.ndim() == 1 && static_cast<std::size_t>(block.size()) == n_columns, "block must name a block for every column");
  expect(std::all_of(block.data(), block.data() + block.size(), [](std::int32_t b) { return b >= 0; }), "blocks must not be negative");
  expect(x.shape(0) < (py::ssize_t{1} << 32) && out.shape(0) < (py::ssize_t{1} << 32), "rows and copies are limited to 2^32");
  const std::size_t item = x.itemsize();
  expect(item == 1 || item == 2 || item == 4 || item == 8 || item == 16, "items must have 1, 2, 4, 8 or 16 bytes");
  const std::size_t word = std::min<std::size_t>(item, 8);  // what items are moved by
  expect(is_aligned(x) && is_aligned(out) && lies_on(x, word) && lies_on(out, word), "x and out must be aligned");
  n_threads = threads(n_threads);
  if (out.size() == 0) return;
  expect_apart({out}, {x, block});
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
                  longest,
                  seed,
                  n_threads};
  run_released([&] { return active().permute(job); });
}

template <class T>
Array<double> log_mean_exp(const Array<T>& f, const py::object& weights, const py::object& gradient, int n_threads) {
  expect(f.ndim() == 3 && f.shape(1) > 0, "f must be 3-D and not empty along its middle axis");
  const py::ssize_t rows = std::max<py::ssize_t>(f.shape(0), 1), columns = std::max<py::ssize_t>(f.shape(2), 1);
  expect(rows <= (py::ssize_t{1} << 40) / columns, "the result is limited to 2^40 numbers");  // f without elements may have any axes
  const Optional<T> shares(weights, f, "weights must be like f"), slopes(gradient, f, "gradient must be like f");
  expect_apart({slopes}, {f, shares});
  Array<double> value({f.shape(0), f.shape(2)});
  const LogMeanExp<T> job{f.data(),
                          shares.data(),
                          slopes.mutable_data(),
                          value.mutable_data(),
                          nullptr,
                          static_cast<std::size_t>(f.shape(0)),
                          static_cast<std::size_t>(f.shape(1)),
                          static_cast<std::size_t>(f.shape(2)),
                          threads(n_threads)};
  if (f.size() > 0) run_released([&] { return active().of(T{}).log_mean_exp(job); });
  return value;
}

template <class T>
Array<double> log_mean_exp_segments(const Array<T>& f, const Array<std::int64_t>& offsets, const py::object& weights,
                                    const py::object& gradient, int n_threads) {
  const py::ssize_t n = offsets.size() - 1;
  expect(f.ndim() == 1 && offsets.ndim() == 1 && n >= 1, "f must be 1-D, with at least one segment");
  expect(offsets.data()[0] == 0 && offsets.data()[n] == f.size(), "offsets must go from 0 to the number of values");
  for (py::ssize_t i = 0; i < n; ++i) expect(offsets.data()[i] < offsets.data()[i + 1], "no segment may be empty");
  const Optional<T> shares(weights, f, "weights must be like f"), slopes(gradient, f, "gradient must be like f");
  expect_apart({slopes}, {f, offsets, shares});
  Array<double> value(n);
  const LogMeanExp<T> job{f.data(),
                          shares.data(),
                          slopes.mutable_data(),
                          value.mutable_data(),
                          offsets.data(),
                          static_cast<std::size_t>(n),
                          1,
                          1,
                          threads(n_threads)};
  run_released([&] { return active().of(T{}).log_mean_exp(job); });
  return value;
}

template <class T>
double mean_log_sigmoid(const Array<T>& f, int sign, const py::object& gradient, int n_threads) {
  expect(f.ndim() == 1 && f.size() > 0 && (sign == 1 || sign == -1), "f must be 1-D and not empty, sign must be 1 or -1");
  const Optional<T> slopes(gradient, f, "gradient must be like f");
  expect_apart({slopes}, {f});
  LogSigmoid<T> job{f.data(), slopes.mutable_data(), static_cast<std::size_t>(f.size()), sign, threads(n_threads), 0.0};
  run_released([&] { return active().of(T{}).log_sigmoid(job); });
  return job.value;
}

template <class T>
bool elementary(const std::string& name, const Array<T>& x, Array<T> out) {
  expect(is_word(name) && same_shape(x, out), "name must be a word, out like x");
  expect_apart({out}, {x});
  return active().of(T{}).elementary(name.c_str(), x.data(), out.mutable_data(), x.size());
}

// For benchmarks only: bytes or operations a second of one kind of work on x (and out), measured for about `seconds`.
template <class T>
double limit(const std::string& name, const Array<T>& x, const py::object& out, double seconds, int n_threads) {
  expect(is_word(name) && x.size() > 0 && seconds > 0 && seconds <= 60, "x must not be empty, seconds must be above 0 and at most 60");
  const bool writes = name.rfind("copy", 0) == 0 || name.rfind("write", 0) == 0;
  expect(!writes || !out.is_none(), "out must be like x where something is written");
  const Optional<T> room(out, x, "out must be like x");
  expect_apart({room}, {x});
  T* const to = room.mutable_data();
  expect(reinterpret_cast<std::uintptr_t>(to) % 64 == 0, "out must begin at a cache line (64 bytes)");
  Limit<T> job{name.c_str(), x.data(), to, static_cast<std::size_t>(x.size()), seconds, threads(n_threads), 0.0};
  bool known;
  {
    const Released released;
    known = active().of(T{}).limit(job);
  }
  expect(known, "name must be read, write, write_streaming, copy, copy_streaming or multiply_add");
  return job.rate;
}

template <class T>
void bind(py::module_& m) {
  using py::arg;
  m.def("log_mean_exp", &log_mean_exp<T>, arg("f"), arg("weights").none(true), arg("gradient").none(true), arg("n_threads").noconvert());
  m.def("log_mean_exp_segments", &log_mean_exp_segments<T>, arg("f"), arg("offsets"),
        arg("weights").none(true), arg("gradient").none(true), arg("n_threads").noconvert());
  m.def("mean_log_sigmoid", &mean_log_sigmoid<T>, arg("f"), arg("sign").noconvert(), arg("gradient").none(true), arg("n_threads").noconvert());
  m.def("elementary", &elementary<T>, arg("name"), arg("x"), arg("out"));
  m.def("limit", &limit<T>, arg("name"), arg("x"), arg("out").none(true), arg("seconds"), arg("n_threads").noconvert());
  bind_walks<T>(m);
  bind_nodes<T>(m);
  bind_sampling<T>(m);
}

}  // namespace
}  // namespace dualwalk

// Without the GIL, too: kernels share the thread pool, which locks, and the level, which is atomic; nothing else outlives a call.
PYBIND11_MODULE(_core, m, pybind11::mod_gil_not_used()) {
  using namespace dualwalk;
  using py::arg;
  m.doc() = "The compiled CPU kernels of dualwalk; call them through the package, which checks arguments.";
  m.def("levels", &level_names);
  m.def("level", [] { return std::string(active().level); });
  m.def("select_level", &select_level, arg("name"));
  m.def("threads_for", [](double work, int n_threads) {
    expect(n_threads >= 1, "n_threads must be at least 1");
    return threads_for(finite(work, 0.0, HUGE_VAL, "work must be finite and not negative"), n_threads);
  }, arg("work"), arg("n_threads").noconvert());
  m.def("philox", &philox_words, arg("counter"), arg("seed").noconvert());
  m.def("draw_integers", &draw_integers, arg("seed").noconvert(), arg("operation").noconvert(), arg("copy").noconvert(), arg("block").noconvert(), arg("bounds"));
  m.def("draw_normals", &draw_normals, arg("seed").noconvert(), arg("first").noconvert(), arg("n_rows").noconvert(), arg("n_columns").noconvert());
  m.def("permute_marginals", &permute_marginals, arg("x"), arg("block"), arg("operation").noconvert(), arg("seed").noconvert(), arg("out"), arg("n_threads").noconvert(),
        arg("longest").noconvert() = LONGEST_CHAIN);
  bind<float>(m);
  bind<double>(m);
}
