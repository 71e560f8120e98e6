// Walks on an MLP dual: every layer is a product with its rows' values, and one with its transpose on the way back.
#pragma once

#include "dualwalk/activation.hpp"
#include "walks/walk_rows.hpp"

namespace dualwalk {
namespace DUALWALK_LEVEL {
namespace {

constexpr std::size_t MAX_LAYERS = 64;

template <class T>
class MlpModel {
  using V = Vector<T>;

 public:
  std::size_t work = 0;

  explicit MlpModel(const MlpDual<T>& dual) : dual_(dual) {
    for (std::size_t l = 0; l < dual.n_layers; ++l) work += 2 * dual.width[l] * dual.width[l + 1];
    for (std::size_t l = 1; l < dual.n_layers; ++l) {  // every hidden layer's values and slopes
      hidden_[l] = row_numbers_;
      row_numbers_ += 2 * step(l);
    }
  }

  std::size_t room_numbers(std::size_t n_rows) const { return n_rows * row_numbers_; }

  void evaluate(const T* x, std::size_t n_rows, T* room, T* gradient, T* f) const {
    const std::size_t last = dual_.n_layers - 1;
    const T* in = x;
    for (std::size_t l = 1; l <= last; ++l) {
      T* const value = room + n_rows * hidden_[l];
      T* const slope = value + n_rows * step(l);
      const PackedMatrix<T> layer{dual_.forward[l - 1], dual_.width[l], dual_.width[l - 1]};
      multiply(layer, n_rows, {in, step(l - 1), 1, dual_.width[l - 1], 0}, dual_.bias[l - 1], value, step(l));
      for (std::size_t i = 0; i < n_rows * step(l); i += LANES<T>) {
        V by_z;
        store(value + i, silu(load<V>(value + i), by_z));
        store(slope + i, by_z);
      }
      in = value;
    }
    for (std::size_t r = 0; r < n_rows; ++r) f[r] = dual_.bias[last][0] + dot(dual_.last, in + r * step(last), step(last));
    if (!gradient) return;
    if (last == 0) {
      for (std::size_t r = 0; r < n_rows; ++r) std::memcpy(gradient + r * step(0), dual_.last, step(0) * sizeof(T));
      return;
    }
    for (std::size_t l = last; l > 0; --l) {
      T* const back = room + n_rows * hidden_[l];  // the layer's own values have been read
      const T* const slope = back + n_rows * step(l);
      for (std::size_t i = 0; i < n_rows * step(l); i += LANES<T>)
        store(back + i, load<V>(slope + i) * load<V>(l == last ? dual_.last + i % step(l) : back + i));
      T* const below = l > 1 ? room + n_rows * hidden_[l - 1] : gradient;
      const PackedMatrix<T> layer{dual_.backward[l - 1], dual_.width[l - 1], dual_.width[l]};
      multiply(layer, n_rows, {back, step(l), 1, dual_.width[l], 0}, static_cast<const T*>(nullptr), below, step(l - 1));
    }
  }

 private:
  std::size_t step(std::size_t layer) const { return whole_lines<T>(dual_.width[layer]); }

  const MlpDual<T>& dual_;
  std::size_t hidden_[MAX_LAYERS] = {}, row_numbers_ = 0;
};

template <class T>
bool walk_mlp(const Walk<T>& walk, const MlpDual<T>& dual) {
  if (dual.n_layers > MAX_LAYERS) return false;
  const MlpModel<T> model(dual);
  return RowWalker<T, MlpModel<T>>(walk, model).run();
}

}  // namespace
}  // namespace DUALWALK_LEVEL
}  // namespace dualwalk
