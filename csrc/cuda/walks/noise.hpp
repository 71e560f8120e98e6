// The noise of one step of a batch, for walks whose dual is the caller's own code.
#pragma once

#include "runtime.hpp"

namespace dualwalk::cuda {

// out (n_walks, n_normals): the standard normals of walks 0 .. n_walks - 1 at this step.
template <class T>
void draw_step_noise(std::uint64_t seed, std::uint32_t step, std::size_t n_walks, std::size_t n_normals, T* out,
                     cudaStream_t stream);

}  // namespace dualwalk::cuda
