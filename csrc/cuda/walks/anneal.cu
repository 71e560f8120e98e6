// Annealing along a mixture's path, a tile of points a block: the tile of walks on mixtures, with tables of its own at every
// step.
#include "walks/mixture_tile.cuh"

namespace dualwalk::cuda {
namespace {

template <class Form, class T>
__device__ __forceinline__ void renoise(const Anneal<T>& anneal, const TileRoom<T, Form>& room, std::size_t first, unsigned n) {
  const std::size_t d = anneal.n_features;
  for (std::size_t item = threadIdx.x; item < (d + 3) / 4 * Form::SIZE; item += blockDim.x) {
    const unsigned m = static_cast<unsigned>(item % Form::SIZE);
    const std::size_t group = item / Form::SIZE;
    T normal[4];
    const std::size_t number = first + (m < n ? m : n - 1);
    four_normals(anneal.seed, static_cast<std::uint32_t>(number), RENOISE_STEP, static_cast<std::uint32_t>(group), normal);
#pragma unroll
    for (unsigned k = 0; k < 4; ++k) {
      const std::size_t j = 4 * group + k;
      if (j >= d) break;
      T& x = room.x[j * Form::STEP + m];
      x = anneal.keep * x + anneal.add * normal[k];
    }
  }
}

// `foreseen` (n_features, SIZE) is the block's; a thread comes back to the same entries at every step.
template <class Form, class T>
__device__ __forceinline__ void anneal_tile(const Anneal<T>& anneal, const MixtureDual<T>& dual, const TileRoom<T, Form>& room,
                                            T* foreseen, std::size_t first, unsigned n) {
  const std::size_t d = anneal.n_features, frames = anneal.n_steps + 1;
  const bool row_thread = threadIdx.x < n;
  bool open = row_thread;  // of this thread's row
  std::int64_t taken = 0;
  T f{0};
  load_tile<Form>(anneal.x, first, n, d, room.x);
  __syncthreads();
  if (anneal.renoise) renoise<Form>(anneal, room, first, n);
  __syncthreads();
  const auto record = [&](std::size_t frame) {
    if (anneal.trajectory) store_tile<Form>(room.x, n, d, anneal.trajectory + (first * frames + frame) * d, frames * d);
  };
  record(0);
  for (std::size_t step = 0;; ++step) {
    const bool last = step == anneal.n_steps;
    evaluate<Form>(dual, step, room, !last);
    if (open) {
      f = room.f[threadIdx.x];
      open = !last && isfinite(f) && isfinite(room.squared[threadIdx.x]);
      taken += open;
    }
    const unsigned going = open_rows(open, room.open);
    if (going == 0) {
      for (std::size_t frame = step + 1; frame < frames; ++frame) record(frame);
      break;
    }
    const Turn<T> turn = anneal.turns[step];
    for (std::size_t item = threadIdx.x; item < d * Form::SIZE; item += blockDim.x) {
      const unsigned m = static_cast<unsigned>(item % Form::SIZE);
      const std::size_t at = item / Form::SIZE * Form::STEP + m;
      if (!(going >> m & 1u)) continue;
      const T x = room.x[at], velocity = turn.speed * room.gradient[at], before = step > 0 ? foreseen[item] : T{0};
      room.x[at] = turn.cosine * x + turn.sine * velocity + turn.correction * (velocity - before);
      foreseen[item] = turn.cosine * velocity - turn.sine * x;
    }
    __syncthreads();
    record(step + 1);
  }
  store_tile<Form>(room.x, n, d, anneal.x + first * d, d);
  if (row_thread) {
    anneal.f[first + threadIdx.x] = f;
    anneal.steps[first + threadIdx.x] = taken;
    anneal.reached[first + threadIdx.x] = false;
  }
}

template <class T, class Form, bool near>
__global__ void __launch_bounds__(Form::MOST_THREADS, 1) anneal_kernel(Anneal<T> anneal, MixtureDual<T> dual, T* foreseen,
                                                                       T* workspace) {
  const std::size_t d = anneal.n_features;
  const TileRoom<T, Form> room = room_of_block<T, Form, near>(workspace, d, 0);
  each_own_tile<Form>(anneal.n_walks, [&](std::size_t first, unsigned n) {
    anneal_tile<Form>(anneal, dual, room, foreseen + blockIdx.x * d * Form::SIZE, first, n);
  });
}

}  // namespace

template <class T>
void anneal_mixture(const Anneal<T>& anneal, const MixtureDual<T>& dual, Workspace& workspace, cudaStream_t stream) {
  if (anneal.n_walks == 0) return;
  const Device device = Device::current("anneal_mixture");
  with_tile<T>(device, anneal.n_walks, anneal.n_features, 0, [&](auto shape, auto near) {
    using Form = decltype(shape);
    constexpr bool NEAR = decltype(near)::value;
    const auto kernel = anneal_kernel<T, Form, NEAR>;
    const std::size_t more = anneal.n_features * Form::SIZE;
    const auto to = TileLaunch::of("anneal_mixture", kernel, shape, T{}, NEAR, more, device, anneal.n_walks, anneal.n_features,
                                   0);
    T* const foreseen = workspace.take<T>(to.shape.grid.x * more);
    T* const rest = workspace.take<T>(to.workspace - to.shape.grid.x * more);
    launch("anneal_mixture", kernel, to.shape, stream, anneal, dual, foreseen, rest);
  });
}

template void anneal_mixture(const Anneal<float>&, const MixtureDual<float>&, Workspace&, cudaStream_t);
template void anneal_mixture(const Anneal<double>&, const MixtureDual<double>&, Workspace&, cudaStream_t);

}  // namespace dualwalk::cuda
