// The table of compiled loops: one row of functions a SIMD level, picked once at run time.
#pragma once

#include <cstddef>
#include <cstdint>

#include "dualwalk/logmeanexp.hpp"
#include "dualwalk/philox.hpp"
#include "dualwalk/shuffle.hpp"
#include "parallel.hpp"

namespace dualwalk {

struct Permutation {
  const char* x;                       // the element (row 0, column 0)
  std::ptrdiff_t row_stride;           // bytes
  const std::ptrdiff_t* column_offset; // bytes from row 0, column 0 to row 0, column c
  const std::int32_t* block;           // of every column
  char* out;                           // (n_copies, n_rows, n_columns), C-contiguous
  std::size_t item_size;               // bytes: 1, 2, 4, 8 or 16
  std::size_t n_copies, n_rows, n_columns;
  std::uint32_t operation;
  std::uint32_t longest;               // rows that Fisher-Yates takes at once (shuffle.hpp)
  std::uint64_t seed;
  int n_threads;
};

// Over the middle axis of (n_outer, n, n_inner), or over segments.
template <class T>
struct LogMeanExp {
  const T* f;        // C-contiguous
  const T* weights;  // the same shape, or null
  T* gradient;       // the same shape, or null
  double* value;     // (n_outer, n_inner)
  const std::int64_t* offsets;  // (n_outer + 1,) from 0, increasing: where segments begin, n and n_inner being 1; or null
  std::size_t n_outer, n, n_inner;
  int n_threads;
};

template <class T>
struct LogSigmoid {
  const T* f;
  T* gradient;  // or null
  std::size_t n;
  int sign;
  int n_threads;
  double value;
};

// C = factor^T factor + diag(diagonal), for steps along C g and noise of covariance C; one for all walks, or one each.
template <class T>
struct Preconditioner {
  const T* factor;    // (n_neighborhoods, n_factors, n_features)
  const T* diagonal;  // (n_neighborhoods, n_features), or null for zeros
  std::size_t n_factors;
  bool shared;        // one neighbourhood
};

// What every walk has; x (n_walks, n_features) is walked in place.
template <class T>
struct Walk {
  T* x;
  T* trajectory;       // (n_walks, n_steps + 1, n_features), or null
  double* f;           // (n_walks,) at the end
  std::int64_t* steps; // (n_walks,) taken
  bool* reached;       // (n_walks,)
  const T* target;     // (n_walks,), or null
  const T* low;        // (n_features,), or null
  const T* high;
  std::size_t n_walks, n_features, n_steps;
  T step_size, noise_scale, tolerance;
  const Preconditioner<T>* shape;  // or null
  std::uint64_t seed;
  int n_threads;
  Poll poll;
  void* poll_context;
};

// f(x) = w_L silu(... silu(W_1 x + b_1) ...) + b_L. Matrices come in panels (packed_matrix.hpp), vectors in whole lines: zeros fill
// both up.
template <class T>
struct MlpDual {
  std::size_t n_layers;        // the last one has one output
  const std::size_t* width;    // (n_layers + 1,): inputs, hidden widths, 1
  const T* const* forward;     // layer l but the last: panels of W, (width[l + 1], width[l])
  const T* const* backward;    // and of its transpose
  const T* const* bias;        // layer l: (width[l + 1],)
  const T* last;               // the last layer's weights
};

// f(y) = constant + curvature . y^2 / 2 + |factor y|^2 / 2 with y = x - mean; one neighbourhood for all walks, or one each.
template <class T>
struct LocalDual {
  const T* mean;       // (n_neighborhoods, n_features)
  const T* curvature;  // (n_neighborhoods, n_features)
  const T* factor;     // (n_neighborhoods, n_factors, n_features)
  const T* constant;   // (n_neighborhoods,)
  std::size_t n_factors;
  bool shared;         // one neighbourhood
};

// f(x) = log sum_k exp(log_scale_k - z_k . precision_k z_k / 2) + pull |x|^2 / 2 + constant with z_k = axes_k x + start_k; the
// tables hold as many times as a call needs: one for walks, n_steps + 1 for annealing. Panels and lines as for MlpDual.
template <class T>
struct MixtureDual {
  std::size_t n_components, n_features;
  const T* forward;     // panels of the axes, (n_components times whole lines, n_features), an eigenvector a row
  const T* backward;    // panels of (n_features, n_components n_features)
  const T* starts;      // (n_times, n_components, n_features in whole lines)
  const T* precisions;  // the same
  const T* log_scales;  // (n_times, n_components)
  T pull, constant;
};

// One step of annealing: velocity v = speed * gradient, x' = cosine x + sine v + correction (v - v foreseen).
template <class T>
struct Move {
  T speed, cosine, sine, correction;
};

// What annealing has; x (n_walks, n_features) is walked in place.
template <class T>
struct Anneal {
  T* x;
  T* trajectory;        // (n_walks, n_steps + 1, n_features), or null
  double* f;            // (n_walks,) at the end
  std::int64_t* steps;  // (n_walks,) taken
  const Move<T>* moves; // (n_steps,)
  std::size_t n_walks, n_features, n_steps;
  bool renoise;
  T keep, add;          // shares of x and of noise at the start
  std::uint64_t seed;
  int n_threads;
  Poll poll;
  void* poll_context;
};

// What N nodes know of n rows: NodeData of _nodepath/network.py.
template <class T>
struct NodeData {
  const T* child;       // (n_nodes, n_rows)
  const T* context;     // (n_nodes, n_context, n_rows)
  const T* statistics;  // (n_nodes, n_statistics)
  const std::uint8_t* codes;
  std::size_t n_nodes, n_rows, n_context, n_statistics;
};

// Steps of one network of either kind, or scores of it; `n_shifts` is 0 for a density node.
template <class T>
struct NodeSteps {
  NodeData<T> data;
  T* weights;  // flat, as first and second
  T* first;
  T* second;
  std::size_t n_hidden;
  std::int64_t count;         // steps taken before
  const std::int32_t* nodes;  // (n_steps, batch_nodes)
  const std::int32_t* rows;   // (n_steps, batch_rows)
  const std::uint8_t* flips;  // (n_steps, batch_nodes)
  std::size_t n_steps, batch_nodes, batch_rows;
  const double* rates;  // (n_steps,)
  double decay, longest;
  std::size_t n_shifts;
  bool base;
  int n_threads;
  Poll poll;
  void* poll_context;
};
template <class T>
struct NodeScore {
  NodeData<T> data;
  const T* weights;
  std::size_t n_hidden, n_rows, n_shifts;
  bool base;
  int n_threads;
  double value;
};

// Normalized terms of the averaged members, and their gradients where `by_child` is not null (then at one alpha).
template <class T>
struct NodeTerms {
  NodeData<T> data;
  const T* weights;  // (n_members, W)
  std::size_t n_members, n_hidden;
  const T* grid;  // (n_nodes, n_grid)
  std::size_t n_grid;
  const double* alphas;
  std::size_t n_alphas;
  T* terms;       // (n_alphas, n_nodes, n_rows)
  T* by_child;    // (n_nodes, n_rows), or null
  T* by_context;  // (n_nodes, n_context, n_rows), or null
  bool contrastive, base;
  int n_threads;
  Poll poll;
  void* poll_context;
};

// out[r] = mean + decay (start - mean) + sqrt(1 - decay^2) noise in the neighbourhood of row r, whose first member is the start.
template <class T>
struct Relaxation {
  const T* points;                // (n_points, n_features)
  const std::int64_t* neighbors;  // (n_rows, n_members)
  T* out;                         // (n_rows, n_features)
  std::size_t n_rows, n_members, n_features;
  double decay;
  std::uint64_t seed;
  int n_threads;
  Poll poll;
  void* poll_context;
};

// Rank r of a column's points takes the column's quantile at (r + place[row]) / n_rows.
template <class T>
struct Balance {
  const T* points;      // (n_rows, n_columns)
  const double* place;  // (n_rows,)
  const T* table;       // (n_quantiles, n_columns), quantiles at (k + 1/2) / n_quantiles
  const bool* tied;     // (n_columns,): the nearer quantile is taken, not what lies between two
  T* values;            // (n_rows, n_columns)
  std::size_t n_rows, n_columns, n_quantiles;
  int n_threads;
  Poll poll;
  void* poll_context;
};

// How fast the machine is at one thing, for benchmarks: see limits.hpp.
template <class T>
struct Limit {
  const char* name;
  const T* x;  // (n,)
  T* out;      // (n,), or null where nothing is written
  std::size_t n;
  double seconds;
  int n_threads;
  double rate;  // the result: bytes or operations a second
};

// Every function returns false when memory ran out (nothing was written then) or, for walks, when the poll stopped it.
template <class T>
struct FloatKernels {
  bool (*log_mean_exp)(const LogMeanExp<T>&);
  bool (*log_sigmoid)(LogSigmoid<T>&);
  bool (*walk_mlp)(const Walk<T>&, const MlpDual<T>&);
  bool (*walk_local)(const Walk<T>&, const LocalDual<T>&);
  bool (*walk_mixture)(const Walk<T>&, const MixtureDual<T>&);
  bool (*anneal_mixture)(const Anneal<T>&, const MixtureDual<T>&);
  bool (*train_nodes)(const NodeSteps<T>&);
  bool (*score_nodes)(NodeScore<T>&);
  bool (*node_terms)(const NodeTerms<T>&);
  bool (*draw_normals)(std::uint64_t seed, std::size_t first, std::size_t n_rows, std::size_t n_columns, T* out);
  bool (*relax_local)(const Relaxation<T>&);
  bool (*balance_columns)(const Balance<T>&);
  // one elementary function over an array, for its error tests; false for a name it does not know
  bool (*elementary)(const char* name, const T* x, T* out, std::size_t n);
  bool (*limit)(Limit<T>&);
};

struct Kernels {
  const char* level;
  void (*draw_integers)(const Stream&, const std::uint32_t* bounds, std::size_t n_rows, std::uint32_t* out);
  bool (*permute)(const Permutation&);
  FloatKernels<float> f32;
  FloatKernels<double> f64;

  const FloatKernels<float>& of(float) const { return f32; }
  const FloatKernels<double>& of(double) const { return f64; }
};

// The best level that this processor runs, or the one that is named; null when that one cannot be had.
const Kernels* kernels(const char* level = nullptr);
// The names of all levels built in that this processor runs, best first, null-terminated.
const char* const* levels();

}  // namespace dualwalk
