// Fisher-Yates in shared memory, by one warp for up to 32 columns. For .cu files only.
#pragma once

#include "permute/draws.cuh"

namespace dualwalk::cuda {

// From the inside out: row i takes what row partner[i] <= i has, which gets i. The partner of row i waits in the place of row i,
// which the chain does not touch before it comes to that row: drawing needs no memory of its own, and the chain only follows.
// Places have 16 bits. Two rows of a column share a word and the columns of a row lie side by side, so that every column keeps
// to its own banks; a partner is kept as its place, counted in places from the column's first.
class Chains {
 public:
  static constexpr std::size_t MOST_PLACES = 65536;
  static std::size_t places(std::size_t n_rows, std::size_t width) { return (n_rows + 3) / 4 * 4 * width; }
  static std::size_t bytes(std::size_t n_rows, std::size_t width) { return places(n_rows, width) * sizeof(unsigned short); }

  // For `width` columns, a power of two up to 32; this lane has column lane % width, which it may share with others.
  __device__ Chains(ushort2* store, unsigned width, unsigned n_rows)
      : n_rows_(n_rows), width_(width), group_(threadIdx.x % WARP / width), groups_(WARP / width), pairs_(store + (threadIdx.x & (width - 1))) {}

  __device__ unsigned group() const { return group_; }  // which of the lanes that share a column
  __device__ unsigned groups() const { return groups_; }

  // Partners of all rows; row i draws as row first + i of the stream does.
  __device__ void draw(const Stream& stream, std::uint64_t first) const {
    constexpr unsigned N = 2;
    const unsigned apart = 4 * groups_;
    ushort2* to = at(4 * group_);
    for (unsigned row = 4 * group_; row < n_rows_; row += N * apart, to += N * apart / 2 * width_) {
      const Draws<N> partner = draw_rows<N>(stream, first + row, apart, row + 1, 1);
#pragma unroll
      for (unsigned i = 0; i < N; ++i) {
        if (row + i * apart >= n_rows_) break;
        ushort2* const four = to + i * (apart / 2) * width_;
        four[0] = places_of(partner.at[4 * i], partner.at[4 * i + 1]);
        four[width_] = places_of(partner.at[4 * i + 2], partner.at[4 * i + 3]);
      }
    }
  }

  // Follows the partners.
  __device__ void follow() const {
    ushort2* own = pairs_;
    std::uint32_t next = bits_as<std::uint32_t>(*own);
    unsigned row = 0;
#pragma unroll 2
    for (; row + 1 < n_rows_; row += 2, own += width_) {
      const std::uint32_t partners = next;
      if (row + 2 < n_rows_) next = bits_as<std::uint32_t>(own[width_]);
      take_two(row, row * width_, partners & 0xFFFF, partners >> 16, own);
    }
    if (row < n_rows_) take(row, next & 0xFFFF, own);
  }

  // draw and follow at once, where every lane has a column of its own: partners stay in registers, and the next eight are drawn
  // while the chain waits for memory.
  __device__ void draw_and_follow(const Stream& stream) const {
    constexpr unsigned N = 2, ROWS = 4 * N;
    Draws<N> partner = draw_rows<N>(stream, 0, 4, 1, 1);
    ushort2* own = pairs_;
    unsigned row = 0;
    for (; row + ROWS <= n_rows_; row += ROWS, own += ROWS / 2 * WARP) {
      bool doubtful;
      const Draws<N> next = try_rows<N>(stream, row + ROWS, 4, row + ROWS + 1, 1, doubtful);
#pragma unroll
      for (unsigned i = 0; i < ROWS; i += 2)
        take_two(row + i, wide_place(row + i), wide_place(partner.at[i]), wide_place(partner.at[i + 1]), own + i / 2 * WARP);
      partner = next;
      if (doubtful) partner = settle_rows<N>(stream, row + ROWS, 4, row + ROWS + 1, 1);
    }
#pragma unroll
    for (unsigned i = 0; i < ROWS; i += 2, row += 2, own += WARP) {
      if (row + 1 < n_rows_)
        take_two(row, wide_place(row), wide_place(partner.at[i]), wide_place(partner.at[i + 1]), own);
      else if (row < n_rows_)
        take(row, wide_place(partner.at[i]), own);
    }
  }

  // An even row and the next, which after the chain have their sources.
  __device__ ushort2* at(unsigned row) const { return pairs_ + row / 2 * width_; }

 private:
  static __device__ ushort2 pair_of(std::uint32_t first, std::uint32_t second) { return bits_as<ushort2>(first | second << 16); }
  __device__ ushort2 places_of(unsigned first, unsigned second) const {
    const std::uint32_t rows = first | second << 16;  // each half times a width still fits it
    return bits_as<ushort2>(rows * width_ - (rows & 0x10001u) * (width_ - 1));
  }
  static __device__ std::uint32_t wide_place(unsigned row) { return row * WARP - (row & 1) * (WARP - 1); }

  // Rows row and row + 1, with the places of the first and of both partners, and the word of their own. Both partners are looked
  // up at once, and the second is set right where it met the first, so that the latency of shared memory is paid once for two.
  __device__ __forceinline__ void take_two(unsigned row, unsigned here, unsigned first, unsigned second, ushort2* own) const {
    unsigned short* const places = &pairs_->x;
    const std::uint32_t held = places[first];
    std::uint32_t other = places[second];
    if (second == here) other = held;
    if (second == first) other = row;
    *own = pair_of(held, other);
    places[first] = static_cast<unsigned short>(row);
    places[second] = static_cast<unsigned short>(row + 1);
  }
  __device__ __forceinline__ void take(unsigned row, unsigned partner, ushort2* own) const {
    unsigned short* const places = &pairs_->x;
    own->x = places[partner];
    places[partner] = static_cast<unsigned short>(row);
  }

  unsigned n_rows_, width_, group_, groups_;
  ushort2* pairs_;  // of this lane's column
};

}  // namespace dualwalk::cuda
