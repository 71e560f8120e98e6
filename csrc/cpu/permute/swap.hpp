// Moves a few bytes, more than one number and fewer than pay for a call of memcpy: all loads come before the first store, so
// that pieces of a fixed size may overlap.
#pragma once

#include "simd/simd.hpp"

namespace dualwalk {
namespace DUALWALK_LEVEL {
namespace {

typedef std::uint64_t Pair __attribute__((vector_size(16)));

template <class Piece, std::size_t Pieces>
struct Held {
  Piece piece[Pieces];
  DUALWALK_FN static std::size_t place(std::size_t k, std::size_t bytes) {
    return smaller(k * sizeof(Piece), bytes - sizeof(Piece));
  }
  DUALWALK_FN Held(const char* from, std::size_t bytes) {
#pragma GCC unroll 4
    for (std::size_t k = 0; k < Pieces; ++k) piece[k] = load<Piece>(from + place(k, bytes));
  }
  DUALWALK_FN void put(char* to, std::size_t bytes) const {
#pragma GCC unroll 4
    for (std::size_t k = 0; k < Pieces; ++k) store(to + place(k, bytes), piece[k]);
  }
};

// Calls move(held type, offset, bytes) for pieces that cover `bytes`.
template <class Move>
DUALWALK_FN void in_pieces(std::size_t bytes, const Move& move) {
  std::size_t at = 0;
  for (; bytes > 64; at += 64, bytes -= 64) move.template run<Held<Pair, 4>>(at, 64);
  if (bytes > 32)
    move.template run<Held<Pair, 4>>(at, bytes);
  else if (bytes >= 16)
    move.template run<Held<Pair, 2>>(at, bytes);
  else if (bytes >= 8)
    move.template run<Held<std::uint64_t, 2>>(at, bytes);
  else if (bytes >= 4)
    move.template run<Held<std::uint32_t, 2>>(at, bytes);
  else
    for (std::size_t k = 0; k < bytes; ++k) move.template run<Held<char, 1>>(at + k, 1);
}

struct Swap {
  char *a, *b;
  template <class H>
  DUALWALK_FN void run(std::size_t at, std::size_t bytes) const {
    const H from_a(a + at, bytes), from_b(b + at, bytes);
    from_b.put(a + at, bytes);
    from_a.put(b + at, bytes);
  }
};
struct Copy {
  char* to;
  const char* from;
  template <class H>
  DUALWALK_FN void run(std::size_t at, std::size_t bytes) const {
    H(from + at, bytes).put(to + at, bytes);
  }
};

DUALWALK_FN void swap_bytes(char* a, char* b, std::size_t bytes) { in_pieces(bytes, Swap{a, b}); }
DUALWALK_FN void copy_bytes(char* to, const char* from, std::size_t bytes) { in_pieces(bytes, Copy{to, from}); }

}  // namespace
}  // namespace DUALWALK_LEVEL
}  // namespace dualwalk
