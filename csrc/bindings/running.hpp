// How every binding runs its kernel: the level in use, the GIL released, Ctrl-C looked for.
#pragma once

#include <pybind11/pybind11.h>

#include <atomic>
#include <chrono>
#include <new>

#include "kernels.hpp"

namespace dualwalk {

namespace py = pybind11;

inline std::atomic<const Kernels*> chosen_level = kernels();  // select_level may come while other threads work
inline const Kernels& active() { return *chosen_level.load(std::memory_order_acquire); }

// Runs call() without the GIL; false from it means that memory ran out.
template <class Call>
void run_released(Call call) {
  bool done;
  {
    py::gil_scoped_release release;
    done = call();
  }
  if (PyErr_Occurred()) throw py::error_already_set();
  if (!done) throw std::bad_alloc();
}

// Looks for Ctrl-C at most every 50 ms.
struct Signals {
  std::chrono::steady_clock::time_point last = std::chrono::steady_clock::now();

  static bool poll(void* context) {
    Signals& self = *static_cast<Signals*>(context);
    const auto now = std::chrono::steady_clock::now();
    if (now - self.last < std::chrono::milliseconds(50)) return false;
    self.last = now;
    py::gil_scoped_acquire acquire;
    return PyErr_CheckSignals() != 0;
  }
};

}  // namespace dualwalk
