// Walks on an MLP dual. A tile of walks lies side by side in vector lanes, features down: every layer is a small matrix
// product with broadcast weights, and no arithmetic ever crosses lanes, so a walk's bits do not depend on its neighbours.
#pragma once

#include "dualwalk/activation.hpp"
#include "walk.hpp"

namespace dualwalk {
namespace DUALWALK_LEVEL {
namespace {

constexpr std::size_t TILE_VECTORS = 2;
constexpr std::size_t ROWS = VECTOR_BYTES == 64 ? 12 : 4;  // rows of a product kept in registers

template <class T>
constexpr std::size_t TILE = TILE_VECTORS * LANES<T>;

// A matrix with its rows in blocks of ROWS, a block stored column by column; rows beyond the last are zero.
template <class T>
DUALWALK_FN std::size_t packed_size(std::size_t n_rows, std::size_t n_columns) {
  return (n_rows + ROWS - 1) / ROWS * ROWS * n_columns;
}
template <class T>
void pack(const T* matrix, std::size_t n_rows, std::size_t n_columns, std::size_t row_step, std::size_t column_step, T* packed) {
  for (std::size_t block = 0; block < n_rows; block += ROWS)
    for (std::size_t column = 0; column < n_columns; ++column)
      for (std::size_t row = block; row < block + ROWS; ++row)
        *packed++ = row < n_rows ? matrix[row * row_step + column * column_step] : T{0};
}

// out[r] = start[r] + sum_c matrix[r, c] in[c] for every row r, each entry a tile of lanes; start may be null.
template <class T>
void multiply(const T* packed, std::size_t n_rows, std::size_t n_columns, const T* in, const T* start, T* out) {
  using V = Vector<T>;
  for (std::size_t block = 0; block < n_rows; block += ROWS, packed += ROWS * n_columns) {
    const std::size_t rows = smaller(ROWS, n_rows - block);
    V sum[ROWS][TILE_VECTORS];
#pragma GCC unroll 16
    for (std::size_t r = 0; r < ROWS; ++r)
#pragma GCC unroll 2
      for (std::size_t v = 0; v < TILE_VECTORS; ++v) sum[r][v] = splat<V>(start && r < rows ? start[block + r] : T{0});
    const T* weights = packed;
    for (std::size_t column = 0; column < n_columns; ++column, weights += ROWS) {
      V x[TILE_VECTORS];
#pragma GCC unroll 2
      for (std::size_t v = 0; v < TILE_VECTORS; ++v) x[v] = load<V>(in + column * TILE<T> + v * LANES<T>);
#pragma GCC unroll 16
      for (std::size_t r = 0; r < ROWS; ++r)
#pragma GCC unroll 2
        for (std::size_t v = 0; v < TILE_VECTORS; ++v) sum[r][v] += weights[r] * x[v];
    }
#pragma GCC unroll 16
    for (std::size_t r = 0; r < ROWS; ++r)
      if (r < rows)
#pragma GCC unroll 2
        for (std::size_t v = 0; v < TILE_VECTORS; ++v) store(out + (block + r) * TILE<T> + v * LANES<T>, sum[r][v]);
  }
}

template <class T>
class MlpWalker {
  using V = Vector<T>;
  static constexpr std::size_t MAX_LAYERS = 64;

 public:
  MlpWalker(const Walk<T>& walk, const MlpDual<T>& dual) : walk_(walk), dual_(dual), stop_(walk.poll, walk.poll_context) {
    std::size_t at = 0;
    for (std::size_t l = 0; l < dual.n_layers; ++l) {
      const std::size_t in = dual.width[l], out = dual.width[l + 1];
      forward_[l] = at;
      at += packed_size<T>(out, in);
      backward_[l] = at;
      at += packed_size<T>(in, out);
      work_ += 2 * in * out * TILE<T>;
    }
    n_packed_ = at;
    // per worker: x, gradient and one row of noise, then every hidden layer's activation and slope
    std::size_t numbers = (2 * dual.width[0]) * TILE<T> + noise_length(dual.width[0]);
    for (std::size_t l = 1; l <= dual.n_layers; ++l) {
      activation_[l] = numbers;
      numbers += dual.width[l] * TILE<T>;
      slope_[l] = numbers;
      numbers += dual.width[l] * TILE<T>;
    }
    worker_numbers_ = (numbers + 31) / 16 * 16;
  }

  bool run() {
    if (dual_.n_layers > MAX_LAYERS) return false;
    const Scratch weights(n_packed_ * sizeof(T)), rooms(worker_numbers_ * sizeof(T) * walk_.n_threads);
    if (!weights || !rooms) return false;
    packed_ = weights.template as<T>();
    for (std::size_t l = 0; l < dual_.n_layers; ++l) {
      const std::size_t in = dual_.width[l], out = dual_.width[l + 1];
      pack(dual_.weight[l], out, in, in, std::size_t{1}, packed_ + forward_[l]);
      pack(dual_.weight[l], in, out, std::size_t{1}, in, packed_ + backward_[l]);
    }
    auto body = [&](std::size_t tile, int worker) { walk_tile(tile, worker, rooms.template as<T>() + worker_numbers_ * worker); };
    return run_parallel((walk_.n_walks + TILE<T> - 1) / TILE<T>, walk_.n_threads, body, walk_.poll, walk_.poll_context) &&
           !stop_.asked(1);
  }

 private:
  void walk_tile(std::size_t tile, int worker, T* room) {
    const std::size_t d = walk_.n_features, first = tile * TILE<T>, n = smaller(TILE<T>, walk_.n_walks - first);
    T* const x = room;
    T* const gradient = room + d * TILE<T>;
    T* const normals = gradient + d * TILE<T>;
    for (std::size_t j = 0; j < d; ++j)
      for (std::size_t lane = 0; lane < TILE<T>; ++lane) x[j * TILE<T> + lane] = walk_.x[(first + smaller(lane, n - 1)) * d + j];
    bool going[TILE<T>] = {};
    for (std::size_t lane = 0; lane < n; ++lane) {
      going[lane] = true;
      walk_.steps[first + lane] = 0;
      walk_.reached[first + lane] = false;
    }
    std::size_t work = 0;
    record(x, first, n, 0);
    for (std::size_t step = 0;; ++step) {
      if ((work += work_) > POLL_STEPS_WORK) {
        work = 0;
        if (stop_.asked(worker)) return;
      }
      const bool last = step == walk_.n_steps;
      const T* const f = evaluate(x, room, last && !walk_.target ? nullptr : gradient);
      if (last && !walk_.target) {
        for (std::size_t lane = 0; lane < n; ++lane)
          if (going[lane]) walk_.f[first + lane] = f[lane];
        break;
      }
      T factor[TILE<T>] = {};
      if (!decide(f, gradient, first, n, last, going, factor)) {
        if (walk_.trajectory)
          for (std::size_t rest = step + 1; rest <= walk_.n_steps; ++rest) record(x, first, n, rest);
        break;
      }
      if (last) break;
      advance(x, gradient, factor, normals, first, n, step, going);
      record(x, first, n, step + 1);
    }
    for (std::size_t lane = 0; lane < n; ++lane)
      for (std::size_t j = 0; j < d; ++j) walk_.x[(first + lane) * d + j] = x[j * TILE<T> + lane];
  }

  // f of every lane; the gradient too, unless it is null.
  const T* evaluate(const T* x, T* room, T* gradient) const {
    const std::size_t n_layers = dual_.n_layers;
    const T* in = x;
    for (std::size_t l = 1; l <= n_layers; ++l) {
      T* const z = room + activation_[l];
      multiply(packed_ + forward_[l - 1], dual_.width[l], dual_.width[l - 1], in, dual_.bias[l - 1], z);
      if (l < n_layers)
        for (std::size_t i = 0; i < dual_.width[l] * TILE<T>; i += LANES<T>) {
          V slope;
          store(z + i, silu(load<V>(z + i), slope));
          store(room + slope_[l] + i, slope);
        }
      in = z;
    }
    const T* const f = in;
    if (!gradient) return f;
    T* back = room + slope_[n_layers];
    for (std::size_t lane = 0; lane < TILE<T>; lane += LANES<T>) store(back + lane, splat<V>(T{1}));
    for (std::size_t l = n_layers; l > 0; --l) {
      // after the last layer's value was read its room may be reused: activation_[l - 1] takes the gradient there
      T* const below = l > 1 ? room + activation_[l - 1] : gradient;
      multiply(packed_ + backward_[l - 1], dual_.width[l - 1], dual_.width[l], back, static_cast<const T*>(nullptr), below);
      if (l > 1) {
        const T* const slope = room + slope_[l - 1];
        for (std::size_t i = 0; i < dual_.width[l - 1] * TILE<T>; i += LANES<T>)
          store(below + i, load<V>(below + i) * load<V>(slope + i));
      }
      back = below;
    }
    return f;
  }

  // Fills the step factor of every walk that goes on; false when none does.
  bool decide(const T* f, const T* gradient, std::size_t first, std::size_t n, bool last, bool* going, T* factor) const {
    V squares[TILE_VECTORS] = {};
    for (std::size_t j = 0; j < walk_.n_features; ++j)
      for (std::size_t v = 0; v < TILE_VECTORS; ++v) {
        const V g = load<V>(gradient + j * TILE<T> + v * LANES<T>);
        squares[v] += g * g;
      }
    T squared[TILE<T>];
    std::memcpy(squared, squares, sizeof(squared));
    bool any = false;
    for (std::size_t lane = 0; lane < n; ++lane) {
      if (!going[lane]) continue;
      walk_.f[first + lane] = f[lane];
      factor[lane] = step_factor(walk_, first + lane, Stand<T>{f[lane], squared[lane]}, going[lane], walk_.reached[first + lane]);
      if (going[lane] && !last) ++walk_.steps[first + lane];
      any |= going[lane];
    }
    return any;
  }

  void advance(T* x, const T* gradient, const T* factor, T* normals, std::size_t first, std::size_t n, std::size_t step,
               const bool* going) const {
    V size[TILE_VECTORS];
    std::memcpy(size, factor, sizeof(size));
    for (std::size_t j = 0; j < walk_.n_features; ++j)
      for (std::size_t v = 0; v < TILE_VECTORS; ++v) {
        T* const at = x + j * TILE<T> + v * LANES<T>;
        const V moved = load<V>(at) + size[v] * load<V>(gradient + j * TILE<T> + v * LANES<T>);
        store(at, size[v] == T{0} ? load<V>(at) : moved);  // a walk that stopped may have an infinite gradient
      }
    if (walk_.noise_scale != T{0})
      for (std::size_t lane = 0; lane < n; ++lane) {
        if (!going[lane]) continue;
        noise(walk_.seed, static_cast<std::uint32_t>(first + lane), static_cast<std::uint32_t>(step), walk_.n_features, normals);
        for (std::size_t j = 0; j < walk_.n_features; ++j) x[j * TILE<T> + lane] += walk_.noise_scale * normals[j];
      }
    if (walk_.low)
      for (std::size_t j = 0; j < walk_.n_features; ++j)
        for (std::size_t v = 0; v < TILE_VECTORS; ++v) {
          T* const at = x + j * TILE<T> + v * LANES<T>;
          const V low = splat<V>(walk_.low[j]), high = splat<V>(walk_.high[j]), now = load<V>(at);
          const V raised = now < low ? low : now;
          store(at, raised > high ? high : raised);
        }
  }

  void record(const T* x, std::size_t first, std::size_t n, std::size_t frame) const {
    if (!walk_.trajectory) return;
    const std::size_t d = walk_.n_features;
    for (std::size_t lane = 0; lane < n; ++lane) {
      T* const to = walk_.trajectory + ((first + lane) * (walk_.n_steps + 1) + frame) * d;
      for (std::size_t j = 0; j < d; ++j) to[j] = x[j * TILE<T> + lane];
    }
  }

  const Walk<T>& walk_;
  const MlpDual<T>& dual_;
  Stop stop_;
  T* packed_ = nullptr;
  std::size_t forward_[MAX_LAYERS], backward_[MAX_LAYERS], activation_[MAX_LAYERS + 1], slope_[MAX_LAYERS + 1];
  std::size_t n_packed_ = 0, worker_numbers_ = 0, work_ = 0;
};

template <class T>
bool walk_mlp(const Walk<T>& walk, const MlpDual<T>& dual) {
  return MlpWalker<T>(walk, dual).run();
}

}  // namespace
}  // namespace DUALWALK_LEVEL
}  // namespace dualwalk
