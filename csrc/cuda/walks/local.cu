// One walk a block: its neighbourhood's factor in shared memory for all steps, read twice a step, once by warps that take its
// rows (projections of y = x - mean) and once by threads that take its columns (the gradient). Several blocks share a
// multiprocessor, so that one computes while another waits at a barrier.
#include "walks/local.hpp"

#include "walks/precondition.cuh"

namespace dualwalk::cuda {
namespace {

constexpr unsigned MOST_THREADS = 256;

// What lies in shared memory: everything, all but the factors, or nothing (then vectors are in the workspace, a block's own).
enum class Near { ALL, VECTORS, NOTHING };

// Numbers of a block: projections of both factors (at multiples of 16 bytes), x, y and gradient; then the factors themselves.
struct Room {
  std::size_t vectors, factors;
};

__host__ __device__ inline std::size_t whole_fours(std::size_t n) { return (n + 3) / 4 * 4; }

template <class T>
Room room_of(const Walk<T>& walk, const LocalDual<T>& dual) {
  const std::size_t d = walk.n_features, projections = whole_fours(dual.n_factors) + whole_fours(walk.shape.n_factors);
  return {whole_fours(projections + 3 * d), (dual.n_factors + walk.shape.n_factors) * d};
}

template <class T>
__device__ __forceinline__ void copy(const T* from, std::size_t n, T* to) {
#pragma unroll 4
  for (std::size_t i = threadIdx.x; i < n; i += blockDim.x) to[i] = from[i];
}

// A walk under way: its places in memory, the same in all threads of the block.
template <class T>
struct One {
  std::size_t number;
  T *x, *y, *gradient, *weight, *shape_weight;
  const T *mean, *curvature, *factor;
  T constant;
};

template <class T>
__device__ __forceinline__ void record(const Walk<T>& walk, const One<T>& one, std::size_t frame, std::size_t j) {
  if (walk.trajectory) frame_of(walk, one.number, frame)[j] = one.x[j];
}

// To the next point, without a preconditioner; a thread takes four features, as noise is drawn.
template <class T>
__device__ __forceinline__ void advance(const Walk<T>& walk, const One<T>& one, std::size_t step, T size) {
  for (std::size_t group = threadIdx.x; 4 * group < walk.n_features; group += blockDim.x) {
    T normal[4];
    step_noise(walk, one.number, step, group, normal);
#pragma unroll
    for (unsigned k = 0; k < 4; ++k) {
      const std::size_t j = 4 * group + k;
      if (j >= walk.n_features) break;
      one.x[j] = into_bounds(walk, j, one.x[j] + size * one.gradient[j] + walk.noise_scale * normal[k]);
      record(walk, one, step + 1, j);
    }
  }
  __syncthreads();  // others go on with these features
}

template <class T>
__device__ __forceinline__ void walk_one(const Walk<T>& walk, const LocalDual<T>& dual, const Shaper<T>& shaper,
                                         const One<T>& one, T* sums) {
  const std::size_t d = walk.n_features;
  const Tile<T> x{one.x, 1, 0}, gradient{one.gradient, 1, 0}, shape_weight{one.shape_weight, 1, 0};
  const bool shaped = shaper.factor != nullptr;
  std::size_t step = 0;
  Move<T> move{};
  T f;
  for (;; ++step) {
    const bool last = step == walk.n_steps, value_only = last && !walk.target;
    T curved{0}, squares{0};
    for (std::size_t j = threadIdx.x; j < d; j += blockDim.x) {
      const T y = one.x[j] - one.mean[j];
      one.y[j] = y;
      curved += one.curvature[j] * y * y;
    }
    __syncthreads();
    project(one.factor, dual.n_factors, d, one.y, 1, one.weight, 1, warp_of_block(), warps_of_block());
    __syncthreads();
    if (!value_only)
      for (std::size_t j = threadIdx.x; j < d; j += blockDim.x) {
        const T slope = add_column(one.curvature[j] * one.y[j], one.weight, dual.n_factors, one.factor + j, d);
        one.gradient[j] = slope;
        squares += slope * slope;
      }
    block_sums(curved, squares, sums);
    f = one.constant + T(0.5) * (curved + sum_of_squares(one.weight, dual.n_factors));
    if (value_only) break;
    if (shaped) {
      project_gradient(shaper, 0, 1, gradient, shape_weight);
      __syncthreads();
      squares = shaped_square(shaper, 0, 0, gradient, shape_weight);
      __syncthreads();
    }
    move = next_move(walk, one.number, f, squares);
    if (!move.going || last) break;
    if (shaped) {
      weigh(walk, shaper, one.number, 0, step, move.size, shape_weight, x, threadIdx.x, blockDim.x);
      __syncthreads();
    } else if (walk.noise_scale != T{0}) {
      advance(walk, one, step, move.size);
      continue;
    }
    for (std::size_t j = threadIdx.x; j < d; j += blockDim.x) {
      const T along = shaped ? shaped_step(shaper, 0, 0, j, move.size, gradient, shape_weight) : move.size * one.gradient[j];
      one.x[j] = into_bounds(walk, j, one.x[j] + along);
      record(walk, one, step + 1, j);
    }
  }
  for (std::size_t j = threadIdx.x; j < d; j += blockDim.x) {
    walk.x[one.number * d + j] = one.x[j];
    for (std::size_t frame = step + 1; frame <= walk.n_steps; ++frame) record(walk, one, frame, j);
  }
  if (threadIdx.x == 0) {
    walk.f[one.number] = f;
    walk.steps[one.number] = static_cast<std::int64_t>(step);
    walk.reached[one.number] = move.reached;
  }
}

template <class T, Near near>
__global__ void __launch_bounds__(MOST_THREADS, 1) local_kernel(Walk<T> walk, LocalDual<T> dual, Room room, T* workspace) {
  const std::size_t d = walk.n_features;
  T* const sums = shared<T>();
  T* const here = shared<T>(2 * (MOST_THREADS / 32) * sizeof(T));
  T* const vectors = near == Near::NOTHING ? workspace + blockIdx.x * room.vectors : here;
  T* const near_factor = here + room.vectors;
  T* const near_shape = near_factor + dual.n_factors * d;
  One<T> one;
  one.weight = vectors, one.shape_weight = one.weight + whole_fours(dual.n_factors);
  one.x = one.shape_weight + whole_fours(walk.shape.n_factors), one.y = one.x + d, one.gradient = one.y + d;
  for (std::size_t number = blockIdx.x; number < walk.n_walks; number += gridDim.x) {
    const std::size_t place = dual.one_for_all ? 0 : number;
    Shaper<T> shaper = shaper_of(walk);  // of this walk alone
    if (shaper.factor) {
      if (shaper.diagonal) shaper.diagonal = shaper.diagonal_of(number);
      shaper.factor = shaper.factor_of(number);
      shaper.one_for_all = true;
    }
    one.number = number;
    one.mean = dual.mean + place * d, one.curvature = dual.curvature + place * d;
    one.factor = dual.factor + place * dual.n_factors * d;
    one.constant = dual.constant[place];
    __syncthreads();  // the walk before is done with all of this
    if (near == Near::ALL) {
      copy(one.factor, dual.n_factors * d, near_factor);
      one.factor = near_factor;
      if (shaper.factor) {
        copy(shaper.factor, shaper.n_factors * d, near_shape);
        shaper.factor = near_shape;
      }
    }
    for (std::size_t j = threadIdx.x; j < d; j += blockDim.x) {
      one.x[j] = walk.x[number * d + j];
      record(walk, one, 0, j);
    }
    walk_one(walk, dual, shaper, one, sums);
  }
}

template <class T, Near near>
void launch_local(const Walk<T>& walk, const LocalDual<T>& dual, const Room& room, unsigned n_threads, const Device& device,
                  Workspace& workspace, cudaStream_t stream) {
  const std::size_t numbers = near == Near::NOTHING ? 0 : near == Near::VECTORS ? room.vectors : room.vectors + room.factors;
  const std::size_t bytes = (2 * (MOST_THREADS / 32) + numbers) * sizeof(T);
  // with vectors in the workspace a block walks one after the other; else the device hands out walks as blocks end
  std::size_t most = 0x7FFFFFFF;
  if (near == Near::NOTHING) most = resident_blocks("walk_local", local_kernel<T, near>, device, n_threads, bytes);
  const auto n_blocks = static_cast<unsigned>(walk.n_walks < most ? walk.n_walks : most);
  T* const vectors = near == Near::NOTHING ? workspace.take<T>(n_blocks * room.vectors) : nullptr;
  launch("walk_local", local_kernel<T, near>, {n_blocks, n_threads, bytes}, stream, walk, dual, room, vectors);
}

}  // namespace

template <class T>
void walk_local(const Walk<T>& walk, const LocalDual<T>& dual, Workspace& workspace, cudaStream_t stream) {
  if (walk.n_walks == 0) return;
  const Device device = Device::current("walk_local");
  const Room room = room_of(walk, dual);
  const std::size_t sums = 2 * (MOST_THREADS / 32), d = walk.n_features;
  // a warp for every 32 columns of the factor, or every four of its rows: idle ones cost little, and few walks end sooner
  const std::size_t columns = (d + 31) / 32, rows = (dual.n_factors + 3) / 4, warps = columns > rows ? columns : rows;
  const auto n_threads = static_cast<unsigned>(32 * warps < MOST_THREADS ? 32 * warps : MOST_THREADS);
  if ((sums + room.vectors + room.factors) * sizeof(T) <= device.shared_block)
    launch_local<T, Near::ALL>(walk, dual, room, n_threads, device, workspace, stream);
  else if ((sums + room.vectors) * sizeof(T) <= device.shared_block)
    launch_local<T, Near::VECTORS>(walk, dual, room, n_threads, device, workspace, stream);
  else
    launch_local<T, Near::NOTHING>(walk, dual, room, n_threads, device, workspace, stream);
}

template void walk_local(const Walk<float>&, const LocalDual<float>&, Workspace&, cudaStream_t);
template void walk_local(const Walk<double>&, const LocalDual<double>&, Workspace&, cudaStream_t);

}  // namespace dualwalk::cuda
