// Philox4x32-10 (Salmon, Moraes, Dror, Shaw, SC 2011) and exactly uniform bounded draws (Lemire, 2019), one counter at a time.
#pragma once

#include "config.hpp"

namespace dualwalk {

constexpr std::uint32_t PHILOX_M0 = 0xD2511F53u, PHILOX_M1 = 0xCD9E8D57u;
constexpr std::uint32_t PHILOX_W0 = 0x9E3779B9u, PHILOX_W1 = 0xBB67AE85u;

struct Words {
  std::uint32_t word[4];
};

// The whole product of two numbers. nvcc takes 64-bit ones for the constants below, an instruction more of each.
DUALWALK_FN std::uint64_t wide_product(std::uint32_t a, std::uint32_t b) {
#if defined(__CUDA_ARCH__)
  std::uint64_t product;
  asm("mul.wide.u32 %0, %1, %2;" : "=l"(product) : "r"(a), "r"(b));
  return product;
#else
  return std::uint64_t{a} * b;
#endif
}

DUALWALK_FN Words philox(Words counter, std::uint64_t seed) {
  std::uint32_t k0 = static_cast<std::uint32_t>(seed), k1 = static_cast<std::uint32_t>(seed >> 32);
  std::uint32_t* c = counter.word;
  for (int round = 0; round < 10; ++round, k0 += PHILOX_W0, k1 += PHILOX_W1) {
    const std::uint64_t p0 = wide_product(PHILOX_M0, c[0]), p1 = wide_product(PHILOX_M1, c[2]);
    const std::uint32_t c0 = static_cast<std::uint32_t>(p1 >> 32) ^ c[1] ^ k0;
    const std::uint32_t c2 = static_cast<std::uint32_t>(p0 >> 32) ^ c[3] ^ k1;
    c[1] = static_cast<std::uint32_t>(p1);
    c[3] = static_cast<std::uint32_t>(p0);
    c[0] = c0;
    c[2] = c2;
  }
  return counter;
}

// Where a stream of draws lives; the row completes the address.
struct Stream {
  std::uint64_t seed;
  std::uint32_t operation, copy, block;
};

// The draw of one row, uniform in [0, bound); a rejected word is drawn again at the next attempt number.
DUALWALK_FN std::uint32_t draw_integer(const Stream& stream, std::uint64_t row, std::uint32_t bound) {
  for (std::uint32_t attempt = 0;; ++attempt) {
    const Words counter{{static_cast<std::uint32_t>(row >> 2), stream.block, stream.copy, stream.operation | attempt << 8}};
    const std::uint64_t product = wide_product(philox(counter, stream.seed).word[row & 3], bound);
    const std::uint32_t low = static_cast<std::uint32_t>(product);
    if (low >= bound || low >= (0u - bound) % bound) return static_cast<std::uint32_t>(product >> 32);
  }
}

}  // namespace dualwalk
