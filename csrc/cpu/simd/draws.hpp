// Philox words and bounded draws for many rows and columns at once, the same numbers as philox.hpp makes one by one.
#pragma once

#include "dualwalk/philox.hpp"
#include "simd/simd.hpp"
#include "simd/transpose.hpp"

namespace dualwalk {
namespace DUALWALK_LEVEL {
namespace {

constexpr std::size_t COUNTERS = VECTOR_BYTES / 8;  // a vector holds this many counters, one 32-bit word in each 64-bit lane

struct WideWords {
  U64 word[4];  // the high halves of the lanes are not cleared
};

// Ten rounds on several vectors of counters side by side. A round waits 5 cycles for the one before it, so that one vector
// alone leaves the multiplier idle most of the time: eight at once took 0.15 ns a draw where one took 0.37 (Zen 5, AVX-512).
template <std::size_t Chains>
DUALWALK_FN void philox_chains(WideWords (&chain)[Chains], std::uint64_t seed) {
  const U64 m0 = U64{} + PHILOX_M0, m1 = U64{} + PHILOX_M1;
  std::uint32_t k0 = static_cast<std::uint32_t>(seed), k1 = static_cast<std::uint32_t>(seed >> 32);
#pragma GCC unroll 10
  for (int round = 0; round < 10; ++round, k0 += PHILOX_W0, k1 += PHILOX_W1)
#pragma GCC unroll 8
    for (std::size_t i = 0; i < Chains; ++i) {
      U64* const c = chain[i].word;
      const U64 p0 = multiply_low_words(c[0], m0), p1 = multiply_low_words(c[2], m1);
      c[0] = (p1 >> 32) ^ c[1] ^ std::uint64_t{k0};
      c[2] = (p0 >> 32) ^ c[3] ^ std::uint64_t{k1};
      c[1] = p1;
      c[3] = p0;
    }
}

DUALWALK_FN WideWords philox_wide(U64 c0, U64 c1, U64 c2, U64 c3, std::uint64_t seed) {
  WideWords words[1] = {{{c0, c1, c2, c3}}};
  philox_chains(words, seed);
  return words[0];
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

// As many chains as there are registers for.
constexpr std::size_t CHAINS = VECTOR_BYTES == 64 ? 8 : 4;

// One stream: the draws of rows first_row .. first_row + RUN_ROWS - 1, times `scale`, where place_in_run() says. first_row is a
// multiple of ROWS_A_GROUP.
constexpr std::size_t RUN_GROUPS = CHAINS / 2, RUN_ROWS = RUN_GROUPS * ROWS_A_GROUP;
DUALWALK_FN std::size_t place_in_run(std::size_t i) {
  return i / ROWS_A_GROUP * ROWS_A_GROUP + place_in_group(i % ROWS_A_GROUP);
}

template <class Bound>
void draw_run(const Stream& stream, std::uint64_t first_row, const Bound& bound, std::uint32_t scale, std::uint32_t* draws) {
  WideWords chain[RUN_GROUPS];
  const U64 first = lane_numbers() + first_row / 4;
#pragma GCC unroll 4
  for (std::size_t g = 0; g < RUN_GROUPS; ++g)
    chain[g] = {{first + g * COUNTERS, U64{} + stream.block, U64{} + stream.copy, U64{} + stream.operation}};
  philox_chains(chain, stream.seed);
  U64 doubtful = {};
#pragma GCC unroll 4
  for (std::size_t g = 0; g < RUN_GROUPS; ++g)
#pragma GCC unroll 4
    for (std::uint32_t k = 0; k < 4; ++k) {
      const U64 limit = bound.of((first + g * COUNTERS) * 4 + k), product = multiply_low_words(chain[g].word[k], limit);
      doubtful |= (U64)((product & 0xFFFFFFFFu) < (limit & 0xFFFFFFFFu));
      const U64 number = multiply_low_words(product >> 32, U64{} + scale);
      store(draws + g * ROWS_A_GROUP + k * COUNTERS, __builtin_convertvector(number, HalfU32));
    }
  if (__builtin_expect(any_lane(doubtful), 0))  // a low word this small may be one to reject: decide one by one
    for (std::uint32_t i = 0; i < RUN_ROWS; ++i)
      draws[place_in_run(i)] = scale * draw_integer(stream, first_row + i, bound.of(std::uint64_t{first_row + i}));
}

// The low, or the high, 32-bit words of the 64-bit lanes of a and then of b.
template <std::size_t Odd, std::size_t... Lane>
DUALWALK_FN U32 half_words(U64 a, U64 b, std::index_sequence<Lane...>) {
  const U32 x = (U32)a, y = (U32)b;
#if defined(DUALWALK_SHUFFLES)
  return __builtin_shufflevector(x, y, (2 * Lane + Odd)...);
#else
  return U32{(Lane < COUNTERS ? x[2 * (Lane % COUNTERS) + Odd] : y[2 * (Lane % COUNTERS) + Odd])...};
#endif
}
DUALWALK_FN U32 low_words(U64 a, U64 b) { return half_words<0>(a, b, std::make_index_sequence<2 * COUNTERS>{}); }
DUALWALK_FN U32 high_words(U64 a, U64 b) { return half_words<1>(a, b, std::make_index_sequence<2 * COUNTERS>{}); }

// Sixteen columns with streams of their own: draws[i][c], times `scale`, is that of row first_row + i of the block of column c.
// Columns lie in lanes: all share the row of the counter and the bound, and nothing is transposed.
constexpr std::size_t DRAW_COLUMNS = 16, DRAW_ROWS = 16;

template <class Bound>
void draw_columns(const Stream& stream, const std::uint32_t* block, std::uint64_t first_row, const Bound& bound,
                  std::uint32_t scale, std::uint32_t (*draws)[DRAW_COLUMNS]) {
  constexpr std::size_t vectors = smaller(CHAINS, DRAW_COLUMNS / COUNTERS), fours = CHAINS / vectors, lanes = 2 * COUNTERS;
  U32 least = ~U32{};
  std::uint32_t greatest = 0;
  for (std::size_t row = 0; row < DRAW_ROWS; row += 4 * fours)
    for (std::size_t column = 0; column < DRAW_COLUMNS; column += vectors * COUNTERS) {
      WideWords chain[CHAINS];
#pragma GCC unroll 8
      for (std::size_t i = 0; i < CHAINS; ++i)
        chain[i] = {{U64{} + (first_row + row) / 4 + i / vectors,
                     __builtin_convertvector(load<HalfU32>(block + column + i % vectors * COUNTERS), U64), U64{} + stream.copy,
                     U64{} + stream.operation}};
      philox_chains(chain, stream.seed);
#pragma GCC unroll 4
      for (std::size_t f = 0; f < fours; ++f)
#pragma GCC unroll 4
        for (std::size_t k = 0; k < 4; ++k) {
          const std::size_t i = row + 4 * f + k;
          const std::uint32_t limit = bound.of(std::uint64_t{first_row + i});
          greatest = larger(greatest, limit);
#pragma GCC unroll 4
          for (std::size_t v = 0; v < vectors; v += 2) {
            const U64 a = multiply_low_words(chain[f * vectors + v].word[k], U64{} + limit);
            const U64 b = multiply_low_words(chain[f * vectors + v + 1].word[k], U64{} + limit);
            const U32 low = low_words(a, b);
            least = low < least ? low : least;
            store(draws[i] + column + v / 2 * lanes, high_words(a, b) * scale);
          }
        }
    }
  if (__builtin_expect(any_lane((U64)(least < greatest)), 0))
    for (std::size_t i = 0; i < DRAW_ROWS; ++i)
      for (std::size_t c = 0; c < DRAW_COLUMNS; ++c)
        draws[i][c] = scale * draw_integer({stream.seed, stream.operation, stream.copy, block[c]}, first_row + i,
                                           bound.of(std::uint64_t{first_row + i}));
}

}  // namespace
}  // namespace DUALWALK_LEVEL
}  // namespace dualwalk
