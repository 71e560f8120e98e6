// The network that all nodes share, on the device: a thread a pair, and a pair's numbers in a column of shared memory. All
// weights lie in shared memory too, every layer as (inputs + 1, outputs) with the bias last, so that a thread reads a row of
// weights by 16-byte loads that the whole warp shares, for 16 results in registers. For .cu files only.
#pragma once

#include "device.hpp"
#include "dualwalk/activation.hpp"
#include "dualwalk/node_pair.hpp"
#include "nodes/nodes.hpp"

namespace dualwalk::cuda {

template <class T>
constexpr unsigned VECTOR = 16 / sizeof(T);  // numbers in 16 bytes

// exp of numbers of at most about 0. The device's own for float: relative error below (2 + 1.2 |x|) 2^-23.
struct QuickExp {
  __device__ __forceinline__ float operator()(float x) const { return __expf(x); }
  __device__ __forceinline__ double operator()(double x) const { return exponential_of_negative(x); }
};

// N numbers at an address that is a multiple of 16.
template <unsigned N, class T>
__device__ __forceinline__ void read(const T* from, T (&to)[N]) {
#pragma unroll
  for (unsigned i = 0; i < N; i += VECTOR<T>) {
    const uint4 bits = *reinterpret_cast<const uint4*>(from + i);
    std::memcpy(to + i, &bits, 16);
  }
}

// A network's sizes and where its layers begin, both in the flat array and when packed: outputs padded to whole vectors.
struct NodeShape {
  unsigned context, statistics, child, hidden, outputs;  // child: 1 where the child is an input, the last; hidden: 16, 32, ...

  __host__ __device__ unsigned inputs() const { return context + statistics + child; }
  __host__ __device__ unsigned padded() const { return child ? 4 : 16; }
  __host__ __device__ unsigned second() const { return (inputs() + 1) * hidden; }
  __host__ __device__ unsigned last() const { return second() + (hidden + 1) * hidden; }
  __host__ __device__ unsigned size() const { return last() + (hidden + 1) * padded(); }
  __host__ __device__ unsigned flat_size() const { return last() + (hidden + 1) * outputs; }

  // The place in the flat array of number `at` of the packed one, or flat_size() for padding.
  __device__ unsigned flat(unsigned at) const {
    const unsigned start = at < second() ? 0 : at < last() ? second() : last();
    const unsigned below = start ? hidden : inputs(), width = start == last() ? padded() : hidden;
    const unsigned input = (at - start) / width, output = (at - start) % width;
    if (start == last() && output >= outputs) return flat_size();
    return start + output * (below + 1) + input;
  }
};

inline NodeShape shape_of(const NodeSizes& sizes, bool contrastive) {
  return {static_cast<unsigned>(sizes.context), static_cast<unsigned>(sizes.statistics), contrastive ? 1u : 0u,
          static_cast<unsigned>(sizes.hidden), contrastive ? 1u : static_cast<unsigned>(DENSITY_OUTPUTS)};
}

inline void expect_room(const char* job, std::size_t bytes, const Device& device) {
  if (bytes > device.shared_block)
    throw std::runtime_error(std::string(job) + ": the network needs " + std::to_string(bytes) + " bytes of shared memory, the device has " +
                             std::to_string(device.shared_block) + " a block (take fewer hidden units)");
}

// The block packs a flat array.
template <class T>
__device__ void pack(const NodeShape& shape, const T* flat, T* packed) {
  for (unsigned i = threadIdx.x; i < shape.size(); i += blockDim.x) {
    const unsigned at = shape.flat(i);
    packed[i] = at < shape.flat_size() ? flat[at] : T{0};
  }
}
template <class T>
__device__ void unpack(const NodeShape& shape, const T* packed, T* flat) {
  for (unsigned i = threadIdx.x; i < shape.size(); i += blockDim.x) {
    const unsigned at = shape.flat(i);
    if (at < shape.flat_size()) flat[at] = packed[i];
  }
}

// Rows of shared memory with a number for every thread of the block; `stride` keeps columns apart and rows at 16 bytes.
template <class T>
struct Rows {
  T* start;
  unsigned stride;

  __device__ T& operator[](unsigned row) const { return start[row * stride + threadIdx.x]; }  // this thread's
  __device__ const T* row(unsigned i) const { return start + i * stride; }
  __device__ Rows from(unsigned row) const { return {start + row * stride, stride}; }
};
template <class T>
__host__ __device__ constexpr unsigned row_stride(unsigned n_threads) {
  return n_threads + VECTOR<T>;  // neighbouring rows in other banks
}

// What a pass leaves in a block's rows. Slopes become gradients by the layers' sums on the way back.
template <class T>
struct Room {
  Rows<T> inputs, hidden[2], slope[2], outputs;

  // Rows of a room; without slopes where there is no way back.
  static __host__ __device__ unsigned n_rows(const NodeShape& shape, bool slopes) {
    return shape.inputs() + 1 + 2 * (shape.hidden + 1) + shape.padded() + (slopes ? 2 * shape.hidden : 0);
  }
  __device__ Room(const NodeShape& shape, Rows<T> rows) {
    inputs = rows;
    hidden[0] = inputs.from(shape.inputs() + 1);
    hidden[1] = hidden[0].from(shape.hidden + 1);
    outputs = hidden[1].from(shape.hidden + 1);
    slope[0] = outputs.from(shape.padded());
    slope[1] = slope[0].from(shape.hidden);
  }
};

// each(first output, the sums of `Wide` outputs) for all outputs of a layer.
template <unsigned Wide, class T, class Each>
__device__ __forceinline__ void layer(const T* packed, unsigned n_inputs, unsigned width, const Rows<T>& from, Each each) {
  for (unsigned first = 0; first < width; first += Wide) {
    T sum[Wide], weight[Wide];
    read(packed + n_inputs * width + first, sum);
#pragma unroll 4
    for (unsigned i = 0; i < n_inputs; ++i) {
      const T value = from[i];
      read(packed + i * width + first, weight);
#pragma unroll
      for (unsigned j = 0; j < Wide; ++j) sum[j] += value * weight[j];
    }
    each(first, sum);
  }
}

// Activates sums into hidden layer l.
template <bool Slopes, class T>
__device__ __forceinline__ void activate(const Room<T>& room, unsigned l, unsigned first, const T (&sum)[16]) {
#pragma unroll
  for (unsigned j = 0; j < 16; ++j) {
    T by_sum;
    room.hidden[l][first + j] = quick_silu(sum[j], by_sum, QuickExp{});
    if (Slopes) room.slope[l][first + j] = by_sum;
  }
}

// From the first hidden layer to the outputs.
template <bool Slopes, bool Contrastive, class T>
__device__ __forceinline__ void upper_layers(const NodeShape& shape, const T* packed, const Room<T>& room) {
  layer<16>(packed + shape.second(), shape.hidden, shape.hidden, room.hidden[0],
            [&](unsigned first, const T(&sum)[16]) { activate<Slopes>(room, 1, first, sum); });
  constexpr unsigned padded = Contrastive ? 4 : 16;
  layer<padded>(packed + shape.last(), shape.hidden, padded, room.hidden[1], [&](unsigned first, const T(&sum)[padded]) {
#pragma unroll
    for (unsigned j = 0; j < padded; ++j) room.outputs[first + j] = sum[j];
  });
}
template <bool Slopes, bool Contrastive, class T>
__device__ __forceinline__ void forward(const NodeShape& shape, const T* packed, const Room<T>& room) {
  layer<16>(packed, shape.inputs(), shape.hidden, room.inputs,
            [&](unsigned first, const T(&sum)[16]) { activate<Slopes>(room, 0, first, sum); });
  upper_layers<Slopes, Contrastive>(shape, packed, room);
}

// Sums over a layer's outputs of weight times gradient, for inputs first .. first + 7.
template <class T>
__device__ __forceinline__ void turned(const T* packed, unsigned width, const Rows<T>& by_output, unsigned first, T (&sum)[8]) {
#pragma unroll
  for (unsigned i = 0; i < 8; ++i) sum[i] = T{0};
  for (unsigned o = 0; o < width; o += 4) {
    T by[4], weight[4];
#pragma unroll
    for (unsigned j = 0; j < 4; ++j) by[j] = by_output[o + j];
#pragma unroll
    for (unsigned i = 0; i < 8; ++i) {
      read(packed + (first + i) * width + o, weight);
#pragma unroll
      for (unsigned j = 0; j < 4; ++j) sum[i] += by[j] * weight[j];
    }
  }
}

// From the gradient by the outputs to that by the sums of both hidden layers, in the place of their slopes.
template <class T>
__device__ __forceinline__ void backward(const NodeShape& shape, const T* packed, const Room<T>& room) {
  const auto through = [&](const T* weights, unsigned width, const Rows<T>& by_output, const Rows<T>& slope) {
    for (unsigned first = 0; first < shape.hidden; first += 8) {
      T sum[8];
      turned(weights, width, by_output, first, sum);
#pragma unroll
      for (unsigned i = 0; i < 8; ++i) slope[first + i] *= sum[i];
    }
  };
  through(packed + shape.last(), shape.padded(), room.outputs, room.slope[1]);
  through(packed + shape.second(), shape.hidden, room.slope[1], room.slope[0]);
}

// The gradient by one input, from that by the first layer's sums.
template <class T>
__device__ __forceinline__ T input_gradient(const NodeShape& shape, const T* packed, const Rows<T>& by_sum, unsigned input) {
  T total{0};
  for (unsigned o = 0; o < shape.hidden; o += 4) {
    T weight[4];
    read(packed + input * shape.hidden + o, weight);
#pragma unroll
    for (unsigned j = 0; j < 4; ++j) total += by_sum[o + j] * weight[j];
  }
  return total;
}

// Writes a pair's inputs, all but the child, with the signs of `flip`; returns the child of `child_row`.
template <class T>
__device__ __forceinline__ T read_pair(const NodeShape& shape, const NodeData<T>& data, std::size_t node, std::size_t row,
                                       std::size_t child_row, unsigned flip, const Rows<T>& inputs) {
  const auto sign = [&](unsigned code) { return __popc(code & flip) & 1 ? T{-1} : T{1}; };
  const T* const context = data.context + node * shape.context * data.n_rows + row;
  const T* const statistics = data.statistics + node * shape.statistics;
#pragma unroll 4
  for (unsigned i = 0; i < shape.context; ++i) inputs[i] = sign(data.codes[i]) * context[i * data.n_rows];
#pragma unroll 4
  for (unsigned i = 0; i < shape.statistics; ++i) inputs[shape.context + i] = sign(data.codes[shape.context + i]) * statistics[i];
  return sign(2) * data.child[node * data.n_rows + child_row];
}

// The sum of all threads' numbers, for all threads, as a fixed tree; `scratch` has a number a warp.
__device__ __forceinline__ double block_sum(double value, double* scratch) {
  for (int by = 16; by > 0; by /= 2) value += __shfl_xor_sync(0xffffffffu, value, by);
  __syncthreads();
  if (threadIdx.x % 32 == 0) scratch[threadIdx.x / 32] = value;
  __syncthreads();
  double total = 0;
  for (unsigned warp = 0; warp < blockDim.x / 32; ++warp) total += scratch[warp];
  return total;
}

}  // namespace dualwalk::cuda
