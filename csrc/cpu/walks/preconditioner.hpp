// What a preconditioner C = factor^T factor + diag(diagonal) does to one walk: C g, and noise of covariance C.
#pragma once

#include "simd/dot.hpp"
#include "walks/walk.hpp"

namespace dualwalk {
namespace DUALWALK_LEVEL {
namespace {

// Without a preconditioner it is false, and its noise is standard normal.
template <class T>
class Shaper {
 public:
  explicit Shaper(const Walk<T>& walk) : walk_(walk), shape_(walk.shape) {}
  explicit operator bool() const { return shape_ != nullptr; }

  std::size_t n_normals() const {
    return shape_ ? shape_->n_factors + (shape_->diagonal ? walk_.n_features : 0) : walk_.n_features;
  }

  // out = C g for one walk; returns g . C g.
  T apply(std::size_t number, const T* g, T* out) const {
    const std::size_t d = walk_.n_features, place = shape_->shared ? 0 : number;
    const T* const factor = shape_->factor + place * shape_->n_factors * d;
    T sum{};
    if (shape_->diagonal) {
      const T* const diagonal = shape_->diagonal + place * d;
      for (std::size_t j = 0; j < d; ++j) out[j] = diagonal[j] * g[j];
      sum = dot(out, g, d);
    } else
      std::memset(out, 0, d * sizeof(T));
    std::size_t k = 0;
    for (; k + ROWS_AT_ONCE <= shape_->n_factors; k += ROWS_AT_ONCE)
      sum += add_projections<ROWS_AT_ONCE>(factor + k * d, g, out);
    for (; k < shape_->n_factors; ++k) sum += add_projections<1>(factor + k * d, g, out);
    return sum;
  }

  // One step's noise of one walk: in `row` (n_features), or where `normals` begin if there is no preconditioner.
  const T* noise(std::size_t number, std::size_t step, T* normals, T* row) const {
    const std::size_t d = walk_.n_features;
    draw_noise(walk_.seed, number, step, n_normals(), normals);
    if (!shape_) return normals;
    const std::size_t place = shape_->shared ? 0 : number, n_factors = shape_->n_factors;
    if (shape_->diagonal) {
      const T* const diagonal = shape_->diagonal + place * d;
      for (std::size_t j = 0; j < d; ++j) row[j] = std::sqrt(diagonal[j]) * normals[n_factors + j];
    } else
      std::memset(row, 0, d * sizeof(T));
    const T* const factor = shape_->factor + place * n_factors * d;
    std::size_t k = 0;
    for (; k + ROWS_AT_ONCE <= n_factors; k += ROWS_AT_ONCE)
      add_multiples<ROWS_AT_ONCE>(normals + k, factor + k * d, d, d, row);
    for (; k < n_factors; ++k) add_multiple(normals[k], factor + k * d, d, row);
    return row;
  }

 private:
  // out += rows^T (rows g); returns |rows g|^2.
  template <std::size_t n_rows>
  T add_projections(const T* rows, const T* g, T* out) const {
    const std::size_t d = walk_.n_features;
    T inner[n_rows], sum{};
    dots<n_rows>(rows, d, g, d, inner);
    add_multiples<n_rows>(inner, rows, d, d, out);
    for (std::size_t r = 0; r < n_rows; ++r) sum += inner[r] * inner[r];
    return sum;
  }

  const Walk<T>& walk_;
  const Preconditioner<T>* shape_;
};

}  // namespace
}  // namespace DUALWALK_LEVEL
}  // namespace dualwalk
