// A block walks a tile of up to 32 walks: whatever the sizes, in float or double, with plain multiply-adds.
//
// The tile's numbers lie [unit][walk] in shared memory, or in the workspace where they do not fit. A product is cut into column
// groups, row groups and, where threads are left, slices of its sum; who reads the result adds the slices, in their order. The
// matrices of a projected walk stay in shared memory when they fit; others stream from the second cache.
#include "walks/mlp.hpp"
#include "walks/walk.cuh"

namespace dualwalk::cuda {
namespace {

constexpr unsigned THREADS = 512, WARPS = THREADS / 32, MOST_WALKS = 32, FEW_WALKS = 4;

template <class T>
struct alignas(16) Four {
  T at[4];
};
template <class T>
__device__ __forceinline__ Four<T> load_four(const T* from) {
  return *reinterpret_cast<const Four<T>*>(from);
}

// Where a tile's numbers lie, in elements from the beginning of its room; the same for every tile of a launch.
struct TilePlan {
  unsigned walks;  // of a tile, a power of two
  bool projected, in_shared;
  unsigned shift;     // its logarithm
  unsigned resident;  // so many matrices stay in shared memory: Gram's, then forward and backward from the second layer on
  std::size_t state;   // x, or z of a projected walk
  std::size_t path;    // of a projected walk, the sum of its steps' d; before its first step, x_0 lies from here on
  std::size_t values, slopes;
  std::size_t sums;    // of products, slice by slice
  std::size_t size;    // of the room
  std::size_t matrices;  // bytes from the beginning of shared memory
};

// One number a walk, always in shared memory, before everything else.
template <class T>
struct Control {
  T f[WARPS * MOST_WALKS], squared[WARPS * MOST_WALKS], size[MOST_WALKS];
  bool moving[MOST_WALKS];
};
template <class T>
DUALWALK_FN constexpr std::size_t control_bytes() {
  return (sizeof(Control<T>) + 15) / 16 * 16;
}

// Slices of a product's sum: as many as give every thread work, unless they get shorter than this.
constexpr unsigned LEAST_SLICE = 4;

DUALWALK_FN unsigned slices_of(unsigned n_in, unsigned n_out, unsigned row_groups) {
  const unsigned groups = (n_out + 3) / 4 * row_groups, by_threads = groups < THREADS ? THREADS / groups : 1;
  const unsigned most = n_in > LEAST_SLICE ? n_in / LEAST_SLICE : 1;
  return by_threads < most ? by_threads : most;
}

// Walks that a thread multiplies at once: the more, the fewer loads a multiply-add takes.
template <class T>
unsigned rows_for(unsigned walks) {
  return walks < 4 ? 1 : walks < 8 || sizeof(T) > sizeof(float) ? 4 : 8;
}

template <class T, int ROWS>
class Tile {
 public:
  __device__ Tile(const Walk<T>& walk, const MlpDual<T>& dual, const TilePlan& plan, T* workspace)
      : walk_(walk),
        dual_(dual),
        plan_(plan),
        n_(plan.walks),
        shift_(plan.shift),
        own_(threadIdx.x % plan.walks),
        control_(*shared<Control<T>>()) {
    T* const room = plan.in_shared ? shared<T>(control_bytes<T>()) : workspace + blockIdx.x * plan.size;
    state_ = room + plan.state;
    path_ = room + plan.path;
    values_ = room + plan.values;
    slopes_ = room + plan.slopes;
    sums_ = room + plan.sums;
    if (plan.resident > 0) keep_matrices();
  }

  __device__ void run(std::size_t tile) {
    first_ = tile * n_;
    begin();
    std::size_t step = 0;
    for (;; ++step) {
      evaluate(step < walk_.n_steps || walk_.target);
      if (!decide(step)) break;
      if (plan_.projected)
        move_projected();
      else
        move(step);
    }
    end(step);
    __syncthreads();  // the next tile writes where this one is read
  }

 private:
  // ---- matrices

  __device__ unsigned width() const { return plan_.projected ? dual_.layer[0].n_out : static_cast<unsigned>(walk_.n_features); }
  __device__ std::size_t matrix_size(unsigned n_rows, unsigned n_columns) const { return n_rows * whole_fours(n_columns); }

  // call(matrix, size) for every matrix that may stay, in their order.
  template <class Call>
  __device__ __forceinline__ void each_matrix(Call call) const {
    call(dual_.gram, matrix_size(width(), width()));
    for (unsigned l = 1; l < dual_.n_hidden; ++l) {
      const MlpLayer<T>& layer = dual_.layer[l];
      call(layer.forward, matrix_size(layer.n_in, layer.n_out));
      call(layer.backward, matrix_size(layer.n_out, layer.n_in));
    }
  }
  __device__ void keep_matrices() {
    T* to = shared<T>(plan_.matrices);
    unsigned index = 0;
    each_matrix([&](const T* from, std::size_t size) {
      if (index++ >= plan_.resident) return;
      for (std::size_t i = threadIdx.x; i < size; i += THREADS) to[i] = from[i];
      to += size;
    });
    __syncthreads();
  }
  // Where the matrix of this place in the order is.
  __device__ const T* matrix(unsigned wanted) const {
    const T *kept = shared<T>(plan_.matrices), *found = nullptr;
    unsigned index = 0;
    each_matrix([&](const T* from, std::size_t size) {
      if (index == wanted) found = index < plan_.resident ? kept : from;
      if (index++ < plan_.resident) kept += size;
    });
    return found;
  }
  __device__ const T* gram() const { return matrix(0); }
  __device__ const T* forward(unsigned l) const {
    return l > 0 && plan_.resident > 0 ? matrix(2 * l - 1) : dual_.layer[l].forward;
  }
  __device__ const T* backward(unsigned l) const {
    return l > 0 && plan_.resident > 0 ? matrix(2 * l) : dual_.layer[l].backward;
  }

  // ---- products

  // sums[slice][j][walk] = sum over the slice's k of in[k][walk] matrix[k][j], for all j and walks; then a barrier.
  __device__ void multiply(const T* matrix, unsigned n_in, unsigned n_out, const T* in) {
    const unsigned column_groups = (n_out + 3) / 4, row_groups = n_ / ROWS;
    const std::size_t columns = 4 * std::size_t{column_groups};
    n_slices_ = slices_of(n_in, n_out, row_groups);
    slice_size_ = columns * n_;
    const unsigned length = (n_in + n_slices_ - 1) / n_slices_;
    for (unsigned item = threadIdx.x; item < column_groups * row_groups * n_slices_; item += THREADS) {
      const unsigned column = item % column_groups * 4, rest = item / column_groups;
      const unsigned row = rest % row_groups * ROWS, slice = rest / row_groups;
      const unsigned begin = slice * length, end = min(n_in, begin + length);
      T sum[4][ROWS] = {};
      const T* entry = matrix + begin * columns + column;
      const T* number = in + begin * std::size_t{n_} + row;
#pragma unroll (ROWS == 8 ? 2 : 4)
      for (unsigned k = begin; k < end; ++k, entry += columns, number += n_) {
        const Four<T> entries = load_four(entry);
        T numbers[ROWS];
        load_rows(number, numbers);
        for (int c = 0; c < 4; ++c)
          for (int r = 0; r < ROWS; ++r) sum[c][r] += entries.at[c] * numbers[r];
      }
      T* const out = sums_ + slice * slice_size_ + column * std::size_t{n_} + row;
      for (int c = 0; c < 4; ++c)
        for (int r = 0; r < ROWS; ++r) out[c * n_ + r] = sum[c][r];
    }
    __syncthreads();
  }
  __device__ static void load_rows(const T* from, T (&numbers)[ROWS]) {
    if constexpr (ROWS == 1) {
      numbers[0] = *from;
    } else {
      for (int first = 0; first < ROWS; first += 4) {
        const Four<T> four = load_four(from + first);
        for (int r = 0; r < 4; ++r) numbers[first + r] = four.at[r];
      }
    }
  }
  __device__ T sum_of(std::size_t i) const {
    T total = sums_[i];
    for (unsigned slice = 1; slice < n_slices_; ++slice) total += sums_[slice * slice_size_ + i];
    return total;
  }

  // ---- one walk's steps; a thread's items i = threadIdx.x, + THREADS, ... all belong to the walk own_

  __device__ bool present(unsigned walk) const { return first_ + walk < walk_.n_walks; }

  __device__ void begin() {
    const std::size_t d = walk_.n_features;
    T* const x = plan_.projected ? path_ : state_;
    for (std::size_t i = threadIdx.x; i < d * n_; i += THREADS) {
      x[i] = present(own_) ? walk_.x[(first_ + own_) * d + (i >> shift_)] : T{0};
      if (walk_.trajectory && present(own_)) frame_of(walk_, first_ + own_, 0)[i >> shift_] = x[i];
    }
    if (threadIdx.x < n_) control_.moving[threadIdx.x] = present(threadIdx.x);
    __syncthreads();
    if (!plan_.projected) return;
    const MlpLayer<T>& layer = dual_.layer[0];
    multiply(layer.forward, layer.n_in, layer.n_out, x);
    for (std::size_t i = threadIdx.x; i < layer.n_out * std::size_t{n_}; i += THREADS) {
      state_[i] = layer.bias[i >> shift_] + sum_of(i);
      path_[i] = T{0};
    }
  }

  // The gradient, or W_1 times it for a projected walk, as sums; what the thread's own items add to f and to |gradient|^2.
  __device__ void evaluate(bool with_gradient) {
    f_ = squared_ = T{0};
    if (dual_.n_hidden == 0) return evaluate_line();
    std::size_t slopes = 0;
    for (unsigned l = 0; l < dual_.n_hidden; ++l) {
      const MlpLayer<T>& layer = dual_.layer[l];
      const bool known = l == 0 && plan_.projected, topmost = l + 1 == dual_.n_hidden;
      if (!known) multiply(forward(l), layer.n_in, layer.n_out, l == 0 ? state_ : values_);
      for (std::size_t i = threadIdx.x; i < layer.n_out * std::size_t{n_}; i += THREADS) {
        T slope;
        const T value = silu(known ? state_[i] : layer.bias[i >> shift_] + sum_of(i), slope);
        slopes_[slopes + i] = slope;
        values_[i] = topmost ? dual_.last[i >> shift_] * slope : value;
        if (topmost) f_ += dual_.last[i >> shift_] * value;
      }
      slopes += layer.n_out * std::size_t{n_};
      __syncthreads();
    }
    if (!with_gradient) return;
    slopes -= dual_.layer[dual_.n_hidden - 1].n_out * std::size_t{n_};
    for (unsigned l = dual_.n_hidden - 1; l > 0; --l) {
      const MlpLayer<T>& layer = dual_.layer[l];
      slopes -= layer.n_in * std::size_t{n_};
      multiply(backward(l), layer.n_out, layer.n_in, values_);
      for (std::size_t i = threadIdx.x; i < layer.n_in * std::size_t{n_}; i += THREADS)
        values_[i] = slopes_[slopes + i] * sum_of(i);
      __syncthreads();
    }
    multiply(plan_.projected ? gram() : backward(0), dual_.layer[0].n_out, width(), values_);
    for (std::size_t i = threadIdx.x; i < width() * std::size_t{n_}; i += THREADS) {
      const T total = sum_of(i);
      sums_[i] = total;
      squared_ += (plan_.projected ? values_[i] : total) * total;
    }
  }

  // Without a hidden layer f is a line, and its gradient the last layer's weights.
  __device__ void evaluate_line() {
    for (std::size_t i = threadIdx.x; i < walk_.n_features * n_; i += THREADS) {
      const T weight = dual_.last[i >> shift_];
      f_ += weight * state_[i];
      sums_[i] = weight;
      squared_ += weight * weight;
    }
  }

  // Which walks go on, and how far; whether any does.
  __device__ bool decide(std::size_t step) {
    for (unsigned other = n_; other < 32; other *= 2) {
      f_ += __shfl_xor_sync(0xffffffffu, f_, other);
      squared_ += __shfl_xor_sync(0xffffffffu, squared_, other);
    }
    const unsigned lane = threadIdx.x % 32, warp = threadIdx.x / 32;
    if (lane < n_) {
      control_.f[warp * n_ + lane] = f_;
      control_.squared[warp * n_ + lane] = squared_;
    }
    __syncthreads();
    bool moving = false;
    if (threadIdx.x < n_ && control_.moving[threadIdx.x]) {
      T f = dual_.last_bias[0], squared = T{0};
      for (unsigned w = 0; w < WARPS; ++w) {
        f += control_.f[w * n_ + threadIdx.x];
        squared += control_.squared[w * n_ + threadIdx.x];
      }
      if (plan_.projected && squared < T{0}) squared = T{0};  // rounding: it is a square
      const std::size_t number = first_ + threadIdx.x;
      const Move<T> next = next_move(walk_, number, f, squared);
      moving = next.going && step < walk_.n_steps;
      control_.moving[threadIdx.x] = moving;
      control_.size[threadIdx.x] = next.size;
      if (!moving) {
        walk_.f[number] = f;
        walk_.steps[number] = static_cast<std::int64_t>(step);
        walk_.reached[number] = next.reached;
      }
    }
    return __syncthreads_or(moving) != 0;
  }

  __device__ void move_projected() {
    if (!control_.moving[own_]) return;
    const T size = control_.size[own_];
    for (std::size_t i = threadIdx.x; i < width() * std::size_t{n_}; i += THREADS) {
      state_[i] += size * sums_[i];
      path_[i] += size * values_[i];
    }
  }

  __device__ void move(std::size_t step) {
    const std::size_t d = walk_.n_features, number = first_ + own_;
    for (std::size_t item = threadIdx.x; item < whole_fours(d) / 4 * n_; item += THREADS) {
      const std::size_t group = item >> shift_;
      T noise[4] = {};
      if (control_.moving[own_] && walk_.noise_scale != T{0}) step_noise(walk_, number, step, group, noise);
      for (std::size_t j = 4 * group, k = 0; k < 4 && j < d; ++j, ++k) {
        T& x = state_[j * n_ + own_];
        const T moved = x + control_.size[own_] * sums_[j * n_ + own_] + walk_.noise_scale * noise[k];
        if (control_.moving[own_]) x = into_bounds(walk_, j, moved);
        if (walk_.trajectory && present(own_)) frame_of(walk_, number, step + 1)[j] = x;
      }
    }
    __syncthreads();
  }

  // x where it belongs, and in all frames after `step`, the last one taken.
  __device__ void end(std::size_t step) {
    const std::size_t d = walk_.n_features, number = first_ + own_;
    if (plan_.projected) multiply(dual_.layer[0].backward, dual_.layer[0].n_out, static_cast<unsigned>(d), path_);
    if (!present(own_)) return;
    for (std::size_t i = threadIdx.x; i < d * n_; i += THREADS) {
      T& x = walk_.x[number * d + (i >> shift_)];
      x = plan_.projected ? x + sum_of(i) : state_[i];
      if (!walk_.trajectory) continue;
      for (std::size_t frame = step + 1; frame <= walk_.n_steps; ++frame) frame_of(walk_, number, frame)[i >> shift_] = x;
    }
  }

  const Walk<T>& walk_;
  const MlpDual<T>& dual_;
  const TilePlan& plan_;
  const unsigned n_, shift_, own_;
  Control<T>& control_;
  T *state_, *path_, *values_, *slopes_, *sums_;
  std::size_t first_ = 0, slice_size_ = 0;
  unsigned n_slices_ = 1;
  T f_ = T{0}, squared_ = T{0};
};

template <class T, int ROWS>
__global__ void __launch_bounds__(THREADS, 1)
    tile_kernel(const __grid_constant__ Walk<T> walk, const __grid_constant__ MlpDual<T> dual,
                const __grid_constant__ TilePlan plan, T* workspace) {
  Tile<T, ROWS> tile(walk, dual, plan, workspace);
  for (std::size_t t = blockIdx.x; t * plan.walks < walk.n_walks; t += gridDim.x) tile.run(t);
}

// ---- on the host

template <class T>
TilePlan room_for(const Walk<T>& walk, const MlpDual<T>& dual, bool projected, unsigned walks) {
  TilePlan plan{};
  plan.walks = walks;
  while (1u << plan.shift < walks) ++plan.shift;
  plan.projected = projected;
  const unsigned row_groups = walks / rows_for<T>(walks), d = static_cast<unsigned>(walk.n_features);
  std::size_t widest = 0, units = 0, sums = whole_fours(d);
  const auto product = [&](unsigned n_in, unsigned n_out) {
    const std::size_t size = slices_of(n_in, n_out, row_groups) * whole_fours(n_out);
    sums = size > sums ? size : sums;
  };
  for (unsigned l = 0; l < dual.n_hidden; ++l) {
    const MlpLayer<T>& layer = dual.layer[l];
    widest = layer.n_out > widest ? layer.n_out : widest;
    units += layer.n_out;
    product(layer.n_in, layer.n_out);
    product(layer.n_out, layer.n_in);
  }
  const std::size_t first = dual.n_hidden ? dual.layer[0].n_out : 0;
  if (projected) product(static_cast<unsigned>(first), static_cast<unsigned>(first));
  plan.path = whole_fours((projected ? first : d) * walks);
  plan.values = plan.path + whole_fours(projected ? first * walks : 0);
  plan.slopes = plan.values + whole_fours(widest * walks);
  plan.sums = plan.slopes + whole_fours(units * walks);
  if (projected && plan.sums < plan.path + d * walks) plan.sums = whole_fours(plan.path + d * walks);
  plan.size = plan.sums + sums * walks;
  return plan;
}

// Lets as many matrices stay as fit behind `bytes` of shared memory; the bytes then.
template <class T>
std::size_t keep_resident(const MlpDual<T>& dual, std::size_t most, std::size_t bytes, TilePlan& plan) {
  const auto keep = [&](std::size_t n_rows, std::size_t n_columns) {
    const std::size_t more = n_rows * whole_fours(n_columns) * sizeof(T);
    if (bytes + more > most) return false;
    bytes += more;
    ++plan.resident;
    return true;
  };
  bytes = plan.matrices = (bytes + 15) / 16 * 16;
  bool fits = keep(dual.layer[0].n_out, dual.layer[0].n_out);
  for (unsigned l = 1; fits && l < dual.n_hidden; ++l) {
    const MlpLayer<T>& layer = dual.layer[l];
    fits = keep(layer.n_in, layer.n_out) && keep(layer.n_out, layer.n_in);
  }
  return bytes;
}

template <class T, int ROWS>
void launch_tile(const Walk<T>& walk, const MlpDual<T>& dual, const TilePlan& plan, std::size_t bytes, const Device& device,
                 Workspace& workspace, cudaStream_t stream) {
  const auto kernel = tile_kernel<T, ROWS>;
  const std::size_t tiles = (walk.n_walks + plan.walks - 1) / plan.walks;
  const std::size_t most = resident_blocks("walk_mlp", kernel, device, THREADS, bytes);
  const unsigned blocks = static_cast<unsigned>(tiles < most ? tiles : most);
  T* const rooms = plan.in_shared ? nullptr : workspace.take<T>(blocks * plan.size);
  launch("walk_mlp", kernel, {blocks, THREADS, bytes}, stream, walk, dual, plan, rooms);
}

}  // namespace

template <class T>
void walk_mlp_tile(const Walk<T>& walk, const MlpDual<T>& dual, bool projected, const Device& device, Workspace& workspace,
                   cudaStream_t stream) {
  const auto multiprocessors = static_cast<std::size_t>(device.multiprocessors);
  unsigned walks = 1;  // a tile: no more than give every multiprocessor one
  while (walks < MOST_WALKS && (walk.n_walks + walks - 1) / walks > multiprocessors) walks *= 2;
  const std::size_t control = control_bytes<T>();
  TilePlan plan = room_for(walk, dual, projected, walks);
  const auto fits = [&] { return control + plan.size * sizeof(T) <= device.shared_block; };
  while (walks > FEW_WALKS && !fits()) plan = room_for(walk, dual, projected, walks /= 2);
  plan.in_shared = fits();
  std::size_t bytes = control + (plan.in_shared ? plan.size * sizeof(T) : 0);
  if (projected) bytes = keep_resident(dual, device.shared_block, bytes, plan);
  const unsigned rows = rows_for<T>(walks);
  if (rows == 1) return launch_tile<T, 1>(walk, dual, plan, bytes, device, workspace, stream);
  if constexpr (sizeof(T) == sizeof(float))
    if (rows == 8) return launch_tile<T, 8>(walk, dual, plan, bytes, device, workspace, stream);
  launch_tile<T, 4>(walk, dual, plan, bytes, device, workspace, stream);
}

template void walk_mlp_tile(const Walk<float>&, const MlpDual<float>&, bool, const Device&, Workspace&, cudaStream_t);
template void walk_mlp_tile(const Walk<double>&, const MlpDual<double>&, bool, const Device&, Workspace&, cudaStream_t);

}  // namespace dualwalk::cuda
