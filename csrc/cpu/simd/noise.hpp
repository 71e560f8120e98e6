// Standard normal noise of one walk and one step, all features at once (Box and Muller on Philox words).
#pragma once

#include "simd/draws.hpp"

namespace dualwalk {
namespace DUALWALK_LEVEL {
namespace {

constexpr std::size_t NORMAL_WORK = 32;  // multiply-adds that take as long as one number of noise

constexpr double TO_UNIT = 1.0 / 4294967296.0;

template <class V>
DUALWALK_FN V square_root(V x) {
  for (std::size_t lane = 0; lane < LANES<Number<V>>; ++lane) x[lane] = __builtin_sqrt(x[lane]);
  return x;
}

// Words as numbers (word + 1/2) / 2^32 in (0, 1], rounded once: a float takes the halves of a word, each of which it can hold.
DUALWALK_FN void uniforms(const WideWords* chain, std::size_t k, F64& out) {
  out = __builtin_convertvector(chain[0].word[k] & 0xFFFFFFFFu, F64) * TO_UNIT + 0.5 * TO_UNIT;
}
DUALWALK_FN void uniforms(const WideWords* chain, std::size_t k, F32& out) {
  const U32 word = low_words(chain[0].word[k], chain[1].word[k]);
  const F32 high = __builtin_convertvector((I32)(word >> 16), F32), low = __builtin_convertvector((I32)(word & 0xFFFFu), F32);
  out = high * static_cast<float>(65536.0 * TO_UNIT) + (low * static_cast<float>(TO_UNIT) + static_cast<float>(0.5 * TO_UNIT));
}

#if defined(DUALWALK_SHUFFLES)
// The lower, or the upper, halves of a and b, runs of Run lanes in turn.
template <std::size_t Run, std::size_t Upper, class V, std::size_t... Lane>
DUALWALK_FN V interleave(V a, V b, std::index_sequence<Lane...>) {
  constexpr std::size_t lanes = sizeof...(Lane);
  return __builtin_shufflevector(a, b, ((Lane / Run & 1) * lanes + Lane / (2 * Run) * Run + Lane % Run + Upper * lanes / 2)...);
}
#endif

// out[4 lane + k] = number[k][lane]
template <class T>
DUALWALK_FN void store_in_turn(const Vector<T> (&number)[4], T* out) {
#if defined(DUALWALK_SHUFFLES)
  if constexpr (LANES<T> >= 4) {
    constexpr std::make_index_sequence<LANES<T>> all{};
    for (std::size_t half = 0; half < 2; ++half) {
      const auto a = half ? interleave<1, 1>(number[0], number[1], all) : interleave<1, 0>(number[0], number[1], all);
      const auto b = half ? interleave<1, 1>(number[2], number[3], all) : interleave<1, 0>(number[2], number[3], all);
      store(out + 2 * half * LANES<T>, interleave<2, 0>(a, b, all));
      store(out + (2 * half + 1) * LANES<T>, interleave<2, 1>(a, b, all));
    }
    return;
  }
#endif
  for (std::size_t k = 0; k < 4; ++k)
    for (std::size_t lane = 0; lane < LANES<T>; ++lane) out[4 * lane + k] = number[k][lane];
}

// Room that noise() needs for n numbers.
DUALWALK_FN std::size_t noise_length(std::size_t n) { return n + 2 * ROWS_A_GROUP; }

// The normals of Groups vectors of counters from `group` on, their words side by side: the rounds of one wait for each other.
template <std::size_t Groups, class T>
DUALWALK_FN void noise_groups(std::uint64_t seed, U64 walk, U64 step, std::size_t group, T* out) {
  using V = Vector<T>;
  constexpr std::size_t chains = LANES<T> / COUNTERS;
  WideWords chain[Groups * chains];
  for (std::size_t i = 0; i < Groups * chains; ++i)
    chain[i] = {{lane_numbers() + (group + i * COUNTERS), step, walk, U64{} + std::uint64_t{NOISE}}};
  philox_chains(chain, seed);
#pragma GCC unroll 4
  for (std::size_t g = 0; g < Groups; ++g) {
    V number[4];
#pragma GCC unroll 4
    for (std::size_t k = 0; k < 4; ++k) uniforms(chain + g * chains, k, number[k]);
#pragma GCC unroll 2
    for (std::size_t k = 0; k < 4; k += 2) {
      const V radius = square_root(logarithm(number[k]) * T{-2});
      V sin, cos;
      sin_cos_turns(number[k + 1], sin, cos);
      number[k] = radius * cos;
      number[k + 1] = radius * sin;
    }
    store_in_turn<T>(number, out + 4 * (group + g * LANES<T>));
  }
}

// out[0 .. n) are the normals of (walk, step); what lies behind them, up to noise_length(n), is overwritten.
template <class T>
void noise(std::uint64_t seed, std::uint32_t walk, std::uint32_t step, std::size_t n, T* out) {
  const U64 walks = U64{} + walk, steps = U64{} + step;
  std::size_t group = 0;
  for (; 4 * (group + LANES<T>) < n; group += 2 * LANES<T>) noise_groups<2>(seed, walks, steps, group, out);
  if (4 * group < n) noise_groups<1>(seed, walks, steps, group, out);
}

template <class T>
void draw_noise(std::uint64_t seed, std::size_t walk, std::size_t step, std::size_t n, T* out) {
  noise(seed, static_cast<std::uint32_t>(walk), static_cast<std::uint32_t>(step), n, out);
}

}  // namespace
}  // namespace DUALWALK_LEVEL
}  // namespace dualwalk
