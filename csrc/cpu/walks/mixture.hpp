// A Gaussian mixture against N(0, I) at some rows: products with all axes there and back, and between them the probabilities of
// the components.
#pragma once

#include "simd/dot.hpp"
#include "kernels.hpp"
#include "simd/packed_matrix.hpp"
#include "walks/thin_factor.hpp"

namespace dualwalk {
namespace DUALWALK_LEVEL {
namespace {

template <class T>
class MixtureModel {
  using V = Vector<T>;

 public:
  const std::size_t work;

  explicit MixtureModel(const MixtureDual<T>& dual)
      : work(2 * dual.n_components * dual.n_features * dual.n_features),
        dual_(dual),
        step_(whole_lines<T>(dual.n_features)),
        all_(dual.n_components * step_) {}

  std::size_t room_numbers(std::size_t n_rows) const {
    const std::size_t lanes = whole_lines<T>(n_rows), pairs = whole_lines<T>(n_rows * dual_.n_components);
    return n_rows * all_ + pairs + (dual_.n_components + 1) * lanes;  // z, its lengths, probabilities, f without x
  }

  void evaluate(const T* x, std::size_t n_rows, T* room, T* gradient, T* f) const {
    evaluate_at(0, x, n_rows, room, gradient, f);
  }

  // f of every row at one of the times in the tables; the gradient too, unless it is null.
  void evaluate_at(std::size_t time, const T* x, std::size_t n_rows, T* room, T* gradient, T* f) const {
    const std::size_t d = dual_.n_features, n_components = dual_.n_components;
    const std::size_t lanes = whole_lines<T>(n_rows);
    T* const z = room;
    T* const lengths = z + n_rows * all_;
    T* const shares = lengths + whole_lines<T>(n_rows * n_components);
    T* const inside = shares + n_components * lanes;
    const T* const precisions = dual_.precisions + time * all_;
    multiply({dual_.forward, all_, d}, n_rows, {x, step_, 1, d, 0}, dual_.starts + time * all_, z, all_);
    measure(z, precisions, n_rows * n_components, lengths);
    weigh(lengths, dual_.log_scales + time * n_components, n_rows, shares, inside);
    for (std::size_t r = 0; r < n_rows; ++r) {
      const T squares = dot(x + r * step_, x + r * step_, step_);
      f[r] = inside[r] + (squares * (T(0.5) * dual_.pull) + dual_.constant);
    }
    if (!gradient) return;
    for (std::size_t r = 0; r < n_rows; ++r)
      for (std::size_t k = 0; k < n_components; ++k) {
        const T share = shares[k * lanes + r];
        T* const at = z + r * all_ + k * step_;
        for (std::size_t i = 0; i < step_; i += LANES<T>)
          store(at + i, load<V>(at + i) * load<V>(precisions + k * step_ + i) * share);
      }
    multiply({dual_.backward, d, n_components * d}, n_rows, {z, all_, n_components, d, step_}, static_cast<const T*>(nullptr),
             gradient, step_);
    if (dual_.pull != T{0})
      for (std::size_t i = 0; i < n_rows * step_; i += LANES<T>)
        store(gradient + i, load<V>(gradient + i) + dual_.pull * load<V>(x + i));
  }

 private:
  // z . precision z of every row and component; as many as a vector has lanes are summed together.
  void measure(const T* z, const T* precisions, std::size_t n_pairs, T* lengths) const {
    std::size_t component = 0;
    for (std::size_t first = 0; first < n_pairs; first += LANES<T>) {
      V sum[LANES<T>] = {};
      for (std::size_t i = 0; i < smaller(LANES<T>, n_pairs - first); ++i, z += step_) {
        const T* const precision = precisions + component * step_;
        V twice{};
        for (std::size_t j = 0; j < step_; j += LANES<T>) {
          const V at = load<V>(z + j);
          twice += load<V>(precision + j) * at * at;
        }
        sum[i] = twice;
        component = component + 1 < dual_.n_components ? component + 1 : 0;
      }
      store(lengths + first, lane_sums<LANES<T>>(sum));
    }
  }

  // Minus the probabilities of the components, rows in lanes, and the logs of their summed densities.
  void weigh(const T* lengths, const T* log_scales, std::size_t n_rows, T* shares, T* inside) const {
    const std::size_t n_components = dual_.n_components, lanes = whole_lines<T>(n_rows);
    std::memset(shares, 0, n_components * lanes * sizeof(T));
    for (std::size_t r = 0; r < n_rows; ++r)
      for (std::size_t k = 0; k < n_components; ++k)
        shares[k * lanes + r] = log_scales[k] - T(0.5) * lengths[r * n_components + k];
    for (std::size_t r = 0; r < n_rows; r += LANES<T>) {
      V top = load<V>(shares + r), sum{};
      for (std::size_t k = 1; k < n_components; ++k) {
        const V value = load<V>(shares + k * lanes + r);
        top = value > top ? value : top;
      }
      for (std::size_t k = 0; k < n_components; ++k) {
        const V share = exponential_of_negative(load<V>(shares + k * lanes + r) - top);
        store(shares + k * lanes + r, share);
        sum += share;
      }
      store(inside + r, top + logarithm(sum));
      const V minus_whole = T{-1} / sum;
      for (std::size_t k = 0; k < n_components; ++k)
        store(shares + k * lanes + r, load<V>(shares + k * lanes + r) * minus_whole);
    }
  }

  const MixtureDual<T>& dual_;
  const std::size_t step_, all_;
};

}  // namespace
}  // namespace DUALWALK_LEVEL
}  // namespace dualwalk
