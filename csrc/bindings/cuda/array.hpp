// Arrays on the device as Python hands them over: whatever has __cuda_array_interface__, looked at but never copied.
#pragma once

#include <pybind11/pybind11.h>

#include <string>
#include <type_traits>
#include <vector>

#include "runtime.hpp"

namespace dualwalk::cuda {

namespace py = pybind11;

inline void expect(bool holds, const std::string& what) {
  if (!holds) throw py::value_error("dualwalk._cuda: " + what);
}

template <class T>
constexpr char kind_of() {
  if (std::is_same<T, bool>::value) return 'b';
  return std::is_floating_point<T>::value ? 'f' : std::is_signed<T>::value ? 'i' : 'u';
}

// One array: its address, shape and strides. Python has checked the arguments with good messages; these checks keep a wrong
// call from touching memory.
class Array {
 public:
  Array(const py::handle& object, const char* name) : name_(name) {
    expect(py::hasattr(object, "__cuda_array_interface__"), name_ + " must be an array on a CUDA device");
    const py::dict facts = object.attr("__cuda_array_interface__");
    const py::tuple data = facts["data"];
    address_ = data[0].cast<std::uintptr_t>();
    read_only_ = data[1].cast<bool>();
    const std::string type = facts["typestr"].cast<std::string>();
    kind_ = type[1];
    item_size_ = std::stoul(type.substr(2));
    for (const py::handle& n : py::tuple(facts["shape"])) shape_.push_back(n.cast<std::int64_t>());
    if (facts.contains("strides") && !facts["strides"].is_none()) {
      for (const py::handle& n : py::tuple(facts["strides"])) strides_.push_back(n.cast<std::int64_t>());
    } else {
      strides_.resize(shape_.size());
      std::int64_t step = static_cast<std::int64_t>(item_size_);
      for (std::size_t i = shape_.size(); i-- > 0; step *= shape_[i]) strides_[i] = step;
    }
  }

  std::size_t ndim() const { return shape_.size(); }
  std::int64_t shape(std::size_t axis) const { return shape_[axis]; }
  std::int64_t stride(std::size_t axis) const { return strides_[axis]; }  // bytes
  std::size_t item_size() const { return item_size_; }
  std::int64_t size() const {
    std::int64_t n = 1;
    for (const std::int64_t along : shape_) n *= along;
    return n;
  }
  bool contiguous() const {  // in C's order
    std::int64_t step = static_cast<std::int64_t>(item_size_);
    for (std::size_t i = shape_.size(); i-- > 0; step *= shape_[i])
      if (shape_[i] > 1 && strides_[i] != step) return size() == 0;
    return true;
  }
  template <class T>
  bool holds() const {
    return kind_ == kind_of<T>() && item_size_ == sizeof(T);
  }

  // Elements of exactly T, in C's order, `size` of them where that is not negative.
  template <class T>
  const T* read(std::int64_t size = -1) const {
    expect(holds<T>(), name_ + " has another dtype than the job takes");
    expect(contiguous(), name_ + " must be C-contiguous");
    expect(size < 0 || this->size() == size, name_ + " has another size than the job takes");
    return static_cast<const T*>(raw());
  }
  template <class T>
  T* write(std::int64_t size = -1) const {
    expect(!read_only_, name_ + " is read-only");
    return const_cast<T*>(read<T>(size));
  }
  // Memory to write in C's order, of elements of any type.
  void* write_raw() const {
    expect(!read_only_, name_ + " is read-only");
    expect(contiguous(), name_ + " must be C-contiguous");
    return raw();
  }
  void* raw() const { return reinterpret_cast<void*>(address_); }

 private:
  std::string name_;
  std::uintptr_t address_ = 0;
  bool read_only_ = false;
  char kind_ = '?';
  std::size_t item_size_ = 0;
  std::vector<std::int64_t> shape_, strides_;
};

// An array, or null where Python passed None.
template <class T>
const T* read_or_null(const py::handle& object, const char* name, std::int64_t size = -1) {
  return object.is_none() ? nullptr : Array(object, name).read<T>(size);
}
template <class T>
T* write_or_null(const py::handle& object, const char* name, std::int64_t size = -1) {
  return object.is_none() ? nullptr : Array(object, name).write<T>(size);
}

// call(T{}) with the float type of an array.
template <class Call>
auto with_float(const Array& array, Call call) {
  if (array.holds<float>()) return call(float{});
  expect(array.holds<double>(), "the dtype must be float32 or float64");
  return call(double{});
}

// Where a call runs and where its memory comes from: `_device.here()` of Python, (stream, allocate).
class Here : public Workspace {
 public:
  explicit Here(const py::tuple& here) : stream(reinterpret_cast<cudaStream_t>(here[0].cast<std::uintptr_t>())), allocate_(here[1]) {}
  void* bytes(std::size_t n) override {
    const py::object block = allocate_(n > 0 ? n : 1);
    kept_.append(block);
    return Array(block, "workspace").raw();
  }
  cudaStream_t stream;

 private:
  py::object allocate_;
  py::list kept_;  // given back to the pool at the end of the call; the stream orders who gets it next
};

}  // namespace dualwalk::cuda
