// The last line of defence: Python checks arguments with good messages; these keep a wrong call from touching memory, or from being
// done otherwise than asked. What the numbers in float arrays mean is judged in Python alone.
#pragma once

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <initializer_list>
#include <string>
#include <vector>

namespace dualwalk {

namespace py = pybind11;

inline void expect(bool holds, const char* what) {
  if (!holds) throw py::value_error(std::string("dualwalk._core: ") + what);
}

inline bool is_aligned(const py::array& array) { return array.flags() & py::detail::npy_api::NPY_ARRAY_ALIGNED_; }

// Whether every item lies where a number of `bytes` bytes may: of complex numbers and records NumPy asks less.
inline bool lies_on(const py::array& array, std::size_t bytes) {
  bool fits = reinterpret_cast<std::uintptr_t>(array.data()) % bytes == 0;
  for (py::ssize_t axis = 0; axis < array.ndim(); ++axis)
    fits = fits && (array.shape(axis) < 2 || array.strides(axis) % static_cast<py::ssize_t>(bytes) == 0);
  return fits;
}

// A C-contiguous, aligned array of exactly T. Nothing is ever converted to one: a copy of an output would be lost, and a copy of
// an input hide a mistake.
template <class T>
class Array : public py::array_t<T, py::array::c_style> {
  using Base = py::array_t<T, py::array::c_style>;

 public:
  using Base::Base;
  static bool check_(py::handle object) {
    return Base::check_(object) && is_aligned(py::reinterpret_borrow<py::array>(object));
  }
};

using Lengths = std::initializer_list<py::ssize_t>;

inline bool has_shape(const py::array& array, Lengths wanted) {
  return array.ndim() == static_cast<py::ssize_t>(wanted.size()) && std::equal(wanted.begin(), wanted.end(), array.shape());
}
inline bool same_shape(const py::array& a, const py::array& b) {
  return a.ndim() == b.ndim() && std::equal(a.shape(), a.shape() + a.ndim(), b.shape());
}

// An optional array of one shape; `held` keeps alive what an attribute may have made for this call alone.
template <class T>
struct Optional {
  py::object held;
  bool given = false;

  Optional(const py::object& object, Lengths shape, const char* what) : held(object), given(!object.is_none()) {
    expect(!given || (py::isinstance<Array<T>>(object) && has_shape(array(), shape)), what);
  }
  Optional(const py::object& object, const py::array& like, const char* what) : held(object), given(!object.is_none()) {
    expect(!given || (py::isinstance<Array<T>>(object) && same_shape(array(), like)), what);
  }
  Array<T> array() const { return py::reinterpret_borrow<Array<T>>(held); }
  const T* data() const { return given ? array().data() : nullptr; }
  T* mutable_data() const { return given ? array().mutable_data() : nullptr; }  // raises for a read-only array
};

// The bytes that an array reaches over; none for one without elements.
struct Extent {
  const char *begin = nullptr, *end = nullptr;

  Extent(const py::array& array) {
    if (array.size() == 0) return;
    begin = static_cast<const char*>(array.data());
    end = begin + array.itemsize();
    for (py::ssize_t axis = 0; axis < array.ndim(); ++axis) {
      const py::ssize_t reach = (array.shape(axis) - 1) * array.strides(axis);
      (reach < 0 ? begin : end) += reach;
    }
  }
  template <class T>
  Extent(const Optional<T>& optional) {
    if (optional.given) *this = Extent(optional.array());
  }
  bool meets(const Extent& other) const { return begin < other.end && other.begin < end; }
};

// What is written must share no memory with anything else of the call.
inline void expect_apart(std::initializer_list<Extent> written, std::initializer_list<Extent> read) {
  for (auto a = written.begin(); a != written.end(); ++a) {
    const auto meets = [a](const Extent& b) { return a->meets(b); };
    expect(std::none_of(a + 1, written.end(), meets) && std::none_of(read.begin(), read.end(), meets),
           "what is written must not overlap anything else");
  }
}

// More threads than any machine has would only ask for memory; results do not depend on them.
constexpr int MOST_THREADS = 256;
inline int threads(int n_threads) {
  expect(n_threads >= 1, "n_threads must be at least 1");
  return std::min(n_threads, MOST_THREADS);
}

inline double finite(double value, double least, double most, const char* what) {
  expect(std::isfinite(value) && value >= least && value <= most, what);
  return value;
}

}  // namespace dualwalk

namespace pybind11::detail {
template <class T>
struct handle_type_name<dualwalk::Array<T>> {
  static constexpr auto name = const_name("numpy.ndarray[") + npy_format_descriptor<T>::name + const_name("]");
};
}  // namespace pybind11::detail
