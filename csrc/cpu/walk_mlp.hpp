// Walks on an MLP dual, a tile of walks at a time.
#pragma once

#include "dualwalk/activation.hpp"
#include "walk_tile.hpp"

namespace dualwalk {
namespace DUALWALK_LEVEL {
namespace {

constexpr std::size_t MAX_LAYERS = 64;

template <class T>
class MlpModel {
  using V = Vector<T>;

 public:
  std::size_t work = 0, room_numbers = 0;

  explicit MlpModel(const MlpDual<T>& dual) : dual_(dual) {
    for (std::size_t l = 0; l < dual.n_layers; ++l) {
      const std::size_t in = dual.width[l], out = dual.width[l + 1];
      forward_[l] = n_packed_;
      n_packed_ += packed_size<T>(out, in);
      backward_[l] = n_packed_;
      n_packed_ += packed_size<T>(in, out);
      work += 2 * in * out * TILE<T>;
    }
    for (std::size_t l = 1; l <= dual.n_layers; ++l) {  // every hidden layer's activation and slope
      activation_[l] = room_numbers;
      room_numbers += dual.width[l] * TILE<T>;
      slope_[l] = room_numbers;
      room_numbers += dual.width[l] * TILE<T>;
    }
  }

  std::size_t packed_bytes() const { return n_packed_ * sizeof(T); }
  void pack_weights(T* packed) {
    packed_ = packed;
    for (std::size_t l = 0; l < dual_.n_layers; ++l) {
      const std::size_t in = dual_.width[l], out = dual_.width[l + 1];
      pack(dual_.weight[l], out, in, in, std::size_t{1}, packed + forward_[l]);
      pack(dual_.weight[l], in, out, std::size_t{1}, in, packed + backward_[l]);
    }
  }

  const T* evaluate(const T* x, T* room, T* gradient) const {
    const std::size_t n_layers = dual_.n_layers;
    const T* in = x;
    for (std::size_t l = 1; l <= n_layers; ++l) {
      T* const z = room + activation_[l];
      multiply(packed_ + forward_[l - 1], dual_.width[l], dual_.width[l - 1], in, dual_.bias[l - 1], z);
      if (l < n_layers)
        for (std::size_t i = 0; i < dual_.width[l] * TILE<T>; i += LANES<T>) {
          V slope;
          store(z + i, silu(load<V>(z + i), slope));
          store(room + slope_[l] + i, slope);
        }
      in = z;
    }
    const T* const f = in;
    if (!gradient) return f;
    T* back = room + slope_[n_layers];
    for (std::size_t lane = 0; lane < TILE<T>; lane += LANES<T>) store(back + lane, splat<V>(T{1}));
    for (std::size_t l = n_layers; l > 0; --l) {
      // after the last layer's value was read its room may be reused: activation_[l - 1] takes the gradient there
      T* const below = l > 1 ? room + activation_[l - 1] : gradient;
      multiply(packed_ + backward_[l - 1], dual_.width[l - 1], dual_.width[l], back, static_cast<const T*>(nullptr), below);
      if (l > 1) {
        const T* const slope = room + slope_[l - 1];
        for (std::size_t i = 0; i < dual_.width[l - 1] * TILE<T>; i += LANES<T>)
          store(below + i, load<V>(below + i) * load<V>(slope + i));
      }
      back = below;
    }
    return f;
  }

 private:
  const MlpDual<T>& dual_;
  const T* packed_ = nullptr;
  std::size_t forward_[MAX_LAYERS], backward_[MAX_LAYERS], activation_[MAX_LAYERS + 1], slope_[MAX_LAYERS + 1];
  std::size_t n_packed_ = 0;
};

template <class T>
bool walk_mlp(const Walk<T>& walk, const MlpDual<T>& dual) {
  if (dual.n_layers > MAX_LAYERS) return false;
  MlpModel<T> model(dual);
  const Scratch weights(model.packed_bytes());
  if (!weights) return false;
  model.pack_weights(weights.template as<T>());
  return TileWalker<T, MlpModel<T>>(walk, model).run();
}

}  // namespace
}  // namespace DUALWALK_LEVEL
}  // namespace dualwalk
