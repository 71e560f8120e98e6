// The mean log-sigmoid and its gradient: one pass over memory.
//
// log sigmoid(z) = min(z, 0) - log(1 + t) with t = exp(-|z|). A logarithm takes as long as the rest, so eight of 1 + t are
// multiplied first: what the product is above 1 is kept, so that small t keep their digits.
#include "dualwalk/activation.hpp"
#include "objective/forms.cuh"

namespace dualwalk::cuda {
namespace {

const char* const JOB = "mean_log_sigmoid";
constexpr unsigned FINISHING = 1024;  // threads of the one block that adds the runs

__device__ __forceinline__ float quotient(float a, float b) { return __fdividef(a, b); }  // b in [1, 2]
__device__ __forceinline__ double quotient(double a, double b) { return a / b; }

// The sum over n elements, at most a run, and their slopes unless out is null; the lanes' own part.
template <class T>
__device__ double sum_of_lane(const T* f, T* out, int n, T sign, T scale) {
  const bool aligned = is_aligned(f) && is_aligned(out);
  constexpr int step = 32 * VECTOR<T>, factors = 8 / VECTOR<T>;
  double sum = 0;
#pragma unroll 1
  for (int at = (threadIdx.x & 31) * VECTOR<T>; at < n; at += LOADS * step) {
    Batch<T, false> batch;
    if (at + (LOADS - 1) * step + VECTOR<T> <= n)
      batch.load(f, nullptr, aligned, at, step);
    else
      batch.load_part(f, nullptr, aligned, at, step, n);
#pragma unroll
    for (int first = 0; first < LOADS; first += factors) {
      T below = 0, over = 0;
#pragma unroll
      for (int k = first; k < first + factors; ++k) {
        const int i = at + k * step;
        T slope[VECTOR<T>];
#pragma unroll
        for (int j = 0; j < VECTOR<T>; ++j) {
          const T z = i + j < n ? batch.x[k][j] * sign : infinity<T>();  // which counts nothing
          const T small = small_exponential(-magnitude(z));
          below += z < T{0} ? z : T{0};
          over = over * small + (over + small);
          slope[j] = quotient(z < T{0} ? scale : small * scale, small + T{1});
        }
        if (out) store_part(out, aligned, i, n, slope);
      }
      const T product = over + T{1};
      sum += static_cast<double>(below - (logarithm(product) + (over - (product - T{1})) / product));
    }
  }
  return sum;
}

template <class T>
__global__ void __launch_bounds__(THREADS) sum_runs(MeanLogSigmoid<T> job, double* sums) {
  const Team warp(32);
  const T sign = static_cast<T>(job.sign), scale = static_cast<T>(job.sign / static_cast<double>(job.n));
  for (std::size_t run = first_warp(); run * RUN < job.n; run += all_warps()) {
    const std::size_t at = run * RUN;
    T* const out = job.gradient ? job.gradient + at : nullptr;
    const double sum = warp.sum(sum_of_lane(job.f + at, out, size_of_run(job.n, at), sign, scale));
    if (warp.rank == 0) sums[run] = sum;
  }
}

// One block: the mean from the sums of runs.
__global__ void __launch_bounds__(FINISHING) add_runs(const double* sums, std::size_t runs, double n, double* value) {
  double* const of_warp = shared<double>();
  const Team warp(32);
  double sum = 0;
#pragma unroll 8
  for (std::size_t i = threadIdx.x; i < runs; i += FINISHING) sum += sums[i];
  sum = warp.sum(sum);
  if (warp.rank == 0) of_warp[threadIdx.x / 32] = sum;
  __syncthreads();
  if (threadIdx.x >= 32) return;
  sum = warp.sum(of_warp[threadIdx.x]);
  if (threadIdx.x == 0) *value = sum / n;
}

}  // namespace

template <class T>
void mean_log_sigmoid(const MeanLogSigmoid<T>& job, Workspace& memory, cudaStream_t stream) {
  if (job.n == 0) return;
  const std::size_t runs = (job.n + RUN - 1) / RUN;
  double* const sums = memory.take<double>(runs);
  launch_over(JOB, sum_runs<T>, {runs, WARPS}, stream, job, sums);
  const std::size_t bytes = sizeof(double) * FINISHING / 32;
  launch(JOB, add_runs, {1, FINISHING, bytes}, stream, sums, runs, static_cast<double>(job.n), job.value);
}
template void mean_log_sigmoid(const MeanLogSigmoid<float>&, Workspace&, cudaStream_t);
template void mean_log_sigmoid(const MeanLogSigmoid<double>&, Workspace&, cudaStream_t);

}  // namespace dualwalk::cuda
