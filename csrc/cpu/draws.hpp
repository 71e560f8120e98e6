// Philox words and bounded draws for a whole column at once, the same numbers as philox.hpp makes one by one.
#pragma once

#include "dualwalk/philox.hpp"
#include "simd.hpp"

namespace dualwalk {
namespace DUALWALK_LEVEL {
namespace {

constexpr std::size_t COUNTERS = VECTOR_BYTES / 8;  // a vector holds this many counters, one 32-bit word in each 64-bit lane

struct WideWords {
  U64 word[4];  // the high halves of the lanes are not cleared
};

DUALWALK_FN WideWords philox_wide(U64 c0, U64 c1, U64 c2, U64 c3, std::uint64_t seed) {
  const U64 m0 = U64{} + PHILOX_M0, m1 = U64{} + PHILOX_M1;
  std::uint32_t k0 = static_cast<std::uint32_t>(seed), k1 = static_cast<std::uint32_t>(seed >> 32);
  for (int round = 0; round < 10; ++round, k0 += PHILOX_W0, k1 += PHILOX_W1) {
    const U64 p0 = multiply_low_words(c0, m0), p1 = multiply_low_words(c2, m1);
    c0 = (p1 >> 32) ^ c1 ^ std::uint64_t{k0};
    c2 = (p0 >> 32) ^ c3 ^ std::uint64_t{k1};
    c1 = p1;
    c3 = p0;
  }
  return {{c0, c1, c2, c3}};
}

constexpr std::size_t ROWS_A_GROUP = 4 * COUNTERS;

// The bound of a row is slope * row + start: (1, 1) for a shuffle, (0, n) for resampling.
struct LinearBound {
  std::uint32_t slope, start;
  DUALWALK_FN U64 of(U64 rows) const { return rows * slope + start; }
  DUALWALK_FN std::uint32_t of(std::uint64_t row) const { return static_cast<std::uint32_t>(slope * row + start); }
};

// The bound of every row is written down; rows behind the last have the bound 1.
struct ListedBound {
  const std::uint32_t* bounds;
  std::size_t n_rows;
  U64 of(U64 rows) const {
    U64 v;
    for (std::size_t lane = 0; lane < COUNTERS; ++lane) v[lane] = of(std::uint64_t{rows[lane]});
    return v;
  }
  std::uint32_t of(std::uint64_t row) const { return row < n_rows ? bounds[row] : 1; }
};

// Where the draw of row first_row + i lies among those of its group: by word, since a vector holds one word of many counters.
DUALWALK_FN std::size_t place_in_group(std::size_t i) { return (i & 3) * COUNTERS + i / 4; }

// The draws of rows first_row .. first_row + ROWS_A_GROUP - 1; first_row is a multiple of ROWS_A_GROUP.
template <class Bound>
DUALWALK_FN void draw_group(const Stream& stream, std::uint64_t first_row, const Bound& bound, std::uint32_t* draws) {
  const U64 counter = lane_numbers() + first_row / 4;
  const WideWords words = philox_wide(counter, U64{} + stream.block, U64{} + stream.copy, U64{} + stream.operation, stream.seed);
  U64 doubtful = {};
  for (std::uint32_t k = 0; k < 4; ++k) {
    const U64 limit = bound.of(counter * 4 + k), product = multiply_low_words(words.word[k], limit);
    doubtful |= (U64)((product & 0xFFFFFFFFu) < limit);
    store(draws + k * COUNTERS, __builtin_convertvector(product >> 32, HalfU32));
  }
  if (__builtin_expect(any_lane(doubtful), 0))  // a low word this small may be one to reject: decide one by one
    for (std::uint32_t i = 0; i < ROWS_A_GROUP; ++i)
      draws[place_in_group(i)] = draw_integer(stream, first_row + i, bound.of(std::uint64_t{first_row + i}));
}

}  // namespace
}  // namespace DUALWALK_LEVEL
}  // namespace dualwalk
