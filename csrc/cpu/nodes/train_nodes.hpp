// Steps and scores of one node network. A step's pairs are cut into tiles of one node and up to PAIRS rows, the tiles into a
// fixed number of groups; each group sums its gradient in tile order, and groups are added as a fixed tree: the same bits on any
// number of threads. The network stays packed (see NodeShape) from the first step of a call to its last.
#pragma once

#include "nodes/node_loss.hpp"
#include "nodes/team.hpp"

namespace dualwalk {
namespace DUALWALK_LEVEL {
namespace {

constexpr std::size_t GROUPS = 8;

DUALWALK_FN float root(float x) { return __builtin_sqrtf(x); }
DUALWALK_FN double root(double x) { return __builtin_sqrt(x); }

// The value of a tile summed over its pairs, and its gradient by the weights added to `gradient` unless that is null.
template <class T>
class TilePass {
 public:
  TilePass(const NodeShape<T>& shape, const T* packed, const T* turned, std::size_t n_shifts, bool base, T* room)
      : shape_(shape), packed_(packed), turned_(turned), n_shifts_(n_shifts), base_(base), room_(shape, room) {
    kept_ = room + NodeRoom<T>::length(shape);
    summed_ = kept_ + shape.hidden * PAIRS;
  }
  static std::size_t length(const NodeShape<T>& shape) { return NodeRoom<T>::length(shape) + 2 * shape.hidden * PAIRS; }

  double run(const NodeTile<T>& tile, T factor, T* gradient) {
    room_.gather(tile, packed_);
    return n_shifts_ ? contrastive(tile, factor, gradient) : density(tile, factor, gradient);
  }

 private:
  double density(const NodeTile<T>& tile, T factor, T* gradient) {
    lanes_.gather(tile);
    room_.first_layer(packed_, tile.n);
    forward(tile, gradient);
    density_log_ratio(room_.outputs, lanes_, tile.n, factor, gradient ? room_.by_output : nullptr);
    if (gradient) {
      room_.backward(turned_, tile.n);
      room_.add_upper_gradient(gradient, tile.n);
      room_.add_first_gradient(tile, room_.back[0], gradient);
    }
    return sum_of_values(tile.n);
  }

  double contrastive(const NodeTile<T>& tile, T factor, T* gradient) {
    const std::size_t width = shape_.hidden, numbers = tile.n * width;
    room_.first_layer(packed_, tile.n);
    std::memcpy(kept_, room_.hidden[0], numbers * sizeof(T));
    std::memset(summed_, 0, numbers * sizeof(T));
    std::memset(room_.by_output, 0, PAIRS * shape_.padded * sizeof(T));
    const std::size_t child_row = shape_.context + shape_.statistics;
    double total = 0;
    for (std::size_t shift = 0; shift <= n_shifts_; ++shift) {
      lanes_.gather(tile, shift);
      std::memcpy(room_.hidden[0], kept_, numbers * sizeof(T));
      product<T, From::results>(lanes_.child, 1, 1, packed_ + child_row * width, width, 1, room_.hidden[0], width, tile.n, width);
      forward(tile, gradient);
      for (std::size_t p = 0; p < PAIRS; ++p) lanes_.value[p] = p < tile.n ? room_.outputs[p] : T{0};
      if (base_) add_base_log_ratio(lanes_);
      const T share = shift ? T{1} / static_cast<T>(n_shifts_) : T{1};
      logistic(lanes_, tile.n, shift ? T{-1} : T{1}, factor * share, gradient ? room_.by_output : nullptr);
      total += sum_of_values(tile.n) * static_cast<double>(share);
      if (!gradient) continue;
      room_.backward(turned_, tile.n);
      room_.add_upper_gradient(gradient, tile.n);
      product<T, From::results>(lanes_.child, 1, 1, room_.back[0], width, tile.n, gradient + child_row * width, width, 1, width);
      for (std::size_t i = 0; i < numbers; ++i) summed_[i] += room_.back[0][i];
    }
    if (gradient) room_.add_first_gradient(tile, summed_, gradient);
    return total;
  }

  void forward(const NodeTile<T>& tile, const T* gradient) {
    if (gradient)
      room_.template forward<true>(packed_, tile.n);
    else
      room_.template forward<false>(packed_, tile.n);
  }

  double sum_of_values(std::size_t n) const {
    double sum = 0;
    for (std::size_t p = 0; p < n; ++p) sum += static_cast<double>(lanes_.value[p]);
    return sum;
  }

  const NodeShape<T>& shape_;
  const T* packed_;
  const T* turned_;
  std::size_t n_shifts_;
  bool base_;
  NodeRoom<T> room_;
  TileLanes<T> lanes_;
  T *kept_, *summed_;
};

template <class T>
NodeShape<T> shape_of(const NodeData<T>& data, std::size_t n_hidden, bool contrastive) {
  return {data.n_context, data.n_statistics, contrastive ? std::size_t{1} : std::size_t{0}, n_hidden,
          contrastive ? std::size_t{1} : DENSITY_OUTPUTS};
}

// Multiply-adds of one pair's way forward.
template <class T>
double pair_work(const NodeShape<T>& shape, std::size_t n_shifts) {
  return static_cast<double>(shape.size) * static_cast<double>(1 + n_shifts);
}

template <class T>
class NodeTrainer {
 public:
  explicit NodeTrainer(const NodeSteps<T>& job) : job_(job), shape_(shape_of(job.data, job.n_hidden, job.n_shifts > 0)) {}

  bool run() {
    const std::size_t size = shape_.size, worker = (TilePass<T>::length(shape_) + 31) / 16 * 16;
    const double pairs = static_cast<double>(job_.n_steps * job_.batch_nodes) * static_cast<double>(job_.batch_rows);
    const double forward = pairs * pair_work(shape_, job_.n_shifts);
    const int n_threads = threads_for(3.0 * forward, job_.n_threads);  // and two ways back
    const Scratch memory(((3 + GROUPS) * size + shape_.turned_size() + 16 + worker * n_threads) * sizeof(T));
    if (!memory) return false;
    T* at = memory.template as<T>();
    const auto take = [&](std::size_t numbers) { T* const start = at; at += (numbers + 15) / 16 * 16; return start; };
    weights_ = take(size), first_ = take(size), second_ = take(size), gradients_ = take(GROUPS * size);
    turned_ = take(shape_.turned_size());
    shape_.pack(job_.weights, weights_), shape_.pack(job_.first, first_), shape_.pack(job_.second, second_);
    shape_.turn(weights_, turned_);
    const auto work = [&](std::size_t step, std::size_t group, int number) { add_group(step, group, at + worker * number); };
    const auto finish = [&](std::size_t step) {
      descend(step);
      return !(job_.poll && job_.poll(job_.poll_context));
    };
    Team<const decltype(work), const decltype(finish)>(job_.n_steps, GROUPS, work, finish).run(n_threads);
    shape_.unpack(weights_, job_.weights), shape_.unpack(first_, job_.first), shape_.unpack(second_, job_.second);
    return true;
  }

 private:
  void add_group(std::size_t step, std::size_t group, T* room) const {
    TilePass<T> pass(shape_, weights_, turned_, job_.n_shifts, job_.base, room);
    T* const gradient = gradients_ + group * shape_.size;
    std::memset(gradient, 0, shape_.size * sizeof(T));
    const std::size_t per_node = (job_.batch_rows + PAIRS - 1) / PAIRS, n_tiles = job_.batch_nodes * per_node;
    const T factor = T{-1} / static_cast<T>(job_.batch_nodes * job_.batch_rows);
    const auto tile_at = [&](std::size_t t) {
      const std::size_t node = step * job_.batch_nodes + t / per_node, first = t % per_node * PAIRS;
      return NodeTile<T>{job_.data,
                         static_cast<std::size_t>(job_.nodes[node]),
                         smaller(PAIRS, job_.batch_rows - first),
                         job_.rows + step * job_.batch_rows,
                         first,
                         job_.flips[node],
                         job_.batch_rows};
    };
    const std::size_t end = n_tiles * (group + 1) / GROUPS;
    for (std::size_t t = n_tiles * group / GROUPS; t < end; ++t) {
      if (t + 1 < end) NodeRoom<T>::prefetch(tile_at(t + 1));
      pass.run(tile_at(t), factor, gradient);
    }
  }

  // AdamW on the sum of all groups' gradients.
  void descend(std::size_t step) {
    for (std::size_t width = GROUPS; width > 1; width = (width + 1) / 2)
      for (std::size_t g = 0; g < width / 2; ++g) {
        T* const into = gradients_ + g * shape_.size;
        const T* const from = gradients_ + (g + (width + 1) / 2) * shape_.size;
        for (std::size_t i = 0; i < shape_.size; ++i) into[i] += from[i];
      }
    double squares[16] = {};
    for (std::size_t i = 0; i < shape_.size; i += 16)
      for (std::size_t lane = 0; lane < 16; ++lane) {
        const double g = static_cast<double>(gradients_[i + lane]);
        squares[lane] += g * g;
      }
    double square = 0;
    for (const double part : squares) square += part;
    const double count = static_cast<double>(job_.count + static_cast<std::int64_t>(step) + 1), rate = job_.rates[step];
    const T cut = static_cast<T>(smaller(1.0, job_.longest / (root(square) + 1e-12)));
    const T keep = static_cast<T>(1 - rate * job_.decay), move = static_cast<T>(rate / (1 - __builtin_pow(0.9, count)));
    const T widen = static_cast<T>(1 / root(1 - __builtin_pow(0.999, count)));
    for (std::size_t i = 0; i < shape_.size; ++i) {
      const T g = cut * gradients_[i];
      first_[i] += T(0.1) * (g - first_[i]);
      second_[i] += T(0.001) * (g * g - second_[i]);
      weights_[i] = weights_[i] * keep - move * (first_[i] / (root(second_[i]) * widen + T(1e-8)));
    }
    shape_.turn(weights_, turned_);
  }

  const NodeSteps<T>& job_;
  const NodeShape<T> shape_;
  T *weights_ = nullptr, *first_ = nullptr, *second_ = nullptr, *gradients_ = nullptr, *turned_ = nullptr;
};

template <class T>
bool train_nodes(const NodeSteps<T>& job) {
  return NodeTrainer<T>(job).run();
}

template <class T>
bool score_nodes(NodeScore<T>& job) {
  const NodeShape<T> shape = shape_of(job.data, job.n_hidden, job.n_shifts > 0);
  const std::size_t per_node = (job.n_rows + PAIRS - 1) / PAIRS, n_tiles = job.data.n_nodes * per_node;
  const std::size_t size = shape.size, worker = (TilePass<T>::length(shape) + 31) / 16 * 16;
  const double pairs = static_cast<double>(job.data.n_nodes) * static_cast<double>(job.n_rows);
  const int n_threads = threads_for(pairs * pair_work(shape, job.n_shifts), job.n_threads);
  const Scratch memory((size + worker * n_threads) * sizeof(T)), sums(n_tiles * sizeof(double));
  if (!memory || !sums) return false;
  T* const packed = memory.template as<T>();
  double* const sum = sums.template as<double>();
  shape.pack(job.weights, packed);
  auto body = [&](std::size_t t, int number) {
    TilePass<T> pass(shape, packed, nullptr, job.n_shifts, job.base, packed + size + worker * number);
    const std::size_t first = t % per_node * PAIRS;
    const NodeTile<T> tile{job.data, t / per_node, smaller(PAIRS, job.n_rows - first), nullptr, first, 0, job.n_rows};
    sum[t] = pass.run(tile, T{1}, nullptr);
  };
  run_parallel(n_tiles, n_threads, body);
  for (std::size_t width = n_tiles; width > 1; width = (width + 1) / 2)
    for (std::size_t t = 0; t < width / 2; ++t) sum[t] += sum[t + (width + 1) / 2];
  job.value = sum[0] / (static_cast<double>(job.data.n_nodes) * static_cast<double>(job.n_rows));
  return true;
}

}  // namespace
}  // namespace DUALWALK_LEVEL
}  // namespace dualwalk
