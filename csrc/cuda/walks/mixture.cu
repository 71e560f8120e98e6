#include "walks/mixture.hpp"

#include "walks/mixture_tile.cuh"

namespace dualwalk::cuda {
namespace {

// To the next points; `room.size` holds every row's step, 0 where a walk has ended.
template <class Form, class T>
__device__ __forceinline__ void advance(const Walk<T>& walk, const TileRoom<T, Form>& room, std::size_t first, std::size_t step,
                                        unsigned going) {
  const std::size_t d = walk.n_features;
  if (walk.noise_scale != T{0}) {
    for (std::size_t item = threadIdx.x; item < (d + 3) / 4 * Form::SIZE; item += blockDim.x) {
      const unsigned m = static_cast<unsigned>(item % Form::SIZE);
      const std::size_t group = item / Form::SIZE;
      if (!(going >> m & 1u)) continue;
      T normal[4];
      step_noise(walk, first + m, step, group, normal);
#pragma unroll
      for (unsigned k = 0; k < 4; ++k) {
        const std::size_t j = 4 * group + k, at = j * Form::STEP + m;
        if (j >= d) break;
        room.x[at] = into_bounds(walk, j, room.x[at] + room.size[m] * room.gradient[at] + walk.noise_scale * normal[k]);
      }
    }
    return;
  }
  for (std::size_t item = threadIdx.x; item < d * Form::SIZE; item += blockDim.x) {
    const unsigned m = static_cast<unsigned>(item % Form::SIZE);
    const std::size_t j = item / Form::SIZE, at = j * Form::STEP + m;
    if (going >> m & 1u) room.x[at] = into_bounds(walk, j, room.x[at] + room.size[m] * room.gradient[at]);
  }
}

// The same with a preconditioner, whose projections of the gradients are in z.
template <class Form, class T>
__device__ __forceinline__ void advance_shaped(const Walk<T>& walk, const Shaper<T>& shaper, const TileRoom<T, Form>& room,
                                               std::size_t first, std::size_t step, unsigned going) {
  const Tile<T> x{room.x, Form::STEP, 1}, gradient{room.gradient, Form::STEP, 1}, weight{room.z, Form::STEP, 1};
  for (unsigned m = warp_of_block(); m < Form::SIZE; m += warps_of_block())
    if (going >> m & 1u) weigh(walk, shaper, first + m, m, step, room.size[m], weight, x, lane_of_warp(), 32);
  __syncthreads();
  for (unsigned m = warp_of_block(); m < Form::SIZE; m += warps_of_block()) {
    if (!(going >> m & 1u)) continue;
    for (std::size_t j = lane_of_warp(); j < walk.n_features; j += 32)
      x(j, m) = into_bounds(walk, j, x(j, m) + shaped_step(shaper, first + m, m, j, room.size[m], gradient, weight));
  }
}

template <class Form, class T>
__device__ __forceinline__ void walk_tile(const Walk<T>& walk, const MixtureDual<T>& dual, const TileRoom<T, Form>& room,
                                          std::size_t first, unsigned n) {
  const std::size_t d = walk.n_features;
  const Shaper<T> shaper = shaper_of(walk);
  const bool shaped = shaper.factor != nullptr, row_thread = threadIdx.x < n;
  bool open = row_thread, reached = false;  // of this thread's row
  std::int64_t taken = 0;
  T f{0};
  load_tile<Form>(walk.x, first, n, d, room.x);
  __syncthreads();
  const auto record = [&](std::size_t frame) {
    if (walk.trajectory) store_tile<Form>(room.x, n, d, frame_of(walk, first, frame), (walk.n_steps + 1) * d);
  };
  record(0);
  for (std::size_t step = 0;; ++step) {
    const bool last = step == walk.n_steps, slopes = !last || walk.target;
    evaluate<Form>(dual, 0, room, slopes);
    if (slopes && shaped) {
      const Tile<T> gradient{room.gradient, Form::STEP, 1}, weight{room.z, Form::STEP, 1};
      project_gradient(shaper, first, n, gradient, weight);
      __syncthreads();
      for (unsigned m = warp_of_block(); m < n; m += warps_of_block()) {
        const T squared = shaped_square(shaper, first + m, m, gradient, weight);
        if (lane_of_warp() == 0) room.squared[m] = squared;
      }
      __syncthreads();
    }
    if (open) {
      f = room.f[threadIdx.x];
      if (slopes) {
        const Move<T> move = next_move(walk, first + threadIdx.x, f, room.squared[threadIdx.x]);
        open = move.going, reached = move.reached;
        room.size[threadIdx.x] = move.size;
        taken += open && !last;
      }
    }
    const unsigned going = open_rows(open, room.open);
    if (last || going == 0) {
      for (std::size_t frame = step + 1; frame <= walk.n_steps; ++frame) record(frame);
      break;
    }
    if (shaped)
      advance_shaped<Form>(walk, shaper, room, first, step, going);
    else
      advance<Form>(walk, room, first, step, going);
    __syncthreads();
    record(step + 1);
  }
  store_tile<Form>(room.x, n, d, walk.x + first * d, d);
  if (row_thread) {
    walk.f[first + threadIdx.x] = f;
    walk.steps[first + threadIdx.x] = taken;
    walk.reached[first + threadIdx.x] = reached;
  }
}

template <class T, class Form, bool near>
__global__ void __launch_bounds__(Form::MOST_THREADS, 1) walk_kernel(Walk<T> walk, MixtureDual<T> dual, T* workspace) {
  const TileRoom<T, Form> room = room_of_block<T, Form, near>(workspace, walk.n_features, walk.shape.n_factors);
  each_own_tile<Form>(walk.n_walks,
                      [&](std::size_t first, unsigned n) { walk_tile<Form>(walk, dual, room, first, n); });
}

}  // namespace

template <class T>
void walk_mixture(const Walk<T>& walk, const MixtureDual<T>& dual, Workspace& workspace, cudaStream_t stream) {
  if (walk.n_walks == 0) return;
  const Device device = Device::current("walk_mixture");
  with_tile<T>(device, walk.n_walks, walk.n_features, walk.shape.n_factors, [&](auto shape, auto near) {
    using Form = decltype(shape);
    constexpr bool NEAR = decltype(near)::value;
    const auto kernel = walk_kernel<T, Form, NEAR>;
    const auto to = TileLaunch::of("walk_mixture", kernel, shape, T{}, NEAR, 0, device, walk.n_walks, walk.n_features,
                                   walk.shape.n_factors);
    launch("walk_mixture", kernel, to.shape, stream, walk, dual, workspace.take<T>(to.workspace));
  });
}

template void walk_mixture(const Walk<float>&, const MixtureDual<float>&, Workspace&, cudaStream_t);
template void walk_mixture(const Walk<double>&, const MixtureDual<double>&, Workspace&, cudaStream_t);

}  // namespace dualwalk::cuda
