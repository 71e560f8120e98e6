// A step's pairs are cut into tiles of a thread a pair, and the tiles into groups; groups are the blocks' work, and there are as
// many of them on every device. A group writes its sum of gradients to memory; at the barrier all groups of a network have;
// then every block adds them up in the same order and moves its own copy of the weights: one barrier a step, and no host.
#include "nodes/pairs.hpp"

#include <algorithm>

namespace dualwalk::cuda {
namespace {

template <class T>
constexpr unsigned THREADS = sizeof(T) == 4 ? 128 : 64;
constexpr unsigned MOST_GROUPS = 40;  // a step of 32 x 96 pairs has 24 tiles of float
constexpr unsigned MOST_RUNS = 16;    // in one launch: they travel as its parameters
constexpr unsigned BARRIER_APART = 32;  // counters of different networks lie in different lines
enum Progress { BEST, SINCE, TAKEN, STOPPED };

template <class T>
struct Runs {
  NodeRun<T> run[MOST_RUNS];
};
static_assert(sizeof(Runs<double>) <= 3500, "parameters of a kernel are 4096 bytes at most");

// What the networks of a launch share; arrays have a part for each of them.
template <class T>
struct Common {
  NodeShape shape;
  NodeSteps<T> steps;
  unsigned n_blocks;  // a network
  T* partial;         // (2, MOST_GROUPS, size): the gradients of this step's groups and of the last one's
  double* scores;     // (n_checks, MOST_GROUPS)
  unsigned* arrived;
};

// Shared memory of a block: a number a warp, the network and its moments, and a row of numbers for all that a pair needs.
template <class T>
struct Desk {
  double* scratch;
  T *weights, *first, *second, *gradient;
  Rows<T> rows;

  static std::size_t bytes(const NodeShape& shape) {
    return 256 + (4 * shape.size() + std::size_t{Room<T>::n_rows(shape, true)} * row_stride<T>(THREADS<T>)) * sizeof(T);
  }
  __device__ explicit Desk(const NodeShape& shape) {
    scratch = shared<double>();
    weights = shared<T>(256);
    first = weights + shape.size();
    second = first + shape.size();
    gradient = second + shape.size();
    rows = {gradient + shape.size(), row_stride<T>(THREADS<T>)};
  }
};

// A tile's part of the gradient, (inputs + 1, outputs) a layer as packed: sums over pairs of what goes into a layer, 1 for the
// bias, times the gradient by its sums. A thread takes two inputs and four outputs at a time.
template <class T>
__device__ void add_products(const NodeShape& shape, const Room<T>& room, bool first_tile, T* gradient) {
  constexpr unsigned N = VECTOR<T>;
  const unsigned second = (shape.inputs() + 2) / 2 * (shape.hidden / 4), last = second + (shape.hidden + 2) / 2 * (shape.hidden / 4);
  const unsigned n_units = last + (shape.hidden + 2) / 2 * (shape.padded() / 4);
  for (unsigned unit = threadIdx.x; unit < n_units; unit += THREADS<T>) {
    const unsigned l = unit < second ? 0 : unit < last ? 1 : 2, local = unit - (l == 0 ? 0 : l == 1 ? second : last);
    const Rows<T> below{l == 0 ? room.inputs.start : l == 1 ? room.hidden[0].start : room.hidden[1].start, room.inputs.stride};
    const Rows<T> by_sum{l == 0 ? room.slope[0].start : l == 1 ? room.slope[1].start : room.outputs.start, room.inputs.stride};
    const unsigned bias = l == 0 ? shape.inputs() : shape.hidden, width = l == 2 ? shape.padded() : shape.hidden;
    const unsigned output = 4 * (local % (width / 4)), input = 2 * (local / (width / 4)), other = input < bias ? input + 1 : bias;
    T sum[2][4] = {};
    for (unsigned p = 0; p < THREADS<T>; p += N) {
      T left[2][N], right[4][N];
      read(below.row(input) + p, left[0]);
      read(below.row(other) + p, left[1]);
#pragma unroll
      for (unsigned j = 0; j < 4; ++j) read(by_sum.row(output + j) + p, right[j]);
#pragma unroll
      for (unsigned i = 0; i < 2; ++i)
#pragma unroll
        for (unsigned j = 0; j < 4; ++j)
#pragma unroll
          for (unsigned k = 0; k < N; ++k) sum[i][j] += left[i][k] * right[j][k];
    }
    T* const to = gradient + (l == 0 ? 0 : l == 1 ? shape.second() : shape.last()) + output;
#pragma unroll
    for (unsigned i = 0; i < 2; ++i)
      if (input + i <= bias)
#pragma unroll
        for (unsigned j = 0; j < 4; ++j) {
          T* const at = to + (input + i) * width + j;
          *at = first_tile ? sum[i][j] : *at + sum[i][j];
        }
  }
}

// AdamW on the sum of the groups' gradients, by every block alike.
template <class T>
__device__ void descend(const NodeShape& shape, const Desk<T>& desk, const T* partial, unsigned n_groups, const T* move, double longest) {
  constexpr unsigned N = VECTOR<T>, APART = THREADS<T> * N;
  double square = 0;
  for (unsigned at = threadIdx.x * N; at < shape.size(); at += 2 * APART) {  // two vectors at a time: many loads under way
    const unsigned places[2] = {at, at + APART < shape.size() ? at + APART : at};
    T total[2][N] = {};
#pragma unroll 12
    for (unsigned group = 0; group < n_groups; ++group)
#pragma unroll
      for (unsigned v = 0; v < 2; ++v) {
        // not from the cache of this multiprocessor, which does not see what others write
        const uint4 bits = __ldcg(reinterpret_cast<const uint4*>(partial + std::size_t{group} * shape.size() + places[v]));
        T part[N];
        std::memcpy(part, &bits, 16);
#pragma unroll
        for (unsigned k = 0; k < N; ++k) total[v][k] += part[k];
      }
#pragma unroll
    for (unsigned v = 0; v < 2; ++v) {
      if (v == 1 && places[1] == at) continue;
#pragma unroll
      for (unsigned k = 0; k < N; ++k) {
        desk.gradient[places[v] + k] = total[v][k];
        square += static_cast<double>(total[v][k]) * static_cast<double>(total[v][k]);
      }
    }
  }
  const double cut = longest / (sqrt(block_sum(square, desk.scratch)) + 1e-12);
  const T scale = static_cast<T>(cut < 1.0 ? cut : 1.0), keep = move[0], rate = move[1], widen = move[2];
  for (unsigned i = threadIdx.x; i < shape.size(); i += THREADS<T>) {
    const T g = scale * desk.gradient[i];
    desk.first[i] += T(0.1) * (g - desk.first[i]);
    desk.second[i] += T(0.001) * (g * g - desk.second[i]);
    desk.weights[i] = desk.weights[i] * keep - rate * (desk.first[i] / (sqrt(desk.second[i]) * widen + T(1e-8)));
  }
  __syncthreads();
}

template <class T>
__host__ __device__ unsigned groups_of(const NodeRun<T>& run) {
  const unsigned items = run.batch_nodes * run.batch_rows * (1 + run.n_shifts), tiles = (items + THREADS<T> - 1) / THREADS<T>;
  return tiles < MOST_GROUPS ? tiles : MOST_GROUPS;
}

template <class T, bool Contrastive>
__global__ void __launch_bounds__(THREADS<T>, 3) train_kernel(const __grid_constant__ Runs<T> runs, const __grid_constant__ Common<T> common) {
  const unsigned number = blockIdx.x / common.n_blocks, rank = blockIdx.x % common.n_blocks;
  const NodeRun<T>& run = runs.run[number];
  const NodeShape& shape = common.shape;
  const NodeSteps<T>& steps = common.steps;
  const bool checks = steps.check_every > 0;
  if (checks && run.progress[STOPPED] != 0.0) return;
  double best = checks ? run.progress[BEST] : 0.0;
  unsigned since = checks ? static_cast<unsigned>(run.progress[SINCE]) : 0, taken = checks ? static_cast<unsigned>(run.progress[TAKEN]) : 0;
  bool stopped = false;

  const Desk<T> desk(shape);
  const NodePass<T, Contrastive> pass{shape, desk.weights, Room<T>(shape, desk.rows), steps.base};
  pack(shape, run.weights, desk.weights);
  pack(shape, run.first, desk.first);
  pack(shape, run.second, desk.second);
  pass.room.inputs[shape.inputs()] = T{1};  // what biases are multiplied by
  pass.room.hidden[0][shape.hidden] = pass.room.hidden[1][shape.hidden] = T{1};
  __syncthreads();

  const unsigned n_groups = groups_of(run);
  const T factor = T{-1} / static_cast<T>(run.batch_nodes * run.batch_rows);
  unsigned* const arrived = common.arrived + number * BARRIER_APART;
  T* const partial = common.partial + std::size_t{number} * 2 * MOST_GROUPS * shape.size();
  const unsigned n_checks = checks ? (steps.n_steps + steps.check_every - 1) / steps.check_every : 0;
  double* scores = common.scores + std::size_t{number} * n_checks * MOST_GROUPS;
  const Pairs<T> held_out{run.validation, nullptr, nullptr, nullptr, run.validation.n_nodes, run.shown, run.n_shifts};

  for (unsigned step = 0; step < steps.n_steps && !stopped; ++step) {
    const std::size_t at = step;
    const Pairs<T> batch{run.train, run.nodes + at * run.batch_nodes, run.rows + at * run.batch_rows, run.flips + at * run.batch_nodes,
                         run.batch_nodes, run.batch_rows, run.n_shifts};
    // a block that is a step ahead writes where nobody reads any more
    T* const here = partial + (step % 2) * MOST_GROUPS * shape.size();
    for (unsigned group = rank; group < n_groups; group += common.n_blocks)
      for (std::size_t first = std::size_t{group} * THREADS<T>; first < batch.size(); first += std::size_t{n_groups} * THREADS<T>) {
        pass.template value<true>(batch, first + threadIdx.x, factor);
        backward(shape, desk.weights, pass.room);
        __syncthreads();
        add_products(shape, pass.room, first == std::size_t{group} * THREADS<T>, here + std::size_t{group} * shape.size());
        __syncthreads();
      }
    grid_barrier(arrived, common.n_blocks);
    descend(shape, desk, here, n_groups, steps.moves + 3 * at, steps.longest);
    ++taken;
    if (!checks || ((step + 1) % steps.check_every != 0 && step + 1 != steps.n_steps)) continue;

    for (unsigned group = rank; group < n_groups; group += common.n_blocks) {
      const double part = pass.group_value(held_out, group, n_groups, desk.scratch);
      if (threadIdx.x == 0) scores[group] = part;
    }
    grid_barrier(arrived, common.n_blocks);
    double score = 0;
    for (unsigned group = 0; group < n_groups; ++group) score += __ldcg(scores + group);
    score /= static_cast<double>(held_out.n_pairs());
    scores += MOST_GROUPS;
    if (score > best + 1e-5) {
      best = score;
      since = 0;
      if (rank == 0) unpack(shape, desk.weights, run.best);
    } else {
      stopped = ++since >= steps.patience;
    }
  }

  // every block has read the state: it is past a barrier since
  if (rank != 0) return;
  unpack(shape, desk.weights, run.weights);
  unpack(shape, desk.first, run.first);
  unpack(shape, desk.second, run.second);
  if (checks && threadIdx.x == 0) {
    run.progress[BEST] = best;
    run.progress[SINCE] = since;
    run.progress[TAKEN] = taken;
    run.progress[STOPPED] = stopped;
  }
}

template <class T, bool Contrastive>
void train(const char* job, const std::vector<NodeRun<T>>& runs, const NodeSteps<T>& steps, Workspace& workspace, cudaStream_t stream) {
  const NodeShape shape = shape_of(steps.sizes, Contrastive);
  const std::size_t bytes = Desk<T>::bytes(shape);
  const Device device = Device::current(job);
  expect_room(job, bytes, device);
  const unsigned resident = resident_blocks(job, train_kernel<T, Contrastive>, device, THREADS<T>, bytes);
  unsigned n_blocks = 1;
  for (const NodeRun<T>& run : runs) n_blocks = std::max(n_blocks, groups_of(run));
  n_blocks = std::min(n_blocks, resident);
  const std::size_t at_once = std::min<std::size_t>({runs.size(), MOST_RUNS, resident / n_blocks});
  const std::size_t n_checks = steps.check_every ? (steps.n_steps + steps.check_every - 1) / steps.check_every : 0;
  Common<T> common{shape, steps, n_blocks, workspace.take<T>(at_once * 2 * MOST_GROUPS * shape.size()),
                   workspace.take<double>(at_once * n_checks * MOST_GROUPS), workspace.take<unsigned>(at_once * BARRIER_APART)};
  for (std::size_t first = 0; first < runs.size(); first += at_once) {
    const std::size_t count = std::min(at_once, runs.size() - first);
    Runs<T> some{};
    std::copy_n(runs.begin() + first, count, some.run);
    check(job, cudaMemsetAsync(common.arrived, 0, at_once * BARRIER_APART * sizeof(unsigned), stream));
    Shape launched{static_cast<unsigned>(count) * n_blocks, THREADS<T>, bytes};
    launched.together = true;
    launch(job, train_kernel<T, Contrastive>, launched, stream, some, common);
  }
}

}  // namespace

template <class T>
void train_nodes(const std::vector<NodeRun<T>>& runs, const NodeSteps<T>& steps, Workspace& workspace, cudaStream_t stream) {
  if (runs.empty() || steps.n_steps == 0) return;
  if (steps.contrastive)
    train<T, true>("train_contrastive", runs, steps, workspace, stream);
  else
    train<T, false>("train_density", runs, steps, workspace, stream);
}

template void train_nodes(const std::vector<NodeRun<float>>&, const NodeSteps<float>&, Workspace&, cudaStream_t);
template void train_nodes(const std::vector<NodeRun<double>>&, const NodeSteps<double>&, Workspace&, cudaStream_t);

}  // namespace dualwalk::cuda
