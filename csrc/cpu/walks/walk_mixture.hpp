// Walks on a mixture dual at one time, and annealing along its path.
#pragma once

#include "walks/anneal_tile.hpp"
#include "walks/mixture.hpp"
#include "walks/walk_rows.hpp"

namespace dualwalk {
namespace DUALWALK_LEVEL {
namespace {

template <class T>
class Annealer {
  using V = Vector<T>;

 public:
  Annealer(const Anneal<T>& anneal, const MixtureModel<T>& model)
      : anneal_(anneal), model_(model), stop_(anneal.poll, anneal.poll_context), step_(whole_lines<T>(anneal.n_features)) {
    n_threads_ = threads_for(static_cast<double>(model.work) * anneal.n_walks * (anneal.n_steps + 1), anneal.n_threads);
    task_rows_ = rows_a_task(anneal.n_walks, n_threads_);
    // per worker: x, gradient, the velocity foreseen, one row of noise, then the model's room
    model_at_ = whole_lines<T>(3 * task_rows_ * step_ + noise_length(anneal.n_features));
    worker_numbers_ = whole_lines<T>(model_at_ + model.room_numbers(task_rows_) + PANEL_LINE<T>);
  }

  bool run() {
    const Scratch rooms(worker_numbers_ * sizeof(T) * n_threads_);
    if (!rooms) return false;
    auto body = [&](std::size_t task, int worker) {
      if (!stop_.asked(worker)) anneal_rows(task, worker, rooms.template as<T>() + worker_numbers_ * worker);
    };
    const std::size_t n_tasks = (anneal_.n_walks + task_rows_ - 1) / task_rows_;
    return run_parallel(n_tasks, n_threads_, body, anneal_.poll, anneal_.poll_context) && !stop_.asked(1);
  }

 private:
  void anneal_rows(std::size_t task, int worker, T* room) {
    const std::size_t d = anneal_.n_features, first = task * task_rows_;
    T* const x = room;
    T* const gradient = x + task_rows_ * step_;
    T* const foreseen = gradient + task_rows_ * step_;
    T f[TASK_ROWS];
    RowGroup<T> rows(anneal_.x, first, smaller(task_rows_, anneal_.n_walks - first), d, x);
    std::memset(foreseen, 0, rows.n * step_ * sizeof(T));
    for (std::size_t r = 0; r < rows.n; ++r) {
      if (anneal_.renoise) renoise(rows.number[r], x + r * step_, foreseen + task_rows_ * step_);
      anneal_.steps[rows.number[r]] = 0;
      record(x + r * step_, rows.number[r], 0);
    }
    std::size_t work = 0;
    for (std::size_t step = 0; step <= anneal_.n_steps && rows.n > 0; ++step) {
      if ((work += model_.work * rows.n) > POLL_STEPS_WORK) {
        work = 0;
        if (stop_.asked(worker)) return;
      }
      const bool last = step == anneal_.n_steps;
      model_.evaluate_at(step, x, rows.n, room + model_at_, last ? nullptr : gradient, f);
      for (std::size_t r = 0; r < rows.n; ++r) anneal_.f[rows.number[r]] = f[r];
      if (!last) take_step(step, rows, f, x, gradient, foreseen);
    }
    for (std::size_t r = 0; r < rows.n; ++r) std::memcpy(anneal_.x + rows.number[r] * d, x + r * step_, d * sizeof(T));
  }

  // Rows whose f or gradient is not finite are written where they belong; the others close ranks and move on.
  void take_step(std::size_t step, RowGroup<T>& rows, const T* f, T* x, const T* gradient, T* foreseen) const {
    std::size_t left = 0;
    for (std::size_t r = 0; r < rows.n; ++r) {
      const std::size_t number = rows.number[r], from = r * step_, to = left * step_;
      if (!std::isfinite(f[r]) || !std::isfinite(dot(gradient + from, gradient + from, step_))) {
        std::memcpy(anneal_.x + number * anneal_.n_features, x + from, anneal_.n_features * sizeof(T));
        for (std::size_t rest = step + 1; anneal_.trajectory && rest <= anneal_.n_steps; ++rest) record(x + from, number, rest);
        continue;
      }
      advance(anneal_.moves[step], gradient + from, x + from, foreseen + from, x + to, foreseen + to);
      ++anneal_.steps[number];
      record(x + to, number, step + 1);
      rows.number[left++] = number;
    }
    rows.n = left;
  }

  void renoise(std::size_t number, T* x, T* normals) const {
    draw_noise(anneal_.seed, number, RENOISE_STEP, anneal_.n_features, normals);
    for (std::size_t j = 0; j < anneal_.n_features; ++j) x[j] = anneal_.keep * x[j] + anneal_.add * normals[j];
  }

  // One turn by the move's angle, with the correction for what the velocity was not foreseen to be.
  void advance(const Move<T>& move, const T* gradient, const T* x, const T* foreseen, T* x_after, T* foreseen_after) const {
    for (std::size_t i = 0; i < step_; i += LANES<T>) {
      const V at = load<V>(x + i), velocity = move.speed * load<V>(gradient + i), before = load<V>(foreseen + i);
      store(foreseen_after + i, move.cosine * velocity - move.sine * at);
      store(x_after + i, move.cosine * at + move.sine * velocity + move.correction * (velocity - before));
    }
  }

  void record(const T* x, std::size_t number, std::size_t frame) const {
    if (!anneal_.trajectory) return;
    const std::size_t d = anneal_.n_features;
    std::memcpy(anneal_.trajectory + (number * (anneal_.n_steps + 1) + frame) * d, x, d * sizeof(T));
  }

  const Anneal<T>& anneal_;
  const MixtureModel<T>& model_;
  Stop stop_;
  const std::size_t step_;
  std::size_t task_rows_, model_at_, worker_numbers_;
  int n_threads_;
};

template <class T>
bool walk_mixture(const Walk<T>& walk, const MixtureDual<T>& dual) {
  if (MixtureTileModel<T>::suits(dual)) {
    MixtureTileModel<T> model(dual, 1);
    const Scratch packed(model.packed_bytes());
    if (!packed) return false;
    model.pack_all(packed.template as<T>());
    return TileWalker<T, MixtureTileModel<T>>(walk, model).run();
  }
  const MixtureModel<T> model(dual);
  return RowWalker<T, MixtureModel<T>>(walk, model).run();
}

template <class T>
bool anneal_mixture(const Anneal<T>& anneal, const MixtureDual<T>& dual) {
  if (MixtureTileModel<T>::suits(dual)) {
    MixtureTileModel<T> model(dual, anneal.n_steps + 1);
    const Scratch packed(model.packed_bytes());
    if (!packed) return false;
    model.pack_all(packed.template as<T>());
    return TileAnnealer<T>(anneal, model).run();
  }
  const MixtureModel<T> model(dual);
  return Annealer<T>(anneal, model).run();
}

}  // namespace
}  // namespace DUALWALK_LEVEL
}  // namespace dualwalk
