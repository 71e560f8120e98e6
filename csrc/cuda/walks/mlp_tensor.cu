// Walks in float in the space of the first layer, many at a time: a block of eight warps walks a tile, on tensor cores.
//
// A warp owns 32 units of every layer and 8 TILES walks, the other warps the rest: eight warps side by side where layers have
// up to 32 units, two by four up to 64, four by two up to 128. What it owns of z and of the walks' paths stays in registers;
// the values that a product multiplies go through shared memory, where all matrices stay for the launch. Full precision takes
// three products in tf32, of the numbers rounded to 11 bits and of what that left, cut to 11: what is lost is below 2^-19 of a
// product, and 2^-22 as a rule.
//
// 600-128-128-1: 49 thousand multiply-adds a step and walk, three times that on tensor cores in full precision.
#include "walks/mlp.hpp"
#include "walks/mlp_mma.cuh"
#include "walks/walk.cuh"

namespace dualwalk::cuda {
namespace {

constexpr unsigned WARPS = 8, THREADS = 32 * WARPS, OWN_UNITS = 32, MOST_UNITS = 128;

// Units filled up with zeros to what warps own.
DUALWALK_FN constexpr unsigned whole_warps(unsigned n) { return (n + OWN_UNITS - 1) / OWN_UNITS * OWN_UNITS; }
// Numbers a row of a matrix takes: rows begin four banks apart, so that lanes g, t at [g][t] meet no bank twice.
DUALWALK_FN constexpr unsigned row_length(unsigned n) { return whole_warps(n) + 4; }

// The block's memory, in numbers from its beginning; the same for every tile.
struct TensorPlan {
  unsigned unit_warps, walks;     // warps along the units; walks of a tile
  unsigned values_length;         // numbers a unit's values take
  std::size_t gram, vectors, values, slopes, sums, sizes;
  std::size_t size;               // then one bool a walk
  std::size_t layer[MAX_HIDDEN];  // matrices, from the second hidden layer on
};

template <Precision P, int TILES>
class TensorTile {
  using Own = float[2][TILES][4];  // a warp's 32 units and 8 TILES walks, as c of a product

 public:
  __device__ TensorTile(const Walk<float>& walk, const MlpDual<float>& dual, const TensorPlan& plan)
      : walk_(walk), dual_(dual), plan_(plan) {
    const unsigned warp = threadIdx.x / 32, lane = threadIdx.x % 32;
    first_unit_ = warp % plan.unit_warps * OWN_UNITS;
    first_walk_ = warp / plan.unit_warps * 8 * TILES;
    unit_ = first_unit_ + lane / 4;
    column_ = first_walk_ + 2 * (lane % 4);
    keep_matrices();
  }

  __device__ void run(std::size_t tile) {
    first_ = tile * plan_.walks;
    begin();
    for (std::size_t step = 0;; ++step) {
      evaluate(step < walk_.n_steps || walk_.target);
      if (!decide(step)) break;
      move();
      if (walk_.noise_scale != 0.0f) move_by_noise(step);
    }
    end();
    __syncthreads();  // the next tile writes where this one is read
  }

 private:
  __device__ unsigned first_width() const { return dual_.layer[0].n_out; }

  // call(unit, walk of the tile, slab, tile, i) for every number that the thread owns.
  template <class Call>
  __device__ __forceinline__ void each_own(Call call) const {
#pragma unroll
    for (int slab = 0; slab < 2; ++slab)
#pragma unroll
      for (int tile = 0; tile < TILES; ++tile)
#pragma unroll
        for (int i = 0; i < 4; ++i) call(unit_ + 16 * slab + 8 * (i / 2), column_ + 8 * tile + i % 2, slab, tile, i);
  }
  __device__ __forceinline__ float& value(unsigned unit, unsigned column) const {
    return shared<float>()[plan_.values + unit * plan_.values_length + column];
  }
  // Those of the warp's walks, from unit 0 on.
  __device__ __forceinline__ const float* values() const { return shared<float>() + plan_.values + first_walk_; }
  // A place of the thread's own for the slope by one of its numbers.
  __device__ __forceinline__ float& slope(unsigned layer, int slab, int tile, int i) const {
    return shared<float>()[plan_.slopes + (8 * TILES * layer + (slab * TILES + tile) * 4 + i) * THREADS + threadIdx.x];
  }
  __device__ __forceinline__ float* vector(unsigned layer) const {
    return shared<float>() + plan_.vectors + MOST_UNITS * layer;
  }
  __device__ static void clear(Own& own) {
    for (auto& slab : own)
      for (auto& tile : slab)
        for (float& number : tile) number = 0.0f;
  }

  // ---- what stays for the launch: matrices and biases, filled up with zeros

  __device__ void keep_matrices() {
    keep(dual_.gram, first_width(), first_width(), plan_.gram);
    for (unsigned l = 1; l < dual_.n_hidden; ++l) {
      keep(dual_.layer[l].backward, dual_.layer[l].n_out, dual_.layer[l].n_in, plan_.layer[l]);
      for (unsigned j = threadIdx.x; j < MOST_UNITS; j += THREADS)
        vector(l)[j] = j < dual_.layer[l].n_out ? dual_.layer[l].bias[j] : 0.0f;
    }
    for (unsigned j = threadIdx.x; j < MOST_UNITS; j += THREADS)
      vector(0)[j] = j < dual_.layer[dual_.n_hidden - 1].n_out ? dual_.last[j] : 0.0f;
    __syncthreads();
  }
  __device__ void keep(const float* from, unsigned n_rows, unsigned n_columns, std::size_t to) {
    const unsigned length = row_length(n_columns), from_length = static_cast<unsigned>(whole_fours(n_columns));
    for (unsigned i = threadIdx.x; i < whole_warps(n_rows) * length; i += THREADS) {
      const unsigned row = i / length, column = i % length;
      shared<float>()[to + i] = row < n_rows && column < n_columns ? from[row * from_length + column] : 0.0f;
    }
  }
  // Layer l's weights, or their transpose; without a layer the Gram matrix.
  __device__ Operand forward(unsigned l) const {
    return {shared<float>() + plan_.layer[l], row_length(dual_.layer[l].n_in), 1, 0, 0};
  }
  __device__ Operand backward(unsigned l) const {
    return {shared<float>() + plan_.layer[l], 1, row_length(dual_.layer[l].n_in), 0, 0};
  }
  __device__ Operand gram() const { return {shared<float>() + plan_.gram, row_length(first_width()), 1, 0, 0}; }

  // sum = a times the values of n_in units, for the warp's units among n_out; nothing may change the values until a barrier.
  __device__ __forceinline__ void product(Own& sum, const Operand& a, unsigned n_out, unsigned n_in) const {
    clear(sum);
    if (first_unit_ < n_out) multiply<P, true>(sum, a, first_unit_, n_in, values(), plan_.values_length);
  }

  // ---- one tile

  // sum += W_1 times rows of n_features numbers, by parts that the values' memory holds: put(first) writes one part there.
  template <class Put>
  __device__ __forceinline__ void add_first_product(Own& sum, Put put) {
    const MlpLayer<float>& layer = dual_.layer[0];
    const std::size_t length = whole_fours(layer.n_out);
    for (unsigned first = 0; first < layer.n_in; first += part()) {
      __syncthreads();
      put(first);
      __syncthreads();
      const unsigned n_k = min(layer.n_in - first, part());
      multiply<Precision::full, false>(sum, {layer.forward + first * length, 1, length, layer.n_out, n_k}, first_unit_, n_k,
                                       values(), plan_.values_length);
    }
    __syncthreads();
  }
  __device__ __forceinline__ unsigned part() const { return OWN_UNITS * plan_.unit_warps; }

  // z = W_1 x_0 + b_1.
  __device__ void begin() {
    const MlpLayer<float>& layer = dual_.layer[0];
    clear(z_);
    clear(path_);
    add_first_product(z_, [&](unsigned first) {
      for (unsigned i = threadIdx.x; i < part() * plan_.walks; i += THREADS) {
        const unsigned feature = first + i % part(), column = i / part();
        const bool there = feature < layer.n_in && first_ + column < walk_.n_walks;
        value(i % part(), column) = there ? walk_.x[(first_ + column) * layer.n_in + feature] : 0.0f;
      }
    });
    each_own([&](unsigned unit, unsigned, int slab, int tile, int i) {
      if (unit < layer.n_out) z_[slab][tile][i] += layer.bias[unit];
    });
    for (unsigned w = threadIdx.x; w < plan_.walks; w += THREADS) moving(w) = first_ + w < walk_.n_walks;
    __syncthreads();
  }

  // x moves by the step's noise at once, z by W_1 times it.
  __device__ void move_by_noise(std::size_t step) {
    clear(change_);
    add_first_product(change_, [&](unsigned first) {
      const unsigned groups = part() / 4;
      for (unsigned i = threadIdx.x; i < groups * plan_.walks; i += THREADS) {
        const unsigned feature = first + i % groups * 4, column = i / groups;
        float noise[4] = {};
        if (moving(column) && feature < dual_.layer[0].n_in) {
          step_noise(walk_, first_ + column, step, feature / 4, noise);
          for (float& number : noise) number *= walk_.noise_scale;
          add_to_x(first_ + column, feature, noise);
        }
        for (unsigned k = 0; k < 4; ++k) value(feature - first + k, column) = noise[k];
      }
    });
    each_own([&](unsigned, unsigned, int slab, int tile, int i) { z_[slab][tile][i] += change_[slab][tile][i]; });
  }
  // Four features, in one piece where rows begin at a multiple of 16 bytes.
  __device__ __forceinline__ void add_to_x(std::size_t number, unsigned feature, const float (&by)[4]) const {
    const unsigned d = dual_.layer[0].n_in;
    float* const x = walk_.x + number * d + feature;
    if (d % 4 == 0 && reinterpret_cast<std::uintptr_t>(walk_.x) % 16 == 0) {
      float4 four = *reinterpret_cast<float4*>(x);
      four.x += by[0];
      four.y += by[1];
      four.z += by[2];
      four.w += by[3];
      *reinterpret_cast<float4*>(x) = four;
    } else {
      for (unsigned k = 0; k < 4 && feature + k < d; ++k) x[k] += by[k];
    }
  }

  // Whether a walk goes on, and the factor of its step.
  __device__ __forceinline__ bool& moving(unsigned column) const { return shared<bool>(sizeof(float) * plan_.size)[column]; }
  __device__ __forceinline__ float& size_of(unsigned column) const { return shared<float>()[plan_.sizes + column]; }

  // f's terms and, of |gradient|^2, the warp's own; the change of z by a step of size one.
  __device__ void evaluate(bool with_gradient) {
    for (auto& tile : f_) tile[0] = tile[1] = 0.0f;
    for (auto& tile : squared_) tile[0] = tile[1] = 0.0f;
    const unsigned top = dual_.n_hidden - 1;
    activate(z_, 0, top);
    __syncthreads();
    for (unsigned l = 1; l <= top; ++l) {
      const MlpLayer<float>& layer = dual_.layer[l];
      product(change_, forward(l), layer.n_out, layer.n_in);
      __syncthreads();
      each_own([&](unsigned unit, unsigned, int slab, int tile, int i) { change_[slab][tile][i] += vector(l)[unit]; });
      activate(change_, l, top);
      __syncthreads();
    }
    if (!with_gradient) return;
    for (unsigned l = top; l > 0; --l) {
      const MlpLayer<float>& layer = dual_.layer[l];
      product(change_, backward(l), layer.n_in, layer.n_out);
      __syncthreads();
      if (first_unit_ < layer.n_in)
        each_own([&](unsigned unit, unsigned column, int slab, int tile, int i) {
          value(unit, column) = change_[slab][tile][i] * slope(l - 1, slab, tile, i);
        });
      __syncthreads();
    }
    product(change_, gram(), first_width(), first_width());
    if (first_unit_ < first_width())
      each_own([&](unsigned unit, unsigned column, int slab, int tile, int i) {
        squared_[tile][i % 2] += value(unit, column) * change_[slab][tile][i];
      });
  }

  // SiLU of a layer's sums, its slopes kept; at the top f's terms, and their slopes in the place of values.
  __device__ __forceinline__ void activate(const Own& sums, unsigned layer, unsigned top) {
    if (first_unit_ >= dual_.layer[layer].n_out) return;
    each_own([&](unsigned unit, unsigned column, int slab, int tile, int i) {
      float by_z, silu_of_z = silu(sums[slab][tile][i], by_z);
      if (layer == top) {
        const float weight = vector(0)[unit];
        f_[tile][i % 2] += weight * silu_of_z;
        silu_of_z = weight * by_z;
      } else {
        slope(layer, slab, tile, i) = by_z;
      }
      value(unit, column) = silu_of_z;
    });
  }

  // Which walks go on, and how far; whether any does.
  __device__ bool decide(std::size_t step) {
    float* const sums = shared<float>() + plan_.sums;  // (unit warp, walk, of f or of the square)
    for (int tile = 0; tile < TILES; ++tile)
      for (int i = 0; i < 2; ++i) {
        float f = f_[tile][i], squared = squared_[tile][i];
        for (int other = 4; other < 32; other *= 2) {
          f += __shfl_xor_sync(0xffffffffu, f, other);
          squared += __shfl_xor_sync(0xffffffffu, squared, other);
        }
        if (threadIdx.x % 32 < 4) {
          float* const at = sums + 2 * (first_unit_ / OWN_UNITS * plan_.walks + column_ + 8 * tile + i);
          at[0] = f;
          at[1] = squared;
        }
      }
    __syncthreads();
    bool any = false;
    for (unsigned w = threadIdx.x; w < plan_.walks; w += THREADS) {
      if (!moving(w)) continue;
      float f = dual_.last_bias[0], squared = 0.0f;
      for (unsigned warp = 0; warp < plan_.unit_warps; ++warp) {
        f += sums[2 * (warp * plan_.walks + w)];
        squared += sums[2 * (warp * plan_.walks + w) + 1];
      }
      if (squared < 0.0f) squared = 0.0f;  // rounding: it is a square
      const std::size_t number = first_ + w;
      const Move<float> next = next_move(walk_, number, f, squared);
      moving(w) = next.going && step < walk_.n_steps;
      size_of(w) = next.size;
      any = any || moving(w);
      if (moving(w)) continue;
      walk_.f[number] = f;
      walk_.steps[number] = static_cast<std::int64_t>(step);
      walk_.reached[number] = next.reached;
    }
    return __syncthreads_or(any) != 0;
  }

  __device__ void move() {
    each_own([&](unsigned unit, unsigned column, int slab, int tile, int i) {
      if (!moving(column) || first_unit_ >= first_width()) return;  // what an ended walk has there may not be finite
      const float size = size_of(column);
      z_[slab][tile][i] += size * change_[slab][tile][i];
      path_[slab][tile][i] += size * value(unit, column);
    });
  }

  // x = x_0 + W_1^T path.
  __device__ void end() {
    const MlpLayer<float>& layer = dual_.layer[0];
    if (first_unit_ < layer.n_out)
      each_own([&](unsigned unit, unsigned column, int slab, int tile, int i) { value(unit, column) = path_[slab][tile][i]; });
    __syncthreads();
    const std::size_t length = whole_fours(layer.n_in);
    for (unsigned first = first_unit_; first < layer.n_in; first += part()) {
      clear(change_);
      multiply<Precision::full, false>(change_, {layer.backward, 1, length, layer.n_in, layer.n_out}, first, layer.n_out,
                                       values(), plan_.values_length);
      each_own([&](unsigned unit, unsigned column, int slab, int tile, int i) {
        const unsigned feature = first + unit - first_unit_;
        if (feature < layer.n_in && first_ + column < walk_.n_walks)
          walk_.x[(first_ + column) * layer.n_in + feature] += change_[slab][tile][i];
      });
    }
  }

  const Walk<float>& walk_;
  const MlpDual<float>& dual_;
  const TensorPlan& plan_;
  unsigned first_unit_, first_walk_;  // of the warp
  unsigned unit_, column_;            // of the thread's first number
  std::size_t first_ = 0;
  Own z_, path_, change_;
  float f_[TILES][2], squared_[TILES][2];
};

template <Precision P, int TILES>
__global__ void __launch_bounds__(THREADS, 1)
    tensor_kernel(const __grid_constant__ Walk<float> walk, const __grid_constant__ MlpDual<float> dual,
                  const __grid_constant__ TensorPlan plan) {
  TensorTile<P, TILES> tile(walk, dual, plan);
  for (std::size_t t = blockIdx.x; t * plan.walks < walk.n_walks; t += gridDim.x) tile.run(t);
}

// ---- on the host

TensorPlan plan_for(const MlpDual<float>& dual, unsigned tiles) {
  TensorPlan plan{};
  unsigned widest = 1;
  for (unsigned l = 0; l < dual.n_hidden; ++l) widest = dual.layer[l].n_out > widest ? dual.layer[l].n_out : widest;
  plan.unit_warps = widest <= OWN_UNITS ? 1 : widest <= 2 * OWN_UNITS ? 2 : 4;
  plan.walks = WARPS / plan.unit_warps * 8 * tiles;
  plan.values_length = plan.walks + 8;  // lanes t, g at [t][g] meet no bank twice
  std::size_t size = 0;
  const auto take = [&](std::size_t n) {
    const std::size_t at = size;
    size += n;
    return at;
  };
  const unsigned first = dual.layer[0].n_out;
  plan.gram = take(std::size_t{whole_warps(first)} * row_length(first));
  for (unsigned l = 1; l < dual.n_hidden; ++l)
    plan.layer[l] = take(std::size_t{whole_warps(dual.layer[l].n_out)} * row_length(dual.layer[l].n_in));
  plan.vectors = take(std::size_t{MOST_UNITS} * dual.n_hidden);
  plan.values = take(std::size_t{plan.unit_warps} * OWN_UNITS * plan.values_length);
  plan.slopes = take(std::size_t{8} * tiles * THREADS * (dual.n_hidden - 1));
  plan.sums = take(std::size_t{2} * plan.unit_warps * plan.walks);
  plan.sizes = take(plan.walks);
  plan.size = size;
  return plan;
}

std::size_t bytes_of(const TensorPlan& plan) { return plan.size * sizeof(float) + plan.walks * sizeof(bool); }

template <Precision P>
void launch_tensor(const Walk<float>& walk, const MlpDual<float>& dual, unsigned tiles, const Device& device,
                   cudaStream_t stream) {
  const TensorPlan plan = plan_for(dual, tiles);
  const std::size_t count = (walk.n_walks + plan.walks - 1) / plan.walks;
  const auto most = static_cast<std::size_t>(device.multiprocessors);
  const Shape shape{static_cast<unsigned>(count < most ? count : most), THREADS, bytes_of(plan)};
  if (tiles == 2)
    launch("walk_mlp", tensor_kernel<P, 2>, shape, stream, walk, dual, plan);
  else
    launch("walk_mlp", tensor_kernel<P, 4>, shape, stream, walk, dual, plan);
}

}  // namespace

bool tensor_cores_take(const MlpDual<float>& dual, const Device& device) {
  for (unsigned l = 0; l < dual.n_hidden; ++l)
    if (dual.layer[l].n_out > MOST_UNITS) return false;
  return dual.n_hidden > 0 && device.capability >= 80 && bytes_of(plan_for(dual, 2)) <= device.shared_block;
}

void walk_mlp_tensor(const Walk<float>& walk, const MlpDual<float>& dual, Precision precision, const Device& device,
                     cudaStream_t stream) {
  const TensorPlan wide = plan_for(dual, 4);
  const bool fits = bytes_of(wide) <= device.shared_block;
  const std::size_t narrow_tiles = (walk.n_walks + wide.walks / 2 - 1) / (wide.walks / 2);
  const unsigned tiles = fits && narrow_tiles > static_cast<std::size_t>(device.multiprocessors) ? 4 : 2;
  if (precision == Precision::full)
    launch_tensor<Precision::full>(walk, dual, tiles, device, stream);
  else if (precision == Precision::tf32)
    launch_tensor<Precision::tf32>(walk, dual, tiles, device, stream);
  else
    launch_tensor<Precision::bf16>(walk, dual, tiles, device, stream);
}

}  // namespace dualwalk::cuda
