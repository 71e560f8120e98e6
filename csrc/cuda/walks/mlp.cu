// Which kernel walks: the one place that decides.
#include "walks/mlp.hpp"

#include <type_traits>

namespace dualwalk::cuda {
namespace {

// Walks a multiprocessor from which on tensor cores are faster than plain multiply-adds on one walk or a few at a time.
constexpr std::size_t MANY_WALKS = 16;

}  // namespace

template <class T>
void walk_mlp(const Walk<T>& walk, const MlpDual<T>& dual, Precision precision, Workspace& workspace, cudaStream_t stream) {
  const Device device = Device::current("walk_mlp");
  const bool free = dual.gram && !walk.low && !walk.trajectory, silent = walk.noise_scale == T{0};
  if constexpr (std::is_same<T, float>::value) {
    const bool many = walk.n_walks > MANY_WALKS * static_cast<std::size_t>(device.multiprocessors);
    if (free && many && tensor_cores_take(dual, device)) return walk_mlp_tensor(walk, dual, precision, device, stream);
  }
  walk_mlp_tile(walk, dual, free && silent, device, workspace, stream);
}

template void walk_mlp(const Walk<float>&, const MlpDual<float>&, Precision, Workspace&, cudaStream_t);
template void walk_mlp(const Walk<double>&, const MlpDual<double>&, Precision, Workspace&, cudaStream_t);

}  // namespace dualwalk::cuda
