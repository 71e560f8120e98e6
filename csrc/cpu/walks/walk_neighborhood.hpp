// Walks on local Gaussian duals where each walk has a neighbourhood of its own, or few walks share one. A few walks take their
// steps together, so that one adds while another's sums come in; features lie in vector lanes.
//
// A step reads the packed factor twice: once for the projections of y = x - mean, once for the gradient. Both passes take one
// load and one multiply-add a vector, so while the factor stays in the nearest cache loads and arithmetic bind alike; beyond it
// the next cache's bandwidth does, and memory's for a step or two on very many neighbourhoods.
#pragma once

#include <algorithm>

#include "walks/thin_factor.hpp"
#include "walks/walk.hpp"

namespace dualwalk {
namespace DUALWALK_LEVEL {
namespace {

template <class T>
class NeighborhoodWalker {
  using V = Vector<T>;

 public:
  NeighborhoodWalker(const Walk<T>& walk, const LocalDual<T>& dual)
      : walk_(walk),
        dual_(dual),
        stop_(walk.poll, walk.poll_context),
        rows_(dual.n_factors, walk.n_features),
        shape_(walk.shape ? walk.shape->n_factors : 0, walk.n_features) {
    n_normals_ = !walk.shape ? walk.n_features : walk.shape->n_factors + (walk.shape->diagonal ? walk.n_features : 0);
    own_rows_ = dual.shared ? 0 : rows_.numbers();
    own_shape_ = walk.shape && !walk.shape->shared ? shape_.numbers() : 0;
    const std::size_t normals = (noise_length(n_normals_) + 15) / 16 * 16;
    const std::size_t factors = rows_.numbers() + (walk.shape ? shape_.numbers() : 0);
    const std::size_t vectors = VECTORS * rows_.padded() + rows_.weights() + shape_.weights();
    walk_numbers_ = (vectors + own_rows_ + own_shape_ + normals + 15) / 16 * 16;
    together_ = smaller(MOST_TOGETHER, larger(std::size_t{1}, NEAREST_BYTES / (factors * sizeof(T))));
    together_ = smaller(together_, (walk.n_walks + walk.n_threads - 1) / walk.n_threads);
    step_work_ = 2 * factors + (walk.noise_scale != T{0} ? NORMAL_WORK * n_normals_ : 0);
  }

  bool run() {
    const std::size_t n_tasks = (walk_.n_walks + together_ - 1) / together_;
    const double steps = static_cast<double>(walk_.n_walks) * static_cast<double>(walk_.n_steps + 1);
    const int n_threads = threads_for(steps * static_cast<double>(step_work_), walk_.n_threads);
    const std::size_t shared_rows = own_rows_ ? 0 : rows_.numbers(), shared_shape = own_shape_ ? 0 : shape_.numbers();
    const Scratch memory((shared_rows + shared_shape + walk_numbers_ * together_ * n_threads) * sizeof(T));
    if (!memory) return false;
    T* const shared = memory.template as<T>();
    if (shared_rows) rows_.pack(dual_.factor, shared);
    if (walk_.shape && shared_shape) shape_.pack(walk_.shape->factor, shared + shared_rows);
    T* const rooms = shared + shared_rows + shared_shape;
    auto body = [&](std::size_t task, int worker) {
      if (stop_.asked(worker)) return;
      One group[MOST_TOGETHER];
      const std::size_t first = task * together_, n = smaller(together_, walk_.n_walks - first);
      T* room = rooms + walk_numbers_ * together_ * worker;
      for (std::size_t i = 0; i < n; ++i, room += walk_numbers_) begin(group[i], first + i, room, shared, shared + shared_rows);
      for (std::size_t i = 0; i < n; ++i) ask_for(first + together_ + i);
      walk_group(group, n, worker);
    };
    return run_parallel(n_tasks, n_threads, body, walk_.poll, walk_.poll_context) && !stop_.asked(1);
  }

 private:
  static constexpr std::size_t VECTORS = 6, MOST_TOGETHER = 4;
  static constexpr std::size_t FIRST_NUMBERS = 2048 / sizeof(T);  // of a factor: then the processor runs ahead by itself

  // One walk under way: x goes on by `size` times `direction` at its next step.
  struct One {
    std::size_t number;
    T *x, *y, *gradient, *direction, *mean, *curvature, *weight, *shape_weight, *normals;
    const T *rows, *shape, *diagonal, *on;
    T size, constant;
    bool going;
  };

  void begin(One& one, std::size_t number, T* room, const T* shared_rows, const T* shared_shape) const {
    const std::size_t d = walk_.n_features, padded = rows_.padded(), place = dual_.shared ? 0 : number;
    const auto take = [&](std::size_t numbers) { T* const at = room; room += numbers; return at; };
    T* const own_rows = take(own_rows_);
    T* const own_shape = take(own_shape_);
    std::memset(room, 0, VECTORS * padded * sizeof(T));
    one.number = number;
    one.x = take(padded), one.y = take(padded), one.gradient = take(padded);
    one.direction = take(padded), one.mean = take(padded), one.curvature = take(padded);
    one.weight = take(rows_.weights()), one.shape_weight = take(shape_.weights()), one.normals = room;
    std::memcpy(one.x, walk_.x + number * d, d * sizeof(T));
    std::memcpy(one.mean, dual_.mean + place * d, d * sizeof(T));
    std::memcpy(one.curvature, dual_.curvature + place * d, d * sizeof(T));
    one.constant = dual_.constant[place];
    one.rows = own_rows_ ? own_rows : shared_rows;
    if (own_rows_) rows_.pack(dual_.factor + place * dual_.n_factors * d, own_rows);
    one.shape = own_shape_ ? own_shape : shared_shape;
    one.diagonal = nullptr;
    if (walk_.shape) {
      const std::size_t at = walk_.shape->shared ? 0 : number;
      if (own_shape_) shape_.pack(walk_.shape->factor + at * walk_.shape->n_factors * d, own_shape);
      if (walk_.shape->diagonal) one.diagonal = walk_.shape->diagonal + at * d;
    }
    one.on = one.gradient;
    one.size = T{0};
    one.going = true;
    walk_.steps[number] = 0;
    walk_.reached[number] = false;
  }

  // Asks for what the next walks begin with: short rows that lie far apart.
  void ask_for(std::size_t number) const {
    if (number >= walk_.n_walks) return;
    const std::size_t d = walk_.n_features;
    const auto ask = [](const T* from, std::size_t numbers) {
      for (std::size_t i = 0; i < numbers; i += 64 / sizeof(T)) __builtin_prefetch(from + i);
    };
    ask(walk_.x + number * d, d);
    if (dual_.shared) return;
    ask(dual_.mean + number * d, d);
    ask(dual_.curvature + number * d, d);
    ask(dual_.factor + number * dual_.n_factors * d, smaller(FIRST_NUMBERS, dual_.n_factors * d));
  }

  void walk_group(One* group, std::size_t n, int worker) {
    std::size_t work = 0;
    for (std::size_t step = 0; step <= walk_.n_steps; ++step) {
      if ((work += n * step_work_) > POLL_STEPS_WORK) {
        work = 0;
        if (stop_.asked(worker)) return;
      }
      V total[MOST_TOGETHER];
      bool any = false;
      for (std::size_t i = 0; i < n; ++i)
        if (group[i].going) total[i] = go_on(group[i], step);
      for (std::size_t i = 0; i < n; ++i)
        if (group[i].going) any |= take_step(group[i], step, total[i]);
      if (!any) break;
    }
    const std::size_t d = walk_.n_features;
    for (std::size_t i = 0; i < n; ++i) std::memcpy(walk_.x + group[i].number * d, group[i].x, d * sizeof(T));
  }

  // To the next point, and the first projections there; curvature . y^2 by lane.
  V go_on(One& one, std::size_t step) const {
    if (walk_.low && step) {
      for (std::size_t j = 0; j < walk_.n_features; ++j)
        one.x[j] = smaller(larger(one.x[j] + one.size * one.on[j], walk_.low[j]), walk_.high[j]);
      one.size = T{0};
    }
    const RowMove<T> move{one.x, one.y, one.gradient, one.on, one.mean, one.curvature, one.size};
    const V total = rows_.move_and_project(one.rows, move, one.weight);
    record(one, step);
    return total;
  }

  // f and its gradient at this point, and where to go from here; false where the walk ends.
  bool take_step(One& one, std::size_t step, V total) {
    const std::size_t n_blocks = rows_.n_blocks();
    const bool last = step == walk_.n_steps, value_only = last && !walk_.target;
    V squares{};
    for (std::size_t block = 0; block < n_blocks; ++block) {
      if (block + 1 < n_blocks) rows_.project(block + 1, one.rows, one.y, one.weight);
      total += rows_.squares(block, one.weight);
      if (!value_only) squares = rows_.add(block, one.rows, one.weight, one.gradient);
    }
    V sums[LANES<T>] = {total, squares};
    const V both = lane_sums<2>(sums);
    Stand<T> stand{one.constant + T(0.5) * both[0], both[1]};
    walk_.f[one.number] = stand.f;
    if (value_only) return one.going = false;
    if (walk_.shape) stand.squared_gradient = project_shape(one);
    one.size = step_factor(walk_, one.number, stand, one.going, walk_.reached[one.number]);
    if (!one.going)
      for (std::size_t rest = step + 1; rest <= walk_.n_steps; ++rest) record(one, rest);
    if (!one.going || last) return one.going = false;
    ++walk_.steps[one.number];
    direct(one, step);
    return true;
  }

  // With C = shape^T shape + diagonal: shape g into its weights; returns g . C g.
  T project_shape(One& one) const {
    V total{};
    for (std::size_t block = 0; block < shape_.n_blocks(); ++block) {
      shape_.project(block, one.shape, one.gradient, one.shape_weight);
      total += shape_.squares(block, one.shape_weight);
    }
    V sums[LANES<T>] = {total};
    T sum = lane_sums<1>(sums)[0];
    if (one.diagonal)
      for (std::size_t j = 0; j < walk_.n_features; ++j) sum += one.diagonal[j] * one.gradient[j] * one.gradient[j];
    return sum;
  }

  // Where noise or a preconditioner bends the step, its direction, size and noise included; else the gradient itself.
  void direct(One& one, std::size_t step) const {
    const bool noisy = walk_.noise_scale != T{0};
    one.on = one.gradient;
    if (!noisy && !walk_.shape) return;
    const std::size_t d = walk_.n_features;
    const T size = one.size, scale = walk_.noise_scale;
    if (noisy)
      draw_noise(walk_.seed, one.number, step, n_normals_, one.normals);
    else
      std::memset(one.normals, 0, n_normals_ * sizeof(T));
    one.on = one.direction;
    one.size = T{1};
    if (!walk_.shape) {
      for (std::size_t j = 0; j < d; ++j) one.direction[j] = size * one.gradient[j] + scale * one.normals[j];
      return;
    }
    const T* const rest = one.normals + walk_.shape->n_factors;
    if (!one.diagonal)
      std::memset(one.direction, 0, d * sizeof(T));
    else
      for (std::size_t j = 0; j < d; ++j)
        one.direction[j] = size * one.diagonal[j] * one.gradient[j] + scale * std::sqrt(one.diagonal[j]) * rest[j];
    for (std::size_t block = 0; block < shape_.n_blocks(); ++block) {
      T* const weight = one.shape_weight + shape_.weight_at(block);
      const T* const normals = one.normals + shape_.first_row(block);
      for (std::size_t r = 0; r < shape_.block_rows(block); ++r) weight[r] = size * weight[r] + scale * normals[r];
      shape_.add(block, one.shape, one.shape_weight, one.direction);
    }
  }

  void record(const One& one, std::size_t frame) const {
    if (!walk_.trajectory) return;
    const std::size_t d = walk_.n_features;
    std::memcpy(walk_.trajectory + (one.number * (walk_.n_steps + 1) + frame) * d, one.x, d * sizeof(T));
  }

  const Walk<T>& walk_;
  const LocalDual<T>& dual_;
  Stop stop_;
  const ThinFactor<T> rows_, shape_;
  std::size_t n_normals_, own_rows_, own_shape_, walk_numbers_, together_, step_work_;
};

}  // namespace
}  // namespace DUALWALK_LEVEL
}  // namespace dualwalk
