// A Gaussian mixture against N(0, I) at some rows: products with all axes there and back, and between them, row by row, the
// probabilities of the components.
#pragma once

#include <limits>

#include "dot.hpp"
#include "kernels.hpp"
#include "panels.hpp"

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
        all_(dual.n_components * step_),
        shares_(whole_lines<T>(dual.n_components)) {}

  std::size_t room_numbers(std::size_t n_rows) const {
    return n_rows * (all_ + shares_) + 2 * whole_lines<T>(n_rows);  // z, probabilities, the largest log density, sums
  }

  void evaluate(const T* x, std::size_t n_rows, T* room, T* gradient, T* f) const {
    evaluate_at(0, x, n_rows, room, gradient, f);
  }

  // f of every row at one of the times in the tables; the gradient too, unless it is null.
  void evaluate_at(std::size_t time, const T* x, std::size_t n_rows, T* room, T* gradient, T* f) const {
    const std::size_t d = dual_.n_features, n_components = dual_.n_components;
    T* const z = room;
    T* const shares = z + n_rows * all_;
    T* const top = shares + n_rows * shares_;
    T* const sum = top + whole_lines<T>(n_rows);
    const T* const precisions = dual_.precisions + time * all_;
    multiply({dual_.forward, all_, d}, n_rows, {x, step_, 1, d, 0}, dual_.starts + time * all_, z, all_);
    for (std::size_t r = 0; r < n_rows; ++r)
      weigh(z + r * all_, precisions, dual_.log_scales + time * n_components, shares + r * shares_, top[r], sum[r]);
    for (std::size_t r = 0; r < n_rows; r += LANES<T>) store(top + r, load<V>(top + r) + logarithm(load<V>(sum + r)));
    for (std::size_t r = 0; r < n_rows; ++r) {
      const T squares = dot(x + r * step_, x + r * step_, step_);
      f[r] = top[r] + (squares * (T(0.5) * dual_.pull) + dual_.constant);
    }
    if (!gradient) return;
    for (std::size_t r = 0; r < n_rows; ++r) {
      const T minus_whole = T{-1} / sum[r];  // the gradient takes minus the probability of each component
      for (std::size_t k = 0; k < n_components; ++k) {
        const T share = shares[r * shares_ + k] * minus_whole;
        T* const at = z + r * all_ + k * step_;
        for (std::size_t i = 0; i < step_; i += LANES<T>)
          store(at + i, load<V>(at + i) * load<V>(precisions + k * step_ + i) * share);
      }
    }
    multiply({dual_.backward, d, n_components * d}, n_rows, {z, all_, n_components, d, step_}, static_cast<const T*>(nullptr),
             gradient, step_);
    if (dual_.pull != T{0})
      for (std::size_t i = 0; i < n_rows * step_; i += LANES<T>)
        store(gradient + i, load<V>(gradient + i) + dual_.pull * load<V>(x + i));
  }

 private:
  // Densities of the components of one row over the largest one, whose log is `top`, and their sum.
  void weigh(const T* z, const T* precisions, const T* log_scales, T* shares, T& top, T& sum) const {
    for (std::size_t k = 0; k < dual_.n_components; ++k) {
      V twice{};
      for (std::size_t i = k * step_; i < (k + 1) * step_; i += LANES<T>) {
        const V at = load<V>(z + i);
        twice += load<V>(precisions + i) * at * at;
      }
      shares[k] = log_scales[k] - T(0.5) * sum_of_halves(twice, std::make_index_sequence<LANES<T>>{});
    }
    top = shares[0];
    for (std::size_t k = 1; k < dual_.n_components; ++k) top = shares[k] > top ? shares[k] : top;
    for (std::size_t k = dual_.n_components; k < shares_; ++k) shares[k] = -std::numeric_limits<T>::infinity();
    V total{};
    for (std::size_t k = 0; k < shares_; k += LANES<T>) {
      const V share = exponential_of_negative(load<V>(shares + k) - top);
      store(shares + k, share);
      total += share;
    }
    sum = sum_of_halves(total, std::make_index_sequence<LANES<T>>{});
  }

  const MixtureDual<T>& dual_;
  const std::size_t step_, all_, shares_;
};

}  // namespace
}  // namespace DUALWALK_LEVEL
}  // namespace dualwalk
