// Sets of pairs, and what one network makes of a pair, a thread each: its value, and the gradient by the outputs. For .cu files only.
#pragma once

#include "nodes/network.hpp"

namespace dualwalk::cuda {

// All of n_nodes x n_rows, or those that `nodes` and `rows` name, with their signs turned; and as often again for every shift.
template <class T>
struct Pairs {
  const NodeData<T>& data;
  const std::int32_t *nodes, *rows;  // null: nodes and rows 0, 1, ...
  const std::uint8_t* flips;         // null: none
  std::size_t n_nodes, n_rows, n_shifts;

  __device__ std::size_t n_pairs() const { return n_nodes * n_rows; }
  __device__ std::size_t size() const { return n_pairs() * (1 + n_shifts); }
};

// Quotient and rest, by 32 bits where they suffice.
__device__ __forceinline__ std::size_t divide(std::size_t number, std::size_t by, std::size_t& rest) {
  const std::size_t quotient = (number | by) >> 32 ? number / by : static_cast<unsigned>(number) / static_cast<unsigned>(by);
  rest = number - quotient * by;
  return quotient;
}

// f = log mixture(x) - log N(x; 0, 1) from a density network's `outputs`, which with Slopes become f's gradient by them times
// `factor`.
template <bool Slopes, class T>
__device__ __forceinline__ T density_log_ratio(T (&outputs)[DENSITY_OUTPUTS], T x, T mean, T log_scale, T factor) {
  const T residual = (x - mean) * exponential(-log_scale);
  T share[COMPONENTS], posterior[COMPONENTS], z[COMPONENTS], precision[COMPONENTS], log_sd[COMPONENTS];
#pragma unroll
  for (unsigned j = 0; j < COMPONENTS; ++j) {
    log_sd[j] = clip_log_sd(outputs[2 * COMPONENTS + j]);
    precision[j] = QuickExp{}(-log_sd[j]);  // of a small number of either sign
    z[j] = ((j < TIED ? residual : x) - outputs[COMPONENTS + j]) * precision[j];
    share[j] = outputs[j];
    posterior[j] = share[j] - log_sd[j] - T(0.5) * z[j] * z[j];
    if (j < TIED) posterior[j] -= log_scale;
  }
  const T joint = softmax(posterior, QuickExp{}), total = softmax(share, QuickExp{});
  if (Slopes) {
#pragma unroll
    for (unsigned j = 0; j < COMPONENTS; ++j) {
      const T raw = outputs[2 * COMPONENTS + j], by_log_sd = factor * (posterior[j] * (z[j] * z[j] - T{1}));
      outputs[j] = factor * (posterior[j] - share[j]);
      outputs[COMPONENTS + j] = factor * (posterior[j] * z[j] * precision[j]);
      outputs[2 * COMPONENTS + j] = raw == log_sd[j] ? by_log_sd : T{0};  // beyond its range it has no effect
    }
  }
  return joint - total + T(0.5) * x * x;
}

// A network at work on pairs: its packed weights and the block's rows.
template <class T, bool Contrastive>
struct NodePass {
  const NodeShape& shape;
  const T* weights;
  Room<T> room;
  bool base;

  // f of item `at`, or its part of minus the logistic loss; 0 beyond the last item. With slopes, room.outputs is left as the
  // gradient of factor times that.
  template <bool Slopes>
  __device__ __forceinline__ double value(const Pairs<T>& pairs, std::size_t at, T factor) const {
    const bool here = at < pairs.size();
    std::size_t shift = 0;
    T child{0};
    if (here) {
      std::size_t pair, r;
      shift = divide(at, pairs.n_pairs(), pair);
      const std::size_t k = divide(pair, pairs.n_rows, r);
      std::size_t ahead = r + shift;  // whose child is the negative
      if (ahead >= pairs.n_rows) ahead -= pairs.n_rows;
      const std::size_t node = pairs.nodes ? static_cast<std::size_t>(pairs.nodes[k]) : k;
      const std::size_t row = pairs.rows ? static_cast<std::size_t>(pairs.rows[r]) : r;
      const std::size_t child_row = pairs.rows ? static_cast<std::size_t>(pairs.rows[ahead]) : ahead;
      child = read_pair(shape, pairs.data, node, row, child_row, pairs.flips ? pairs.flips[k] : 0u, room.inputs);
    } else {
      for (unsigned i = 0; i < shape.context + shape.statistics; ++i) room.inputs[i] = T{0};
    }
    if (Contrastive) room.inputs[shape.inputs() - 1] = child;
    forward<Slopes, Contrastive>(shape, weights, room);
    const T mean = room.inputs[1], log_scale = room.inputs[shape.context];
    double value;
    if constexpr (Contrastive) {
      T f = room.outputs[0], slope;
      if (base) f += base_log_ratio(child, mean, log_scale, exponential(-log_scale));
      const T sign = shift ? T{-1} : T{1}, share = shift ? T{1} / static_cast<T>(pairs.n_shifts) : T{1};
      value = static_cast<double>(log_sigmoid(sign * f, slope)) * static_cast<double>(share);
      if (Slopes) {
        room.outputs[0] = here ? sign * (factor * share) * slope : T{0};
        for (unsigned j = 1; j < shape.padded(); ++j) room.outputs[j] = T{0};
      }
    } else {
      T outputs[DENSITY_OUTPUTS];
#pragma unroll
      for (unsigned j = 0; j < DENSITY_OUTPUTS; ++j) outputs[j] = room.outputs[j];
      value = static_cast<double>(density_log_ratio<Slopes>(outputs, child, mean, log_scale, factor));
      if (Slopes) {
#pragma unroll
        for (unsigned j = 0; j < DENSITY_OUTPUTS; ++j) room.outputs[j] = here ? outputs[j] : T{0};
        room.outputs[DENSITY_OUTPUTS] = T{0};
      }
    }
    return here ? value : 0.0;
  }

  // The sum of the values of every n_groups-th tile from `group` on, for all threads.
  __device__ double group_value(const Pairs<T>& pairs, unsigned group, unsigned n_groups, double* scratch) const {
    double sum = 0;
    for (std::size_t first = std::size_t{group} * blockDim.x; first < pairs.size(); first += std::size_t{n_groups} * blockDim.x)
      sum += value<false>(pairs, first + threadIdx.x, T{1});
    return block_sum(sum, scratch);
  }
};

}  // namespace dualwalk::cuda
