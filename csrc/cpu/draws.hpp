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

// Bounded draws are kept in four streams, one for each word of a counter: the draw of row r is draws[(r % 4) * length + r / 4].
DUALWALK_FN std::size_t stream_length(std::size_t n_rows) { return ((n_rows + 3) / 4 + COUNTERS - 1) / COUNTERS * COUNTERS; }

// The draws of rows 0 .. n_rows-1 with bound(row) = slope * row + first, that is (1, 1) for a shuffle and (0, n) for resampling.
inline void draw_column(const Stream& stream, std::size_t n_rows, std::uint32_t slope, std::uint32_t first, std::uint32_t* draws) {
  const std::size_t length = stream_length(n_rows);
  const U64 lanes = lane_numbers();
  for (std::size_t group = 0; group < length; group += COUNTERS) {
    const U64 counter = lanes + group;
    const WideWords words =
        philox_wide(counter, U64{} + stream.block, U64{} + stream.copy, U64{} + stream.operation, stream.seed);
    U64 doubtful = {};
    for (std::uint32_t k = 0; k < 4; ++k) {
      const U64 bound = (counter * 4 + k) * slope + first;
      const U64 product = multiply_low_words(words.word[k], bound);
      doubtful |= (U64)((product & 0xFFFFFFFFu) < bound);
      store(draws + k * length + group, __builtin_convertvector(product >> 32, HalfU32));
    }
    if (__builtin_expect(any_lane(doubtful), 0)) {
      for (std::size_t row = 4 * group; row < 4 * (group + COUNTERS) && row < n_rows; ++row)
        draws[(row & 3) * length + (row >> 2)] = draw_integer(stream, row, static_cast<std::uint32_t>(slope * row + first));
    }
  }
}

}  // namespace
}  // namespace DUALWALK_LEVEL
}  // namespace dualwalk
