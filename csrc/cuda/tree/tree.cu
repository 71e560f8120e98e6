#include "tree/tree.hpp"

#include <cmath>

#include "device.hpp"

namespace dualwalk::cuda {
namespace {

constexpr unsigned WARP = 32, MOST_THREADS = 1024, MOST_WARPS = MOST_THREADS / WARP;
constexpr unsigned ALL = 0xffffffffu;

template <class T>
struct Candidate {
  T weight;
  unsigned column;
};

// The larger of two; of equal ones that of the smaller column.
template <class T>
__device__ Candidate<T> better(Candidate<T> a, Candidate<T> b) {
  return b.weight > a.weight || (b.weight == a.weight && b.column < a.column) ? b : a;
}

// The best of a warp's candidates, in every lane.
template <class T>
__device__ Candidate<T> best_of_warp(Candidate<T> mine) {
  for (int step = WARP / 2; step > 0; step /= 2) {
    Candidate<T> other;
    other.weight = __shfl_xor_sync(ALL, mine.weight, step);
    other.column = __shfl_xor_sync(ALL, mine.column, step);
    mine = better(mine, other);
  }
  return mine;
}

// One block, a step a column. Thread t alone keeps the columns t, t + n_threads, ...: `reach`, the largest weight to a column
// that was taken (-inf for one taken itself), and `nearest`, the place of that one. The warps' best meet in shared memory, in two
// tables by turns: a step has one barrier, and no table is written before all have read it two steps ago.
template <class T>
__global__ void spanning_tree_kernel(const T* weight, unsigned d, const std::int64_t* first, std::int64_t* order,
                                     std::int64_t* parent, T* reach, unsigned* nearest) {
  const unsigned n_threads = blockDim.x, n_warps = n_threads / WARP, lane = threadIdx.x % WARP, warp = threadIdx.x / WARP;
  const T taken = -static_cast<T>(INFINITY);
  T* const warp_weight = shared<T>();                                                  // [2][MOST_WARPS]
  unsigned* const warp_column = shared<unsigned>(2 * MOST_WARPS * sizeof(T));          // [2][MOST_WARPS]
  unsigned column = static_cast<unsigned>(*first);
  for (unsigned j = threadIdx.x; j < d; j += n_threads) {
    const T w = weight[std::size_t{column} * d + j];
    reach[j] = j == column ? taken : w > taken ? w : T(0);
    nearest[j] = 0;
  }
  if (threadIdx.x == 0) order[0] = column;
  for (unsigned k = 1; k < d; ++k) {
    Candidate<T> mine{taken, d};
    for (unsigned j = threadIdx.x; j < d; j += n_threads) mine = better(mine, Candidate<T>{reach[j], j});
    mine = best_of_warp(mine);
    const unsigned table = (k % 2) * MOST_WARPS;
    if (lane == 0) {
      warp_weight[table + warp] = mine.weight;
      warp_column[table + warp] = mine.column;
    }
    __syncthreads();
    const bool any = lane < n_warps;
    mine = best_of_warp(Candidate<T>{any ? warp_weight[table + lane] : taken, any ? warp_column[table + lane] : d});
    column = mine.column;
    for (unsigned j = threadIdx.x; j < d; j += n_threads) {
      if (j == column) {
        order[k] = j;
        parent[k - 1] = nearest[j];
        reach[j] = taken;
      } else if (reach[j] > taken) {
        const T w = weight[std::size_t{column} * d + j];
        if (w > reach[j]) {
          reach[j] = w;
          nearest[j] = k;
        }
      }
    }
  }
}

}  // namespace

template <class T>
void spanning_tree(const T* weight, std::size_t d, const std::int64_t* first, std::int64_t* order, std::int64_t* parent,
                   Workspace& workspace, cudaStream_t stream) {
  if (d == 0) return;
  T* const reach = workspace.take<T>(d);
  unsigned* const nearest = workspace.take<unsigned>(d);
  const unsigned wanted = static_cast<unsigned>((d + WARP - 1) / WARP) * WARP;
  const unsigned threads = wanted < MOST_THREADS ? wanted : MOST_THREADS;
  const std::size_t bytes = 2 * MOST_WARPS * (sizeof(T) + sizeof(unsigned));
  launch("spanning_tree", spanning_tree_kernel<T>, {1, threads, bytes}, stream, weight, static_cast<unsigned>(d), first, order, parent,
         reach, nearest);
}

template void spanning_tree(const float*, std::size_t, const std::int64_t*, std::int64_t*, std::int64_t*, Workspace&, cudaStream_t);
template void spanning_tree(const double*, std::size_t, const std::int64_t*, std::int64_t*, std::int64_t*, Workspace&, cudaStream_t);

}  // namespace dualwalk::cuda
