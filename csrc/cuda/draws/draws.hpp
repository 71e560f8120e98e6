// Random words, integers and normal noise, addressed by what a draw is for: the same as on the CPU, word for word.
#pragma once

#include "dualwalk/philox.hpp"
#include "runtime.hpp"

namespace dualwalk::cuda {

// out[i] = philox(counter[i]), four words each.
void philox_words(const std::uint32_t* counter, std::size_t n, std::uint64_t seed, std::uint32_t* out, cudaStream_t stream);

// out[i] uniform in [0, bounds[i]), the draw of row i.
void draw_integers(const Stream& draws, const std::uint32_t* bounds, std::size_t n, std::uint32_t* out, cudaStream_t stream);

// Standard normal rows first, first + 1, ... of a seed: (n_rows, n_columns), the noise of a walk's step 0.
template <class T>
void draw_normals(std::uint64_t seed, std::size_t first, std::size_t n_rows, std::size_t n_columns, T* out, cudaStream_t stream);

}  // namespace dualwalk::cuda
