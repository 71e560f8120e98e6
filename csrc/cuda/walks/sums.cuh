// Sums over the threads of a block, in an order that only the shape of the launch decides. Blocks are whole warps.
#pragma once

#include "device.hpp"

namespace dualwalk::cuda {

__device__ __forceinline__ unsigned lane_of_warp() { return threadIdx.x & 31u; }
__device__ __forceinline__ unsigned warp_of_block() { return threadIdx.x >> 5; }
__device__ __forceinline__ unsigned warps_of_block() { return blockDim.x >> 5; }

// The same bits in every lane: each level adds the same two numbers on both sides.
template <class T>
__device__ __forceinline__ T warp_sum(T value) {
  for (int other = 16; other > 0; other /= 2) value += __shfl_xor_sync(0xffffffffu, value, other);
  return value;
}

// Both values summed over the block, the same bits in every thread; `room` holds two numbers a warp. One barrier, after which
// everything written before is seen; the next call needs another barrier in between.
template <class T>
__device__ __forceinline__ void block_sums(T& first, T& second, T* room) {
  first = warp_sum(first), second = warp_sum(second);
  if (lane_of_warp() == 0) room[2 * warp_of_block()] = first, room[2 * warp_of_block() + 1] = second;
  __syncthreads();
  first = second = T{0};
  for (unsigned warp = 0; warp < warps_of_block(); ++warp) first += room[2 * warp], second += room[2 * warp + 1];
}

// |v|^2 of n numbers that all can see, computed by every warp alike.
template <class T>
__device__ __forceinline__ T sum_of_squares(const T* v, std::size_t n) {
  T sum{0};
  for (std::size_t i = lane_of_warp(); i < n; i += 32) sum += v[i] * v[i];
  return warp_sum(sum);
}

// Four neighbouring numbers at a multiple of 16 bytes.
__device__ __forceinline__ void load_four(const float* at, float (&out)[4]) {
  const float4 v = *reinterpret_cast<const float4*>(at);
  out[0] = v.x, out[1] = v.y, out[2] = v.z, out[3] = v.w;
}
__device__ __forceinline__ void load_four(const double* at, double (&out)[4]) {
  const double2 a = reinterpret_cast<const double2*>(at)[0], b = reinterpret_cast<const double2*>(at)[1];
  out[0] = a.x, out[1] = a.y, out[2] = b.x, out[3] = b.y;
}

// sum + weight . column `column` of (n_rows, d); the weights lie at a multiple of 16 bytes.
template <class T>
__device__ __forceinline__ T add_column(T sum, const T* weight, std::size_t n_rows, const T* column, std::size_t d) {
  std::size_t r = 0;
  for (; r + 4 <= n_rows; r += 4, column += 4 * d) {
    T w[4];
    load_four(weight + r, w);
#pragma unroll
    for (unsigned i = 0; i < 4; ++i) sum += w[i] * column[i * d];
  }
  for (; r < n_rows; ++r, column += d) sum += weight[r] * *column;
  return sum;
}

// out[r step] = row r of (n_rows, d) . v, where v has its numbers v_step apart; four rows a warp at a time.
template <class T>
__device__ __forceinline__ void project(const T* rows, std::size_t n_rows, std::size_t d, const T* v, unsigned v_step, T* out,
                                        unsigned out_step, unsigned warp, unsigned n_warps) {
  constexpr unsigned TOGETHER = 4;
  for (std::size_t first = std::size_t{warp} * TOGETHER; first < n_rows; first += std::size_t{n_warps} * TOGETHER) {
    const T* row[TOGETHER];
    T sum[TOGETHER] = {};
    for (unsigned r = 0; r < TOGETHER; ++r) row[r] = rows + (first + r < n_rows ? first + r : n_rows - 1) * d;
    for (std::size_t j = lane_of_warp(); j < d; j += 32) {
      const T at = v[j * v_step];
      for (unsigned r = 0; r < TOGETHER; ++r) sum[r] += row[r][j] * at;
    }
    for (unsigned r = 0; r < TOGETHER; ++r) {
      sum[r] = warp_sum(sum[r]);
      if (lane_of_warp() == r && first + r < n_rows) out[(first + r) * out_step] = sum[r];
    }
  }
}

}  // namespace dualwalk::cuda
