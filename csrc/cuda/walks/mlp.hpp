// Walks on an MLP dual, many steps in one launch: f(x) = w . silu(... silu(W_1 x + b_1) ...) + b.
//
// A step moves x along W_1^T d, d being the slopes of f by W_1 x + b_1. Without noise, bounds and frames nobody needs x before
// the walk ends: z = W_1 x + b_1 moves along (W_1 W_1^T) d, |grad f|^2 is d . (W_1 W_1^T) d, and x is x_0 + W_1^T times the sum
// of the d, each by its step's size. Such a walk is called projected: for 600-128-128-1 a step takes 49 thousand multiply-adds
// in place of 187 thousand, and its matrices fit into the shared memory of one multiprocessor.
//
// Two kernels: mlp_tile.cu takes any sizes, float and double, with plain multiply-adds; mlp_tensor.cu projected walks in float,
// many at a time, on tensor cores. There noise may move x as well, as W_1 times it moves z.
#pragma once

#include "dualwalk/config.hpp"
#include "walks/walk.hpp"

namespace dualwalk::cuda {

constexpr unsigned MAX_HIDDEN = 63;

// Rows of matrices are filled up with zeros to whole groups of four: aligned loads of four.
DUALWALK_FN constexpr std::size_t whole_fours(std::size_t n) { return (n + 3) / 4 * 4; }

template <class T>
struct MlpLayer {
  const T* forward;   // (n_in, whole_fours(n_out)): the transpose of the weights
  const T* backward;  // (n_out, whole_fours(n_in)): the weights
  const T* bias;      // (n_out,)
  unsigned n_in, n_out;
};

template <class T>
struct MlpDual {
  MlpLayer<T> layer[MAX_HIDDEN];  // the hidden ones
  unsigned n_hidden;
  const T* gram;       // W_1 W_1^T (n, whole_fours(n)) of the first layer's n outputs; null where there is no hidden layer
  const T* last;       // the last layer's weights
  const T* last_bias;  // one number
};

enum class Precision { full, tf32, bf16 };

// Fills f, steps and reached, and x and the trajectory. Less than full precision is a leave, taken where tensor cores are used.
template <class T>
void walk_mlp(const Walk<T>& walk, const MlpDual<T>& dual, Precision precision, Workspace& workspace, cudaStream_t stream);

template <class T>
void walk_mlp_tile(const Walk<T>& walk, const MlpDual<T>& dual, bool projected, const Device& device, Workspace& workspace,
                   cudaStream_t stream);

// Without bounds and frames, for up to 128 units a layer whose matrices fit into shared memory.
bool tensor_cores_take(const MlpDual<float>& dual, const Device& device);
void walk_mlp_tensor(const Walk<float>& walk, const MlpDual<float>& dual, Precision precision, const Device& device,
                     cudaStream_t stream);

}  // namespace dualwalk::cuda
