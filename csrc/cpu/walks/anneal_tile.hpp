// Annealing along a mixture's path, a tile of points at a time.
#pragma once

#include "walks/mixture_tile.hpp"
#include "walks/walk_tile.hpp"

namespace dualwalk {
namespace DUALWALK_LEVEL {
namespace {

template <class T>
class TileAnnealer {
  using V = Vector<T>;

 public:
  TileAnnealer(const Anneal<T>& anneal, const MixtureTileModel<T>& model)
      : anneal_(anneal), model_(model), stop_(anneal.poll, anneal.poll_context) {
    // per worker: x, gradient, the velocity foreseen, one row of noise, then the model's room
    model_at_ = (3 * anneal.n_features * TILE<T> + noise_length(anneal.n_features) + 15) / 16 * 16;
    worker_numbers_ = (model_at_ + model.room_numbers + 31) / 16 * 16;
  }

  bool run() {
    const std::size_t n_tiles = (anneal_.n_walks + TILE<T> - 1) / TILE<T>;
    const double work = static_cast<double>(model_.work) * n_tiles * (anneal_.n_steps + 1);
    const int n_threads = threads_for(work, anneal_.n_threads);
    const Scratch rooms(worker_numbers_ * sizeof(T) * n_threads);
    if (!rooms) return false;
    auto body = [&](std::size_t tile, int worker) {
      if (!stop_.asked(worker)) anneal_tile(tile, worker, rooms.template as<T>() + worker_numbers_ * worker);
    };
    return run_parallel(n_tiles, n_threads, body, anneal_.poll, anneal_.poll_context) && !stop_.asked(1);
  }

 private:
  void anneal_tile(std::size_t tile, int worker, T* room) {
    const std::size_t d = anneal_.n_features;
    const Place place{tile * TILE<T>, smaller(TILE<T>, anneal_.n_walks - tile * TILE<T>)};
    T* const x = room;
    T* const gradient = x + d * TILE<T>;
    T* const foreseen = gradient + d * TILE<T>;
    gather<TILE<T>>(anneal_.x, place, d, x);
    if (anneal_.renoise) renoise(x, foreseen + d * TILE<T>, place);
    std::memset(foreseen, 0, d * TILE<T> * sizeof(T));
    T going[TILE<T>];
    for (std::size_t lane = 0; lane < TILE<T>; ++lane) going[lane] = T{1};
    for (std::size_t lane = 0; lane < place.n; ++lane) anneal_.steps[place.first + lane] = 0;
    std::size_t work = 0;
    record(x, place, 0);
    for (std::size_t step = 0;; ++step) {
      if ((work += model_.work) > POLL_STEPS_WORK) {
        work = 0;
        if (stop_.asked(worker)) return;
      }
      const bool last = step == anneal_.n_steps;
      const T* const f = model_.evaluate_at(step, x, room + model_at_, last ? nullptr : gradient);
      for (std::size_t lane = 0; lane < place.n; ++lane)
        if (going[lane] != T{0}) anneal_.f[place.first + lane] = f[lane];
      if (last) break;
      T squared[TILE<T>];
      lane_squares<TILE_VECTORS>(gradient, d, squared);
      for (std::size_t lane = 0; lane < TILE<T>; ++lane) {
        if (!std::isfinite(f[lane]) || !std::isfinite(squared[lane])) going[lane] = T{0};
        if (lane < place.n && going[lane] != T{0}) ++anneal_.steps[place.first + lane];
      }
      advance(anneal_.moves[step], going, gradient, foreseen, x);
      record(x, place, step + 1);
    }
    scatter<TILE<T>>(x, place, d, anneal_.x, d);
  }

  void renoise(T* x, T* normals, Place place) const {
    for (std::size_t lane = 0; lane < place.n; ++lane) {
      draw_noise(anneal_.seed, place.first + lane, RENOISE_STEP, anneal_.n_features, normals);
      for (std::size_t j = 0; j < anneal_.n_features; ++j) {
        T& at = x[j * TILE<T> + lane];
        at = anneal_.keep * at + anneal_.add * normals[j];
      }
    }
  }

  // One turn by the move's angle, with the correction for what the velocity was not foreseen to be.
  void advance(const Move<T>& move, const T* going, const T* gradient, T* foreseen, T* x) const {
    for (std::size_t i = 0; i < anneal_.n_features * TILE<T>; i += LANES<T>) {
      const V at = load<V>(x + i), velocity = move.speed * load<V>(gradient + i), before = load<V>(foreseen + i);
      const V moved = move.cosine * at + move.sine * velocity + move.correction * (velocity - before);
      store(foreseen + i, move.cosine * velocity - move.sine * at);
      store(x + i, load<V>(going + i % TILE<T>) != T{0} ? moved : at);
    }
  }

  void record(const T* x, Place place, std::size_t frame) const {
    if (!anneal_.trajectory) return;
    const std::size_t d = anneal_.n_features;
    scatter<TILE<T>>(x, place, d, anneal_.trajectory + frame * d, (anneal_.n_steps + 1) * d);
  }

  const Anneal<T>& anneal_;
  const MixtureTileModel<T>& model_;
  Stop stop_;
  std::size_t model_at_, worker_numbers_;
};

}  // namespace
}  // namespace DUALWALK_LEVEL
}  // namespace dualwalk
