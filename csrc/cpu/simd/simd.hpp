// Vectors of one SIMD level, by GCC's vector extensions (g++ and clang): operators are the compiler's, so the loops read as
// arithmetic and every level, NEON included, comes from one source. Only two things need the machine's own words: the
// 32 x 32 -> 64 bit product and "is any lane set". Included by files compiled once a level, DUALWALK_LEVEL being its name.
#pragma once

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#include <new>

#include "dualwalk/elementary.hpp"
#include "parallel.hpp"

#if defined(__AVX512F__)
#define DUALWALK_VECTOR_BYTES 64
#elif defined(__AVX2__)
#define DUALWALK_VECTOR_BYTES 32
#else
#define DUALWALK_VECTOR_BYTES 16
#endif

namespace dualwalk {
namespace DUALWALK_LEVEL {
namespace {

constexpr std::size_t VECTOR_BYTES = DUALWALK_VECTOR_BYTES;
constexpr std::size_t LINE = 64;  // bytes of a cache line
typedef float F32 __attribute__((vector_size(DUALWALK_VECTOR_BYTES)));
typedef double F64 __attribute__((vector_size(DUALWALK_VECTOR_BYTES)));
typedef std::int32_t I32 __attribute__((vector_size(DUALWALK_VECTOR_BYTES)));
typedef std::int64_t I64 __attribute__((vector_size(DUALWALK_VECTOR_BYTES)));
typedef std::uint32_t U32 __attribute__((vector_size(DUALWALK_VECTOR_BYTES)));
typedef std::uint64_t U64 __attribute__((vector_size(DUALWALK_VECTOR_BYTES)));
typedef std::uint32_t HalfU32 __attribute__((vector_size(DUALWALK_VECTOR_BYTES / 2)));
typedef float HalfF32 __attribute__((vector_size(DUALWALK_VECTOR_BYTES / 2)));

template <class T>
struct VectorOf;
template <>
struct VectorOf<float> {
  using type = F32;
};
template <>
struct VectorOf<double> {
  using type = F64;
};
template <class T>
using Vector = typename VectorOf<T>::type;
template <class T>
constexpr std::size_t LANES = VECTOR_BYTES / sizeof(T);

template <class V>
DUALWALK_FN V load(const void* from) {
  V v;
  std::memcpy(&v, from, sizeof(V));
  return v;
}
template <class V>
DUALWALK_FN void store(void* to, V v) {
  std::memcpy(to, &v, sizeof(V));
}

// A store that does not fetch what it overwrites and leaves the caches alone, where there is one; `to` is a multiple of the
// vector's size.
template <class V>
DUALWALK_FN void stream(void* to, V v) {
#if defined(__AVX512F__)
  _mm512_stream_si512(static_cast<__m512i*>(to), (__m512i)v);
#elif defined(__AVX2__)
  _mm256_stream_si256(static_cast<__m256i*>(to), (__m256i)v);
#elif defined(__SSE2__)
  _mm_stream_si128(static_cast<__m128i*>(to), (__m128i)v);
#else
  store(to, v);
#endif
}

// Single to double precision and back. (GCC 12 takes a 512-bit conversion apart into five instructions.)
DUALWALK_FN F64 widen(HalfF32 v) {
#if defined(__AVX512F__)
  return (F64)_mm512_cvtps_pd((__m256)v);
#else
  return __builtin_convertvector(v, F64);
#endif
}
DUALWALK_FN F64 load_widened(const float* from) { return widen(load<HalfF32>(from)); }
DUALWALK_FN void widen(F32 v, F64 (&wide)[2]) {
#if defined(__AVX512DQ__)
  wide[0] = (F64)_mm512_cvtps_pd(_mm512_castps512_ps256((__m512)v));
  wide[1] = (F64)_mm512_cvtps_pd(_mm512_extractf32x8_ps((__m512)v, 1));
#else
  HalfF32 half[2];
  std::memcpy(half, &v, sizeof(half));
  wide[0] = widen(half[0]);
  wide[1] = widen(half[1]);
#endif
}
DUALWALK_FN HalfF32 narrow(F64 v) {
#if defined(__AVX512F__)
  return (HalfF32)_mm512_cvtpd_ps((__m512d)v);
#else
  return __builtin_convertvector(v, HalfF32);
#endif
}

// Before another thread may read what this one streamed.
DUALWALK_FN void stream_fence() {
#if defined(__SSE2__)
  _mm_sfence();
#endif
}

// The product of the low 32 bits of every 64-bit lane; the high bits of the arguments do not matter.
DUALWALK_FN U64 multiply_low_words(U64 a, U64 b) {
#if defined(__AVX512F__)
  return (U64)_mm512_mul_epu32((__m512i)a, (__m512i)b);
#elif defined(__AVX2__)
  return (U64)_mm256_mul_epu32((__m256i)a, (__m256i)b);
#elif defined(__SSE2__)
  return (U64)_mm_mul_epu32((__m128i)a, (__m128i)b);
#else
  return (a & 0xFFFFFFFFu) * (b & 0xFFFFFFFFu);
#endif
}

DUALWALK_FN bool any_lane(U64 mask) {
#if defined(__AVX512F__)
  return _mm512_test_epi64_mask((__m512i)mask, (__m512i)mask) != 0;
#elif defined(__AVX2__)
  return !_mm256_testz_si256((__m256i)mask, (__m256i)mask);
#else
  std::uint64_t all = 0;
  for (std::size_t lane = 0; lane < VECTOR_BYTES / 8; ++lane) all |= mask[lane];
  return all != 0;
#endif
}

DUALWALK_FN U64 lane_numbers() {
  U64 v;
  for (std::size_t lane = 0; lane < VECTOR_BYTES / 8; ++lane) v[lane] = lane;
  return v;
}

template <class A>
DUALWALK_FN constexpr A smaller(A a, A b) {
  return b < a ? b : a;
}
template <class A>
DUALWALK_FN constexpr A larger(A a, A b) {
  return a < b ? b : a;
}

// Memory for the length of one call, aligned to cache lines; null when there is none left.
class Scratch {
 public:
  explicit Scratch(std::size_t bytes) : at_(::operator new((bytes + 127) / 64 * 64, LINE_ALIGNED, std::nothrow)) {}
  ~Scratch() { ::operator delete(at_, LINE_ALIGNED); }
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;
  template <class T>
  T* as(std::size_t byte_offset = 0) const {
    return reinterpret_cast<T*>(static_cast<char*>(at_) + byte_offset);
  }
  explicit operator bool() const { return at_ != nullptr; }

 private:
  static constexpr std::align_val_t LINE_ALIGNED{LINE};
  void* at_;
};

// Calls body(task, worker) for every task on the pool.
template <class Body>
bool run_parallel(std::size_t n_tasks, int n_threads, Body& body, Poll poll = nullptr, void* poll_context = nullptr) {
  const Task call = [](void* context, std::size_t task, int worker) { (*static_cast<Body*>(context))(task, worker); };
  return parallel_for(n_tasks, n_threads, call, &body, poll, poll_context);
}

}  // namespace
}  // namespace DUALWALK_LEVEL

template <>
struct Lanes<DUALWALK_LEVEL::F32> {
  using Number = float;
  using Integer = DUALWALK_LEVEL::I32;
  using Bits = DUALWALK_LEVEL::U32;
};
template <>
struct Lanes<DUALWALK_LEVEL::F64> {
  using Number = double;
  using Integer = DUALWALK_LEVEL::I64;
  using Bits = DUALWALK_LEVEL::U64;
};

}  // namespace dualwalk
