// What tests turn on the emulated device: the order of its threads, its size, its generation.
#include <pybind11/pybind11.h>

#include "emulator.hpp"
#include "module.hpp"

namespace dualwalk::cuda {

void bind_controls(pybind11::module_& m) {
  namespace host = cuda_host;
  m.def("set_order", [](const std::string& name) {
    host::order = name == "backward" ? host::Order::backward : name == "shuffled" ? host::Order::shuffled : host::Order::forward;
  });
  m.def("set_device", [](int multiprocessors, int capability, std::size_t shared) {
    host::device() = {multiprocessors, capability / 10, capability % 10, shared};
  }, pybind11::arg("multiprocessors") = 4, pybind11::arg("capability") = 90, pybind11::arg("shared") = 232448);
  m.def("fail_next_launch", [](int code) { host::next_launch = code; });
  m.def("n_launches", [] { return host::n_launches; });
}

}  // namespace dualwalk::cuda
