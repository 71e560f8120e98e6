// Walks on local Gaussian duals: y = x - mean, then two products with a neighbourhood's thin factor. One walk at a time where
// each has a neighbourhood of its own, a tile at a time where many share one.
#pragma once

#include "walk_tile.hpp"

namespace dualwalk {
namespace DUALWALK_LEVEL {
namespace {

template <class T>
class LocalWalker {
  using V = Vector<T>;

 public:
  LocalWalker(const Walk<T>& walk, const LocalDual<T>& dual)
      : walk_(walk), dual_(dual), shaper_(walk), stop_(walk.poll, walk.poll_context) {
    padded_ = (walk.n_features + SUMS<T> - 1) / SUMS<T> * SUMS<T>;
    factors_ = (dual.n_factors + ROWS_AT_ONCE - 1) / ROWS_AT_ONCE * ROWS_AT_ONCE;
    // y, gradient, curvature, step, the factor's rows, all padded with zeros; one row of noise
    worker_numbers_ = (padded_ * (FIXED_ROWS + factors_) + noise_length(shaper_.n_normals()) + 31) / 16 * 16;
  }

  bool run() {
    const Scratch rooms(worker_numbers_ * sizeof(T) * walk_.n_threads);
    if (!rooms) return false;
    auto body = [&](std::size_t number, int worker) {
      if (!stop_.asked(worker)) walk_one(number, worker, rooms.template as<T>() + worker_numbers_ * worker);
    };
    return run_parallel(walk_.n_walks, walk_.n_threads, body, walk_.poll, walk_.poll_context) && !stop_.asked(1);
  }

 private:
  static constexpr std::size_t FIXED_ROWS = 4;

  void walk_one(std::size_t number, int worker, T* room) {
    const std::size_t d = walk_.n_features, place = dual_.shared ? 0 : number;
    T* const y = room;
    T* const gradient = y + padded_;
    T* const curvature = gradient + padded_;
    T* const step_row = curvature + padded_;
    T* const factor = step_row + padded_;
    T* const normals = factor + padded_ * factors_;
    const T* const mean = dual_.mean + place * d;
    T* const x = walk_.x + number * d;
    std::memset(room, 0, padded_ * (FIXED_ROWS + factors_) * sizeof(T));
    for (std::size_t j = 0; j < d; ++j) {
      y[j] = x[j] - mean[j];
      curvature[j] = dual_.curvature[place * d + j];
    }
    for (std::size_t k = 0; k < dual_.n_factors; ++k)
      std::memcpy(factor + k * padded_, dual_.factor + (place * dual_.n_factors + k) * d, d * sizeof(T));
    bool going = true;
    std::size_t work = 0;
    walk_.steps[number] = 0;
    walk_.reached[number] = false;
    record(x, number, 0);
    for (std::size_t step = 0;; ++step) {
      if ((work += 2 * padded_ * (dual_.n_factors + shaper_.n_normals() / (d + 1) + 1)) > POLL_STEPS_WORK) {
        work = 0;
        if (stop_.asked(worker)) return;
      }
      const bool last = step == walk_.n_steps;
      Stand<T> stand = evaluate(y, gradient, curvature, factor, dual_.constant[place]);
      walk_.f[number] = stand.f;
      if (last && !walk_.target) return;
      const T* direction = gradient;
      if (shaper_) {
        stand.squared_gradient = shaper_.apply(number, gradient, step_row);
        direction = step_row;
      }
      const T size = step_factor(walk_, number, stand, going, walk_.reached[number]);
      if (!going) {
        if (walk_.trajectory)
          for (std::size_t rest = step + 1; rest <= walk_.n_steps; ++rest) record(x, number, rest);
        return;
      }
      if (last) return;
      ++walk_.steps[number];
      for (std::size_t j = 0; j < d; ++j) x[j] += size * direction[j];
      if (walk_.noise_scale != T{0}) add_multiple(walk_.noise_scale, shaper_.noise(number, step, normals, step_row), d, x);
      for (std::size_t j = 0; j < d; ++j) {
        if (walk_.low) x[j] = smaller(larger(x[j], walk_.low[j]), walk_.high[j]);
        y[j] = x[j] - mean[j];
      }
      record(x, number, step + 1);
    }
  }

  Stand<T> evaluate(const T* y, T* gradient, const T* curvature, const T* factor, T constant) const {
    for (std::size_t j = 0; j < padded_; j += LANES<T>) store(gradient + j, load<V>(curvature + j) * load<V>(y + j));
    T twice = dot(gradient, y, padded_);
    for (std::size_t k = 0; k < factors_; k += ROWS_AT_ONCE) {
      const T* const rows = factor + k * padded_;
      T projection[ROWS_AT_ONCE];
      dots<ROWS_AT_ONCE>(rows, padded_, y, padded_, projection);
      add_multiples<ROWS_AT_ONCE>(projection, rows, padded_, padded_, gradient);
      for (const T p : projection) twice += p * p;
    }
    return {constant + T(0.5) * twice, dot(gradient, gradient, padded_)};
  }

  void record(const T* x, std::size_t number, std::size_t frame) const {
    if (!walk_.trajectory) return;
    std::memcpy(walk_.trajectory + (number * (walk_.n_steps + 1) + frame) * walk_.n_features, x, walk_.n_features * sizeof(T));
  }

  const Walk<T>& walk_;
  const LocalDual<T>& dual_;
  const Shaper<T> shaper_;
  Stop stop_;
  std::size_t padded_, factors_, worker_numbers_;
};

// One neighbourhood at a tile of points.
template <class T>
class LocalModel {
  using V = Vector<T>;

 public:
  std::size_t work, room_numbers;

  LocalModel(const LocalDual<T>& dual, std::size_t n_features) : dual_(dual), d_(n_features) {
    work = 2 * dual.n_factors * d_ * TILE<T>;
    room_numbers = (d_ + dual.n_factors + 1) * TILE<T>;  // y, projections, f
    backward_ = packed_size<T>(dual.n_factors, d_);
  }

  std::size_t packed_bytes() const { return (backward_ + packed_size<T>(d_, dual_.n_factors)) * sizeof(T); }
  void pack_factor(T* packed) {
    packed_ = packed;
    pack(dual_.factor, dual_.n_factors, d_, d_, std::size_t{1}, packed);
    pack(dual_.factor, d_, dual_.n_factors, std::size_t{1}, d_, packed + backward_);
  }

  const T* evaluate(const T* x, T* room, T* gradient) const {
    T* const y = room;
    T* const projection = y + d_ * TILE<T>;
    T* const f = projection + dual_.n_factors * TILE<T>;
    V twice[TILE_VECTORS] = {};
    for (std::size_t j = 0; j < d_; ++j)
      for (std::size_t v = 0; v < TILE_VECTORS; ++v) {
        const std::size_t at = j * TILE<T> + v * LANES<T>;
        const V offset = load<V>(x + at) - dual_.mean[j];
        store(y + at, offset);
        twice[v] += dual_.curvature[j] * offset * offset;
      }
    multiply(packed_, dual_.n_factors, d_, y, static_cast<const T*>(nullptr), projection);
    for (std::size_t k = 0; k < dual_.n_factors; ++k)
      for (std::size_t v = 0; v < TILE_VECTORS; ++v) {
        const V p = load<V>(projection + k * TILE<T> + v * LANES<T>);
        twice[v] += p * p;
      }
    for (std::size_t v = 0; v < TILE_VECTORS; ++v) store(f + v * LANES<T>, dual_.constant[0] + T(0.5) * twice[v]);
    if (!gradient) return f;
    multiply(packed_ + backward_, d_, dual_.n_factors, projection, static_cast<const T*>(nullptr), gradient);
    for (std::size_t j = 0; j < d_; ++j)
      for (std::size_t v = 0; v < TILE_VECTORS; ++v) {
        const std::size_t at = j * TILE<T> + v * LANES<T>;
        store(gradient + at, load<V>(gradient + at) + dual_.curvature[j] * load<V>(y + at));
      }
    return f;
  }

 private:
  const LocalDual<T>& dual_;
  const std::size_t d_;
  const T* packed_ = nullptr;
  std::size_t backward_;
};

template <class T>
bool walk_local(const Walk<T>& walk, const LocalDual<T>& dual) {
  if (dual.shared && 2 * walk.n_walks > TILE<T>) {  // or most of a tile would be empty
    LocalModel<T> model(dual, walk.n_features);
    const Scratch factor(model.packed_bytes());
    if (!factor) return false;
    model.pack_factor(factor.template as<T>());
    return TileWalker<T, LocalModel<T>>(walk, model).run();
  }
  return LocalWalker<T>(walk, dual).run();
}

}  // namespace
}  // namespace DUALWALK_LEVEL
}  // namespace dualwalk
