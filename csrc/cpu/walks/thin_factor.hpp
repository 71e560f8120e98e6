// Products of one row of numbers with a thin matrix (few rows, many features), both ways: the sums over the features of every
// row, and the sum of the rows by weights. Some rows ("a block") lie packed side by side, vector by vector: a loop then reads
// one stream of whole cache lines, and keeps one sum a row, or one weight a row, in registers.
#pragma once

#include <array>

#include "simd/lane_sums.hpp"

namespace dualwalk {
namespace DUALWALK_LEVEL {
namespace {

// Rows of a block: sums in registers, beside a vector of the other factor. AVX-512 and NEON have 32 vector registers.
#if defined(__AVX512F__) || defined(__ARM_NEON)
constexpr std::size_t BLOCK_ROWS = 16;
#else
constexpr std::size_t BLOCK_ROWS = 12;
#endif
// Where a matrix does not fit the nearest cache, two blocks of it should: one is projected on, the one before is added.
constexpr std::size_t NEAREST_BYTES = 40 << 10, BLOCK_BYTES = 10 << 10;

// Adds the parts of R sums from `First` on and writes their totals, a vector of rows at a time.
template <class T, std::size_t R, std::size_t First, std::size_t Parts>
DUALWALK_FN void store_totals(const Vector<T> (&sum)[Parts][R], T* out) {
  constexpr std::size_t lanes = LANES<T>, count = R - First < lanes ? R - First : lanes;
  Vector<T> group[lanes];
#pragma GCC unroll 32
  for (std::size_t r = 0; r < count; ++r) {
    group[r] = sum[0][First + r];
#pragma GCC unroll 4
    for (std::size_t p = 1; p < Parts; ++p) group[r] += sum[p][First + r];
  }
  store(out + First, lane_sums<count>(group));
  if constexpr (First + lanes < R) store_totals<T, R, First + lanes>(sum, out);
}

// A row on its way: x moves by `size` times `direction`, y is its distance from `centre`, `bent` is `scale` times y.
template <class T>
struct RowMove {
  T* x;
  T* y;
  T* bent;
  const T* direction;
  const T* centre;
  const T* scale;
  T size;

  // Takes vector j, and returns its y; adds bent . y to the lanes of `total`.
  DUALWALK_FN Vector<T> step(std::size_t j, Vector<T>& total) const {
    using V = Vector<T>;
    const std::size_t at = j * LANES<T>;
    const V moved = load<V>(x + at) + size * load<V>(direction + at), offset = moved - load<V>(centre + at);
    const V scaled = load<V>(scale + at) * offset;
    store(x + at, moved);
    store(y + at, offset);
    store(bent + at, scaled);
    total += scaled * offset;
    return offset;
  }
};

// out[r] = packed row r . y for R rows, in whole vectors, the rows beyond R being zero; y is where `move` leads, if it Moves.
// Returns the lanes of bent . y then.
template <class T, std::size_t R, bool Moves>
Vector<T> project_block(const T* packed, const T* y, const RowMove<T>* move, std::size_t n_vectors, T* out) {
  using V = Vector<T>;
  constexpr std::size_t lanes = LANES<T>, parts = R >= 8 ? 1 : R >= 4 ? 2 : 4;  // enough sums to hide what one takes
  V sum[parts][R] = {}, total{};
  RowMove<T> moving{};
  if (Moves) moving = *move;
  const auto right = [&](std::size_t j) { return Moves ? moving.step(j, total) : load<V>(y + j * lanes); };
  std::size_t j = 0;
  for (; j + parts <= n_vectors; j += parts)
#pragma GCC unroll 4
    for (std::size_t p = 0; p < parts; ++p) {
      const V other = right(j + p);
#pragma GCC unroll 32
      for (std::size_t r = 0; r < R; ++r) sum[p][r] += load<V>(packed + ((j + p) * R + r) * lanes) * other;
    }
  if constexpr (parts > 1)
    for (; j < n_vectors; ++j) {
      const V other = right(j);
#pragma GCC unroll 32
      for (std::size_t r = 0; r < R; ++r) sum[0][r] += load<V>(packed + (j * R + r) * lanes) * other;
    }
  store_totals<T, R, 0>(sum, out);
  return total;
}

// out += sum_r weight[r] (packed row r); returns the squares of the result by lane. With `Ahead`, as many numbers from `ahead`
// on are asked for meanwhile.
template <class T, std::size_t R, bool Ahead>
Vector<T> add_block(const T* packed, const T* weight, const T* ahead, std::size_t n_vectors, T* out) {
  using V = Vector<T>;
  constexpr std::size_t lanes = LANES<T>, parts = R >= 4 ? 2 : 1;
  V factor[R], squares{};
#pragma GCC unroll 32
  for (std::size_t r = 0; r < R; ++r) factor[r] = splat<V>(weight[r]);
  for (std::size_t j = 0; j < n_vectors; ++j) {
    V sum[parts];
#pragma GCC unroll 2
    for (std::size_t p = 0; p < parts; ++p) sum[p] = factor[p] * load<V>(packed + (j * R + p) * lanes);
#pragma GCC unroll 32
    for (std::size_t r = parts; r < R; ++r) sum[r % parts] += factor[r] * load<V>(packed + (j * R + r) * lanes);
    if constexpr (parts > 1) sum[0] += sum[1];
    const V made = load<V>(out + j * lanes) + sum[0];
    squares += made * made;
    store(out + j * lanes, made);
    if constexpr (Ahead)
#pragma GCC unroll 32
      for (std::size_t r = 0; r < R; ++r) __builtin_prefetch(ahead + (j * R + r) * lanes);
  }
  return squares;
}

template <class T>
using ProjectBlock = Vector<T> (*)(const T*, const T*, const RowMove<T>*, std::size_t, T*);
template <class T>
using AddBlock = Vector<T> (*)(const T*, const T*, const T*, std::size_t, T*);
template <class T, bool Moves, std::size_t... I>
constexpr std::array<ProjectBlock<T>, sizeof...(I)> project_blocks(std::index_sequence<I...>) {
  return {project_block<T, I + 1, Moves>...};
}
template <class T, bool Ahead, std::size_t... I>
constexpr std::array<AddBlock<T>, sizeof...(I)> add_blocks(std::index_sequence<I...>) {
  return {add_block<T, I + 1, Ahead>...};
}

// The shape of a packed matrix; the numbers themselves lie where the caller has room for `numbers()` of them.
template <class T>
class ThinFactor {
  using V = Vector<T>;

 public:
  ThinFactor(std::size_t n_rows, std::size_t n_features)
      : n_given_(n_rows),
        n_rows_(larger(n_rows, std::size_t{1})),
        n_features_(n_features),
        n_vectors_((n_features + LANES<T> - 1) / LANES<T>) {
    std::size_t most = BLOCK_ROWS;
    const std::size_t fitting = BLOCK_BYTES / (n_vectors_ * VECTOR_BYTES);
    streamed_ = numbers() * sizeof(T) > NEAREST_BYTES && fitting >= 4;
    if (streamed_) most = smaller(most, fitting);
    n_blocks_ = (n_rows_ + most - 1) / most;
  }
  std::size_t padded() const { return n_vectors_ * LANES<T>; }
  std::size_t numbers() const { return n_rows_ * padded(); }
  std::size_t n_blocks() const { return n_blocks_; }
  // Room for the weights of all rows, every block's in whole vectors.
  std::size_t weights() const { return n_blocks_ * WEIGHTS; }
  std::size_t first_row(std::size_t block) const { return n_rows_ * block / n_blocks_; }
  std::size_t block_rows(std::size_t block) const { return first_row(block + 1) - first_row(block); }
  static constexpr std::size_t weight_at(std::size_t block) { return block * WEIGHTS; }

  // No rows at all are packed as one of zeros.
  __attribute__((noinline)) void pack(const T* rows, T* packed) const {
    if (n_given_ == 0) return static_cast<void>(std::memset(packed, 0, numbers() * sizeof(T)));
    const std::size_t whole = n_features_ / LANES<T>, rest = n_features_ % LANES<T>;
    Integer<V> kept{};
    for (std::size_t lane = 0; lane < rest; ++lane) kept[lane] = -1;
    for (std::size_t block = 0; block < n_blocks_; ++block) {
      const std::size_t n = block_rows(block), step = n * LANES<T>;
      for (std::size_t r = 0; r < n; ++r) {
        const T* from = rows + (first_row(block) + r) * n_features_;
        T* to = packed + first_row(block) * padded() + r * LANES<T>;
        for (std::size_t j = 0; j < whole; ++j, from += LANES<T>, to += step) {
          __builtin_prefetch(from + AHEAD);
          store(to, load<V>(from));
        }
        if (rest == 0) continue;
        V last{};
        if (first_row(block) + r + 1 < n_rows_ && n_features_ >= LANES<T>)
          last = load<V>(from);  // reads into the next row
        else
          std::memcpy(&last, from, rest * sizeof(T));
        store(to, bits_as<V>(bits_as<Integer<V>>(last) & kept));
      }
    }
  }

  // weight (of the block) = rows . y
  void project(std::size_t block, const T* packed, const T* y, T* weight) const {
    static constexpr auto kernels = project_blocks<T, false>(std::make_index_sequence<BLOCK_ROWS>{});
    kernels[block_rows(block) - 1](packed + first_row(block) * padded(), y, nullptr, n_vectors_, weight + weight_at(block));
  }
  // The same for the first block, its y made by a move; returns bent . y by lane.
  V move_and_project(const T* packed, const RowMove<T>& move, T* weight) const {
    static constexpr auto kernels = project_blocks<T, true>(std::make_index_sequence<BLOCK_ROWS>{});
    return kernels[block_rows(0) - 1](packed, nullptr, &move, n_vectors_, weight);
  }
  // out += rows^T weight; returns the squares of the result by lane.
  V add(std::size_t block, const T* packed, const T* weight, T* out) const {
    static constexpr auto kernels = add_blocks<T, false>(std::make_index_sequence<BLOCK_ROWS>{});
    static constexpr auto asking = add_blocks<T, true>(std::make_index_sequence<BLOCK_ROWS>{});
    // the block after the next, which comes from further away than this one; the last ones ask for the first of the next step
    const T* const ahead = packed + first_row((block + 2) % n_blocks_) * padded();
    const AddBlock<T> kernel = (streamed_ ? asking : kernels)[block_rows(block) - 1];
    return kernel(packed + first_row(block) * padded(), weight + weight_at(block), ahead, n_vectors_, out);
  }
  // The squares of a block's weights, by lane.
  V squares(std::size_t block, const T* weight) const {
    V sum{};
    for (std::size_t r = 0; r < block_rows(block); r += LANES<T>) {
      const V part = load<V>(weight + weight_at(block) + r);
      sum += part * part;
    }
    return sum;
  }

 private:
  static constexpr std::size_t AHEAD = 2048 / sizeof(T);  // of what is packed, asked for ahead of the processor's own guesses
  static constexpr std::size_t WEIGHTS = (BLOCK_ROWS + LANES<T> - 1) / LANES<T> * LANES<T>;

  std::size_t n_given_, n_rows_, n_features_, n_vectors_, n_blocks_;
  bool streamed_;
};

}  // namespace
}  // namespace DUALWALK_LEVEL
}  // namespace dualwalk
