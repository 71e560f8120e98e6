// Products of small matrices on tensor cores, a warp each: c (16 x 8) += a (16 x k) b (k x 8); what rounds numbers for them.
//
// Fragments lie across a warp's lanes as PTX has it (mma.m16n8k8 for tf32, mma.m16n8k16 for bf16), with g = lane / 4 and
// t = lane % 4: c is (g, 2t), (g, 2t + 1), (g + 8, 2t), (g + 8, 2t + 1). In tf32 a is (g, t), (g + 8, t), (g, t + 4),
// (g + 8, t + 4) and b (t, g), (t + 4, g); in bf16 each register holds a pair: a is (g, 2t ..), (g + 8, 2t ..), (g, 2t + 8 ..),
// (g + 8, 2t + 8 ..) and b (2t .., g), (2t + 8 .., g).
#pragma once

#include <type_traits>

#include "device.hpp"
#include "walks/mlp.hpp"

namespace dualwalk::cuda {

// A number rounded to 11 significant bits, ties away from zero, in the format of a float.
__device__ __forceinline__ unsigned to_tf32(float x) {
#if defined(DUALWALK_CUDA_ON_HOST)
  const unsigned bits = __float_as_uint(x);
  return (bits & 0x7F800000u) == 0x7F800000u ? bits : (bits + 0x1000u) & 0xFFFFE000u;
#else
  unsigned rounded;
  asm("cvt.rna.tf32.f32 %0, %1;" : "=r"(rounded) : "f"(x));
  return rounded;
#endif
}

// A number as two of 11 bits: rounded, and what that left, of which the products read as many bits. The rounding is to_tf32's,
// cheaper as it does not look for NaN: where it makes a number of one, the rest is still NaN.
__device__ __forceinline__ void split_tf32(float x, unsigned& high, unsigned& low) {
  high = (__float_as_uint(x) + 0x1000u) & 0xFFFFE000u;
  low = __float_as_uint(x - __uint_as_float(high));
}

// Two numbers rounded to 8 significant bits, ties to even; the first in the lower half.
__device__ __forceinline__ unsigned to_bf16_pair(float first, float second) {
#if defined(DUALWALK_CUDA_ON_HOST)
  const auto rounded = [](float x) {
    const unsigned bits = __float_as_uint(x);
    return x != x ? 0x7FFFu : (bits + 0x7FFFu + (bits >> 16 & 1u)) >> 16;
  };
  return rounded(second) << 16 | rounded(first);
#else
  unsigned pair;
  asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(pair) : "f"(second), "f"(first));
  return pair;
#endif
}

#if defined(DUALWALK_CUDA_ON_HOST)
// The lanes' fragments put together: registers of `per` numbers each, which `number(register, index)` reads.
template <class Number>
void mma_on_host(float (&c)[4], const unsigned (&a)[4], const unsigned (&b)[2], int per, Number number) {
  struct Registers {
    unsigned a[4], b[2];
  } own{{a[0], a[1], a[2], a[3]}, {b[0], b[1]}};
  cuda_host::give(0xffffffffu, &own, sizeof(own));
  const auto of = [](int lane) { return static_cast<const Registers*>(cuda_host::taken(0xffffffffu, lane)); };
  const int g = cuda_host::lane() / 4, t = cuda_host::lane() % 4;
  for (int i = 0; i < 4; ++i) {
    const int row = g, column = 2 * t + i % 2;
    float sum = c[i];
    for (int k = 0; k < 8 * per; ++k) {
      const int half = k / (4 * per), lane = k % (4 * per) / per;
      sum += number(of(row * 4 + lane)->a[2 * half + i / 2], k % per) * number(of(column * 4 + lane)->b[half], k % per);
    }
    c[i] = sum;
  }
  cuda_host::done(0xffffffffu);
}
#endif

// Reads the upper 19 bits of a register, as the hardware does.
__device__ __forceinline__ void mma_tf32(float (&c)[4], const unsigned (&a)[4], const unsigned (&b)[2]) {
#if defined(DUALWALK_CUDA_ON_HOST)
  mma_on_host(c, a, b, 1, [](unsigned bits, int) { return __uint_as_float(bits & 0xFFFFE000u); });
#else
  asm volatile("mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 "
               "{%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
               : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
               : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
#endif
}

__device__ __forceinline__ void mma_bf16(float (&c)[4], const unsigned (&a)[4], const unsigned (&b)[2]) {
#if defined(DUALWALK_CUDA_ON_HOST)
  mma_on_host(c, a, b, 2, [](unsigned bits, int i) { return __uint_as_float(i ? bits & 0xFFFF0000u : bits << 16); });
#else
  asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 "
               "{%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
               : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
               : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
#endif
}

// A matrix as a product reads it, (row, k) at at[row * row_step + k * k_step]; `rows` by `ks` where it is not filled up.
struct Operand {
  const float* at;
  std::size_t row_step, k_step;
  unsigned rows, ks;
};

template <int TILES, class Call>
__device__ __forceinline__ void each_tile(Call call) {
#pragma unroll
  for (int slab = 0; slab < 2; ++slab)
#pragma unroll
    for (int tile = 0; tile < TILES; ++tile) call(slab, tile);
}

// c[2][TILES] += the warp's 32 rows of a times its walks of b, for k below n_k; b is (k, walk) at b[k * length + walk].
template <Precision P, bool WHOLE, int TILES>
__device__ __forceinline__ void multiply(float (&c)[2][TILES][4], const Operand& a, unsigned first_row, unsigned n_k,
                                         const float* b, unsigned length) {
  constexpr unsigned PER = P == Precision::bf16 ? 2 : 1, DEPTH = 8 * PER;
  using Index = std::conditional_t<WHOLE, unsigned, std::size_t>;
  const unsigned g = threadIdx.x % 32 / 4, t = threadIdx.x % 4;
  const Index row_step = static_cast<Index>(a.row_step), k_step = static_cast<Index>(a.k_step);
  const auto entry = [&](unsigned row, unsigned above, unsigned k) {
    return WHOLE || (row < a.rows && k + above < a.ks) ? a.at[row * row_step + above * k_step + k * k_step] : 0.0f;
  };
#pragma unroll 2
  for (unsigned k = 0; k < n_k; k += DEPTH) {
    unsigned high[2][4], low[2][4], b_high[TILES][2], b_low[TILES][2];
    for (int slab = 0; slab < 2; ++slab)
      for (int i = 0; i < 4; ++i) {
        const unsigned row = first_row + 16 * slab + g + 8 * (i % 2), above = PER * (t + 4 * (i / 2));
        const float x = entry(row, above, k);
        if constexpr (P == Precision::full) split_tf32(x, high[slab][i], low[slab][i]);
        if constexpr (P == Precision::tf32) high[slab][i] = to_tf32(x);
        if constexpr (P == Precision::bf16) high[slab][i] = to_bf16_pair(x, entry(row, above + 1, k));
      }
    for (int tile = 0; tile < TILES; ++tile)
      for (int i = 0; i < 2; ++i) {
        const float* const at = b + (PER * (t + 4 * i) * length + g) + (k * length + 8 * tile);
        if constexpr (P == Precision::full) split_tf32(at[0], b_high[tile][i], b_low[tile][i]);
        if constexpr (P == Precision::tf32) b_high[tile][i] = to_tf32(at[0]);
        if constexpr (P == Precision::bf16) b_high[tile][i] = to_bf16_pair(at[0], at[length]);
      }
    if constexpr (P == Precision::bf16) {
      each_tile<TILES>([&](int slab, int tile) { mma_bf16(c[slab][tile], high[slab], b_high[tile]); });
    } else {
      // one kind after the other: a product on the same sums waits for the one before
      if constexpr (P == Precision::full) {
        each_tile<TILES>([&](int slab, int tile) { mma_tf32(c[slab][tile], low[slab], b_high[tile]); });
        each_tile<TILES>([&](int slab, int tile) { mma_tf32(c[slab][tile], high[slab], b_low[tile]); });
      }
      each_tile<TILES>([&](int slab, int tile) { mma_tf32(c[slab][tile], high[slab], b_high[tile]); });
    }
  }
}

}  // namespace dualwalk::cuda
