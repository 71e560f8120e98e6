// What every native walk shares: the step rule, the stop rule and the bookkeeping of one walk. The reference's `walk` is the
// definition; the loops are in walk_rows.hpp (rows that share a matrix), walk_neighborhood.hpp (each row a matrix) and
// walk_tile.hpp (walks side by side in vector lanes).
#pragma once

#include <cmath>

#include "kernels.hpp"
#include "simd/noise.hpp"

namespace dualwalk {
namespace DUALWALK_LEVEL {
namespace {

constexpr std::size_t POLL_STEPS_WORK = std::size_t{1} << 24;  // multiply-adds between two looks at the stop flag

// How one walk stands at the start of a step.
template <class T>
struct Stand {
  T f, squared_gradient;
};

// The factor on the gradient for this step; zero stops the walk, and says through `reached` why.
template <class T>
DUALWALK_FN T step_factor(const Walk<T>& walk, std::size_t number, const Stand<T>& stand, bool& going, bool& reached) {
  if (!std::isfinite(stand.f) || !std::isfinite(stand.squared_gradient)) {
    going = false;
    return T{0};
  }
  if (!walk.target) return walk.step_size;
  const T gap = walk.target[number] - stand.f;
  if (std::fabs(gap) <= walk.tolerance) {
    going = false;
    reached = true;
    return T{0};
  }
  // never past the target by the linear prediction
  const T size = smaller(walk.step_size, std::fabs(gap) / stand.squared_gradient);
  return gap < T{0} ? -size : size;
}

// Poll state shared by the threads of one call: the calling thread asks, everyone looks, before a task and during it.
class Stop {
 public:
  Stop(Poll poll, void* context) : poll_(poll), context_(context) {}
  bool asked(int worker) {
    if (__atomic_load_n(&stop_, __ATOMIC_RELAXED)) return true;
    if (worker != 0 || !poll_ || !poll_(context_)) return false;
    __atomic_store_n(&stop_, true, __ATOMIC_RELAXED);  // the poll answers once: everyone, and every later task, looks here
    return true;
  }

 private:
  Poll poll_;
  void* context_;
  bool stop_ = false;
};

}  // namespace
}  // namespace DUALWALK_LEVEL
}  // namespace dualwalk
