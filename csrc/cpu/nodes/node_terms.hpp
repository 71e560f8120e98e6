// Normalized terms of node networks of either kind, and their gradients by child and context, tile by tile.
// backends/_reference_terms.py is the definition.
#pragma once

#include "nodes/node_mixture.hpp"

namespace dualwalk {
namespace DUALWALK_LEVEL {
namespace {

template <class T>
class NodeTermsJob {
  using V = Vector<T>;

 public:
  explicit NodeTermsJob(const NodeTerms<T>& job)
      : job_(job),
        shape_(job.data.n_context, job.data.n_statistics, job.contrastive, job.n_hidden, job.contrastive ? 1 : DENSITY_OUTPUTS),
        most_(COMPONENTS * job.n_members) {}

  bool run() {
    const std::size_t flat = (shape_.inputs() + 1) * shape_.hidden + (shape_.hidden + shape_.outputs) * (shape_.hidden + 1);
    const std::size_t turned = job_.by_child ? shape_.turned_size() : 0, worker = room_length();
    const int n_threads = threads_for(work(), job_.n_threads);
    const Scratch memory((job_.n_members * (shape_.size + turned) + worker * n_threads) * sizeof(T));
    if (!memory) return false;
    packed_ = memory.template as<T>();
    turned_ = packed_ + job_.n_members * shape_.size;
    for (std::size_t e = 0; e < job_.n_members; ++e) {
      shape_.pack(job_.weights + e * flat, packed_ + e * shape_.size);
      if (turned) shape_.turn(packed_ + e * shape_.size, turned_ + e * turned);
    }
    T* const rooms = turned_ + job_.n_members * turned;
    const std::size_t per_node = (job_.data.n_rows + PAIRS - 1) / PAIRS;
    auto body = [&](std::size_t t, int number) {
      const std::size_t first = t % per_node * PAIRS;
      const NodeTile<T> tile{job_.data, t / per_node, smaller(PAIRS, job_.data.n_rows - first), nullptr, first, 0, 1};
      Desk desk(*this, tile, rooms + worker * number);
      if (job_.contrastive)
        contrastive(desk);
      else
        density(desk);
    };
    return run_parallel(job_.data.n_nodes * per_node, n_threads, body, job_.poll, job_.poll_context);
  }

 private:
  // Multiply-adds: of the networks, or of the grid's exponentials, whichever a kind has more of.
  double work() const {
    const double pairs = static_cast<double>(job_.data.n_nodes) * static_cast<double>(job_.data.n_rows);
    const double components = COMPONENT_WORK * static_cast<double>(COMPONENTS);
    const double a_point = job_.contrastive ? static_cast<double>(shape_.size) : components;
    return pairs * static_cast<double>(job_.n_members) * static_cast<double>(job_.n_grid + 1) * a_point;
  }
  static constexpr double COMPONENT_WORK = 20;  // of one component at one value: mostly the exponential

  // Everything one tile needs.
  struct Desk {
    const NodeTile<T>& tile;
    NodeRoom<T> room;
    TileLanes<T> lanes;
    const T* grid;
    T *ratio, *parts, *by_part, *by_input;  // (n_grid, PAIRS), (3, most, PAIRS) twice, (PAIRS, turned inputs)

    Desk(const NodeTermsJob& job, const NodeTile<T>& tile, T* at) : tile(tile), room(job.shape_, at) {
      lanes.gather(tile);
      grid = job.job_.grid + tile.node * job.job_.n_grid;
      ratio = at + NodeRoom<T>::length(job.shape_);
      parts = ratio + job.job_.n_grid * PAIRS;
      by_part = parts + job.part_length();
      by_input = by_part + (job.job_.by_child ? job.part_length() : 0);
    }
  };
  std::size_t part_length() const { return larger(3 * most_, 3 * shape_.hidden) * PAIRS; }
  std::size_t room_length() const {
    const std::size_t slopes = job_.by_child ? part_length() + 2 * shape_.turned_inputs() * PAIRS : 0;
    return (NodeRoom<T>::length(shape_) + job_.n_grid * PAIRS + part_length() + slopes + 31) / 16 * 16;
  }
  const T* packed(std::size_t member) const { return packed_ + member * shape_.size; }
  const T* turned(std::size_t member) const { return turned_ + member * shape_.turned_size(); }

  void density(Desk& desk) const {
    TileMixture<T> mixture(most_, desk.parts);
    const T log_n_members = logarithm(static_cast<T>(job_.n_members));
    for (std::size_t e = 0; e < job_.n_members; ++e) {
      forward<false>(desk, e);
      mixture.add(desk.lanes, log_n_members);
    }
    for (std::size_t p = 0; p < desk.tile.n; p += LANES<T>) {
      for (std::size_t g = 0; g < job_.n_grid; ++g)
        store(desk.ratio + g * PAIRS + p, mixture.log_ratio_on_grid(p, desk.grid[g]));
      const V x = load<V>(desk.lanes.child + p), at_child = mixture.log_ratio(p, x);
      store(desk.lanes.value + p, at_child);
    }
    write_terms(desk);
    if (!job_.by_child) return;
    const T alpha = static_cast<T>(job_.alphas[0]);
    for (std::size_t p = 0; p < desk.tile.n; p += LANES<T>) {
      weigh_grid(desk, p, alpha);
      for (std::size_t g = 0; g < job_.n_grid; ++g) {  // the log of the density itself is contained in the mixture
        T* const at = desk.ratio + g * PAIRS + p;
        store(at, load<V>(at) + T(0.5) * desk.grid[g] * desk.grid[g]);
      }
      const V x = load<V>(desk.lanes.child + p), keep = load<V>(desk.lanes.value + p);
      const V by_x = mixture.slopes(p, x, alpha, desk.grid, job_.n_grid, desk.ratio, desk.by_part);
      write_row(job_.by_child + desk.tile.node * job_.data.n_rows, desk.tile, p, keep != T{0} ? by_x : V{});
      for (std::size_t c = 0; c < 3 * most_; ++c) {
        T* const at = desk.by_part + c * PAIRS + p;
        store(at, keep != T{0} ? load<V>(at) : V{});
      }
    }
    density_context(desk);
  }

  // From slopes by the mixture to slopes by the context, through every member.
  void density_context(Desk& desk) const {
    const T scale = exponential(desk.lanes.log_scale);
    T* const tied = desk.lanes.value;  // what the conditional mean gets from the tied components directly
    std::memset(tied, 0, PAIRS * sizeof(T));
    std::memset(desk.by_input, 0, PAIRS * shape_.turned_inputs() * sizeof(T));
    for (std::size_t e = 0; e < job_.n_members; ++e) {
      forward<true>(desk, e);
      T(&outputs)[16][PAIRS] = desk.lanes.turned;
      for (std::size_t p = 0; p < desk.tile.n; p += LANES<T>) {
        const auto by = [&](std::size_t kind, std::size_t j) {
          return load<V>(desk.by_part + ((kind * job_.n_members + e) * COMPONENTS + j) * PAIRS + p);
        };
        V share[COMPONENTS], all = {};
        for (std::size_t j = 0; j < COMPONENTS; ++j) {
          share[j] = load<V>(outputs[j] + p);
          all += by(0, j);
        }
        softmax(share, QuickExp{});
        for (std::size_t j = 0; j < COMPONENTS; ++j) {
          store(outputs[j] + p, by(0, j) - share[j] * all);
          store(outputs[COMPONENTS + j] + p, j < TIED ? scale * by(1, j) : by(1, j));
          if (j < TIED) store(tied + p, load<V>(tied + p) + by(1, j));
          const V raw = load<V>(outputs[2 * COMPONENTS + j] + p);
          store(outputs[2 * COMPONENTS + j] + p, raw == clip_log_sd(raw) ? by(2, j) : V{});
        }
      }
      transpose(outputs[0], PAIRS, 16, PAIRS, desk.room.by_output, 16);
      desk.room.backward(turned(e), desk.tile.n);
      desk.room.add_input_gradient(turned(e), desk.tile.n, desk.by_input);
    }
    write_context(desk, tied);
  }

  void contrastive(Desk& desk) const {
    const T share = T{1} / static_cast<T>(job_.n_members);
    T* const at_child = desk.lanes.value;
    for (std::size_t p = 0; p < PAIRS; ++p) at_child[p] = T{0};
    std::memset(desk.ratio, 0, job_.n_grid * PAIRS * sizeof(T));
    for (std::size_t e = 0; e < job_.n_members; ++e) {
      keep_context(desk, e);
      for (std::size_t k = 0; k <= job_.n_grid; ++k) {
        critic<false>(desk, e, k);
        T* const to = k ? desk.ratio + (k - 1) * PAIRS : at_child;
        for (std::size_t p = 0; p < desk.tile.n; ++p) to[p] += share * desk.room.outputs[p];
      }
    }
    if (job_.base)
      for (std::size_t k = 0; k <= job_.n_grid; ++k)
        for (std::size_t p = 0; p < PAIRS; p += LANES<T>) {
          T* const to = (k ? desk.ratio + (k - 1) * PAIRS : at_child) + p;
          const V x = point(desk, k, p), z = (x - load<V>(desk.lanes.mean + p)) * exponential(-desk.lanes.log_scale);
          store(to, load<V>(to) + (T(0.5) * (x * x - z * z) - desk.lanes.log_scale));
        }
    write_terms(desk);
    if (!job_.by_child) return;
    const T alpha = static_cast<T>(job_.alphas[0]);
    T* const keep = at_child;  // alpha where a term is below its cap, else 0: the weight of the child itself
    for (std::size_t p = 0; p < desk.tile.n; p += LANES<T>) {
      store(keep + p, load<V>(keep + p) * alpha);
      const T* const from = desk.ratio;
      const V level = grid_level(from, job_.n_grid, p, alpha);
      for (std::size_t g = 0; g < job_.n_grid; ++g) {
        T* const at = desk.ratio + g * PAIRS + p;
        store(at, -load<V>(keep + p) * grid_weight(load<V>(at), level, alpha));
      }
    }
    contrastive_context(desk);
  }

  // With the weight of every point known: slopes by the child and the context.
  void contrastive_context(Desk& desk) const {
    const std::size_t n = desk.tile.n, width = shape_.hidden, columns = shape_.turned_inputs();
    T* const weight_of_child = desk.lanes.value;
    T* const summed = desk.parts + width * PAIRS;
    T* const by_first = desk.by_input + columns * PAIRS;  // of the child's own value alone
    alignas(64) T by_mean[PAIRS] = {}, by_child[PAIRS] = {};
    std::memset(desk.by_input, 0, 2 * columns * PAIRS * sizeof(T));
    std::memset(desk.room.by_output, 0, PAIRS * shape_.padded * sizeof(T));
    for (std::size_t e = 0; e < job_.n_members; ++e) {
      keep_context(desk, e);
      std::memset(summed, 0, n * width * sizeof(T));
      for (std::size_t k = 0; k <= job_.n_grid; ++k) {
        const T* const weight = k ? desk.ratio + (k - 1) * PAIRS : weight_of_child;
        critic<true>(desk, e, k);
        for (std::size_t p = 0; p < n; ++p)
          desk.room.by_output[p * shape_.padded] = weight[p] / static_cast<T>(job_.n_members);
        desk.room.backward(turned(e), n);
        for (std::size_t i = 0; i < n * width; ++i) summed[i] += desk.room.back[0][i];
        if (k == 0) desk.room.add_input_gradient(turned(e), n, by_first);
      }
      std::memcpy(desk.room.back[0], summed, n * width * sizeof(T));
      desk.room.add_input_gradient(turned(e), n, desk.by_input);
    }
    for (std::size_t p = 0; p < n; ++p) by_child[p] = by_first[p * columns + shape_.context];
    if (job_.base) {
      const T narrow = exponential(T(-2) * desk.lanes.log_scale);
      for (std::size_t k = 0; k <= job_.n_grid; ++k) {
        const T* const weight = k ? desk.ratio + (k - 1) * PAIRS : weight_of_child;
        for (std::size_t p = 0; p < n; ++p) {
          const T x = k ? desk.grid[k - 1] : desk.lanes.child[p], residual = (x - desk.lanes.mean[p]) * narrow;
          by_mean[p] += weight[p] * residual;
          if (k == 0) by_child[p] += weight[p] * (x - residual);
        }
      }
    }
    T* const to = job_.by_child + desk.tile.node * job_.data.n_rows + desk.tile.first;
    std::memcpy(to, by_child, n * sizeof(T));
    write_context(desk, by_mean);
  }

  // A density member's outputs, features by pairs, into lanes.turned.
  template <bool Slopes>
  void forward(Desk& desk, std::size_t member) const {
    desk.room.gather(desk.tile, packed(member));
    desk.room.first_layer(packed(member), desk.tile.n);
    desk.room.template forward<Slopes>(packed(member), desk.tile.n);
    transpose(desk.room.outputs, 16, PAIRS, 16, desk.lanes.turned[0], PAIRS);
  }
  // A contrastive member's first layer without the child, into `parts`; then its output at point k: the child, or a grid value.
  void keep_context(Desk& desk, std::size_t member) const {
    desk.room.gather(desk.tile, packed(member));
    desk.room.first_layer(packed(member), desk.tile.n);
    std::memcpy(desk.parts, desk.room.hidden[0], desk.tile.n * shape_.hidden * sizeof(T));
  }
  template <bool Slopes>
  void critic(Desk& desk, std::size_t member, std::size_t k) const {
    const std::size_t width = shape_.hidden, n = desk.tile.n;
    const T* const child_row = packed(member) + (shape_.context + shape_.statistics) * width;
    for (std::size_t p = 0; p < n; ++p) {
      const T x = k ? desk.grid[k - 1] : desk.lanes.child[p];
      for (std::size_t j = 0; j < width; j += LANES<T>)
        store(desk.room.hidden[0] + p * width + j, load<V>(desk.parts + p * width + j) + x * load<V>(child_row + j));
    }
    desk.room.template forward<Slopes>(packed(member), n);
  }
  DUALWALK_FN V point(const Desk& desk, std::size_t k, std::size_t p) const {
    return k ? splat<V>(desk.grid[k - 1]) : load<V>(desk.lanes.child + p);
  }

  // Terms of every alpha from lanes.value (f at the children) and ratio (f on the grid). With slopes wanted, lanes.value is left
  // as 1 where the term is below its cap, else 0.
  void write_terms(Desk& desk) const {
    const T cap = logarithm(static_cast<T>(job_.n_grid));
    for (std::size_t p = 0; p < desk.tile.n; p += LANES<T>) {
      const V at_child = load<V>(desk.lanes.value + p);
      for (std::size_t a = 0; a < job_.n_alphas; ++a) {
        const T alpha = static_cast<T>(job_.alphas[a]);
        V value = {};
        if (alpha != T{0}) {
          value = alpha * at_child - grid_level(desk.ratio, job_.n_grid, p, alpha);
          if (job_.by_child) store(desk.lanes.value + p, value > cap ? V{} : splat<V>(T{1}));
          value = value > cap ? splat<V>(cap) : value;
        } else if (job_.by_child) {
          store(desk.lanes.value + p, V{});
        }
        write_row(job_.terms + (a * job_.data.n_nodes + desk.tile.node) * job_.data.n_rows, desk.tile, p, value);
      }
    }
  }
  void write_row(T* row, const NodeTile<T>& tile, std::size_t p, V value) const {
    std::memcpy(row + tile.first + p, &value, smaller(LANES<T>, tile.n - p) * sizeof(T));
  }
  void write_context(const Desk& desk, const T* by_mean) const {
    for (std::size_t i = 0; i < shape_.context; ++i) {
      T* const to = job_.by_context + (desk.tile.node * shape_.context + i) * job_.data.n_rows + desk.tile.first;
      for (std::size_t p = 0; p < desk.tile.n; ++p)
        to[p] = desk.by_input[p * shape_.turned_inputs() + i] + (i == 1 ? by_mean[p] : T{0});
    }
  }

  // Replaces f on the grid by the log of its weight in the level, less f's own part of it: log of weight / exp(f).
  void weigh_grid(Desk& desk, std::size_t p, T alpha) const {
    const V level = grid_level(desk.ratio, job_.n_grid, p, alpha) + logarithm(static_cast<T>(job_.n_grid));
    for (std::size_t g = 0; g < job_.n_grid; ++g) {
      T* const at = desk.ratio + g * PAIRS + p;
      const V f = load<V>(at);
      store(at, f > MINUS_INFINITY<T> ? (alpha - T{1}) * f - level : f);
    }
  }
  DUALWALK_FN V grid_weight(V f, V level, T alpha) const {
    const V share = exponential_of_negative(alpha * f - level) * (T{1} / static_cast<T>(job_.n_grid));
    return f > MINUS_INFINITY<T> ? share : V{};
  }

  const NodeTerms<T>& job_;
  const NodeShape<T> shape_;
  const std::size_t most_;
  T *packed_ = nullptr, *turned_ = nullptr;
};

template <class T>
bool node_terms(const NodeTerms<T>& job) {
  return NodeTermsJob<T>(job).run();
}

}  // namespace
}  // namespace DUALWALK_LEVEL
}  // namespace dualwalk
