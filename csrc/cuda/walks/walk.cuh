// What every walk on the device shares: the rule of a step, its noise and its bounds.
#pragma once

#include "device.hpp"
#include "dualwalk/activation.hpp"
#include "dualwalk/normal.hpp"
#include "walks/walk.hpp"

namespace dualwalk::cuda {

// How a walk goes on from a point: the factor on its gradient; or that it ends there, and whether at its target.
template <class T>
struct Move {
  T size;
  bool going, reached;
};

template <class T>
__device__ __forceinline__ Move<T> next_move(const Walk<T>& walk, std::size_t number, T f, T squared_gradient) {
  if (!isfinite(f) || !isfinite(squared_gradient)) return {T{0}, false, false};
  if (!walk.target) return {walk.step_size, true, false};
  const T gap = walk.target[number] - f, distance = magnitude(gap);
  if (distance <= walk.tolerance) return {T{0}, false, true};
  const T ahead = distance / squared_gradient;  // where a linear f has the target; infinite where f is flat
  const T size = ahead < walk.step_size ? ahead : walk.step_size;
  return {gap < T{0} ? -size : size, true, false};
}

// Noise of four features 4 group .. of a walk's step, unscaled: the CPU's numbers.
template <class T>
__device__ __forceinline__ void step_noise(const Walk<T>& walk, std::size_t number, std::size_t step, std::size_t group,
                                           T (&out)[4]) {
  const auto word = [](std::size_t n) { return static_cast<std::uint32_t>(n); };
  four_normals(walk.seed, word(number), word(step), word(group), out);
}

template <class T>
__device__ __forceinline__ T into_bounds(const Walk<T>& walk, std::size_t feature, T x) {
  if (!walk.low) return x;
  const T low = walk.low[feature], high = walk.high[feature];
  const T raised = x < low ? low : x;
  return raised > high ? high : raised;
}

// Where a trajectory keeps a walk's point after `frame` steps.
template <class T>
__device__ __forceinline__ T* frame_of(const Walk<T>& walk, std::size_t number, std::size_t frame) {
  return walk.trajectory + (number * (walk.n_steps + 1) + frame) * walk.n_features;
}

}  // namespace dualwalk::cuda
