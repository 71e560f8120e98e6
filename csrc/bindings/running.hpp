// How every binding runs its kernel: the level in use, the GIL released and taken back, Ctrl-C looked for.
#pragma once

#include <pybind11/pybind11.h>

#include <atomic>
#include <chrono>
#include <new>
#include <thread>

#if defined(__GLIBCXX__)
#include <cxxabi.h>
#endif

#include "kernels.hpp"
#include "parallel.hpp"

namespace dualwalk {

namespace py = pybind11;

inline std::atomic<const Kernels*> chosen_level = kernels();  // select_level may come while other threads work
inline const Kernels& active() { return *chosen_level.load(std::memory_order_acquire); }

// call() asks Python for the GIL. While the interpreter shuts down, Python before 3.14 ends a thread that asks (a daemon's) by
// unwinding its stack: through destructors that touch Python objects, and others where unwinding aborts the process. Here such
// a thread sleeps until the process is gone, as Python does itself from 3.14 on.
template <class Call>
auto ask_for_gil(Call call) {
#if defined(__GLIBCXX__) && PY_VERSION_HEX < 0x030E0000
  try {
    return call();
  } catch (const abi::__forced_unwind&) {
    for (;;) std::this_thread::sleep_for(std::chrono::hours(1));
  }
#else
  return call();
#endif
}

// Without the GIL while it lives.
class Released {
 public:
  Released() : state_(PyEval_SaveThread()) {}
  ~Released() {
    ask_for_gil([this] { PyEval_RestoreThread(state_); });
  }
  Released(const Released&) = delete;
  Released& operator=(const Released&) = delete;

 private:
  PyThreadState* state_;
};

// Runs call() without the GIL; false from it means that memory ran out.
template <class Call>
void run_released(Call call) {
  bool done;
  {
    const Released released;
    done = call();
  }
  if (PyErr_Occurred()) throw py::error_already_set();
  if (!done) throw std::bad_alloc();
}

// Looks for Ctrl-C at most every 50 ms.
struct Signals {
  std::chrono::steady_clock::time_point last = std::chrono::steady_clock::now();
  bool stopped = false;

  static bool poll(void* context) {
    Signals& self = *static_cast<Signals*>(context);
    const auto now = std::chrono::steady_clock::now();
    if (self.stopped || now - self.last < std::chrono::milliseconds(50)) return self.stopped;
    self.last = now;
    const PyGILState_STATE state = ask_for_gil([] { return PyGILState_Ensure(); });
    const unsigned forks = fork_count();
    self.stopped = PyErr_CheckSignals() != 0;
    if (!self.stopped && fork_count() != forks) {
      PyErr_SetString(PyExc_RuntimeError,
                      "a signal handler forked this process in the middle of a computation, whose threads stayed with the parent: "
                      "it cannot be finished here (leave the child from the handler, by os._exit)");
      self.stopped = true;
    }
    PyGILState_Release(state);
    return self.stopped;
  }
};

}  // namespace dualwalk
