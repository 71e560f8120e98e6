// The members' mixtures of one tile of pairs, at the children and over a grid of the node's marginal, and their slopes.
// backends/_reference_terms.py is the definition.
#pragma once

#include "nodes/node_loss.hpp"

namespace dualwalk {
namespace DUALWALK_LEVEL {
namespace {

template <class T>
constexpr T MINUS_INFINITY = -__builtin_huge_val();

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
      const V total = softmax(share, QuickExp{}) + log_n_members;
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

  // The slopes of one term by its components: `by` (3, n_components, PAIRS) takes those by log share, mean and log sd, times
  // alpha. `shift` (n_grid, PAIRS) is the log of what a grid value weighs, less its density. Returns the slope by x.
  Vector<T> slopes(std::size_t p, Vector<T> x, T alpha, const T* grid, std::size_t n_grid, const T* shift, T* by) const {
    using V = Vector<T>;
    V largest = score(0, p, x), total = {}, by_x = x;
    for (std::size_t c = 1; c < n_components; ++c) {
      const V here = score(c, p, x);
      largest = here > largest ? here : largest;
    }
    for (std::size_t c = 0; c < n_components; ++c) total += exponential_of_negative(score(c, p, x) - largest);
    const V share = T{1} / total;
    for (std::size_t c = 0; c < n_components; ++c) {
      const std::size_t at = c * PAIRS + p;
      const V centre = load<V>(mean + at), narrow = load<V>(precision + at), weight = load<V>(log_weight + at);
      const V near = exponential_of_negative(score(c, p, x) - largest) * share, z = (x - centre) * narrow;
      V sum = {}, first = {}, second = {};  // moments of the grid's z under this component
      for (std::size_t g = 0; g < n_grid; ++g) {
        const V there = (grid[g] - centre) * narrow;
        const V w = exponential_of_negative(weight - T(0.5) * there * there + load<V>(shift + g * PAIRS + p));
        sum += w;
        first += w * there;
        second += w * there * there;
      }
      by_x -= near * z * narrow;
      const std::size_t part = n_components * PAIRS;
      store(by + at, alpha * (near - sum));
      store(by + part + at, alpha * (near * z - first) * narrow);
      store(by + 2 * part + at, alpha * (near * (z * z - T{1}) - (second - sum)));
    }
    return alpha * by_x;
  }

  // f at a grid value, where -inf does no harm.
  DUALWALK_FN Vector<T> log_ratio_on_grid(std::size_t p, T x) const {
    using V = Vector<T>;
    V density = {};
    for (std::size_t c = 0; c < n_components; ++c) density += exponential_of_negative(score(c, p, splat<V>(x)));
    return density > T{0} ? logarithm(density) + T(0.5) * x * x : splat<V>(MINUS_INFINITY<T>);
  }
};

// log mean exp of alpha f over the grid, `ratio` (n_grid, PAIRS) from lane p on; -inf where all are.
template <class T>
Vector<T> grid_level(const T* ratio, std::size_t n_grid, std::size_t p, T alpha) {
  using V = Vector<T>;
  V largest = splat<V>(MINUS_INFINITY<T>);
  for (std::size_t g = 0; g < n_grid; ++g) {
    const V here = alpha * load<V>(ratio + g * PAIRS + p);
    largest = here > largest ? here : largest;
  }
  largest = largest > MINUS_INFINITY<T> ? largest : V{};
  V total = {};
  for (std::size_t g = 0; g < n_grid; ++g) total += exponential_of_negative(alpha * load<V>(ratio + g * PAIRS + p) - largest);
  const V level = largest + logarithm(total * (T{1} / static_cast<T>(n_grid)));
  return total > T{0} ? level : splat<V>(MINUS_INFINITY<T>);
}

}  // namespace
}  // namespace DUALWALK_LEVEL
}  // namespace dualwalk
