// Standard normal noise of one walk and one step, all features at once (Box and Muller on Philox words).
#pragma once

#include <cmath>

#include "draws.hpp"

namespace dualwalk {
namespace DUALWALK_LEVEL {
namespace {

constexpr double TURN = 6.283185307179586476925, TO_UNIT = 1.0 / 4294967296.0;

inline void normal_pair(double first, double second, double* out) {
  const double radius = std::sqrt(-2.0 * std::log((first + 0.5) * TO_UNIT)), angle = TURN * ((second + 0.5) * TO_UNIT);
  out[0] = radius * std::cos(angle);
  out[1] = radius * std::sin(angle);
}


DUALWALK_FN F32 square_root(F32 x) {
  for (std::size_t lane = 0; lane < LANES<float>; ++lane) x[lane] = std::sqrt(x[lane]);
  return x;
}

// Scratch of noise(): whole groups of counters, four numbers each.
DUALWALK_FN std::size_t noise_length(std::size_t n) { return n + 2 * ROWS_A_GROUP; }

// out[0 .. n) are the normals of (walk, step); out has room for noise_length(n).
inline void noise(std::uint64_t seed, std::uint32_t walk, std::uint32_t step, std::size_t n, double* out) {
  for (std::size_t group = 0; 4 * group < n; ++group) {
    const Words words = philox({{static_cast<std::uint32_t>(group), step, walk, NOISE}}, seed);
    normal_pair(words.word[0], words.word[1], out + 4 * group);
    normal_pair(words.word[2], words.word[3], out + 4 * group + 2);
  }
}

inline void noise(std::uint64_t seed, std::uint32_t walk, std::uint32_t step, std::size_t n, float* out) {
  const U64 lanes = lane_numbers();
  for (std::size_t group = 0; 4 * group < n; group += 2 * COUNTERS) {
    WideWords half[2];
    for (std::size_t h = 0; h < 2; ++h)
      half[h] = philox_wide(lanes + group + h * COUNTERS, U64{} + step, U64{} + walk, U64{} + std::uint64_t{NOISE}, seed);
    F32 uniform[4], normal[4];
    for (std::size_t k = 0; k < 4; ++k) {
      HalfF32 part[2];
      for (std::size_t h = 0; h < 2; ++h)
        part[h] = __builtin_convertvector(__builtin_convertvector(half[h].word[k] & 0xFFFFFFFFu, F64) * TO_UNIT + 0.5 * TO_UNIT, HalfF32);
      std::memcpy(&uniform[k], part, sizeof(F32));
    }
    for (std::size_t k = 0; k < 4; k += 2) {
      const F32 radius = square_root(logarithm(uniform[k]) * -2.0f);
      F32 sine, cosine;
      sin_cos_turns(uniform[k + 1], sine, cosine);
      normal[k] = radius * cosine;
      normal[k + 1] = radius * sine;
    }
    for (std::size_t k = 0; k < 4; ++k)
      for (std::size_t lane = 0; lane < LANES<float>; ++lane) out[4 * (group + lane) + k] = normal[k][lane];
  }
}

}  // namespace
}  // namespace DUALWALK_LEVEL
}  // namespace dualwalk
