// Normalized terms of node networks of either kind and their gradients, a thread a pair from its context to its terms; only the
// weights are the block's, one member after the other. No number depends on the size of a block or a grid.
#include <algorithm>

#include "nodes/mixture.hpp"
#include "nodes/pairs.hpp"

namespace dualwalk::cuda {
namespace {

constexpr unsigned MOST_THREADS = 128;

// The rows of a block. A mixture keeps its components, so its networks' rows are free for f on the grid; contrastive networks are
// asked again at every grid value.
template <bool Contrastive, bool Slopes>
struct Plan {
  unsigned network, kept, ratio, mixture, by_part, size;  // where each begins; size: all rows

  template <class T>
  __host__ __device__ static Plan of(const NodeShape& shape, const NodeTerms<T>& job) {
    Plan plan{};
    const unsigned network = Room<T>::n_rows(shape, Slopes), most = COMPONENTS * job.n_members;
    if (Contrastive) {
      plan.kept = network;
      plan.ratio = plan.kept + (Slopes ? 2 : 1) * shape.hidden;  // and the sum of gradients by the first layer
      plan.size = plan.ratio + job.n_grid;
    } else {
      plan.mixture = network > job.n_grid ? network : job.n_grid;
      plan.by_part = plan.mixture + 3 * most;
      plan.size = plan.by_part + (Slopes ? 3 * most : 0);
    }
    return plan;
  }
};

template <class T, bool Contrastive, bool Slopes>
struct PairTerms {
  const NodeTerms<T>& job;
  const NodeShape& shape;
  T* weights;  // of the member at work
  Rows<T> rows;
  Plan<Contrastive, Slopes> plan;
  Room<T> room;
  Rows<T> ratio;
  std::size_t node, row;
  bool here;  // a pair of its own: the last block's spare threads repeat the last one
  const T* grid;
  T child, mean, log_scale;

  __device__ PairTerms(const NodeTerms<T>& job, const NodeShape& shape, T* at, std::size_t pair)
      : job(job), shape(shape), weights(at), rows{at + shape.size(), row_stride<T>(blockDim.x)},
        plan(Plan<Contrastive, Slopes>::of(shape, job)), room(shape, rows), ratio(rows.from(plan.ratio)) {
    const std::size_t n_pairs = job.data.n_nodes * job.data.n_rows;
    here = pair < n_pairs;
    node = divide(here ? pair : n_pairs - 1, job.data.n_rows, row);
    grid = job.grid + node * job.n_grid;
    read_inputs();
    mean = room.inputs[1];
    log_scale = room.inputs[shape.context];
  }

  __device__ void run() {
    if constexpr (Contrastive)
      contrastive();
    else
      density();
  }

 private:
  __device__ void read_inputs() {
    child = read_pair(shape, job.data, node, row, row, 0u, room.inputs);
    if (Contrastive) room.inputs[shape.inputs() - 1] = T{0};
  }
  __device__ void take_member(unsigned member) {
    __syncthreads();
    pack(shape, job.weights + std::size_t{member} * shape.flat_size(), weights);
    __syncthreads();
  }

  __device__ void density() {
    const Mixture<T> mixture{rows.from(plan.mixture), static_cast<unsigned>(COMPONENTS) * job.n_members};
    const T log_n_members = logarithm(static_cast<T>(job.n_members));
    for (unsigned e = 0; e < job.n_members; ++e) {
      take_member(e);
      forward<false, false>(shape, weights, room);
      mixture.add(e, room.outputs, mean, log_scale, log_n_members);
    }
    mixture.log_ratio_on(grid, job.n_grid, ratio);  // the networks' rows are no longer needed
    const T keep = write_terms(mixture.log_ratio(child));
    if constexpr (Slopes) {
      const T alpha = static_cast<T>(job.alphas[0]);
      const T level = grid_level(ratio, job.n_grid, alpha) + logarithm(static_cast<T>(job.n_grid));
      for (unsigned g = 0; g < job.n_grid; ++g) {  // the log of the density itself is contained in the mixture
        const T f = ratio[g], x = grid[g];
        ratio[g] = f > MINUS_INFINITY<T> ? (alpha - T{1}) * f - level + T(0.5) * x * x : f;
      }
      const Rows<T> by_part = rows.from(plan.by_part);
      const T by_x = mixture.slopes(child, alpha, grid, job.n_grid, ratio, by_part);
      if (here) job.by_child[node * job.data.n_rows + row] = keep != T{0} ? by_x : T{0};
      if (keep == T{0})
        for (unsigned c = 0; c < 3 * mixture.most; ++c) by_part[c] = T{0};
      density_context(by_part, mixture.most);
    }
  }

  // From slopes by the mixture to slopes by the context, through every member.
  __device__ void density_context(const Rows<T>& by_part, unsigned most) {
    const T scale = exponential(log_scale);
    T tied{0};  // what the conditional mean gets from the tied components directly
    read_inputs();
    for (unsigned e = 0; e < job.n_members; ++e) {
      take_member(e);
      forward<true, false>(shape, weights, room);
      const auto by = [&](unsigned kind, unsigned j) { return T(by_part[kind * most + e * COMPONENTS + j]); };
      T share[COMPONENTS], all{0};
#pragma unroll
      for (unsigned j = 0; j < COMPONENTS; ++j) {
        share[j] = room.outputs[j];
        all += by(0, j);
      }
      softmax(share, QuickExp{});
#pragma unroll
      for (unsigned j = 0; j < COMPONENTS; ++j) {
        const T raw = room.outputs[2 * COMPONENTS + j];
        room.outputs[j] = by(0, j) - share[j] * all;
        room.outputs[COMPONENTS + j] = j < TIED ? scale * by(1, j) : by(1, j);
        room.outputs[2 * COMPONENTS + j] = raw == clip_log_sd(raw) ? by(2, j) : T{0};
        if (j < TIED) tied += by(1, j);
      }
      room.outputs[DENSITY_OUTPUTS] = T{0};
      backward(shape, weights, room);
      add_context(e == 0, room.slope[0]);
    }
    add_to_mean(tied);
  }

  __device__ void contrastive() {
    const T share = T{1} / static_cast<T>(job.n_members);
    T at_child{0};
    for (unsigned g = 0; g < job.n_grid; ++g) ratio[g] = T{0};
    for (unsigned e = 0; e < job.n_members; ++e) {
      take_member(e);
      keep_context();
      at_child += share * critic<false>(child);
      for (unsigned g = 0; g < job.n_grid; ++g) ratio[g] += share * critic<false>(__ldg(grid + g));
    }
    if (job.base) {
      const T narrow = exponential(-log_scale);
      at_child += base_log_ratio(child, mean, log_scale, narrow);
      for (unsigned g = 0; g < job.n_grid; ++g) ratio[g] += base_log_ratio(T(grid[g]), mean, log_scale, narrow);
    }
    const T keep = write_terms(at_child);
    if constexpr (Slopes) {
      const T alpha = static_cast<T>(job.alphas[0]), own = keep * alpha, level = grid_level(ratio, job.n_grid, alpha);
      for (unsigned g = 0; g < job.n_grid; ++g) {
        const T f = ratio[g];
        ratio[g] = f > MINUS_INFINITY<T> ? -own * (QuickExp{}(alpha * f - level) / static_cast<T>(job.n_grid)) : T{0};
      }
      contrastive_context(own);
    }
  }

  // With the weight of every point known, `own` the child's: slopes by the child and the context.
  __device__ void contrastive_context(T own) {
    const Rows<T> summed = rows.from(plan.kept + shape.hidden);
    const T share = T{1} / static_cast<T>(job.n_members);
    T by_child{0}, by_mean{0};
    for (unsigned e = 0; e < job.n_members; ++e) {
      take_member(e);
      keep_context();
      for (unsigned k = 0; k <= job.n_grid; ++k) {
        critic<true>(k ? __ldg(grid + k - 1) : child);
        room.outputs[0] = (k ? T(ratio[k - 1]) : own) * share;
        for (unsigned j = 1; j < shape.padded(); ++j) room.outputs[j] = T{0};
        backward(shape, weights, room);
        for (unsigned o = 0; o < shape.hidden; ++o) summed[o] = (k ? T(summed[o]) : T{0}) + room.slope[0][o];
        if (k == 0) by_child += input_gradient(shape, weights, room.slope[0], shape.inputs() - 1);
      }
      add_context(e == 0, summed);
    }
    if (job.base) {
      const T narrow = exponential(T(-2) * log_scale);
      by_mean = own * ((child - mean) * narrow);
      by_child += own * (child - (child - mean) * narrow);
      for (unsigned g = 0; g < job.n_grid; ++g) by_mean += ratio[g] * ((grid[g] - mean) * narrow);
    }
    if (here) job.by_child[node * job.data.n_rows + row] = by_child;
    add_to_mean(by_mean);
  }

  // The first layer's sums without the child.
  __device__ void keep_context() {
    const Rows<T> kept = rows.from(plan.kept);
    layer<16>(weights, shape.inputs(), shape.hidden, room.inputs, [&](unsigned first, const T(&sum)[16]) {
#pragma unroll
      for (unsigned j = 0; j < 16; ++j) kept[first + j] = sum[j];
    });
  }
  // A member's output for another child.
  template <bool WithSlopes>
  __device__ T critic(T x) {
    const Rows<T> kept = rows.from(plan.kept);
    const T* const by_child = weights + (shape.inputs() - 1) * shape.hidden;
    for (unsigned first = 0; first < shape.hidden; first += 16) {
      T sum[16];
      read(by_child + first, sum);
#pragma unroll
      for (unsigned j = 0; j < 16; ++j) sum[j] = kept[first + j] + x * sum[j];
      activate<WithSlopes>(room, 0, first, sum);
    }
    upper_layers<WithSlopes, true>(shape, weights, room);
    return room.outputs[0];
  }

  // Terms of every alpha from f at the child and on the grid; returns 0 where the (last) term is at its cap, else 1.
  __device__ T write_terms(T at_child) {
    const T cap = logarithm(static_cast<T>(job.n_grid));
    const std::size_t n_pairs = job.data.n_nodes * job.data.n_rows;
    T keep{0};
    for (unsigned a = 0; a < job.n_alphas; ++a) {
      const T alpha = static_cast<T>(job.alphas[a]);
      T value{0};
      keep = T{0};
      if (alpha != T{0}) {
        value = alpha * at_child - grid_level(ratio, job.n_grid, alpha);
        keep = value > cap ? T{0} : T{1};
        value = value > cap ? cap : value;
      }
      if (here) job.terms[a * n_pairs + node * job.data.n_rows + row] = value;
    }
    return keep;
  }

  __device__ T& by_context(unsigned input) { return job.by_context[(node * shape.context + input) * job.data.n_rows + row]; }
  __device__ void add_context(bool first_member, const Rows<T>& by_sum) {
    for (unsigned i = 0; i < shape.context; ++i) {
      const T slope = input_gradient(shape, weights, by_sum, i);
      if (here) by_context(i) = first_member ? slope : by_context(i) + slope;
    }
  }
  __device__ void add_to_mean(T slope) {
    if (here) by_context(1) += slope;
  }
};

template <class T, bool Contrastive, bool Slopes>
__global__ void __launch_bounds__(MOST_THREADS, 2) terms_kernel(const __grid_constant__ NodeTerms<T> job, NodeShape shape) {
  PairTerms<T, Contrastive, Slopes>(job, shape, shared<T>(), std::size_t{blockIdx.x} * blockDim.x + threadIdx.x).run();
}

template <class T, bool Contrastive, bool Slopes>
void terms(const char* name, const NodeTerms<T>& job, cudaStream_t stream) {
  const NodeShape shape = shape_of(job.sizes, Contrastive);
  const Device device = Device::current(name);
  const std::size_t n_rows = Plan<Contrastive, Slopes>::of(shape, job).size, n_pairs = job.data.n_nodes * job.data.n_rows;
  const auto bytes = [&](unsigned n_threads) { return (shape.size() + n_rows * row_stride<T>(n_threads)) * sizeof(T); };
  const auto resident = [&](unsigned n_threads) {  // threads a multiprocessor has room for
    return bytes(n_threads) > device.shared_block ? 0 : device.shared_multiprocessor / (bytes(n_threads) + 1024) * n_threads;
  };
  unsigned n_threads = 32;
  for (const unsigned more : {64u, 128u})
    if (resident(more) >= resident(n_threads) && n_pairs / more >= static_cast<std::size_t>(device.multiprocessors)) n_threads = more;
  expect_room(name, bytes(n_threads), device);
  const std::size_t n_blocks = (n_pairs + n_threads - 1) / n_threads;
  if (n_blocks > 0x7FFFFFFF) throw std::runtime_error(std::string(name) + ": more pairs of nodes and rows than one launch takes");
  launch(name, terms_kernel<T, Contrastive, Slopes>, {static_cast<unsigned>(n_blocks), n_threads, bytes(n_threads)}, stream, job, shape);
}

}  // namespace

template <class T>
void node_terms(const NodeTerms<T>& job, cudaStream_t stream) {
  if (job.data.n_nodes == 0 || job.data.n_rows == 0) return;
  const bool slopes = job.by_child != nullptr;
  if (job.contrastive && slopes) return terms<T, true, true>("contrastive_slopes", job, stream);
  if (job.contrastive) return terms<T, true, false>("contrastive_terms", job, stream);
  if (slopes) return terms<T, false, true>("density_slopes", job, stream);
  terms<T, false, false>("density_terms", job, stream);
}

template void node_terms(const NodeTerms<float>&, cudaStream_t);
template void node_terms(const NodeTerms<double>&, cudaStream_t);

}  // namespace dualwalk::cuda
