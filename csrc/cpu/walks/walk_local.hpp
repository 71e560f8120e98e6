// Walks on local Gaussian duals: y = x - mean, then two products with a neighbourhood's thin factor. One walk at a time where
// each has a neighbourhood of its own, a tile at a time where many share one.
#pragma once

#include "walks/walk_narrow.hpp"
#include "walks/walk_neighborhood.hpp"
#include "walks/walk_tile.hpp"

namespace dualwalk {
namespace DUALWALK_LEVEL {
namespace {

// One neighbourhood at a tile of points.
template <class T>
class LocalModel {
  using V = Vector<T>;

 public:
  static constexpr std::size_t VECTORS = TILE_VECTORS;
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

  void begin(Place, T*) const {}
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

// Lanes across walks where many share a neighbourhood that is too large for the nearest cache, or whose rows are so short that
// sums across lanes would take longer than the products; a preconditioner works on one walk at a time anyway.
template <class T>
bool prefers_tiles(const Walk<T>& walk, const LocalDual<T>& dual) {
  const std::size_t n = walk.n_features;
  const bool large = dual.n_factors * n * sizeof(T) > NEAREST_BYTES, narrow = n < 8 * LANES<T>;
  return dual.shared && !walk.shape && 2 * walk.n_walks > TILE<T> && (large || narrow);
}

template <class T>
bool walk_local(const Walk<T>& walk, const LocalDual<T>& dual) {
  if (NarrowModel<T>::suits(walk, dual)) return TileWalker<T, NarrowModel<T>>(walk, NarrowModel<T>(walk, dual)).run();
  if (!prefers_tiles(walk, dual)) return NeighborhoodWalker<T>(walk, dual).run();
  LocalModel<T> model(dual, walk.n_features);
  const Scratch factor(model.packed_bytes());
  if (!factor) return false;
  model.pack_factor(factor.template as<T>());
  return TileWalker<T, LocalModel<T>>(walk, model).run();
}

}  // namespace
}  // namespace DUALWALK_LEVEL
}  // namespace dualwalk
