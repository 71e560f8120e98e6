// The two losses of a tile of pairs: outputs in, f and its gradient by the outputs out. Pairs lie in vector lanes here.
#pragma once

#include "nodes/node_network.hpp"
#include "simd/transpose.hpp"

namespace dualwalk {
namespace DUALWALK_LEVEL {
namespace {

// What the losses need of a tile beside the network: children and conditional means in lanes, signs turned.
template <class T>
struct TileLanes {
  alignas(64) T child[PAIRS], mean[PAIRS], value[PAIRS], turned[16][PAIRS];
  T log_scale;

  void gather(const NodeTile<T>& tile, std::size_t ahead = 0) {
    const NodeData<T>& data = tile.data;
    const T* const children = data.child + tile.node * data.n_rows;
    const T* const means = data.context + (tile.node * data.n_context + 1) * data.n_rows;
    const T sign = tile.child_sign();
    log_scale = tile.log_scale();
    for (std::size_t p = 0; p < PAIRS; ++p) {
      const std::size_t i = smaller(p, tile.n - 1);
      child[p] = sign * children[ahead ? tile.shifted_row(i, ahead) : tile.row(i)];
      mean[p] = sign * means[tile.row(i)];
    }
  }
};

// f of every pair into lanes.value; with `by_output` (PAIRS, 16) its gradient by the outputs times `factor`.
template <class T>
void density_log_ratio(const T* outputs, TileLanes<T>& lanes, std::size_t n, T factor, T* by_output) {
  using V = Vector<T>;
  T(&turned)[16][PAIRS] = lanes.turned;
  const std::size_t whole = (n + LANES<T> - 1) / LANES<T> * LANES<T>;
  transpose(outputs, 16, whole, 16, turned[0], PAIRS);
  const T log_scale = lanes.log_scale, inverse_scale = exponential(-log_scale);
  for (std::size_t p = 0; p < whole; p += LANES<T>) {
    const V x = load<V>(lanes.child + p), residual = (x - load<V>(lanes.mean + p)) * inverse_scale;
    V share[COMPONENTS], posterior[COMPONENTS], z[COMPONENTS], precision[COMPONENTS], raw[COMPONENTS], log_sd[COMPONENTS];
    for (std::size_t j = 0; j < COMPONENTS; ++j) {
      raw[j] = load<V>(turned[2 * COMPONENTS + j] + p);
      log_sd[j] = clip_log_sd(raw[j]);
      precision[j] = QuickExp{}(-log_sd[j]);  // of a small number of either sign
      z[j] = ((j < TIED ? residual : x) - load<V>(turned[COMPONENTS + j] + p)) * precision[j];
      share[j] = load<V>(turned[j] + p);
      posterior[j] = share[j] - log_sd[j] - T(0.5) * z[j] * z[j];
      if (j < TIED) posterior[j] -= log_scale;
    }
    const V joint = softmax(posterior, QuickExp{}), total = softmax(share, QuickExp{});
    store(lanes.value + p, joint - total + T(0.5) * x * x);
    if (by_output) {
      for (std::size_t j = 0; j < COMPONENTS; ++j) {
        store(turned[j] + p, factor * (posterior[j] - share[j]));
        store(turned[COMPONENTS + j] + p, factor * (posterior[j] * z[j] * precision[j]));
        const V by_log_sd = factor * (posterior[j] * (z[j] * z[j] - T{1}));
        store(turned[2 * COMPONENTS + j] + p, raw[j] == log_sd[j] ? by_log_sd : V{});
      }
      store(turned[DENSITY_OUTPUTS] + p, V{});
    }
  }
  if (by_output) transpose(turned[0], PAIRS, 16, whole, by_output, 16);
}

// Adds log N(child; mean, scale) - log N(child; 0, 1) to lanes.value.
template <class T>
void add_base_log_ratio(TileLanes<T>& lanes) {
  using V = Vector<T>;
  const T inverse_scale = exponential(-lanes.log_scale);
  for (std::size_t p = 0; p < PAIRS; p += LANES<T>) {
    const V base = base_log_ratio(load<V>(lanes.child + p), load<V>(lanes.mean + p), lanes.log_scale, inverse_scale);
    store(lanes.value + p, load<V>(lanes.value + p) + base);
  }
}

// lanes.value becomes log sigmoid(sign f); its gradient by f times `factor` goes into the first column of by_output (PAIRS, 16).
template <class T>
void logistic(TileLanes<T>& lanes, std::size_t n, T sign, T factor, T* by_output) {
  using V = Vector<T>;
  alignas(64) T slopes[PAIRS];
  for (std::size_t p = 0; p < PAIRS; p += LANES<T>) {
    V slope;
    store(lanes.value + p, log_sigmoid(sign * load<V>(lanes.value + p), slope));
    store(slopes + p, sign * factor * slope);
  }
  if (by_output)
    for (std::size_t p = 0; p < n; ++p) by_output[p * 16] = slopes[p];
}

}  // namespace
}  // namespace DUALWALK_LEVEL
}  // namespace dualwalk
