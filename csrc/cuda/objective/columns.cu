// log-mean-exp along an axis that is not the last in memory: neighbouring threads take neighbouring columns.
//
// A thread adds up to `rows` elements of a column; their sums are combined 64 at a time until a column has one. Columns of one
// such piece get their gradient at once, while the caches hold them.
#include "objective/forms.cuh"

namespace dualwalk::cuda {
namespace {

const char* const JOB = "log_mean_exp";
constexpr std::size_t FAN = 64;               // states that a thread combines
constexpr std::size_t LEAST_ROWS = 32, MOST_ROWS = 1024;
constexpr std::size_t ENOUGH_THREADS = 1 << 18;  // to fill any device
constexpr int AHEAD = 8;                      // elements on their way at once, and added in T

// The elements of a column that a thread takes: by the shape alone.
std::size_t rows_for(std::size_t elements) {
  std::size_t rows = LEAST_ROWS;
  while (rows < MOST_ROWS && rows * ENOUGH_THREADS < elements) rows *= 2;
  return rows;
}

// Piece `piece` of column `column`: where its elements are, and how many.
template <class T>
struct Piece {
  std::size_t outer, column, at;
  int n;

  __device__ Piece(const LogMeanExp<T>& job, std::size_t item, std::size_t pieces, std::size_t rows) {
    const std::size_t above = item / job.n_inner, piece = above % pieces, from = piece * rows;
    column = item - above * job.n_inner;
    outer = above / pieces;
    at = (outer * job.n + from) * job.n_inner + column;
    n = static_cast<int>(job.n - from < rows ? job.n - from : rows);
  }
};

// Elements from `from` on, those from n on being zeros of weight zero.
template <class T, bool WEIGHTED>
__device__ __forceinline__ void load_some(const T* f, const T* weights, int from, int n, std::size_t stride, T (&x)[AHEAD],
                                          T (&w)[AHEAD]) {
#pragma unroll
  for (int i = 0; i < AHEAD; ++i) {
    const bool within = from + i < n;
    x[i] = within ? f[(from + i) * stride] : T{0};
    w[i] = !within ? T{0} : WEIGHTED ? weights[(from + i) * stride] : T{1};
  }
}

template <class T, bool WEIGHTED>
__device__ ExpSum sum_column(const T* f, const T* weights, int n, std::size_t stride) {
  LaneSums<T, WEIGHTED> sums;
#pragma unroll 1
  for (int from = 0; from < n; from += AHEAD) {
    T x[AHEAD], w[AHEAD];
    load_some<T, WEIGHTED>(f, weights, from, n, stride, x, w);
    sums.add_some(x, w);
  }
  if (!sums.holds()) return sum_far<T, WEIGHTED>(Team(1), f, weights, n, stride);
  return near_sum(sums.steps, sums.rest, WEIGHTED ? sums.weight : static_cast<double>(n));
}

template <class T, bool WEIGHTED, class Share>
__device__ void share_each(const T* f, const T* weights, T* out, int n, std::size_t stride, const Share& share) {
#pragma unroll 1
  for (int from = 0; from < n; from += AHEAD) {
    T x[AHEAD], w[AHEAD];
    load_some<T, WEIGHTED>(f, weights, from, n, stride, x, w);
#pragma unroll
    for (int i = 0; i < AHEAD; ++i)
      if (from + i < n) out[(from + i) * stride] = share(x[i], w[i]);
  }
}

template <class T, bool WEIGHTED>
__device__ void share_column(const T* f, const T* weights, T* out, int n, std::size_t stride, const Shares& shares) {
  if (shares.divisor == shares.divisor)
    share_each<T, WEIGHTED>(f, weights, out, n, stride, FiniteShare<T, WEIGHTED>(shares));
  else
    share_each<T, WEIGHTED>(f, weights, out, n, stride, OddShare<T, WEIGHTED>(shares));
}

__device__ std::size_t first_item() { return std::size_t{blockIdx.x} * THREADS + threadIdx.x; }
__device__ std::size_t all_threads() { return std::size_t{gridDim.x} * THREADS; }

// States of pieces; or, where a column is one piece, its value and gradient.
template <class T, bool WEIGHTED>
__global__ void __launch_bounds__(THREADS)
    sum_columns(LogMeanExp<T> job, std::size_t pieces, std::size_t rows, ExpSum* states) {
  for (std::size_t item = first_item(); item < job.n_outer * pieces * job.n_inner; item += all_threads()) {
    const Piece<T> piece(job, item, pieces, rows);
    const T *const f = job.f + piece.at, *const weights = WEIGHTED ? job.weights + piece.at : nullptr;
    const ExpSum sum = sum_column<T, WEIGHTED>(f, weights, piece.n, job.n_inner);
    if (states) {
      states[item] = sum;
      continue;
    }
    job.value[item] = static_cast<T>(value_of(sum));
    if (job.gradient)
      share_column<T, WEIGHTED>(f, weights, job.gradient + piece.at, piece.n, job.n_inner, shares_of<T>(sum, WEIGHTED));
  }
}

// Up to FAN states of one column, n_inner apart.
__device__ ExpSum combine_column(const ExpSum* states, std::size_t n, std::size_t n_inner) {
  ExpSum sum = states[0];
#pragma unroll 4
  for (std::size_t i = 1; i < n; ++i) sum = combined(sum, states[i * n_inner]);
  return sum;
}

// From (n_outer, n, n_inner) states to (n_outer, n / FAN, n_inner).
__global__ void __launch_bounds__(THREADS)
    combine_columns(const ExpSum* states, std::size_t n_outer, std::size_t n, std::size_t n_inner, ExpSum* out) {
  const std::size_t groups = (n + FAN - 1) / FAN;
  for (std::size_t item = first_item(); item < n_outer * groups * n_inner; item += all_threads()) {
    const std::size_t above = item / n_inner, column = item - above * n_inner, outer = above / groups;
    const std::size_t from = (above - outer * groups) * FAN;
    out[item] = combine_column(states + (outer * n + from) * n_inner + column, n - from < FAN ? n - from : FAN, n_inner);
  }
}

template <class T>
__global__ void __launch_bounds__(THREADS) finish_columns(const ExpSum* states, std::size_t n_outer, std::size_t n,
                                                          std::size_t n_inner, bool weighted, T* value, Shares* shares) {
  for (std::size_t item = first_item(); item < n_outer * n_inner; item += all_threads()) {
    const std::size_t outer = item / n_inner, column = item - outer * n_inner;
    const ExpSum sum = combine_column(states + outer * n * n_inner + column, n, n_inner);
    finish(sum, weighted, value + item, shares ? shares + item : nullptr);
  }
}

template <class T, bool WEIGHTED>
__global__ void __launch_bounds__(THREADS)
    share_columns(LogMeanExp<T> job, std::size_t pieces, std::size_t rows, const Shares* shares) {
  const std::size_t items = job.n_outer * pieces * job.n_inner;
  for (std::size_t back = first_item(); back < items; back += all_threads()) {
    const Piece<T> piece(job, items - 1 - back, pieces, rows);  // backwards: the end is still in the caches
    share_column<T, WEIGHTED>(job.f + piece.at, WEIGHTED ? job.weights + piece.at : nullptr, job.gradient + piece.at, piece.n,
                              job.n_inner, shares[piece.outer * job.n_inner + piece.column]);
  }
}

template <class T, bool WEIGHTED>
void columns(const LogMeanExp<T>& job, Workspace& memory, cudaStream_t stream) {
  const std::size_t rows = rows_for(job.n_outer * job.n * job.n_inner), all_pieces = (job.n + rows - 1) / rows;
  const std::size_t items = job.n_outer * all_pieces * job.n_inner, columns = job.n_outer * job.n_inner;
  const bool whole = all_pieces == 1;
  ExpSum* states = whole ? nullptr : memory.take<ExpSum>(items);
  launch_over(JOB, sum_columns<T, WEIGHTED>, {items, THREADS}, stream, job, all_pieces, rows, states);
  if (whole) return;
  std::size_t pieces = all_pieces;
  while (pieces > FAN) {
    const std::size_t groups = (pieces + FAN - 1) / FAN, left = columns * groups;
    ExpSum* const combined = memory.take<ExpSum>(left);
    launch_over(JOB, combine_columns, {left, THREADS}, stream, states, job.n_outer, pieces, job.n_inner, combined);
    states = combined;
    pieces = groups;
  }
  Shares* const shares = job.gradient ? memory.take<Shares>(columns) : nullptr;
  launch_over(JOB, finish_columns<T>, {columns, THREADS}, stream, states, job.n_outer, pieces, job.n_inner, WEIGHTED, job.value,
              shares);
  if (job.gradient) launch_over(JOB, share_columns<T, WEIGHTED>, {items, THREADS}, stream, job, all_pieces, rows, shares);
}

}  // namespace

template <class T>
void log_mean_exp_columns(const LogMeanExp<T>& job, Workspace& memory, cudaStream_t stream) {
  job.weights ? columns<T, true>(job, memory, stream) : columns<T, false>(job, memory, stream);
}
template void log_mean_exp_columns(const LogMeanExp<float>&, Workspace&, cudaStream_t);
template void log_mean_exp_columns(const LogMeanExp<double>&, Workspace&, cudaStream_t);

}  // namespace dualwalk::cuda
