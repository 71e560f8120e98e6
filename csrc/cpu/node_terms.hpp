// Normalized terms of node networks: the members' mixtures at the child and over a grid of the node's marginal.
// backends/_reference_terms.py is the definition.
#pragma once

#include "node_loss.hpp"

namespace dualwalk {
namespace DUALWALK_LEVEL {
namespace {

// All members' components of one tile, pairs in lanes: exp(log_weight - z^2 / 2) with z = (x - mean) precision.
template <class T>
struct TileMixture {
  T *log_weight, *mean, *precision;  // (n_components, PAIRS) each
  std::size_t n_components = 0;

  TileMixture(std::size_t most, T* room) : log_weight(room), mean(room + most * PAIRS), precision(room + 2 * most * PAIRS) {}

  // Adds a member's components, from its transposed outputs in `lanes.turned`.
  void add(const TileLanes<T>& lanes, T log_n_members) {
    using V = Vector<T>;
    const T scale = exponential(lanes.log_scale);
    for (std::size_t p = 0; p < PAIRS; p += LANES<T>) {
      V share[COMPONENTS], logit[COMPONENTS];
      for (std::size_t j = 0; j < COMPONENTS; ++j) share[j] = logit[j] = load<V>(lanes.turned[j] + p);
      const V total = softmax(share) + log_n_members;
      for (std::size_t j = 0; j < COMPONENTS; ++j) {
        V log_sd = clip_log_sd(load<V>(lanes.turned[2 * COMPONENTS + j] + p));
        V centre = load<V>(lanes.turned[COMPONENTS + j] + p);
        if (j < TIED) {
          centre = load<V>(lanes.mean + p) + scale * centre;
          log_sd += lanes.log_scale;
        }
        const std::size_t at = (n_components + j) * PAIRS + p;
        store(log_weight + at, logit[j] - total - log_sd);
        store(mean + at, centre);
        store(precision + at, exponential(-log_sd));
      }
    }
    n_components += COMPONENTS;
  }

  DUALWALK_FN Vector<T> score(std::size_t component, std::size_t p, Vector<T> x) const {
    using V = Vector<T>;
    const std::size_t at = component * PAIRS + p;
    const V z = (x - load<V>(mean + at)) * load<V>(precision + at);
    return load<V>(log_weight + at) - T(0.5) * z * z;
  }

  // f at x for the lanes from p on, however far x is from every component.
  DUALWALK_FN Vector<T> log_ratio(std::size_t p, Vector<T> x) const {
    using V = Vector<T>;
    V largest = score(0, p, x);
    for (std::size_t c = 1; c < n_components; ++c) {
      const V here = score(c, p, x);
      largest = here > largest ? here : largest;
    }
    V total = {};
    for (std::size_t c = 0; c < n_components; ++c) total += exponential_of_negative(score(c, p, x) - largest);
    return largest + logarithm(total) + T(0.5) * x * x;
  }

  // The same at a grid value, where -inf does no harm.
  DUALWALK_FN Vector<T> log_ratio_on_grid(std::size_t p, T x) const {
    using V = Vector<T>;
    V density = {};
    for (std::size_t c = 0; c < n_components; ++c) density += exponential_of_negative(score(c, p, splat<V>(x)));
    return density > T{0} ? logarithm(density) + T(0.5) * x * x : splat<V>(-__builtin_huge_val());
  }
};

// log mean exp of alpha f over the grid, `ratio` (n_grid, PAIRS) from lane p on; -inf where all are.
template <class T>
Vector<T> grid_level(const T* ratio, std::size_t n_grid, std::size_t p, T alpha) {
  using V = Vector<T>;
  V largest = splat<V>(-__builtin_huge_val());
  for (std::size_t g = 0; g < n_grid; ++g) {
    const V here = alpha * load<V>(ratio + g * PAIRS + p);
    largest = here > largest ? here : largest;
  }
  largest = largest > -__builtin_huge_val() ? largest : V{};
  V total = {};
  for (std::size_t g = 0; g < n_grid; ++g) total += exponential_of_negative(alpha * load<V>(ratio + g * PAIRS + p) - largest);
  const V level = largest + logarithm(total * (T{1} / static_cast<T>(n_grid)));
  return total > T{0} ? level : splat<V>(-__builtin_huge_val());
}

template <class T>
class NodeTermsJob {
 public:
  explicit NodeTermsJob(const NodeTerms<T>& job)
      : job_(job),
        shape_(job.data.n_context, job.data.n_statistics, 0, job.n_hidden, DENSITY_OUTPUTS),
        n_flat_((shape_.inputs() + 1) * shape_.hidden + (shape_.hidden + DENSITY_OUTPUTS) * (shape_.hidden + 1)) {}

  bool run() {
    const std::size_t most = COMPONENTS * job_.n_members;
    const std::size_t worker = (NodeRoom<T>::length(shape_) + (3 * most + job_.n_grid) * PAIRS + 31) / 16 * 16;
    const Scratch memory((job_.n_members * shape_.size + worker * job_.n_threads) * sizeof(T));
    if (!memory) return false;
    packed_ = memory.template as<T>();
    for (std::size_t e = 0; e < job_.n_members; ++e) shape_.pack(job_.weights + e * n_flat_, packed_ + e * shape_.size);
    T* const rooms = packed_ + job_.n_members * shape_.size;
    const std::size_t per_node = (job_.data.n_rows + PAIRS - 1) / PAIRS;
    auto body = [&](std::size_t t, int number) {
      const std::size_t first = t % per_node * PAIRS;
      const NodeTile<T> tile{job_.data, t / per_node, smaller(PAIRS, job_.data.n_rows - first), nullptr, first, 0, 1};
      run_tile(tile, rooms + worker * number);
    };
    return run_parallel(job_.data.n_nodes * per_node, job_.n_threads, body, job_.poll, job_.poll_context);
  }

 private:
  void run_tile(const NodeTile<T>& tile, T* at) const {
    using V = Vector<T>;
    NodeRoom<T> room(shape_, at);
    at += NodeRoom<T>::length(shape_);
    const std::size_t most = COMPONENTS * job_.n_members;
    TileMixture<T> mixture(most, at);
    T* const ratio = at + 3 * most * PAIRS;  // (n_grid, PAIRS)
    TileLanes<T> lanes;
    lanes.gather(tile);
    const T log_n_members = logarithm(static_cast<T>(job_.n_members));
    for (std::size_t e = 0; e < job_.n_members; ++e) {
      const T* const packed = packed_ + e * shape_.size;
      room.gather(tile, packed);
      room.first_layer(packed, tile.n);
      room.forward(packed, tile.n);
      transpose(room.outputs, 16, PAIRS, 16, lanes.turned[0], PAIRS);
      mixture.add(lanes, log_n_members);
    }
    const T* const grid = job_.grid + tile.node * job_.n_grid;
    const T cap = logarithm(static_cast<T>(job_.n_grid));
    for (std::size_t p = 0; p < tile.n; p += LANES<T>) {
      for (std::size_t g = 0; g < job_.n_grid; ++g) store(ratio + g * PAIRS + p, mixture.log_ratio_on_grid(p, grid[g]));
      const V at_child = mixture.log_ratio(p, load<V>(lanes.child + p));
      for (std::size_t a = 0; a < job_.n_alphas; ++a) {
        const T alpha = static_cast<T>(job_.alphas[a]);
        V value = {};
        if (alpha != T{0}) {
          value = alpha * at_child - grid_level(ratio, job_.n_grid, p, alpha);
          value = value > cap ? splat<V>(cap) : value;
        }
        T* const to = job_.terms + (a * job_.data.n_nodes + tile.node) * job_.data.n_rows + tile.first + p;
        std::memcpy(to, &value, smaller(LANES<T>, tile.n - p) * sizeof(T));
      }
    }
  }

  const NodeTerms<T>& job_;
  const NodeShape<T> shape_;
  const std::size_t n_flat_;
  T* packed_ = nullptr;
};

template <class T>
bool node_terms(const NodeTerms<T>& job) {
  return NodeTermsJob<T>(job).run();
}

}  // namespace
}  // namespace DUALWALK_LEVEL
}  // namespace dualwalk
