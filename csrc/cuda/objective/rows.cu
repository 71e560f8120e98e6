// log-mean-exp of rows, which lie one after the other in memory; all of an array is one row.
//
// Short rows: a team of lanes each, and the gradient while the row is in the caches. Rows of a few chunks: a block each,
// likewise. Long rows: runs of 8192 elements by warps that stay, then the tree over runs; the gradient reads f once more, from
// the end, where the caches still have it.
#include "objective/forms.cuh"

namespace dualwalk::cuda {
namespace {

const char* const JOB = "log_mean_exp";
constexpr std::size_t BLOCK_CHUNKS = 8;  // of the rows that a block takes
// Blocks that a multiprocessor shall hold at once, with registers left to have all loads of a batch on their way.
template <class T, bool WEIGHTED>
constexpr unsigned AT_ONCE = sizeof(T) == 4 && !WEIGHTED ? 3 : 2;

template <class T, bool WEIGHTED>
__global__ void __launch_bounds__(THREADS, AT_ONCE<T, WEIGHTED>) short_rows(LogMeanExp<T> job, int width) {
  const Team team(width);
  const std::size_t step = std::size_t{gridDim.x} * THREADS / width;
  for (std::size_t first = first_warp() * 32 / width; first < job.n_outer; first += step) {
    const std::size_t row = first + (threadIdx.x & 31) / width;
    const bool here = row < job.n_outer;  // the lanes of a warp stay together
    const int n = here ? static_cast<int>(job.n) : 0;
    const std::size_t at = here ? row * job.n : 0;
    const T* const weights = WEIGHTED ? job.weights + at : nullptr;
    const ExpSum sum = sum_chunk<T, WEIGHTED>(team, job.f + at, weights, n);
    if (here && team.rank == 0) job.value[row] = static_cast<T>(value_of(sum));
    if (job.gradient) write_shares<T, WEIGHTED>(team, job.f + at, weights, job.gradient + at, n, shares_of<T>(sum, WEIGHTED));
  }
}

template <class T, bool WEIGHTED>
__global__ void __launch_bounds__(32 * BLOCK_CHUNKS, AT_ONCE<T, WEIGHTED>) block_rows(LogMeanExp<T> job) {
  ExpSum* const of_chunk = shared<ExpSum>();
  const Team warp(32);
  const int chunk = threadIdx.x / 32, chunks = blockDim.x / 32, from = chunk * CHUNK;
  const int n = min(CHUNK, static_cast<int>(job.n) - from);
  for (std::size_t row = blockIdx.x; row < job.n_outer; row += gridDim.x) {
    const std::size_t at = row * job.n + from;
    const T* const weights = WEIGHTED ? job.weights + at : nullptr;
    ExpSum sum = sum_chunk<T, WEIGHTED>(warp, job.f + at, weights, n);
    if (warp.rank == 0) of_chunk[chunk] = sum;
    __syncthreads();
    sum = nothing();  // every lane a run, as where runs have warps of their own
    const int first = warp.rank * CHUNKS_A_RUN, end = min(chunks, first + CHUNKS_A_RUN);
    for (int c = first; c < end; ++c) sum = combined(sum, of_chunk[c]);
    sum = combine_lanes(sum);
    if (threadIdx.x == 0) job.value[row] = static_cast<T>(value_of(sum));
    if (job.gradient) write_shares<T, WEIGHTED>(warp, job.f + at, weights, job.gradient + at, n, shares_of<T>(sum, WEIGHTED));
    __syncthreads();  // before the next row's chunks
  }
}

template <class T, bool WEIGHTED>
__global__ void __launch_bounds__(THREADS, AT_ONCE<T, WEIGHTED>) sum_runs(LogMeanExp<T> job, std::size_t runs, ExpSum* states) {
  const Team warp(32);
  for (std::size_t item = first_warp(); item < job.n_outer * runs; item += all_warps()) {
    const std::size_t row = item / runs, from = (item - row * runs) * RUN, at = row * job.n + from;
    const ExpSum sum = sum_run<T, WEIGHTED>(warp, job.f + at, WEIGHTED ? job.weights + at : nullptr, size_of_run(job.n, from));
    if (warp.rank == 0) states[item] = sum;
  }
}

// From `runs` states of every row to one of every GROUP of them.
__global__ void __launch_bounds__(THREADS, 2)
    combine_groups(const ExpSum* states, std::size_t n_rows, std::size_t runs, std::size_t groups, ExpSum* out) {
  for (std::size_t item = first_warp(); item < n_rows * groups; item += all_warps()) {
    const std::size_t row = item / groups, from = (item - row * groups) * GROUP;
    const ExpSum sum = combine_group(states + row * runs + from, runs - from < GROUP ? runs - from : GROUP, 1);
    if (first_lane()) out[item] = sum;
  }
}

template <class T>
__global__ void __launch_bounds__(THREADS, 2)
    finish_rows(const ExpSum* states, std::size_t n_rows, std::size_t runs, bool weighted, T* value, Shares* shares) {
  for (std::size_t row = first_warp(); row < n_rows; row += all_warps()) {
    const ExpSum sum = combine_group(states + row * runs, runs, 1);
    if (first_lane()) finish(sum, weighted, value + row, shares ? shares + row : nullptr);
  }
}

template <class T, bool WEIGHTED>
__global__ void __launch_bounds__(THREADS) share_runs(LogMeanExp<T> job, std::size_t runs, const Shares* shares) {
  const Team warp(32);
  const std::size_t items = job.n_outer * runs;
  for (std::size_t back = first_warp(); back < items; back += all_warps()) {
    const std::size_t item = items - 1 - back, row = item / runs, from = (item - row * runs) * RUN, at = row * job.n + from;
    const T* const weights = WEIGHTED ? job.weights + at : nullptr;
    write_shares<T, WEIGHTED>(warp, job.f + at, weights, job.gradient + at, size_of_run(job.n, from), shares[row]);
  }
}

template <class T, bool WEIGHTED>
void long_rows(const LogMeanExp<T>& job, Workspace& memory, cudaStream_t stream) {
  const std::size_t all_runs = (job.n + RUN - 1) / RUN;
  ExpSum* states = memory.take<ExpSum>(job.n_outer * all_runs);
  Shares* const shares = job.gradient ? memory.take<Shares>(job.n_outer) : nullptr;
  launch_over(JOB, sum_runs<T, WEIGHTED>, {job.n_outer * all_runs, WARPS}, stream, job, all_runs, states);
  std::size_t runs = all_runs;
  while (runs > GROUP) {
    const std::size_t groups = (runs + GROUP - 1) / GROUP;
    ExpSum* const combined = memory.take<ExpSum>(job.n_outer * groups);
    launch_over(JOB, combine_groups, {job.n_outer * groups, WARPS}, stream, states, job.n_outer, runs, groups, combined);
    states = combined;
    runs = groups;
  }
  launch_over(JOB, finish_rows<T>, {job.n_outer, WARPS}, stream, states, job.n_outer, runs, WEIGHTED, job.value, shares);
  if (job.gradient) launch_over(JOB, share_runs<T, WEIGHTED>, {job.n_outer * all_runs, WARPS}, stream, job, all_runs, shares);
}

template <class T, bool WEIGHTED>
void rows(const LogMeanExp<T>& job, Workspace& memory, cudaStream_t stream) {
  const std::size_t chunks = (job.n + CHUNK - 1) / CHUNK;
  if (chunks == 1) {
    const int width = width_for(job.n);
    launch_over(JOB, short_rows<T, WEIGHTED>, {job.n_outer, THREADS / width}, stream, job, width);
  } else if (chunks <= BLOCK_CHUNKS) {
    const unsigned threads = 32 * static_cast<unsigned>(chunks);
    launch_over(JOB, block_rows<T, WEIGHTED>, {job.n_outer, 1, threads, sizeof(ExpSum) * chunks}, stream, job);
  } else {
    long_rows<T, WEIGHTED>(job, memory, stream);
  }
}

}  // namespace

template <class T>
void log_mean_exp_rows(const LogMeanExp<T>& job, Workspace& memory, cudaStream_t stream) {
  job.weights ? rows<T, true>(job, memory, stream) : rows<T, false>(job, memory, stream);
}
template void log_mean_exp_rows(const LogMeanExp<float>&, Workspace&, cudaStream_t);
template void log_mean_exp_rows(const LogMeanExp<double>&, Workspace&, cudaStream_t);

template <class T>
void log_mean_exp(const LogMeanExp<T>& job, Workspace& memory, cudaStream_t stream) {
  if (job.n_outer == 0 || job.n == 0 || job.n_inner == 0) return;
  job.n_inner == 1 ? log_mean_exp_rows(job, memory, stream) : log_mean_exp_columns(job, memory, stream);
}
template void log_mean_exp(const LogMeanExp<float>&, Workspace&, cudaStream_t);
template void log_mean_exp(const LogMeanExp<double>&, Workspace&, cudaStream_t);

}  // namespace dualwalk::cuda
