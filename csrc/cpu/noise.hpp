// Standard normal noise of one walk and one step, all features at once (Box and Muller on Philox words).
#pragma once

#include "draws.hpp"

namespace dualwalk {
namespace DUALWALK_LEVEL {
namespace {

constexpr double TO_UNIT = 1.0 / 4294967296.0;

template <class V>
DUALWALK_FN V square_root(V x) {
  for (std::size_t lane = 0; lane < LANES<Number<V>>; ++lane) x[lane] = __builtin_sqrt(x[lane]);
  return x;
}

// A vector's worth of counters as numbers in (0, 1], one vector for each of their four words.
DUALWALK_FN F64 uniform(U64 words) { return __builtin_convertvector(words & 0xFFFFFFFFu, F64) * TO_UNIT + 0.5 * TO_UNIT; }
DUALWALK_FN void uniforms(U64 counter, U64 step, U64 walk, std::uint64_t seed, F64* out) {
  const WideWords words = philox_wide(counter, step, walk, U64{} + std::uint64_t{NOISE}, seed);
  for (std::size_t k = 0; k < 4; ++k) out[k] = uniform(words.word[k]);
}
DUALWALK_FN void uniforms(U64 counter, U64 step, U64 walk, std::uint64_t seed, F32* out) {
  F64 half[2][4];
  for (std::size_t h = 0; h < 2; ++h) uniforms(counter + h * COUNTERS, step, walk, seed, half[h]);
  for (std::size_t k = 0; k < 4; ++k) {
    const HalfF32 part[2] = {__builtin_convertvector(half[0][k], HalfF32), __builtin_convertvector(half[1][k], HalfF32)};
    std::memcpy(&out[k], part, sizeof(F32));
  }
}

// Room that noise() needs for n numbers.
DUALWALK_FN std::size_t noise_length(std::size_t n) { return n + 2 * ROWS_A_GROUP; }

// out[0 .. n) are the normals of (walk, step); what lies behind them, up to noise_length(n), is overwritten.
template <class T>
void noise(std::uint64_t seed, std::uint32_t walk, std::uint32_t step, std::size_t n, T* out) {
  using V = Vector<T>;
  for (std::size_t group = 0; 4 * group < n; group += LANES<T>) {
    V number[4];
    uniforms(lane_numbers() + group, U64{} + step, U64{} + walk, seed, number);
    for (std::size_t k = 0; k < 4; k += 2) {
      const V radius = square_root(logarithm(number[k]) * T{-2});
      V sin, cos;
      sin_cos_turns(number[k + 1], sin, cos);
      number[k] = radius * cos;
      number[k + 1] = radius * sin;
    }
    for (std::size_t k = 0; k < 4; ++k)
      for (std::size_t lane = 0; lane < LANES<T>; ++lane) out[4 * (group + lane) + k] = number[k][lane];
  }
}

template <class T>
void draw_noise(std::uint64_t seed, std::size_t walk, std::size_t step, std::size_t n, T* out) {
  noise(seed, static_cast<std::uint32_t>(walk), static_cast<std::uint32_t>(step), n, out);
}

}  // namespace
}  // namespace DUALWALK_LEVEL
}  // namespace dualwalk
