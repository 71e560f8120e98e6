// Many short steps by the same threads: each step is a number of groups of work, and one thread alone goes from step to step.
// Waking a sleeping thread costs as much as a step; here the helpers stay and look for work until the last step is done.
#pragma once

#include <sched.h>

#include "simd/simd.hpp"

namespace dualwalk {
namespace DUALWALK_LEVEL {
namespace {

DUALWALK_FN void relax(unsigned& waited) {
  if (++waited % 256 == 0) sched_yield();  // the processor may be needed for the one that is waited for
#if defined(__x86_64__)
  _mm_pause();
#endif
}

// For every step: work(step, group, worker) for all groups, on any threads that come, then finish(step) on the caller's; false
// from finish ends the steps. The caller needs nobody: helpers that never come are not waited for.
template <class Work, class Finish>
class Team {
 public:
  Team(std::size_t n_steps, std::uint32_t n_groups, Work& work, Finish& finish)
      : n_steps_(n_steps), n_groups_(n_groups), work_(work), finish_(finish), ticket_(n_groups) {}

  void run(int n_threads) {
    if (n_threads == 1) return lead();
    auto body = [&](std::size_t, int worker) { worker == 0 ? lead() : help(worker); };
    run_parallel(n_threads, n_threads, body);
  }

 private:
  // One group of the step at hand: a ticket is the step in its high half and the next group in its low half.
  bool take_group(int worker) {
    std::uint64_t ticket = __atomic_load_n(&ticket_, __ATOMIC_ACQUIRE);
    const auto group = static_cast<std::uint32_t>(ticket);
    if (group >= n_groups_) return false;
    if (!__atomic_compare_exchange_n(&ticket_, &ticket, ticket + 1, true, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED)) return false;
    work_(static_cast<std::size_t>(ticket >> 32), group, worker);
    __atomic_fetch_add(&done_, 1, __ATOMIC_RELEASE);
    return true;
  }

  void lead() {
    if (__atomic_load_n(&over_, __ATOMIC_RELAXED)) return;
    for (std::size_t step = 0; step < n_steps_; ++step) {
      __atomic_store_n(&done_, 0, __ATOMIC_RELAXED);
      __atomic_store_n(&ticket_, static_cast<std::uint64_t>(step) << 32, __ATOMIC_RELEASE);
      unsigned waited = 0;
      while (__atomic_load_n(&done_, __ATOMIC_ACQUIRE) < n_groups_)
        if (!take_group(0)) relax(waited);
      if (!finish_(step)) break;
    }
    __atomic_store_n(&over_, true, __ATOMIC_RELAXED);
  }

  void help(int worker) {
    unsigned waited = 0;
    while (!__atomic_load_n(&over_, __ATOMIC_RELAXED))
      if (!take_group(worker)) relax(waited);
  }

  const std::size_t n_steps_;
  const std::uint32_t n_groups_;
  Work& work_;
  Finish& finish_;
  std::uint64_t ticket_;
  std::uint32_t done_ = 0;
  bool over_ = false;
};

}  // namespace
}  // namespace DUALWALK_LEVEL
}  // namespace dualwalk
