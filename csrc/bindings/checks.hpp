// The last line of defence: Python checks arguments with good messages; these keep a wrong call from touching memory.
#pragma once

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>

#include <string>

namespace dualwalk {

namespace py = pybind11;

// A C-contiguous array of exactly T; never converted.
template <class T>
using Array = py::array_t<T, py::array::c_style>;

inline void expect(bool holds, const char* what) {
  if (!holds) throw py::value_error(std::string("dualwalk._core: ") + what);
}

// Data of an optional array that must hold `size` elements; null when it is None.
template <class T>
const T* optional_data(const py::object& object, py::ssize_t size, const char* what) {
  if (object.is_none()) return nullptr;
  expect(py::isinstance<Array<T>>(object), what);
  const auto array = py::reinterpret_borrow<Array<T>>(object);
  expect(array.size() == size, what);
  return array.data();
}
template <class T>
T* optional_output(const py::object& object, py::ssize_t size, const char* what) {
  if (object.is_none()) return nullptr;
  expect(py::isinstance<Array<T>>(object), what);
  auto array = py::reinterpret_borrow<Array<T>>(object);
  expect(array.size() == size, what);
  return array.mutable_data();  // raises for a read-only array
}

}  // namespace dualwalk
