// permute_marginals on the device: the rows of every column rearranged by itself, in many copies, by the CPU's draws.
#pragma once

#include "dualwalk/shuffle.hpp"
#include "runtime.hpp"

namespace dualwalk::cuda {

struct Permutation {
  const char* x;                                          // the element (row 0, column 0)
  std::ptrdiff_t row_stride, outer_stride, inner_stride;  // bytes, of any sign
  std::size_t n_inner;                                    // column c of x is (c / n_inner, c % n_inner)
  const std::int32_t* block;                              // of every column
  char* out;                                              // (n_copies, n_rows, n_columns), C-contiguous
  std::size_t item_size;                                  // bytes: 1, 2, 4, 8 or 16
  std::size_t n_copies, n_rows, n_columns;
  std::uint32_t operation;
  std::uint32_t longest;  // rows that Fisher-Yates takes at once (shuffle.hpp)
  std::uint64_t seed;
};

void permute_marginals(const Permutation& job, Workspace& memory, cudaStream_t stream);

// The parts of it, for at least one row, column and copy.
void shuffle(const Permutation& job, const Device& device, cudaStream_t stream);  // rows that fit shared memory by column
void shuffle_tall(const Permutation& job, const Device& device, Workspace& memory, cudaStream_t stream);
void resample_or_shift(const Permutation& job, const Device& device, cudaStream_t stream);

// Whether the shared memory of a block holds the chain of a whole column.
bool fits_a_chain(std::size_t n_rows, const Device& device);

}  // namespace dualwalk::cuda
