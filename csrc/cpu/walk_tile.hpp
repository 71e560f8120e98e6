// Walks a tile at a time, whatever the dual: a model gives f and its gradient at a tile, this takes the steps.
//
// A model has: `work`, multiply-adds of one evaluation; `room_numbers`, what it needs in memory a worker; and
// evaluate(x, room, gradient), which returns f of every lane and fills the gradient unless that is null.
#pragma once

#include "preconditioner.hpp"
#include "tile.hpp"

namespace dualwalk {
namespace DUALWALK_LEVEL {
namespace {

// Lanes of a tile that are walks, and where they lie in the batch.
struct Place {
  std::size_t first, n;
};

template <class T>
Place place_of(std::size_t tile, std::size_t n_walks) {
  const std::size_t first = tile * TILE<T>;
  return {first, smaller(TILE<T>, n_walks - first)};
}

// Rows of the batch into lanes, the last one repeated where there are fewer rows than lanes; and back.
template <class T>
void gather(const T* rows, Place place, std::size_t d, T* lanes) {
  for (std::size_t j = 0; j < d; ++j)
    for (std::size_t lane = 0; lane < TILE<T>; ++lane)
      lanes[j * TILE<T> + lane] = rows[(place.first + smaller(lane, place.n - 1)) * d + j];
}
template <class T>
void scatter(const T* lanes, Place place, std::size_t d, T* rows, std::size_t row_step) {
  for (std::size_t lane = 0; lane < place.n; ++lane)
    for (std::size_t j = 0; j < d; ++j) rows[(place.first + lane) * row_step + j] = lanes[j * TILE<T> + lane];
}

// |lane of v|^2 over the features.
template <class T>
void lane_squares(const T* v, std::size_t d, T* squared) {
  using V = Vector<T>;
  V squares[TILE_VECTORS] = {};
  for (std::size_t j = 0; j < d; ++j)
    for (std::size_t part = 0; part < TILE_VECTORS; ++part) {
      const V g = load<V>(v + j * TILE<T> + part * LANES<T>);
      squares[part] += g * g;
    }
  std::memcpy(squared, squares, sizeof(squares));
}

template <class T, class Model>
class TileWalker {
  using V = Vector<T>;

 public:
  TileWalker(const Walk<T>& walk, const Model& model)
      : walk_(walk), model_(model), shaper_(walk), stop_(walk.poll, walk.poll_context) {
    // per worker: x and gradient, one row of noise, one of a gradient and one of a step, then the model's room
    rows_at_ = 2 * walk.n_features * TILE<T> + noise_length(shaper_.n_normals());
    rows_at_ = (rows_at_ + 15) / 16 * 16;
    model_at_ = (rows_at_ + 2 * walk.n_features + 15) / 16 * 16;
    worker_numbers_ = (model_at_ + model.room_numbers + 31) / 16 * 16;
  }

  bool run() {
    const Scratch rooms(worker_numbers_ * sizeof(T) * walk_.n_threads);
    if (!rooms) return false;
    auto body = [&](std::size_t tile, int worker) {
      if (!stop_.asked(worker)) walk_tile(tile, worker, rooms.template as<T>() + worker_numbers_ * worker);
    };
    const std::size_t n_tiles = (walk_.n_walks + TILE<T> - 1) / TILE<T>;
    return run_parallel(n_tiles, walk_.n_threads, body, walk_.poll, walk_.poll_context) && !stop_.asked(1);
  }

 private:
  void walk_tile(std::size_t tile, int worker, T* room) {
    const std::size_t d = walk_.n_features;
    const Place place = place_of<T>(tile, walk_.n_walks);
    T* const x = room;
    T* const gradient = room + d * TILE<T>;
    T* const normals = gradient + d * TILE<T>;
    gather(walk_.x, place, d, x);
    bool going[TILE<T>] = {};
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
      T factor[TILE<T>] = {};
      if (!decide(f, gradient, room + rows_at_, place, last, going, factor)) {
        if (walk_.trajectory)
          for (std::size_t rest = step + 1; rest <= walk_.n_steps; ++rest) record(x, place, rest);
        break;
      }
      if (last) break;
      advance(x, gradient, factor, normals, room + rows_at_, place, step, going);
      record(x, place, step + 1);
    }
    scatter(x, place, d, walk_.x, d);
  }

  // Fills the step factor of every walk that goes on, and preconditions its gradient; false when none does.
  bool decide(const T* f, T* gradient, T* rows, Place place, bool last, bool* going, T* factor) const {
    const std::size_t d = walk_.n_features;
    T squared[TILE<T>];
    if (!shaper_)
      lane_squares(gradient, d, squared);
    else
      for (std::size_t lane = 0; lane < place.n; ++lane) {
        if (!going[lane]) continue;
        for (std::size_t j = 0; j < d; ++j) rows[j] = gradient[j * TILE<T> + lane];
        squared[lane] = shaper_.apply(place.first + lane, rows, rows + d);
        for (std::size_t j = 0; j < d; ++j) gradient[j * TILE<T> + lane] = rows[d + j];
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
    V size[TILE_VECTORS];
    std::memcpy(size, factor, sizeof(size));
    for (std::size_t j = 0; j < d; ++j)
      for (std::size_t v = 0; v < TILE_VECTORS; ++v) {
        T* const at = x + j * TILE<T> + v * LANES<T>;
        const V moved = load<V>(at) + size[v] * load<V>(gradient + j * TILE<T> + v * LANES<T>);
        store(at, size[v] == T{0} ? load<V>(at) : moved);  // a walk that stopped may have an infinite gradient
      }
    if (walk_.noise_scale != T{0})
      for (std::size_t lane = 0; lane < place.n; ++lane) {
        if (!going[lane]) continue;
        const T* const drawn = shaper_.noise(place.first + lane, step, normals, row);
        for (std::size_t j = 0; j < d; ++j) x[j * TILE<T> + lane] += walk_.noise_scale * drawn[j];
      }
    if (walk_.low)
      for (std::size_t j = 0; j < d; ++j)
        for (std::size_t v = 0; v < TILE_VECTORS; ++v) {
          T* const at = x + j * TILE<T> + v * LANES<T>;
          const V low = splat<V>(walk_.low[j]), high = splat<V>(walk_.high[j]), now = load<V>(at);
          const V raised = now < low ? low : now;
          store(at, raised > high ? high : raised);
        }
  }

  void record(const T* x, Place place, std::size_t frame) const {
    if (!walk_.trajectory) return;
    const std::size_t d = walk_.n_features;
    scatter(x, place, d, walk_.trajectory + frame * d, (walk_.n_steps + 1) * d);
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
