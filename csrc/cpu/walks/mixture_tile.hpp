// A Gaussian mixture of few features at a tile of points, where rows of their own would be mostly padding: products with all
// axes there and back, and between them, lane by lane, the probabilities of the components.
#pragma once

#include "kernels.hpp"
#include "simd/packed_matrix.hpp"
#include "walks/walk_tile.hpp"

namespace dualwalk {
namespace DUALWALK_LEVEL {
namespace {

template <class T>
class MixtureTileModel {
  using V = Vector<T>;

 public:
  static constexpr std::size_t VECTORS = TILE_VECTORS;
  std::size_t work, room_numbers;

  // Up to here a tile is quicker from a few walks on: 4 to 60 ns a walk and step against 40 to 130 (K = 2 to 10, AVX-512).
  static bool suits(const MixtureDual<T>& dual) { return dual.n_features * sizeof(T) <= MOST_BYTES; }

  MixtureTileModel(const MixtureDual<T>& dual, std::size_t n_times) : dual_(dual), n_times_(n_times) {
    const std::size_t d = dual.n_features, all = dual.n_components * d;
    work = 2 * all * d * TILE<T>;
    room_numbers = (all + dual.n_components + 1) * TILE<T>;  // z, log densities, f
    backward_ = packed_size<T>(all, d);
  }

  std::size_t packed_bytes() const {
    const std::size_t d = dual_.n_features, all = dual_.n_components * d;
    return (backward_ + packed_size<T>(d, all) + (d + 2 * n_times_) * all) * sizeof(T);
  }
  // The axes once more, as tiles take them, and the tables without the zeros that fill up lines.
  void pack_all(T* packed) {
    const std::size_t d = dual_.n_features, all = dual_.n_components * d, step = whole_lines<T>(d);
    packed_ = packed;
    T* const axes = packed + backward_ + packed_size<T>(d, all);
    T* const starts = axes + d * all;
    T* const precisions = starts + n_times_ * all;
    for (std::size_t i = 0; i < all; ++i) {
      const std::size_t entry = i / d * step + i % d;
      for (std::size_t j = 0; j < d; ++j)
        axes[i * d + j] = dual_.forward[(entry / PANEL<T> * d + j) * PANEL<T> + entry % PANEL<T>];
      for (std::size_t time = 0; time < n_times_; ++time) {
        starts[time * all + i] = dual_.starts[time * dual_.n_components * step + entry];
        precisions[time * all + i] = dual_.precisions[time * dual_.n_components * step + entry];
      }
    }
    pack(axes, all, d, d, std::size_t{1}, packed);
    pack(axes, d, all, std::size_t{1}, d, packed + backward_);
    starts_ = starts;
    precisions_ = precisions;
  }

  void begin(Place, T*) const {}
  const T* evaluate(const T* x, T* room, T* gradient) const { return evaluate_at(0, x, room, gradient); }

  // f of every lane at one of the times in the tables; the gradient too, unless it is null.
  const T* evaluate_at(std::size_t time, const T* x, T* room, T* gradient) const {
    const std::size_t d = dual_.n_features, n_components = dual_.n_components, all = n_components * d;
    T* const z = room;
    T* const logs = z + all * TILE<T>;
    T* const f = logs + n_components * TILE<T>;
    multiply(packed_, all, d, x, starts_ + time * all, z);
    scale_and_measure(precisions_ + time * all, dual_.log_scales + time * n_components, z, logs);
    for (std::size_t lane = 0; lane < TILE<T>; lane += LANES<T>) {
      V top = load<V>(logs + lane), sum = {};
      for (std::size_t k = 1; k < n_components; ++k) {
        const V value = load<V>(logs + k * TILE<T> + lane);
        top = value > top ? value : top;
      }
      for (std::size_t k = 0; k < n_components; ++k) {
        const V share = exponential_of_negative(load<V>(logs + k * TILE<T> + lane) - top);
        store(logs + k * TILE<T> + lane, share);
        sum += share;
      }
      V squares = {};
      for (std::size_t j = 0; j < d; ++j) {
        const V at = load<V>(x + j * TILE<T> + lane);
        squares += at * at;
      }
      store(f + lane, (top + logarithm(sum)) + (squares * (T(0.5) * dual_.pull) + dual_.constant));
      const V whole = splat<V>(T{1}) / sum;
      for (std::size_t k = 0; k < n_components; ++k)  // what the gradient takes of each component: minus its probability
        store(logs + k * TILE<T> + lane, load<V>(logs + k * TILE<T> + lane) * -whole);
    }
    if (!gradient) return f;
    for (std::size_t k = 0; k < n_components; ++k)
      for (std::size_t v = 0; v < TILE_VECTORS; ++v) {
        const V share = load<V>(logs + k * TILE<T> + v * LANES<T>);
        for (std::size_t i = k * d; i < (k + 1) * d; ++i) {
          T* const at = z + i * TILE<T> + v * LANES<T>;
          store(at, load<V>(at) * share);
        }
      }
    multiply(packed_ + backward_, d, all, z, static_cast<const T*>(nullptr), gradient);
    if (dual_.pull != T{0})
      for (std::size_t i = 0; i < d * TILE<T>; i += LANES<T>)
        store(gradient + i, load<V>(gradient + i) + dual_.pull * load<V>(x + i));
    return f;
  }

 private:
  // logs = log scale - z . precision z / 2 for every component, and z becomes precision z.
  void scale_and_measure(const T* precisions, const T* log_scales, T* z, T* logs) const {
    const std::size_t d = dual_.n_features;
    for (std::size_t k = 0; k < dual_.n_components; ++k) {
      V twice[TILE_VECTORS] = {};
      for (std::size_t i = k * d; i < (k + 1) * d; ++i)
        for (std::size_t v = 0; v < TILE_VECTORS; ++v) {
          T* const at = z + i * TILE<T> + v * LANES<T>;
          const V here = load<V>(at), scaled = precisions[i] * here;
          twice[v] += scaled * here;
          store(at, scaled);
        }
      for (std::size_t v = 0; v < TILE_VECTORS; ++v)
        store(logs + k * TILE<T> + v * LANES<T>, log_scales[k] - T(0.5) * twice[v]);
    }
  }

  static constexpr std::size_t MOST_BYTES = 96;  // of a row

  const MixtureDual<T>& dual_;
  const T *packed_ = nullptr, *starts_ = nullptr, *precisions_ = nullptr;
  const std::size_t n_times_;
  std::size_t backward_;
};

}  // namespace
}  // namespace DUALWALK_LEVEL
}  // namespace dualwalk
