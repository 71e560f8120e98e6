// Sums of exponentials over a stretch of memory, by the lanes of a team: the inner loop of every form of log-mean-exp.
//
// What limits it, by arithmetic: 15 instructions a float, two of them at half rate, where reading it from an H200's memory
// takes as long as some 30 (132 multiprocessors, 128 lanes, 1.98 GHz, 4.3 TB/s); 17 at half rate a double, of 60.
#pragma once

#include "device.hpp"
#include "dualwalk/elementary.hpp"
#include "dualwalk/logmeanexp.hpp"

namespace dualwalk::cuda {

constexpr unsigned THREADS = 256;     // of a block
constexpr unsigned ALL_LANES = 0xFFFFFFFFu;
constexpr int CHUNK = 2048;           // elements that the lanes of a warp add before they add to each other
constexpr int CHUNKS_A_RUN = 4;       // added one after the other
constexpr std::size_t RUN = CHUNK * CHUNKS_A_RUN;

template <class T>
constexpr int VECTOR = 16 / sizeof(T);  // elements of the widest load
constexpr int LOADS = 4;                // such loads under way at once
template <class T>
constexpr int BATCH = LOADS * VECTOR<T>;  // elements a lane

// Exponentials are taken by x itself while every |x| is at most this: sums of them stay in range and their steps are exact.
template <class T>
constexpr T NEAR = sizeof(T) == 4 ? 60 : 300;

template <class T>
__device__ __forceinline__ T infinity() {
  return static_cast<T>(INFINITY);
}

// 2^n and e of exp(x) = 2^n (1 + e). One product-and-sum takes n ln 2 off x: what ln 2 is rounded by changes the result less
// than rounding x does.
__device__ __forceinline__ void parts_of_exponential(float x, float& power, float& e) {
  constexpr float rounder = Format<float>::rounder + Format<float>::bias;  // leaves n as it stands in 2^n
  const float shifted = __fmaf_rn(x, Format<float>::log2e, rounder), n = shifted - rounder;
  const float r = __fmaf_rn(n, -0.693147181f, x);
  e = __fmaf_rn(r * r, exp_tail(r, float{}), r);
  power = bits_as<float>(bits_as<std::uint32_t>(shifted) << Format<float>::mantissa);
}
__device__ __forceinline__ void parts_of_exponential(double x, double& power, double& e) {
  constexpr double rounder = Format<double>::rounder + Format<double>::bias;
  const double shifted = fma(x, Format<double>::log2e, rounder), n = shifted - rounder;
  const double r = fma(n, -Format<double>::ln2, x);
  e = fma(r * r, exp_tail(r, double{}), r);
  power = bits_as<double>(bits_as<std::uint64_t>(shifted) << Format<double>::mantissa);
}

// exp(x) for x that is not above 0, but for rounding; 0 where it would be next to denormal. NaN stays NaN. Selections of small
// parts, since the compiler makes branches of large ones.
__device__ __forceinline__ float small_exponential(float x) {
  constexpr float rounder = Format<float>::rounder + Format<float>::bias, least = Format<float>::least_normal;
  const float kept = x < least ? least : x;
  const float shifted = __fmaf_rn(kept, Format<float>::log2e, rounder), n = shifted - rounder;
  const float r = __fmaf_rn(n, 1.90465429e-9f, __fmaf_rn(n, -0.693147182f, kept));
  const float e = __fmaf_rn(r * r, exp_tail(r, float{}), r);
  const float power = x < least ? 0.0f : bits_as<float>(bits_as<std::uint32_t>(shifted) << Format<float>::mantissa);
  return __fmaf_rn(power, e, power);
}
__device__ __forceinline__ double small_exponential(double x) {
  constexpr double rounder = Format<double>::rounder + Format<double>::bias, least = Format<double>::least_normal;
  const double kept = x < least ? least : x;
  const double shifted = fma(kept, Format<double>::log2e, rounder), n = shifted - rounder;
  const double r = fma(n, -2.3190468138462996e-17, fma(n, -Format<double>::ln2, kept));
  const double e = fma(r * r, exp_tail(r, double{}), r);
  const double power = x < least ? 0.0 : bits_as<double>(bits_as<std::uint64_t>(shifted) << Format<double>::mantissa);
  return fma(power, e, power);
}

// The largest magnitude seen. NaN may go unseen: it is found in the sums.
template <class T>
struct Range;
template <>
struct Range<float> {
  float top = 0;
  __device__ void see(float x) { top = fmaxf(top, fabsf(x)); }
  __device__ bool near() const { return top <= NEAR<float>; }
};
template <>
struct Range<double> {  // by the upper half of the bits, since there is no maximum of doubles in hardware
  static constexpr std::uint32_t limit = 0x4072C000;  // of 300
  std::uint32_t top = 0;
  __device__ void see(double x) {
    const std::uint32_t size = static_cast<std::uint32_t>(bits_as<std::uint64_t>(x) >> 32) & 0x7FFFFFFFu;
    top = size > top ? size : top;
  }
  __device__ bool near() const { return top <= limit; }
};

// Null is.
__device__ __forceinline__ bool is_aligned(const void* at) { return reinterpret_cast<std::uintptr_t>(at) % 16 == 0; }

__device__ __forceinline__ void load_vector(const float* from, float (&x)[4]) {
  const float4 v = *reinterpret_cast<const float4*>(from);
  x[0] = v.x, x[1] = v.y, x[2] = v.z, x[3] = v.w;
}
__device__ __forceinline__ void load_vector(const double* from, double (&x)[2]) {
  const double2 v = *reinterpret_cast<const double2*>(from);
  x[0] = v.x, x[1] = v.y;
}
__device__ __forceinline__ void store_vector(float* to, const float (&x)[4]) {
  *reinterpret_cast<float4*>(to) = make_float4(x[0], x[1], x[2], x[3]);
}
__device__ __forceinline__ void store_vector(double* to, const double (&x)[2]) {
  *reinterpret_cast<double2*>(to) = make_double2(x[0], x[1]);
}

// A vector of results at element i; not beyond n.
template <class T>
__device__ __forceinline__ void store_part(T* out, bool aligned, int i, int n, const T (&result)[VECTOR<T>]) {
  if (aligned && i + VECTOR<T> <= n) {
    store_vector(out + i, result);
  } else {
#pragma unroll
    for (int j = 0; j < VECTOR<T>; ++j)
      if (i + j < n) out[i + j] = result[j];
  }
}

// The lanes that work on one stretch: a power of two of them.
struct Team {
  int width, rank;
  unsigned mask;  // of its lanes

  __device__ explicit Team(int width) : width(width), rank(threadIdx.x & (width - 1)) {
    const unsigned lane = threadIdx.x & 31;
    mask = width == 32 ? ALL_LANES : ((1u << width) - 1) << (lane - rank);
  }
  // All lanes of the warp call these.
  __device__ double sum(double x) const {
    for (int other = width / 2; other > 0; other /= 2) x += __shfl_xor_sync(ALL_LANES, x, other);
    return x;
  }
  __device__ double largest(double x) const {
    for (int other = width / 2; other > 0; other /= 2) {
      const double theirs = __shfl_xor_sync(ALL_LANES, x, other);
      x = x < theirs ? theirs : x;
    }
    return x;
  }
};

// f as it counts with its weight: NaN where the weight is no weight, anything near where it is zero.
template <class T>
__device__ __forceinline__ T counted_value(T x, T w) {
  return w > 0 && w < infinity<T>() ? x : w == 0 ? T{0} : static_cast<T>(NAN);
}

// What a lane holds of a stretch of at most CHUNK elements: `LOADS` vectors, `step` elements from one to the next.
template <class T, bool WEIGHTED>
struct Batch {
  T x[LOADS][VECTOR<T>];
  T w[WEIGHTED ? LOADS : 1][WEIGHTED ? VECTOR<T> : 1];

  __device__ void load(const T* f, const T* weights, bool aligned, int at, int step) {
    load_from(f, aligned, at, step, x);
    if constexpr (WEIGHTED) load_from(weights, aligned, at, step, w);
  }
  // Where the stretch ends within it: zeros, of weight zero, from n on.
  __device__ void load_part(const T* f, const T* weights, bool aligned, int at, int step, int n) {
    load_part_from(f, aligned, at, step, n, x);
    if constexpr (WEIGHTED) load_part_from(weights, aligned, at, step, n, w);
  }
  __device__ T counted(int k, int j) const {
    if constexpr (WEIGHTED) return counted_value(x[k][j], w[k][j]);
    else return x[k][j];
  }
  __device__ T weight(int k, int j) const {
    if constexpr (WEIGHTED) return w[k][j];
    else return T{1};
  }

 private:
  // A stretch that is not at a multiple of 16 bytes is read element by element, in the same order.
  __device__ static void load_from(const T* from, bool aligned, int at, int step, T (&to)[LOADS][VECTOR<T>]) {
    if (aligned) {
#pragma unroll
      for (int k = 0; k < LOADS; ++k) load_vector(from + at + k * step, to[k]);
    } else {
#pragma unroll
      for (int k = 0; k < LOADS; ++k)
#pragma unroll
        for (int j = 0; j < VECTOR<T>; ++j) to[k][j] = from[at + k * step + j];
    }
  }
  __device__ static void load_part_from(const T* from, bool aligned, int at, int step, int n, T (&to)[LOADS][VECTOR<T>]) {
#pragma unroll
    for (int k = 0; k < LOADS; ++k) {
      const int i = at + k * step;
      if (aligned && i + VECTOR<T> <= n) {
        load_vector(from + i, to[k]);
      } else {
#pragma unroll
        for (int j = 0; j < VECTOR<T>; ++j) to[k][j] = i + j < n ? from[i + j] : T{0};
      }
    }
  }
};

// The sums of what one lane has seen, as in ExpSum with base 0.
template <class T, bool WEIGHTED>
struct LaneSums {
  double steps = 0, rest = 0, weight = 0;
  Range<T> range;

  // With PART, elements from n on do not count.
  template <bool PART>
  __device__ void add(const Batch<T, WEIGHTED>& batch, int at, int step, int n) {
    constexpr int together = 8 / VECTOR<T>;
#pragma unroll
    for (int first = 0; first < LOADS; first += together) {
      T x[8], w[8];
#pragma unroll
      for (int i = 0; i < 8; ++i) {
        const int k = first + i / VECTOR<T>, j = i % VECTOR<T>;
        x[i] = batch.x[k][j];
        w[i] = WEIGHTED ? batch.weight(k, j) : !PART || at + k * step + j < n ? T{1} : T{0};
      }
      add_some(x, w);
    }
  }
  // Eight elements; those of weight 0 do not count. Without weights they are added in T before they go into the sums: the steps
  // without rounding, the rest in pairs, where equal terms are not rounded either.
  __device__ void add_some(const T (&x)[8], const T (&w)[8]) {
    T power[8], more[8];
#pragma unroll
    for (int i = 0; i < 8; ++i) {
      const T counted = WEIGHTED ? counted_value(x[i], w[i]) : x[i];
      T e;
      range.see(counted);
      parts_of_exponential(counted, power[i], e);
      if (!WEIGHTED && !(w[i] > 0)) power[i] = 0;
      more[i] = power[i] * e;
      if constexpr (WEIGHTED) {
        steps += static_cast<double>(w[i]) * static_cast<double>(power[i]);
        rest += static_cast<double>(w[i]) * static_cast<double>(more[i]);
        weight += static_cast<double>(w[i]);
      }
    }
    if constexpr (!WEIGHTED) {
#pragma unroll
      for (int width = 4; width > 0; width /= 2)
#pragma unroll
        for (int i = 0; i < width; ++i) power[i] += power[i + width], more[i] += more[i + width];
      steps += static_cast<double>(power[0]);
      rest += static_cast<double>(more[0]);
    }
  }
  __device__ bool holds() const { return range.near() && rest == rest; }
};

__device__ __forceinline__ ExpSum combined(const ExpSum& a, const ExpSum& b) {
  return combine(a, b, [](double x) { return small_exponential(x); });
}
__device__ __forceinline__ ExpSum nothing() { return {-infinity<double>(), 0, 0, 0}; }
// The sums with base 0; those that nothing counts in have no base.
__device__ __forceinline__ ExpSum near_sum(double steps, double rest, double weight) {
  return {steps == 0 ? -infinity<double>() : 0.0, steps, rest, weight};
}

// Any values whatever: the largest is looked for first. Element i is at i * stride. All lanes of the team call it, and of the
// warp where the team is more than one lane.
template <class T, bool WEIGHTED>
__device__ ExpSum sum_far(const Team& team, const T* f, const T* weights, std::size_t n, std::size_t stride) {
  double peak = -infinity<double>();
#pragma unroll 1
  for (std::size_t i = team.rank; i < n; i += team.width) {
    const double x = f[i * stride];
    if ((!WEIGHTED || weights[i * stride] > 0) && x > peak) peak = x;
  }
  peak = team.largest(peak);
  const double base = fabs(peak) <= NEAR<T> ? 0.0 : peak, shift = fabs(base) < infinity<double>() ? base : 0.0;
  double steps = 0, rest = 0, weight = 0;
#pragma unroll 1
  for (std::size_t i = team.rank; i < n; i += team.width) {
    const double x = f[i * stride], w = WEIGHTED ? static_cast<double>(weights[i * stride]) : 1.0;
    double power, e;
    parts_of_exponential(x - shift, power, e);  // NaN is left in e
    if (x - shift < Format<double>::least_normal) power = e = 0;  // next to denormal counts nothing
    if (peak == infinity<double>()) {
      power = x == peak;
      e = x == x ? 0.0 : x;
    }
    if (WEIGHTED && !(w > 0 && w < infinity<double>())) {
      power = 0;
      e = w == 0 ? 0.0 : static_cast<double>(NAN);
    }
    steps += w * power;
    rest += e == e ? w * power * e : e;
    weight += w;
  }
  return {base, team.sum(steps), team.sum(rest), team.sum(weight)};
}

// The lanes' sums as the team's, told to all of it; by another way where a value was far or NaN. All lanes of the warp call it.
template <class T, bool WEIGHTED>
__device__ ExpSum close(const Team& team, const LaneSums<T, WEIGHTED>& sums, const T* f, const T* weights, int n) {
  ExpSum sum = near_sum(team.sum(sums.steps), team.sum(sums.rest), WEIGHTED ? team.sum(sums.weight) : static_cast<double>(n));
  const unsigned again = __ballot_sync(ALL_LANES, !sums.holds());
  if (again) {
    const ExpSum far = sum_far<T, WEIGHTED>(team, f, weights, n, 1);
    if (again & team.mask) sum = far;
  }
  return sum;
}

// The sum of a chunk or less. All lanes of the warp call it, with another n for another team. While one warp adds, other warps'
// loads are on their way.
template <class T, bool WEIGHTED>
__device__ ExpSum sum_chunk(const Team& team, const T* f, const T* weights, int n) {
  const bool aligned = is_aligned(f) && is_aligned(weights);
  const int step = team.width * VECTOR<T>;
  LaneSums<T, WEIGHTED> sums;
#pragma unroll 1
  for (int at = team.rank * VECTOR<T>; at < n; at += LOADS * step) {
    Batch<T, WEIGHTED> batch;
    if (at + (LOADS - 1) * step + VECTOR<T> <= n) {
      batch.load(f, weights, aligned, at, step);
      sums.template add<false>(batch, 0, 0, 0);
    } else {
      batch.load_part(f, weights, aligned, at, step, n);
      sums.template add<true>(batch, at, step, n);
    }
  }
  return close(team, sums, f, weights, n);
}

// The sum of a run or less, by a warp: its chunks, one after the other.
template <class T, bool WEIGHTED>
__device__ ExpSum sum_run(const Team& warp, const T* f, const T* weights, int n) {
  ExpSum sum = nothing();
#pragma unroll 1
  for (; n > 0; n -= CHUNK, f += CHUNK, weights += WEIGHTED ? CHUNK : 0)
    sum = combined(sum, sum_chunk<T, WEIGHTED>(warp, f, weights, min(n, CHUNK)));
  return sum;
}

// The combined state of a warp's lanes, told to all of them.
__device__ __forceinline__ ExpSum combine_lanes(ExpSum sum) {
#pragma unroll 1
  for (int other = 16; other > 0; other /= 2) {
    const ExpSum theirs = {__shfl_xor_sync(ALL_LANES, sum.base, other), __shfl_xor_sync(ALL_LANES, sum.steps, other),
                           __shfl_xor_sync(ALL_LANES, sum.rest, other), __shfl_xor_sync(ALL_LANES, sum.weight, other)};
    sum = threadIdx.x & other ? combined(theirs, sum) : combined(sum, theirs);
  }
  return sum;
}

__device__ __forceinline__ double value_of(const ExpSum& sum) {
  return log_mean(sum, [](double x) { return log(x); }, [](double x) { return log1p(x); });
}

}  // namespace dualwalk::cuda
