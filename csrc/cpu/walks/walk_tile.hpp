// Walks a tile at a time, whatever the dual: a model gives f and its gradient at a tile, this takes the steps.
//
// A model has: VECTORS, of walks in a tile; `work`, multiply-adds of one evaluation; `room_numbers`, what it needs in memory a
// worker; begin(place, room), called before a tile's first step; and evaluate(x, room, gradient), which returns f of every lane
// and fills the gradient unless that is null.
#pragma once

#include "walks/preconditioner.hpp"
#include "simd/tile.hpp"

namespace dualwalk {
namespace DUALWALK_LEVEL {
namespace {

// Lanes of a tile that are walks, and where they lie in the batch.
struct Place {
  std::size_t first, n;
};

// Rows of the batch into lanes, the last one repeated where there are fewer rows than lanes; and back.
template <std::size_t Lanes, class T>
void gather(const T* rows, Place place, std::size_t d, T* lanes) {
  for (std::size_t j = 0; j < d; ++j)
    for (std::size_t lane = 0; lane < Lanes; ++lane)
      lanes[j * Lanes + lane] = rows[(place.first + smaller(lane, place.n - 1)) * d + j];
}
template <std::size_t Lanes, class T>
void scatter(const T* lanes, Place place, std::size_t d, T* rows, std::size_t row_step) {
  for (std::size_t lane = 0; lane < place.n; ++lane)
    for (std::size_t j = 0; j < d; ++j) rows[(place.first + lane) * row_step + j] = lanes[j * Lanes + lane];
}

// |lane of v|^2 over the features.
template <std::size_t Vectors, class T>
void lane_squares(const T* v, std::size_t d, T* squared) {
  using V = Vector<T>;
  V squares[Vectors] = {};
  for (std::size_t j = 0; j < d; ++j)
    for (std::size_t part = 0; part < Vectors; ++part) {
      const V g = load<V>(v + (j * Vectors + part) * LANES<T>);
      squares[part] += g * g;
    }
  std::memcpy(squared, squares, sizeof(squares));
}

template <class T, class Model>
class TileWalker {
  using V = Vector<T>;
  static constexpr std::size_t VECTORS = Model::VECTORS, SIZE = VECTORS * LANES<T>;  // walks side by side

 public:
  TileWalker(const Walk<T>& walk, const Model& model)
      : walk_(walk), model_(model), shaper_(walk), stop_(walk.poll, walk.poll_context) {
    // per worker: x and gradient, one row of noise, one of a gradient and one of a step, then the model's room
    rows_at_ = 2 * walk.n_features * SIZE + noise_length(shaper_.n_normals());
    rows_at_ = (rows_at_ + 15) / 16 * 16;
    model_at_ = (rows_at_ + 2 * walk.n_features + 15) / 16 * 16;
    worker_numbers_ = (model_at_ + model.room_numbers + 31) / 16 * 16;
  }

  bool run() {
    const double noise = walk_.noise_scale != T{0} ? NORMAL_WORK * static_cast<double>(shaper_.n_normals() * SIZE) : 0.0;
    const std::size_t n_tiles = (walk_.n_walks + SIZE - 1) / SIZE;
    const double evaluations = static_cast<double>(n_tiles) * static_cast<double>(walk_.n_steps + 1);
    const int n_threads = threads_for(evaluations * (static_cast<double>(model_.work) + noise), walk_.n_threads);
    const Scratch rooms(worker_numbers_ * sizeof(T) * n_threads);
    if (!rooms) return false;
    auto body = [&](std::size_t tile, int worker) {
      if (!stop_.asked(worker)) walk_tile(tile, worker, rooms.template as<T>() + worker_numbers_ * worker);
    };
    return run_parallel(n_tiles, n_threads, body, walk_.poll, walk_.poll_context) && !stop_.asked(1);
  }

 private:
  void walk_tile(std::size_t tile, int worker, T* room) {
    const std::size_t d = walk_.n_features;
    const Place place{tile * SIZE, smaller(SIZE, walk_.n_walks - tile * SIZE)};
    T* const x = room;
    T* const gradient = room + d * SIZE;
    T* const normals = gradient + d * SIZE;
    gather<SIZE>(walk_.x, place, d, x);
    model_.begin(place, room + model_at_);
    bool going[SIZE] = {};
    for (std::size_t lane = 0; lane < place.n; ++lane) {
      going[lane] = true;
      walk_.steps[place.first + lane] = 0;
      walk_.reached[place.first + lane] = false;
    }
    std::size_t work = 0;
    record(x, place, 0);
    for (std::size_t step = 0;; ++step) {
      if ((work += model_.work) > POLL_STEPS_WORK) {
        work = 0;
        if (stop_.asked(worker)) return;
      }
      const bool last = step == walk_.n_steps;
      const T* const f = model_.evaluate(x, room + model_at_, last && !walk_.target ? nullptr : gradient);
      if (last && !walk_.target) {
        for (std::size_t lane = 0; lane < place.n; ++lane)
          if (going[lane]) walk_.f[place.first + lane] = f[lane];
        break;
      }
      T factor[SIZE] = {};
      if (!decide(f, gradient, room + rows_at_, place, last, going, factor)) {
        if (walk_.trajectory)
          for (std::size_t rest = step + 1; rest <= walk_.n_steps; ++rest) record(x, place, rest);
        break;
      }
      if (last) break;
      advance(x, gradient, factor, normals, room + rows_at_, place, step, going);
      record(x, place, step + 1);
    }
    scatter<SIZE>(x, place, d, walk_.x, d);
  }

  // Fills the step factor of every walk that goes on, and preconditions its gradient; false when none does.
  bool decide(const T* f, T* gradient, T* rows, Place place, bool last, bool* going, T* factor) const {
    const std::size_t d = walk_.n_features;
    T squared[SIZE];
    if (!shaper_)
      lane_squares<VECTORS>(gradient, d, squared);
    else
      for (std::size_t lane = 0; lane < place.n; ++lane) {
        if (!going[lane]) continue;
        for (std::size_t j = 0; j < d; ++j) rows[j] = gradient[j * SIZE + lane];
        squared[lane] = shaper_.apply(place.first + lane, rows, rows + d);
        for (std::size_t j = 0; j < d; ++j) gradient[j * SIZE + lane] = rows[d + j];
      }
    bool any = false;
    for (std::size_t lane = 0; lane < place.n; ++lane) {
      if (!going[lane]) continue;
      const std::size_t number = place.first + lane;
      walk_.f[number] = f[lane];
      factor[lane] = step_factor(walk_, number, Stand<T>{f[lane], squared[lane]}, going[lane], walk_.reached[number]);
      if (going[lane] && !last) ++walk_.steps[number];
      any |= going[lane];
    }
    return any;
  }

  void advance(T* x, const T* gradient, const T* factor, T* normals, T* row, Place place, std::size_t step,
               const bool* going) const {
    const std::size_t d = walk_.n_features;
    V size[VECTORS];
    std::memcpy(size, factor, sizeof(size));
    for (std::size_t j = 0; j < d; ++j)
      for (std::size_t v = 0; v < VECTORS; ++v) {
        T* const at = x + j * SIZE + v * LANES<T>;
        const V moved = load<V>(at) + size[v] * load<V>(gradient + j * SIZE + v * LANES<T>);
        store(at, size[v] == T{0} ? load<V>(at) : moved);  // a walk that stopped may have an infinite gradient
      }
    if (walk_.noise_scale != T{0})
      for (std::size_t lane = 0; lane < place.n; ++lane) {
        if (!going[lane]) continue;
        const T* const drawn = shaper_.noise(place.first + lane, step, normals, row);
        for (std::size_t j = 0; j < d; ++j) x[j * SIZE + lane] += walk_.noise_scale * drawn[j];
      }
    if (walk_.low)
      for (std::size_t j = 0; j < d; ++j)
        for (std::size_t v = 0; v < VECTORS; ++v) {
          T* const at = x + j * SIZE + v * LANES<T>;
          const V low = splat<V>(walk_.low[j]), high = splat<V>(walk_.high[j]), now = load<V>(at);
          const V raised = now < low ? low : now;
          store(at, raised > high ? high : raised);
        }
  }

  void record(const T* x, Place place, std::size_t frame) const {
    if (!walk_.trajectory) return;
    const std::size_t d = walk_.n_features;
    scatter<SIZE>(x, place, d, walk_.trajectory + frame * d, (walk_.n_steps + 1) * d);
  }

  const Walk<T>& walk_;
  const Model& model_;
  const Shaper<T> shaper_;
  Stop stop_;
  std::size_t rows_at_, model_at_, worker_numbers_;
};

}  // namespace
}  // namespace DUALWALK_LEVEL
}  // namespace dualwalk
