// The exactly uniform shuffle of any number of rows. Up to `longest` rows: Fisher-Yates, from the inside out. More rows are
// dealt out first: every row draws a bucket, rows go to their buckets in their order, and each bucket is shuffled by itself
// (Rao, Sankhya A 1961; Sandelius, JRSS B 1962). Given the sizes of the buckets every division is as likely as any other, so
// the whole is uniform, and no step reaches further than a cache, or the shared memory of a GPU, does.
#pragma once

#include "philox.hpp"

namespace dualwalk {

constexpr std::uint32_t LONGEST_CHAIN = 28672;  // 8 columns of so many 4-byte numbers take 896 KiB, one column 112 KiB
constexpr std::uint32_t MOST_BUCKET_BITS = 8;  // of a byte of a random word

// Buckets are 2^bits: as many as make them `longest` / 8 rows long or less on average, but at most 2^8. 0: no buckets.
DUALWALK_FN std::uint32_t bucket_bits(std::uint64_t n_rows, std::uint32_t longest) {
  if (n_rows <= longest) return 0;
  const std::uint64_t wanted = longest < 16 ? 1 : longest / 8;
  std::uint32_t bits = 1;
  while (bits < MOST_BUCKET_BITS && n_rows > wanted << bits) ++bits;
  return bits;
}

// The bucket of a row: a byte of the word it shares with three neighbours. The operation of the stream is DEAL.
DUALWALK_FN std::uint32_t bucket_of(const Stream& stream, std::uint64_t row, std::uint32_t bits) {
  const Words counter{{static_cast<std::uint32_t>(row >> 4), stream.block, stream.copy, stream.operation}};
  const std::uint32_t word = philox(counter, stream.seed).word[row >> 2 & 3];
  return word >> 8 * (row & 3) & ((1u << bits) - 1);
}

// Row i of bucket number b, whose first row has the place `start`, draws as row first_draw(start, b) + i does: a multiple of
// 4, so that counters are whole, and no two buckets share one whatever their sizes.
DUALWALK_FN std::uint64_t first_draw(std::uint64_t start, std::uint32_t bucket) { return 4 * (start / 4 + bucket); }

}  // namespace dualwalk
