#include "permute/permute.hpp"

#include "permute/chains.cuh"

namespace dualwalk::cuda {

bool fits_a_chain(std::size_t n_rows, const Device& device) {
  return Chains::places(n_rows, 1) <= Chains::MOST_PLACES && Chains::bytes(n_rows, 1) <= device.shared_block;
}

void permute_marginals(const Permutation& job, Workspace& memory, cudaStream_t stream) {
  if (job.n_copies == 0 || job.n_rows == 0 || job.n_columns == 0) return;
  const Device device = Device::current(JOB);
  if (job.operation != SHUFFLE) return resample_or_shift(job, device, stream);
  // without buckets the tall shuffle is one chain too, and has a way for chains of any length
  if (job.n_rows <= job.longest && fits_a_chain(job.n_rows, device)) return shuffle(job, device, stream);
  shuffle_tall(job, device, memory, stream);
}

}  // namespace dualwalk::cuda
