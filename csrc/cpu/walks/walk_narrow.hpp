// Neighbourhoods of few features, one in each lane of a vector: sums across lanes would take longer than the products do.
#pragma once

#include "walks/thin_factor.hpp"
#include "walks/walk_tile.hpp"

namespace dualwalk {
namespace DUALWALK_LEVEL {
namespace {

template <class T>
class NarrowModel {
  using V = Vector<T>;
  static constexpr std::size_t LANE = LANES<T>;

 public:
  static constexpr std::size_t VECTORS = 1;
  std::size_t work, room_numbers;

  // Every walk's factor is read as often as in walk_neighborhood.hpp, but all lanes' factors lie in the nearest cache together.
  static bool suits(const Walk<T>& walk, const LocalDual<T>& dual) {
    const std::size_t bytes = dual.n_factors * walk.n_features * VECTOR_BYTES;
    return !dual.shared && !walk.shape && 2 * walk.n_walks >= LANE && walk.n_features < 8 * LANE && bytes <= NEAREST_BYTES;
  }

  NarrowModel(const Walk<T>& walk, const LocalDual<T>& dual)
      : work(2 * dual.n_factors * walk.n_features * LANE),
        room_numbers(((3 + dual.n_factors) * walk.n_features + dual.n_factors + 2) * LANE),
        dual_(dual),
        d_(walk.n_features) {}

  // The neighbourhoods of a tile's walks into lanes.
  void begin(Place place, T* room) const {
    const Parts at = parts(room);
    const std::size_t last = place.first + place.n - 1;
    const auto turn = [&](const T* rows, std::size_t n, T* to) {
      const std::size_t whole = place.n == LANE ? n / LANE * LANE : 0;
      transpose(rows + place.first * n, n, LANE, whole, to, LANE);
      for (std::size_t i = whole; i < n; ++i)
        for (std::size_t lane = 0; lane < LANE; ++lane) to[i * LANE + lane] = rows[smaller(place.first + lane, last) * n + i];
    };
    turn(dual_.mean, d_, at.mean);
    turn(dual_.curvature, d_, at.curvature);
    turn(dual_.constant, 1, at.constant);
    turn(dual_.factor, dual_.n_factors * d_, at.factor);
  }

  const T* evaluate(const T* x, T* room, T* gradient) const {
    const Parts at = parts(room);
    V twice{};
    for (std::size_t j = 0; j < d_ * LANE; j += LANE) {
      const V offset = load<V>(x + j) - load<V>(at.mean + j);
      store(at.y + j, offset);
      twice += load<V>(at.curvature + j) * offset * offset;
    }
    for (std::size_t k = 0; k < dual_.n_factors; k += ROWS) project<ROWS>(smaller(ROWS, dual_.n_factors - k), at, k, twice);
    store(at.f, load<V>(at.constant) + T(0.5) * twice);
    if (gradient)
      for (std::size_t j = 0; j < d_; j += ROWS) add<ROWS>(smaller(ROWS, d_ - j), at, j, gradient);
    return at.f;
  }

 private:
  static constexpr std::size_t ROWS = 8;  // sums side by side

  struct Parts {
    T *mean, *curvature, *y, *factor, *projection, *constant, *f;  // (d), (d), (d), (n_factors, d), (n_factors), 1, 1 vectors
  };
  Parts parts(T* room) const {
    const auto take = [&](std::size_t vectors) { T* const start = room; room += vectors * LANE; return start; };
    Parts at;
    at.mean = take(d_), at.curvature = take(d_), at.y = take(d_), at.factor = take(dual_.n_factors * d_);
    at.projection = take(dual_.n_factors), at.constant = take(1), at.f = take(1);
    return at;
  }

  // n projections from k on, n at most R.
  template <std::size_t R>
  DUALWALK_FN void project(std::size_t n, const Parts& at, std::size_t k, V& twice) const {
    if (n < R) {
      if constexpr (R > 1) project<R - 1>(n, at, k, twice);
      return;
    }
    const T* const rows = at.factor + k * d_ * LANE;
    V sum[R] = {};
    for (std::size_t j = 0; j < d_; ++j) {
      const V y = load<V>(at.y + j * LANE);
#pragma GCC unroll 8
      for (std::size_t r = 0; r < R; ++r) sum[r] += load<V>(rows + (r * d_ + j) * LANE) * y;
    }
#pragma GCC unroll 8
    for (std::size_t r = 0; r < R; ++r) {
      store(at.projection + (k + r) * LANE, sum[r]);
      twice += sum[r] * sum[r];
    }
  }

  // n features of the gradient from j on, n at most R.
  template <std::size_t R>
  DUALWALK_FN void add(std::size_t n, const Parts& at, std::size_t j, T* gradient) const {
    if (n < R) {
      if constexpr (R > 1) add<R - 1>(n, at, j, gradient);
      return;
    }
    V sum[R];
#pragma GCC unroll 8
    for (std::size_t r = 0; r < R; ++r) sum[r] = load<V>(at.curvature + (j + r) * LANE) * load<V>(at.y + (j + r) * LANE);
    for (std::size_t k = 0; k < dual_.n_factors; ++k) {
      const V p = load<V>(at.projection + k * LANE);
#pragma GCC unroll 8
      for (std::size_t r = 0; r < R; ++r) sum[r] += p * load<V>(at.factor + (k * d_ + j + r) * LANE);
    }
#pragma GCC unroll 8
    for (std::size_t r = 0; r < R; ++r) store(gradient + (j + r) * LANE, sum[r]);
  }

  const LocalDual<T>& dual_;
  const std::size_t d_;
};

}  // namespace
}  // namespace DUALWALK_LEVEL
}  // namespace dualwalk
