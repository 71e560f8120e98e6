// Which kernel walks: the one place that decides.
#include "walks/mlp.hpp"

namespace dualwalk::cuda {

template <class T>
void walk_mlp(const Walk<T>& walk, const MlpDual<T>& dual, Precision, Workspace& workspace, cudaStream_t stream) {
  const Device device = Device::current("walk_mlp");
  const bool projected = dual.gram && !walk.low && !walk.trajectory && walk.noise_scale == T{0};
  walk_mlp_tile(walk, dual, projected, device, workspace, stream);
}

template void walk_mlp(const Walk<float>&, const MlpDual<float>&, Precision, Workspace&, cudaStream_t);
template void walk_mlp(const Walk<double>&, const MlpDual<double>&, Precision, Workspace&, cudaStream_t);

}  // namespace dualwalk::cuda
