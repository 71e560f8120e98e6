// f and its gradient of a mixture dual at a tile of points, by one block.
//
// Components come one after the other: a product of the tile with the axes, the component's log density, and a product back
// that is added to the gradient; what was added before shrinks when a component with a larger density comes. So a component's
// axes are read twice, for all rows of the tile, and nothing is kept of it. A thread holds a few rows times a few columns of a
// product in registers; points come from shared memory, axes from the second-level cache by way of the first, whole lines at a
// time.
#pragma once

#include <type_traits>

#include "dualwalk/elementary.hpp"
#include "walks/mixture.hpp"
#include "walks/precondition.cuh"

namespace dualwalk::cuda {

__device__ __forceinline__ void load_rows(const float* at, float (&rows)[8]) {
  const float4 a = reinterpret_cast<const float4*>(at)[0], b = reinterpret_cast<const float4*>(at)[1];
  rows[0] = a.x, rows[1] = a.y, rows[2] = a.z, rows[3] = a.w, rows[4] = b.x, rows[5] = b.y, rows[6] = b.z, rows[7] = b.w;
}
__device__ __forceinline__ void load_rows(const float* at, float (&rows)[2]) {
  const float2 a = *reinterpret_cast<const float2*>(at);
  rows[0] = a.x, rows[1] = a.y;
}
__device__ __forceinline__ void load_rows(const double* at, double (&rows)[4]) {
  const double2 a = reinterpret_cast<const double2*>(at)[0], b = reinterpret_cast<const double2*>(at)[1];
  rows[0] = a.x, rows[1] = a.y, rows[2] = b.x, rows[3] = b.y;
}
__device__ __forceinline__ void load_rows(const double* at, double (&rows)[2]) {
  const double2 a = *reinterpret_cast<const double2*>(at);
  rows[0] = a.x, rows[1] = a.y;
}

// A tile of SIZE points, of which a thread takes ROWS and COLUMNS in a product. Feature j of point m lies at [j STEP + m]: the
// sixteen bytes more keep the stores of neighbouring threads in different banks.
template <class T, unsigned SIZE_, unsigned ROWS_, unsigned COLUMNS_>
struct TileForm {
  static constexpr unsigned SIZE = SIZE_, ROWS = ROWS_, COLUMNS = COLUMNS_, STEP = SIZE + 16 / sizeof(T);
  static constexpr unsigned MOST_THREADS = 384, FEWEST_THREADS = 64;
  // Features of a product whose loads are under way together: few threads have to wait seldom.
  static constexpr int AHEAD = SIZE > 8 ? 4 : 8;
  // Sums over features go by so many parts in every tile: a walk has the same bits in any batch.
  static constexpr unsigned PARTS = 16;

  // Threads whose rounds over the items of a product are full.
  static unsigned threads(std::size_t n_features) {
    const std::size_t items = (n_features + COLUMNS - 1) / COLUMNS * (SIZE / ROWS);
    const std::size_t rounds = (items + MOST_THREADS - 1) / MOST_THREADS, each = ((items + rounds - 1) / rounds + 31) / 32 * 32;
    return static_cast<unsigned>(each > FEWEST_THREADS ? each : FEWEST_THREADS);
  }
  // Numbers of a block: x, z (or weights of a preconditioner's factor) and the gradient.
  __host__ __device__ static std::size_t numbers(std::size_t n_features, std::size_t n_factors) {
    return (2 * n_features + (n_features > n_factors ? n_features : n_factors)) * STEP;
  }
  // And what is in shared memory always: partial sums, numbers a row, and which rows go on.
  static constexpr std::size_t ROW_VECTORS = 7, SMALL = (PARTS + ROW_VECTORS) * SIZE + 4;
};
template <class T>
using LargeTile = TileForm<T, 32, 32 / sizeof(T), 4>;
template <class T>
using SmallTile = TileForm<T, 8, 2, 2>;

// A block's memory. `partial` has PARTS numbers a row, the rest one.
template <class T, class Form>
struct TileRoom {
  T *x, *z, *gradient, *partial, *top, *sum, *keep, *share, *f, *squared, *size;
  unsigned* open;

  __device__ TileRoom(T* small, T* large, std::size_t n_features, std::size_t n_factors) {
    partial = small;
    top = partial + Form::PARTS * Form::SIZE, sum = top + Form::SIZE, keep = sum + Form::SIZE, share = keep + Form::SIZE;
    f = share + Form::SIZE, squared = f + Form::SIZE, size = squared + Form::SIZE;
    open = reinterpret_cast<unsigned*>(size + Form::SIZE);
    x = large, gradient = x + n_features * Form::STEP, z = gradient + n_features * Form::STEP;
  }
};

// product(column, row, sums): sums[m] = sum_j in[j, row + m] matrix[j, column] for every column and group of rows.
template <class Form, class T, class Take>
__device__ __forceinline__ void product(const T* in, const T* matrix, std::size_t n, Take take) {
  constexpr unsigned COLUMNS = Form::COLUMNS, ROWS = Form::ROWS;
  const std::size_t groups = (n + COLUMNS - 1) / COLUMNS;
  for (std::size_t item = threadIdx.x; item < groups * (Form::SIZE / ROWS); item += blockDim.x) {
    const std::size_t first = item % groups;
    const unsigned row = static_cast<unsigned>(item / groups) * ROWS;
    const T* at[COLUMNS];
    T sums[COLUMNS][ROWS] = {};
#pragma unroll
    for (unsigned q = 0; q < COLUMNS; ++q) at[q] = matrix + (first + q * groups < n ? first + q * groups : n - 1);
    const T* rows_at = in + row;
#pragma unroll Form::AHEAD
    for (std::size_t j = 0; j < n; ++j) {
      T rows[ROWS];
      load_rows(rows_at, rows);
      rows_at += Form::STEP;
#pragma unroll
      for (unsigned q = 0; q < COLUMNS; ++q) {
        const T entry = *at[q];
        at[q] += n;
#pragma unroll
        for (unsigned m = 0; m < ROWS; ++m) sums[q][m] += entry * rows[m];
      }
    }
#pragma unroll
    for (unsigned q = 0; q < COLUMNS; ++q)
      if (first + q * groups < n) take(first + q * groups, row, sums[q]);
  }
}

// Thread m < SIZE returns sum_i term(i, m); a barrier inside, after which all that was written before is seen. A fixed order.
template <class Form, class T, class Term>
__device__ __forceinline__ T row_sum(std::size_t n, T* partial, Term term) {
  const unsigned m = threadIdx.x % Form::SIZE;
  for (unsigned part = threadIdx.x / Form::SIZE; part < Form::PARTS; part += blockDim.x / Form::SIZE) {
    T sum{0};
    for (std::size_t i = part; i < n; i += Form::PARTS) sum += term(i, m);
    partial[part * Form::SIZE + m] = sum;
  }
  __syncthreads();
  if (threadIdx.x >= Form::SIZE) return T{0};
  T sum{0};
  for (unsigned part = 0; part < Form::PARTS; ++part) sum += partial[part * Form::SIZE + m];
  return sum;
}

__device__ __forceinline__ float natural_log(float x) { return logf(x); }
__device__ __forceinline__ double natural_log(double x) { return log(x); }

// f of every row at one of the times in the tables, and with `slopes` its gradient and |gradient|^2, into the room; x is seen
// by all when this is called, and what it wrote is when it returns.
template <class Form, class T>
__device__ __forceinline__ void evaluate(const MixtureDual<T>& dual, std::size_t time, const TileRoom<T, Form>& room,
                                         bool slopes) {
  constexpr unsigned STEP = Form::STEP;
  const std::size_t d = dual.n_features;
  const bool row_thread = threadIdx.x < Form::SIZE;
  const unsigned row = threadIdx.x;
  for (std::size_t k = 0; k < dual.n_components; ++k) {
    const std::size_t place = time * dual.n_components + k;
    const T* const starts = dual.starts + place * d;
    const T* const precisions = dual.precisions + place * d;
    product<Form>(room.x, dual.axes + k * d * d, d, [&](std::size_t i, unsigned first, const T (&sums)[Form::ROWS]) {
      const T start = starts[i];
#pragma unroll
      for (unsigned m = 0; m < Form::ROWS; ++m) room.z[i * STEP + first + m] = sums[m] + start;
    });
    __syncthreads();
    const T length = row_sum<Form>(d, room.partial, [&](std::size_t i, unsigned m) {
      const T z = room.z[i * STEP + m], scaled = precisions[i] * z;
      room.z[i * STEP + m] = scaled;
      return scaled * z;
    });
    if (row_thread) {
      const T here = dual.log_scales[place] - T(0.5) * length;
      const T before = room.top[row], top = k == 0 || here > before ? here : before;
      // a density of 0 has no share, whatever the others are
      const T share = here == -static_cast<T>(INFINITY) ? T{0} : exponential_of_negative(here - top);
      const T keep = k == 0 || before == -static_cast<T>(INFINITY) ? T{0} : exponential_of_negative(before - top);
      room.sum[row] = k == 0 ? share : room.sum[row] * keep + share;
      room.top[row] = top, room.keep[row] = keep, room.share[row] = share;
    }
    __syncthreads();
    if (slopes)
      product<Form>(room.z, dual.turned + k * d * d, d, [&](std::size_t j, unsigned first, const T (&sums)[Form::ROWS]) {
        T* const gradient = room.gradient + j * STEP + first;
#pragma unroll
        for (unsigned m = 0; m < Form::ROWS; ++m) {
          const T before = k == 0 ? T{0} : room.keep[first + m] * gradient[m];
          gradient[m] = before - room.share[first + m] * sums[m];
        }
      });
    __syncthreads();
  }
  const T squares = row_sum<Form>(d, room.partial, [&](std::size_t j, unsigned m) {
    const T x = room.x[j * STEP + m];
    return x * x;
  });
  if (row_thread) {
    const T inside = room.sum[row] == T{0} ? static_cast<T>(NAN) : room.top[row] + natural_log(room.sum[row]);
    room.f[row] = inside + (squares * (T(0.5) * dual.pull) + dual.constant);
    room.share[row] = T{1} / room.sum[row];
  }
  __syncthreads();
  if (!slopes) return;
  const T squared = row_sum<Form>(d, room.partial, [&](std::size_t j, unsigned m) {
    T& gradient = room.gradient[j * STEP + m];
    gradient = gradient * room.share[m] + dual.pull * room.x[j * STEP + m];
    return gradient * gradient;
  });
  if (row_thread) room.squared[row] = squared;
  __syncthreads();
}

// Rows first .. first + n of (n_walks, n_features) into a tile, the last one repeated where there are fewer; and back.
template <class Form, class T>
__device__ __forceinline__ void load_tile(const T* rows, std::size_t first, unsigned n, std::size_t d, T* tile) {
  for (unsigned m = warp_of_block(); m < Form::SIZE; m += warps_of_block()) {
    const T* const row = rows + (first + (m < n ? m : n - 1)) * d;
    for (std::size_t j = lane_of_warp(); j < d; j += 32) tile[j * Form::STEP + m] = row[j];
  }
}
template <class Form, class T>
__device__ __forceinline__ void store_tile(const T* tile, unsigned n, std::size_t d, T* rows, std::size_t row_step) {
  for (unsigned m = warp_of_block(); m < n; m += warps_of_block())
    for (std::size_t j = lane_of_warp(); j < d; j += 32) rows[m * row_step + j] = tile[j * Form::STEP + m];
}

// Which rows go on, as bits: the first threads of the block, a row each, say so. What was written before is seen after it.
__device__ __forceinline__ unsigned open_rows(bool open, unsigned* room) {
  const unsigned bits = __ballot_sync(0xffffffffu, open);
  if (threadIdx.x == 0) *room = bits;
  __syncthreads();
  return *room;
}

// The block's part of memory: everything in shared memory, or the large vectors in the workspace, a block's own.
template <class T, class Form, bool near>
__device__ __forceinline__ TileRoom<T, Form> room_of_block(T* workspace, std::size_t n_features, std::size_t n_factors) {
  T* const small = shared<T>();
  T* const large = near ? small + Form::SMALL : workspace + std::size_t{blockIdx.x} * Form::numbers(n_features, n_factors);
  return {small, large, n_features, n_factors};
}

// How a kernel of these tiles is launched: a block a tile where it needs no workspace, else blocks that stay, with a part each.
struct TileLaunch {
  Shape shape;
  std::size_t workspace = 0;  // numbers

  template <class T, class Form, class... Parameters>
  static TileLaunch of(const char* job, void (*kernel)(Parameters...), Form, T, bool near, std::size_t more,
                       const Device& device, std::size_t n_walks, std::size_t n_features, std::size_t n_factors) {
    TileLaunch to;
    const std::size_t numbers = Form::numbers(n_features, n_factors), n_tiles = (n_walks + Form::SIZE - 1) / Form::SIZE;
    const std::size_t bytes = (Form::SMALL + (near ? numbers : 0)) * sizeof(T), each = (near ? 0 : numbers) + more;
    const unsigned n_threads = Form::threads(n_features);
    std::size_t most = 0x7FFFFFFF;
    if (each > 0) most = resident_blocks(job, kernel, device, n_threads, bytes);
    const std::size_t n_blocks = n_tiles < most ? n_tiles : most;
    to.shape = {static_cast<unsigned>(n_blocks), n_threads, bytes};
    to.workspace = n_blocks * each;
    return to;
  }
};

// Calls run(shape, whether all of it is in shared memory) with the tile for this many walks: the large one where it fills the
// device, whose axes are read for more rows at a time.
template <class T, class Run>
void with_tile(const Device& device, std::size_t n_walks, std::size_t n_features, std::size_t n_factors, Run run) {
  using Large = LargeTile<T>;
  using Small = SmallTile<T>;
  const auto fits = [&](auto shape) {
    using Form = decltype(shape);
    return (Form::SMALL + Form::numbers(n_features, n_factors)) * sizeof(T) <= device.shared_block;
  };
  const std::size_t threads = (n_walks + Large::SIZE - 1) / Large::SIZE * Large::threads(n_features);
  if (!fits(Small{})) return run(Large{}, std::false_type{});
  const std::size_t enough = std::size_t{256} * static_cast<std::size_t>(device.multiprocessors);
  if (fits(Large{}) && threads >= enough) return run(Large{}, std::true_type{});
  return run(Small{}, std::true_type{});
}

// call(first walk, number of walks) for the tiles that are this block's; all of it is done with one before the next begins.
template <class Form, class Call>
__device__ __forceinline__ void each_own_tile(std::size_t n_walks, Call call) {
  for (std::size_t first = std::size_t{blockIdx.x} * Form::SIZE; first < n_walks; first += std::size_t{gridDim.x} * Form::SIZE) {
    const std::size_t left = n_walks - first;
    call(first, static_cast<unsigned>(left < Form::SIZE ? left : Form::SIZE));
    __syncthreads();  // the next tile has the same memory
  }
}

}  // namespace dualwalk::cuda
