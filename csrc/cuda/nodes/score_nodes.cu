#include "nodes/pairs.hpp"

namespace dualwalk::cuda {
namespace {

template <class T>
constexpr unsigned THREADS = sizeof(T) == 4 ? 128 : 64;
constexpr unsigned MOST_GROUPS = 1024;  // sums of tiles that are added at the end: the same on every device

template <class T, bool Contrastive>
__global__ void __launch_bounds__(THREADS<T>, 2)
score_kernel(NodeData<T> data, NodeShape shape, const T* flat, std::size_t n_rows, unsigned n_shifts, bool base, double* sums) {
  T* const weights = shared<T>(256);
  const Rows<T> rows{weights + shape.size(), row_stride<T>(THREADS<T>)};
  pack(shape, flat, weights);
  __syncthreads();
  const NodePass<T, Contrastive> pass{shape, weights, Room<T>(shape, rows), base};
  const Pairs<T> pairs{data, nullptr, nullptr, nullptr, data.n_nodes, n_rows, n_shifts};
  const double sum = pass.group_value(pairs, blockIdx.x, gridDim.x, shared<double>());
  if (threadIdx.x == 0) sums[blockIdx.x] = sum;
}

__global__ void mean_kernel(const double* sums, unsigned n_sums, double n_pairs, double* value) {
  double total = 0;
  for (unsigned i = threadIdx.x; i < n_sums; i += blockDim.x) total += sums[i];
  total = block_sum(total, shared<double>());
  if (threadIdx.x == 0) value[0] = total / n_pairs;
}

template <class T, bool Contrastive>
void score(const char* job, const NodeData<T>& data, const NodeSizes& sizes, const T* weights, std::size_t n_rows,
           unsigned n_shifts, bool base, double* value, Workspace& workspace, cudaStream_t stream) {
  const NodeShape shape = shape_of(sizes, Contrastive);
  const std::size_t bytes = 256 + (shape.size() + std::size_t{Room<T>::n_rows(shape, false)} * row_stride<T>(THREADS<T>)) * sizeof(T);
  expect_room(job, bytes, Device::current(job));
  const std::size_t pairs = data.n_nodes * n_rows, tiles = (pairs * (1 + n_shifts) + THREADS<T> - 1) / THREADS<T>;
  const unsigned n_groups = static_cast<unsigned>(tiles < MOST_GROUPS ? tiles : MOST_GROUPS);
  double* const sums = workspace.take<double>(n_groups);
  launch(job, score_kernel<T, Contrastive>, {n_groups, THREADS<T>, bytes}, stream, data, shape, weights, n_rows, n_shifts, base, sums);
  launch(job, mean_kernel, {1, 128, 256}, stream, sums, n_groups, static_cast<double>(pairs), value);
}

}  // namespace

template <class T>
void score_nodes(const NodeData<T>& data, const NodeSizes& sizes, const T* weights, std::size_t n_rows, unsigned n_shifts,
                 bool base, double* value, Workspace& workspace, cudaStream_t stream) {
  if (n_shifts)
    score<T, true>("score_contrastive", data, sizes, weights, n_rows, n_shifts, base, value, workspace, stream);
  else
    score<T, false>("score_density", data, sizes, weights, n_rows, n_shifts, base, value, workspace, stream);
}

template void score_nodes(const NodeData<float>&, const NodeSizes&, const float*, std::size_t, unsigned, bool, double*, Workspace&, cudaStream_t);
template void score_nodes(const NodeData<double>&, const NodeSizes&, const double*, std::size_t, unsigned, bool, double*, Workspace&, cudaStream_t);

}  // namespace dualwalk::cuda
