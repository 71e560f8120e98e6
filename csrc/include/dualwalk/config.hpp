// What every header here needs: the markers that let g++, clang and nvcc compile the same arithmetic.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

#if defined(__CUDACC__)
#define DUALWALK_FN __host__ __device__ __forceinline__
#elif defined(__GNUC__) || defined(__clang__)
// Always inlined: a translation unit compiled for AVX-512 must not lend its copy of a function to one that is not.
#define DUALWALK_FN inline __attribute__((always_inline))
#else
#define DUALWALK_FN inline
#endif

namespace dualwalk {

// What a random draw is for: the last word of its Philox counter (reference.py has the same numbers).
enum Operation : std::uint32_t { SHUFFLE = 1, RESAMPLE = 2, SHIFT = 3, NOISE = 4, DEAL = 5 };
// The step of the noise that is added before the first step of a walk.
constexpr std::uint32_t RENOISE_STEP = 0xFFFFFFFFu;

// The same bits as another type, for a number or a vector of numbers.
template <class To, class From>
DUALWALK_FN To bits_as(From from) {
  static_assert(sizeof(To) == sizeof(From), "the two types must have one size");
  To to;
  std::memcpy(&to, &from, sizeof(To));
  return to;
}

}  // namespace dualwalk
