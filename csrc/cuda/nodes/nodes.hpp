// Jobs of the node networks on the device: training, scores, normalized terms and their gradients. What they compute is defined
// in backends/_reference_nodes.py and _reference_terms.py. A network is of one kind: density, or contrastive (n_shifts > 0).
#pragma once

#include <vector>

#include "runtime.hpp"

namespace dualwalk::cuda {

// What N nodes know of n rows: NodeData of _nodepath/network.py.
template <class T>
struct NodeData {
  const T* child;       // (n_nodes, n_rows)
  const T* context;     // (n_nodes, n_context, n_rows)
  const T* statistics;  // (n_nodes, n_statistics)
  const std::uint8_t* codes;
  std::size_t n_nodes, n_rows;
};

struct NodeSizes {
  std::size_t context, statistics, hidden;
};

// One network's way: its state, its batches, and the data that its checks look at.
template <class T>
struct NodeRun {
  NodeData<T> train, validation;
  T *weights, *first, *second;  // flat: the network and its two moments
  T* best;                      // flat: the network at its best check
  double* progress;             // best score, checks since, steps taken, 1 once it has stopped
  const std::int32_t* nodes;    // (n_steps, batch_nodes)
  const std::int32_t* rows;     // (n_steps, batch_rows)
  const std::uint8_t* flips;    // (n_steps, batch_nodes)
  unsigned batch_nodes, batch_rows, shown, n_shifts;  // shown: rows of a check; n_shifts: 0 for a density network
};

// What all networks of a call have in common.
template <class T>
struct NodeSteps {
  NodeSizes sizes;
  bool contrastive, base;
  unsigned n_steps;
  const T* moves;  // (n_steps, 3): 1 - rate decay, rate / (1 - 0.9^count), 1 / sqrt(1 - 0.999^count)
  double longest;  // gradients are scaled down to this length
  unsigned check_every, patience;  // 0: no checks; a check follows the last step too
};

// AdamW steps of several networks at once, with their checks and early stopping, in one launch (or as few as hold them). A
// network that has stopped stays as it is. The same bits whatever the device and whichever networks go along.
template <class T>
void train_nodes(const std::vector<NodeRun<T>>& runs, const NodeSteps<T>& steps, Workspace& workspace, cudaStream_t stream);

// value[0]: mean f over all nodes and the first n_rows rows, or minus the logistic loss.
template <class T>
void score_nodes(const NodeData<T>& data, const NodeSizes& sizes, const T* weights, std::size_t n_rows, unsigned n_shifts,
                 bool base, double* value, Workspace& workspace, cudaStream_t stream);

template <class T>
struct NodeTerms {
  NodeData<T> data;
  NodeSizes sizes;
  const T* weights;  // (n_members, W)
  unsigned n_members;
  const T* grid;  // (n_nodes, n_grid)
  unsigned n_grid;
  const double* alphas;
  unsigned n_alphas;
  T* terms;       // (n_alphas, n_nodes, n_rows)
  T* by_child;    // (n_nodes, n_rows), or null; then at one alpha
  T* by_context;  // (n_nodes, n_context, n_rows), or null
  bool contrastive, base;
};
template <class T>
void node_terms(const NodeTerms<T>& job, cudaStream_t stream);

}  // namespace dualwalk::cuda
