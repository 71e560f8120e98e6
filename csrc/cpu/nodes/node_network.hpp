// The network that all nodes share, over tiles of pairs (one node, some of its rows): passes and their gradients by the weights
// and by the inputs. backends/_reference_nodes.py is the definition.
//
// A tile's arrays have a pair's features side by side (all but its context), and features, hidden units or outputs, lie in
// vector lanes: every product, forward, backward or by the weights, is then one small kernel that adds broadcast numbers times
// vectors, with its block of results in registers. A node's statistics are the same for all pairs of a tile: they count as part
// of the first bias.
#pragma once

#include "dualwalk/node_pair.hpp"
#include "kernels.hpp"
#include "simd/lane_sums.hpp"

namespace dualwalk {
namespace DUALWALK_LEVEL {
namespace {

// The exp that is passed to node_pair.hpp; results below 2^-125 (2^-1021) count as 0.
struct QuickExp {
  template <class V>
  DUALWALK_FN V operator()(V x) const {
    return exponential_of_negative(x);
  }
};

// Rows of results in registers: of two vectors each, or of one.
template <std::size_t Vectors>
constexpr std::size_t PRODUCT_ROWS = VECTOR_BYTES == 64 ? (Vectors == 2 ? 12 : 16) : (Vectors == 2 ? 6 : 8);
constexpr std::size_t PAIRS = 48;  // pairs in a tile: what they need stays in the nearest cache

// What a product adds to: nothing, what is there already, or the same row (of biases) for every row of results.
enum class From { nothing, results, row };

// c[i, :] = start + sum_k a[i, k] b[k, :], `Vectors` vectors wide; a[i, k] is at a + i * a_row + k * a_column.
template <class T, std::size_t Rows, std::size_t Vectors, From Start>
DUALWALK_FN void product_block(const T* a, std::size_t a_row, std::size_t a_column, const T* b, std::size_t b_row,
                               std::size_t depth, T* c, std::size_t c_row, const T* start) {
  using V = Vector<T>;
  V sum[Rows][Vectors];
#pragma GCC unroll 16
  for (std::size_t i = 0; i < Rows; ++i)
#pragma GCC unroll 2
    for (std::size_t v = 0; v < Vectors; ++v)
      sum[i][v] = Start == From::nothing ? V{} : load<V>((Start == From::row ? start : c + i * c_row) + v * LANES<T>);
  for (std::size_t k = 0; k < depth; ++k) {
    V right[Vectors];
#pragma GCC unroll 2
    for (std::size_t v = 0; v < Vectors; ++v) right[v] = load<V>(b + k * b_row + v * LANES<T>);
#pragma GCC unroll 16
    for (std::size_t i = 0; i < Rows; ++i) {
      const T left = a[i * a_row + k * a_column];
#pragma GCC unroll 2
      for (std::size_t v = 0; v < Vectors; ++v) sum[i][v] += left * right[v];
    }
  }
#pragma GCC unroll 16
  for (std::size_t i = 0; i < Rows; ++i)
#pragma GCC unroll 2
    for (std::size_t v = 0; v < Vectors; ++v) store(c + i * c_row + v * LANES<T>, sum[i][v]);
}

template <class T, std::size_t Vectors, From Start>
void product_columns(const T* a, std::size_t a_row, std::size_t a_column, const T* b, std::size_t b_row, std::size_t depth,
                     T* c, std::size_t c_row, std::size_t rows, const T* start) {
  constexpr std::size_t many = PRODUCT_ROWS<Vectors>;
  std::size_t i = 0;
  for (; i + many <= rows; i += many)
    product_block<T, many, Vectors, Start>(a + i * a_row, a_row, a_column, b, b_row, depth, c + i * c_row, c_row, start);
  for (; i + 4 <= rows; i += 4)
    product_block<T, 4, Vectors, Start>(a + i * a_row, a_row, a_column, b, b_row, depth, c + i * c_row, c_row, start);
  for (; i < rows; ++i)
    product_block<T, 1, Vectors, Start>(a + i * a_row, a_row, a_column, b, b_row, depth, c + i * c_row, c_row, start);
}

// The same over `columns`, a multiple of the vector length.
template <class T, From Start>
void product(const T* a, std::size_t a_row, std::size_t a_column, const T* b, std::size_t b_row, std::size_t depth, T* c,
             std::size_t c_row, std::size_t rows, std::size_t columns, const T* start = nullptr) {
  std::size_t j = 0;
  const auto begin = [&] { return Start == From::row ? start + j : nullptr; };
  for (; j + 2 * LANES<T> <= columns; j += 2 * LANES<T>)
    product_columns<T, 2, Start>(a, a_row, a_column, b + j, b_row, depth, c + j, c_row, rows, begin());
  for (; j < columns; j += LANES<T>)
    product_columns<T, 1, Start>(a, a_row, a_column, b + j, b_row, depth, c + j, c_row, rows, begin());
}

// sum[j] += sum_i a[i, j]
template <class T>
void add_rows(const T* a, std::size_t rows, std::size_t columns, T* sum) {
  using V = Vector<T>;
  for (std::size_t j = 0; j < columns; j += LANES<T>) {
    V total = load<V>(sum + j);
    for (std::size_t i = 0; i < rows; ++i) total += load<V>(a + i * columns + j);
    store(sum + j, total);
  }
}

// The sizes of a network, and where its parts lie when packed: every layer transposed (inputs, outputs), its bias the last row,
// the outputs of the last layer padded with zeros to whole vectors.
template <class T>
struct NodeShape {
  std::size_t context, statistics, child, hidden, outputs;  // child: 1 where the child is an input, the last
  std::size_t padded;
  std::size_t layer[3], size;  // all multiples of 16, as `hidden` is

  NodeShape(std::size_t context, std::size_t statistics, std::size_t child, std::size_t hidden, std::size_t outputs)
      : context(context), statistics(statistics), child(child), hidden(hidden), outputs(outputs) {
    padded = (outputs + 15) / 16 * 16;
    layer[0] = 0;
    layer[1] = (inputs() + 1) * hidden;
    layer[2] = layer[1] + (hidden + 1) * hidden;
    size = layer[2] + (hidden + 1) * padded;
  }
  std::size_t inputs() const { return context + statistics + child; }

  // Calls visit(flat, packed) for every number of the flat network and its place when packed.
  template <class Visit>
  void places(Visit visit) const {
    const std::size_t in[3] = {inputs(), hidden, hidden}, out[3] = {hidden, hidden, outputs}, row[3] = {hidden, hidden, padded};
    std::size_t flat = 0;
    for (std::size_t l = 0; l < 3; ++l)
      for (std::size_t o = 0; o < out[l]; ++o)
        for (std::size_t i = 0; i <= in[l]; ++i) visit(flat++, layer[l] + i * row[l] + o);
  }
  void pack(const T* flat, T* packed) const {
    std::memset(packed, 0, size * sizeof(T));
    places([&](std::size_t from, std::size_t to) { packed[to] = flat[from]; });
  }
  void unpack(const T* packed, T* flat) const {
    places([&](std::size_t to, std::size_t from) { flat[to] = packed[from]; });
  }

  // What backward passes read: layers 2 and 3 as (outputs, hidden); and the first layer's rows of the context and the child as
  // (hidden, whole vectors), for gradients by the inputs.
  std::size_t turned_inputs() const { return (context + child + 15) / 16 * 16; }
  std::size_t turned_size() const { return hidden * hidden + padded * hidden + hidden * turned_inputs(); }
  void turn(const T* packed, T* turned) const {
    for (std::size_t o = 0; o < hidden; ++o)
      for (std::size_t i = 0; i < hidden; ++i) *turned++ = packed[layer[1] + i * hidden + o];
    for (std::size_t o = 0; o < padded; ++o)
      for (std::size_t i = 0; i < hidden; ++i) *turned++ = packed[layer[2] + i * padded + o];
    for (std::size_t o = 0; o < hidden; ++o)
      for (std::size_t i = 0; i < turned_inputs(); ++i) {
        const std::size_t input = i < context ? i : i + statistics;
        *turned++ = i < context + child ? packed[input * hidden + o] : T{0};
      }
  }
};

// The pairs of one tile: rows first .. first + n - 1 of the n_wrap rows in play, for one node, with their signs turned.
template <class T>
struct NodeTile {
  const NodeData<T>& data;
  std::size_t node, n;
  const std::int32_t* rows;  // the rows in play, or null for rows 0, 1, ...
  std::size_t first;
  std::uint8_t flip;
  std::size_t n_wrap;

  std::size_t row(std::size_t i) const { return rows ? static_cast<std::size_t>(rows[first + i]) : first + i; }
  // Whose child pair i takes as a negative: the row in play so many further on.
  std::size_t shifted_row(std::size_t i, std::size_t ahead) const {
    const std::size_t place = (first + i + ahead) % n_wrap;
    return rows ? static_cast<std::size_t>(rows[place]) : place;
  }
  T sign(std::uint8_t code) const { return __builtin_parity(code & flip) ? T{-1} : T{1}; }
  T child_sign() const { return sign(2); }
  T log_scale() const { return data.statistics[node * data.n_statistics]; }
};

// Room for the passes of one worker on tiles of up to PAIRS pairs.
template <class T>
class NodeRoom {
 public:
  static std::size_t length(const NodeShape<T>& shape) {
    return (shape.context + 6 * shape.hidden + 2 * shape.padded) * PAIRS + 3 * shape.hidden + 64;
  }
  NodeRoom(const NodeShape<T>& shape, T* at) : shape_(shape) {
    const auto take = [&](std::size_t numbers) { T* const start = at; at += (numbers + 15) / 16 * 16; return start; };
    bias = take(shape.hidden);
    sums = take(2 * shape.hidden);
    context = take(shape.context * PAIRS);
    for (std::size_t l = 0; l < 2; ++l) {
      hidden[l] = take(shape.hidden * PAIRS);
      slope[l] = take(shape.hidden * PAIRS);
      back[l] = take(shape.hidden * PAIRS);
    }
    outputs = take(shape.padded * PAIRS);
    by_output = take(shape.padded * PAIRS);
  }

  // Reads the tile's context, and makes the first layer's bias of it: the layer's own and what the statistics add.
  void gather(const NodeTile<T>& tile, const T* packed) {
    using V = Vector<T>;
    const NodeData<T>& data = tile.data;
    for (std::size_t i = 0; i < shape_.context; ++i) {
      const T* const from = data.context + (tile.node * shape_.context + i) * data.n_rows;
      const T sign = tile.sign(data.codes[i]);
      for (std::size_t p = 0; p < tile.n; ++p) context[i * PAIRS + p] = sign * from[tile.row(p)];
    }
    const T* const own = packed + shape_.inputs() * shape_.hidden;
    const T* const statistics = data.statistics + tile.node * shape_.statistics;
    for (std::size_t j = 0; j < shape_.hidden; j += LANES<T>) {
      V sum = load<V>(own + j);
      for (std::size_t s = 0; s < shape_.statistics; ++s)
        sum += tile.sign(data.codes[shape_.context + s]) * statistics[s] *
               load<V>(packed + (shape_.context + s) * shape_.hidden + j);
      store(bias + j, sum);
    }
  }

  // Asks for a tile's rows before they are needed: they lie far apart.
  static void prefetch(const NodeTile<T>& tile) {
    const NodeData<T>& data = tile.data;
    const T* from = data.child + tile.node * data.n_rows;
    for (std::size_t p = 0; p < tile.n; ++p) __builtin_prefetch(from + tile.row(p));
    from = data.context + tile.node * data.n_context * data.n_rows;
    for (std::size_t i = 0; i < data.n_context; ++i, from += data.n_rows)
      for (std::size_t p = 0; p < tile.n; ++p) __builtin_prefetch(from + tile.row(p));
  }

  // The first layer's sums of `context` for n pairs, into hidden[0].
  void first_layer(const T* packed, std::size_t n) {
    const std::size_t width = shape_.hidden;
    product<T, From::row>(context, 1, PAIRS, packed, width, shape_.context, hidden[0], width, n, width, bias);
  }

  // From the first layer's sums in hidden[0] to the outputs, (n, padded), or (n) where there is one; hidden layers and, if they
  // are wanted for a way back, their slopes are left behind.
  template <bool Slopes>
  void forward(const T* packed, std::size_t n) {
    const std::size_t width = shape_.hidden;
    activate<Slopes>(0, n);
    const T* const second = packed + shape_.layer[1];
    product<T, From::row>(hidden[0], width, 1, second, width, width, hidden[1], width, n, width, second + width * width);
    const T* const last = packed + shape_.layer[2];
    const std::size_t padded = shape_.padded;
    if (shape_.outputs == 1) return activate_to_output<Slopes>(last, n);
    activate<Slopes>(1, n);
    product<T, From::row>(hidden[1], width, 1, last, padded, width, outputs, padded, n, padded, last + width * padded);
  }

  // From by_output back to back[0], the gradient by the first layer's sums.
  void backward(const T* turned, std::size_t n) {
    const std::size_t width = shape_.hidden;
    product<T, From::nothing>(by_output, shape_.padded, 1, turned + width * width, width, shape_.outputs, back[1], width, n, width);
    scale(back[1], slope[1], n * width);
    product<T, From::nothing>(back[1], width, 1, turned, width, width, back[0], width, n, width);
    scale(back[0], slope[0], n * width);
  }

  // Adds this tile's part of the gradient by the weights of layers 2 and 3, packed.
  void add_upper_gradient(T* gradient, std::size_t n) {
    const std::size_t width = shape_.hidden, padded = shape_.padded;
    T* const last = gradient + shape_.layer[2];
    if (shape_.outputs == 1) {
      product<T, From::nothing>(by_output, padded, padded, hidden[1], width, n, sums, width, 1, width);
      for (std::size_t j = 0; j < width; ++j) last[j * padded] += sums[j];
    } else
      product<T, From::results>(hidden[1], 1, width, by_output, padded, n, last, padded, width, padded);
    add_rows(by_output, n, padded, last + width * padded);
    T* const second = gradient + shape_.layer[1];
    product<T, From::results>(hidden[0], 1, width, back[1], width, n, second, width, width, width);
    add_rows(back[1], n, width, second + width * width);
  }

  // Adds the part of layer 1 that context, statistics and bias have; `slope` is the gradient by its sums.
  void add_first_gradient(const NodeTile<T>& tile, const T* by_sum, T* gradient) {
    using V = Vector<T>;
    const std::size_t width = shape_.hidden;
    product<T, From::results>(context, PAIRS, 1, by_sum, width, tile.n, gradient, width, shape_.context, width);
    std::memset(sums, 0, width * sizeof(T));
    add_rows(by_sum, tile.n, width, sums);
    const T* const statistics = tile.data.statistics + tile.node * shape_.statistics;
    for (std::size_t s = 0; s <= shape_.statistics; ++s) {  // the last turn is the bias
      const bool bias_row = s == shape_.statistics;
      const T value = bias_row ? T{1} : tile.sign(tile.data.codes[shape_.context + s]) * statistics[s];
      T* const row = gradient + (bias_row ? shape_.inputs() : shape_.context + s) * width;
      for (std::size_t j = 0; j < width; j += LANES<T>) store(row + j, load<V>(row + j) + value * load<V>(sums + j));
    }
  }

  // Adds the gradient by context and child, (n, turned_inputs()), from back[0].
  void add_input_gradient(const T* turned, std::size_t n, T* out) {
    const std::size_t width = shape_.hidden, columns = shape_.turned_inputs();
    product<T, From::results>(back[0], width, 1, turned + (width + shape_.padded) * width, columns, width, out, columns, n, columns);
  }

  T *bias, *sums, *context, *hidden[2], *slope[2], *back[2], *outputs, *by_output;

 private:
  template <bool Slopes>
  void activate(std::size_t l, std::size_t n) {
    using V = Vector<T>;
    for (std::size_t i = 0; i < n * shape_.hidden; i += LANES<T>) {
      V by_sum;
      store(hidden[l] + i, quick_silu(load<V>(hidden[l] + i), by_sum, QuickExp{}));
      if (Slopes) store(slope[l] + i, by_sum);
    }
  }
  // The second hidden layer and the one output of the last, whose weights would fill no vector of outputs.
  template <bool Slopes>
  void activate_to_output(const T* last, std::size_t n) {
    using V = Vector<T>;
    constexpr std::size_t lanes = LANES<T>;
    const std::size_t width = shape_.hidden, padded = shape_.padded;
    for (std::size_t j = 0; j < width; ++j) sums[j] = last[j * padded];
    for (std::size_t first = 0; first < n; first += lanes) {
      V total[lanes] = {};
      for (std::size_t p = 0; p < smaller(lanes, n - first); ++p)
        for (std::size_t j = 0; j < width; j += lanes) {
          const std::size_t at = (first + p) * width + j;
          V by_sum;
          const V value = quick_silu(load<V>(hidden[1] + at), by_sum, QuickExp{});
          if (Slopes) store(hidden[1] + at, value), store(slope[1] + at, by_sum);
          total[p] += value * load<V>(sums + j);
        }
      store(outputs + first, lane_sums<lanes>(total) + last[width * padded]);
    }
  }
  static void scale(T* values, const T* factors, std::size_t n) {
    using V = Vector<T>;
    for (std::size_t i = 0; i < n; i += LANES<T>) store(values + i, load<V>(values + i) * load<V>(factors + i));
  }

  const NodeShape<T>& shape_;
};

}  // namespace
}  // namespace DUALWALK_LEVEL
}  // namespace dualwalk
