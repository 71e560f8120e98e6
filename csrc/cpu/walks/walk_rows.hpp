// Walks a few rows at a time, whatever the dual: a model gives f and its gradient at some rows, this takes the steps.
//
// A model has: `work`, multiply-adds of one row; room_numbers(n_rows), what it needs in memory a worker; and
// evaluate(x, n_rows, room, gradient, f), which fills f and, unless it is null, the gradient. Rows of x and of the gradient lie
// whole_lines(n_features) apart.
//
// What limits it (Zen 5, AVX-512, float32): 78 to 90 % of the multiply-adds a core can do from 4 walks on, the rest being SiLU or
// exp, the step itself and entries that fill up lines; one walk alone is limited by reading its matrices from the second cache.
#pragma once

#include "simd/packed_matrix.hpp"
#include "walks/preconditioner.hpp"

namespace dualwalk {
namespace DUALWALK_LEVEL {
namespace {

// Rows of one task: enough to read a large dual seldom, few enough for a cache of their own.
constexpr std::size_t TASK_ROWS = 32;

// As many rows as give every thread a task, in whole groups.
DUALWALK_FN std::size_t rows_a_task(std::size_t n_rows, int n_threads) {
  const std::size_t share = (n_rows + n_threads - 1) / n_threads;
  return smaller(TASK_ROWS, (share + PANEL_ROWS - 1) / PANEL_ROWS * PANEL_ROWS);
}

// Rows of a batch for one task: those still under way come first, `number` says which they are.
template <class T>
struct RowGroup {
  std::size_t n, number[TASK_ROWS];

  // Copies of the rows `first` .. into x, zeros behind each.
  RowGroup(const T* rows, std::size_t first, std::size_t count, std::size_t d, T* x) : n(count) {
    const std::size_t step = whole_lines<T>(d);
    for (std::size_t r = 0; r < n; ++r) {
      number[r] = first + r;
      std::memcpy(x + r * step, rows + number[r] * d, d * sizeof(T));
      std::memset(x + r * step + d, 0, (step - d) * sizeof(T));
    }
  }
};

template <class T, class Model>
class RowWalker {
  using V = Vector<T>;

 public:
  RowWalker(const Walk<T>& walk, const Model& model)
      : walk_(walk), model_(model), shaper_(walk), stop_(walk.poll, walk.poll_context), step_(whole_lines<T>(walk.n_features)) {
    const std::size_t shaped = walk.shape ? 4 * walk.shape->n_factors * walk.n_features : 0;
    const std::size_t drawn = walk.noise_scale != T{0} ? NORMAL_WORK * shaper_.n_normals() : 0;
    work_ = model.work + shaped + drawn;
    n_threads_ = threads_for(static_cast<double>(work_) * walk.n_walks * (walk.n_steps + 1), walk.n_threads);
    task_rows_ = rows_a_task(walk.n_walks, n_threads_);
    // per worker: x and gradient, one row of a step, one of noise, then the model's room
    model_at_ = whole_lines<T>((2 * task_rows_ + 1) * step_ + noise_length(shaper_.n_normals()));
    worker_numbers_ = whole_lines<T>(model_at_ + model.room_numbers(task_rows_) + PANEL_LINE<T>);
  }

  bool run() {
    const Scratch rooms(worker_numbers_ * sizeof(T) * n_threads_);
    if (!rooms) return false;
    auto body = [&](std::size_t task, int worker) {
      if (!stop_.asked(worker)) walk_rows(task, worker, rooms.template as<T>() + worker_numbers_ * worker);
    };
    const std::size_t n_tasks = (walk_.n_walks + task_rows_ - 1) / task_rows_;
    return run_parallel(n_tasks, n_threads_, body, walk_.poll, walk_.poll_context) && !stop_.asked(1);
  }

 private:
  void walk_rows(std::size_t task, int worker, T* room) {
    const std::size_t d = walk_.n_features, first = task * task_rows_;
    T* const x = room;
    T* const gradient = x + task_rows_ * step_;
    T f[TASK_ROWS];
    RowGroup<T> rows(walk_.x, first, smaller(task_rows_, walk_.n_walks - first), d, x);
    for (std::size_t r = 0; r < rows.n; ++r) {
      walk_.steps[rows.number[r]] = 0;
      walk_.reached[rows.number[r]] = false;
      record(x + r * step_, rows.number[r], 0);
    }
    std::size_t work = 0;
    for (std::size_t step = 0; step <= walk_.n_steps && rows.n > 0; ++step) {
      if ((work += work_ * rows.n) > POLL_STEPS_WORK) {
        work = 0;
        if (stop_.asked(worker)) return;
      }
      const bool decides = step < walk_.n_steps || walk_.target;
      model_.evaluate(x, rows.n, room + model_at_, decides ? gradient : nullptr, f);
      for (std::size_t r = 0; r < rows.n; ++r) walk_.f[rows.number[r]] = f[r];
      if (decides) take_step(step, rows, f, x, gradient);
    }
    for (std::size_t r = 0; r < rows.n; ++r) std::memcpy(walk_.x + rows.number[r] * d, x + r * step_, d * sizeof(T));
  }

  // Rows that stop are written where they belong; those that go on close ranks and move on.
  void take_step(std::size_t step, RowGroup<T>& rows, const T* f, T* x, T* gradient) const {
    T* const step_row = gradient + task_rows_ * step_;
    std::size_t left = 0;
    for (std::size_t r = 0; r < rows.n; ++r) {
      const std::size_t number = rows.number[r];
      T* const slope = gradient + r * step_;
      T* at = x + r * step_;
      const T* direction = slope;
      T squared;
      if (shaper_) {
        squared = shaper_.apply(number, slope, step_row);
        direction = step_row;
      } else
        squared = dot(slope, slope, step_);
      bool going = true;
      const T size = step_factor(walk_, number, Stand<T>{f[r], squared}, going, walk_.reached[number]);
      if (!going) {
        std::memcpy(walk_.x + number * walk_.n_features, at, walk_.n_features * sizeof(T));
        for (std::size_t rest = step + 1; walk_.trajectory && rest <= walk_.n_steps; ++rest) record(at, number, rest);
        continue;
      }
      if (left < r) at = static_cast<T*>(std::memcpy(x + left * step_, at, step_ * sizeof(T)));
      rows.number[left++] = number;
      if (step == walk_.n_steps) continue;
      ++walk_.steps[number];
      advance(step, number, size, direction, at, step_row);
      record(at, number, step + 1);
    }
    rows.n = left;
  }

  void advance(std::size_t step, std::size_t number, T size, const T* direction, T* at, T* step_row) const {
    const std::size_t d = walk_.n_features;
    if (direction == step_row)
      add_multiple(size, direction, d, at);
    else
      add_multiple(size, direction, step_, at);  // zeros to zeros behind the last feature
    if (walk_.noise_scale != T{0})
      add_multiple(walk_.noise_scale, shaper_.noise(number, step, step_row + step_, step_row), d, at);
    if (walk_.low)
      for (std::size_t j = 0; j < d; ++j) {
        const T raised = at[j] < walk_.low[j] ? walk_.low[j] : at[j];
        at[j] = raised > walk_.high[j] ? walk_.high[j] : raised;
      }
  }

  void record(const T* at, std::size_t number, std::size_t frame) const {
    if (!walk_.trajectory) return;
    std::memcpy(walk_.trajectory + (number * (walk_.n_steps + 1) + frame) * walk_.n_features, at, walk_.n_features * sizeof(T));
  }

  const Walk<T>& walk_;
  const Model& model_;
  const Shaper<T> shaper_;
  Stop stop_;
  const std::size_t step_;
  std::size_t work_, task_rows_, model_at_, worker_numbers_;
  int n_threads_;
};

}  // namespace
}  // namespace DUALWALK_LEVEL
}  // namespace dualwalk
