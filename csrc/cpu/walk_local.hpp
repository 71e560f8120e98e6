// Walks on local Gaussian duals, one walk at a time: y = x - mean, then two products with its neighbourhood's thin factor.
#pragma once

#include "walk.hpp"

namespace dualwalk {
namespace DUALWALK_LEVEL {
namespace {

template <class T>
class LocalWalker {
  using V = Vector<T>;
  static constexpr std::size_t GROUP_LANES = 64 / sizeof(T);  // partial sums of a dot product, the same on every level
  static constexpr std::size_t PARTS = GROUP_LANES / LANES<T>;

 public:
  LocalWalker(const Walk<T>& walk, const LocalDual<T>& dual) : walk_(walk), dual_(dual), stop_(walk.poll, walk.poll_context) {
    padded_ = (walk.n_features + GROUP_LANES - 1) / GROUP_LANES * GROUP_LANES;
    // y, gradient, curvature, the factor's rows, all padded with zeros; one row of noise
    worker_numbers_ = (padded_ * (3 + dual.n_factors) + noise_length(walk.n_features) + 31) / 16 * 16;
  }

  bool run() {
    const Scratch rooms(worker_numbers_ * sizeof(T) * walk_.n_threads);
    if (!rooms) return false;
    auto body = [&](std::size_t number, int worker) { walk_one(number, worker, rooms.template as<T>() + worker_numbers_ * worker); };
    return run_parallel(walk_.n_walks, walk_.n_threads, body, walk_.poll, walk_.poll_context) && !stop_.asked(1);
  }

 private:
  void walk_one(std::size_t number, int worker, T* room) {
    const std::size_t d = walk_.n_features, place = dual_.shared ? 0 : number;
    T* const y = room;
    T* const gradient = y + padded_;
    T* const curvature = gradient + padded_;
    T* const factor = curvature + padded_;
    T* const normals = factor + padded_ * dual_.n_factors;
    const T* const mean = dual_.mean + place * d;
    T* const x = walk_.x + number * d;
    for (std::size_t row = 0; row < 3 + dual_.n_factors; ++row)
      for (std::size_t j = d; j < padded_; ++j) room[row * padded_ + j] = T{0};
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
      if ((work += 2 * padded_ * (dual_.n_factors + 1)) > POLL_STEPS_WORK) {
        work = 0;
        if (stop_.asked(worker)) return;
      }
      const bool last = step == walk_.n_steps;
      const Stand<T> stand = evaluate(y, gradient, curvature, factor, dual_.constant[place]);
      walk_.f[number] = stand.f;
      if (last && !walk_.target) return;
      const T size = step_factor(walk_, number, stand, going, walk_.reached[number]);
      if (!going) {
        if (walk_.trajectory)
          for (std::size_t rest = step + 1; rest <= walk_.n_steps; ++rest) record(x, number, rest);
        return;
      }
      if (last) return;
      ++walk_.steps[number];
      if (walk_.noise_scale != T{0}) noise(walk_.seed, static_cast<std::uint32_t>(number), static_cast<std::uint32_t>(step), d, normals);
      for (std::size_t j = 0; j < d; ++j) {
        x[j] += size * gradient[j];
        if (walk_.noise_scale != T{0}) x[j] += walk_.noise_scale * normals[j];
        if (walk_.low) x[j] = smaller(larger(x[j], walk_.low[j]), walk_.high[j]);
        y[j] = x[j] - mean[j];
      }
      record(x, number, step + 1);
    }
  }

  // Sums of a product over the padded features, in GROUP_LANES partial sums.
  struct Sum {
    V part[PARTS] = {};
    DUALWALK_FN void add(const T* a, const T* b, std::size_t j) {
      for (std::size_t p = 0; p < PARTS; ++p) part[p] += load<V>(a + j + p * LANES<T>) * load<V>(b + j + p * LANES<T>);
    }
    DUALWALK_FN T total() const {
      T sum[GROUP_LANES];
      std::memcpy(sum, part, sizeof(sum));
      for (std::size_t width = GROUP_LANES / 2; width > 0; width /= 2)
        for (std::size_t i = 0; i < width; ++i) sum[i] += sum[i + width];
      return sum[0];
    }
  };

  Stand<T> evaluate(const T* y, T* gradient, const T* curvature, const T* factor, T constant) const {
    for (std::size_t j = 0; j < padded_; j += LANES<T>) store(gradient + j, load<V>(curvature + j) * load<V>(y + j));
    Sum quadratic;
    for (std::size_t j = 0; j < padded_; j += GROUP_LANES) quadratic.add(gradient, y, j);
    T twice = quadratic.total();
    for (std::size_t k = 0; k < dual_.n_factors; ++k) {
      const T* const row = factor + k * padded_;
      Sum sum;
      for (std::size_t j = 0; j < padded_; j += GROUP_LANES) sum.add(row, y, j);
      const T projection = sum.total();
      twice += projection * projection;
      for (std::size_t j = 0; j < padded_; j += LANES<T>) store(gradient + j, load<V>(gradient + j) + projection * load<V>(row + j));
    }
    Sum squares;
    for (std::size_t j = 0; j < padded_; j += GROUP_LANES) squares.add(gradient, gradient, j);
    return {constant + T(0.5) * twice, squares.total()};
  }

  void record(const T* x, std::size_t number, std::size_t frame) const {
    if (!walk_.trajectory) return;
    std::memcpy(walk_.trajectory + (number * (walk_.n_steps + 1) + frame) * walk_.n_features, x, walk_.n_features * sizeof(T));
  }

  const Walk<T>& walk_;
  const LocalDual<T>& dual_;
  Stop stop_;
  std::size_t padded_, worker_numbers_;
};

template <class T>
bool walk_local(const Walk<T>& walk, const LocalDual<T>& dual) {
  return LocalWalker<T>(walk, dual).run();
}

}  // namespace
}  // namespace DUALWALK_LEVEL
}  // namespace dualwalk
