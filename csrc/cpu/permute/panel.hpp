// Panels of columns for permute_marginals: how wide, where they begin, and how rows come into a tile and leave it.
#pragma once

#include "simd/draws.hpp"
#include "kernels.hpp"
#include "permute/squares.hpp"

namespace dualwalk {
namespace DUALWALK_LEVEL {
namespace {

constexpr std::size_t TILE_BYTES = 896 * 1024;        // of a thread; with draws and staged rows less than 1 MiB
constexpr std::size_t MOST_LINES = 7;                 // of a panel: 3 were 10 % slower, 15 no faster (512 x 8192)
constexpr std::size_t ROWS_AHEAD = 16;                // fetched ahead: rows may lie a page apart, and no processor guesses that
constexpr std::size_t STREAM_BYTES = 8 * 1024 * 1024; // results this large would only push other things out of the caches

// Writes `bytes` that will not be read soon, past the caches where whole lines allow it.
DUALWALK_FN void stream_bytes(char* to, const char* from, std::size_t bytes) {
  const std::size_t head = smaller<std::size_t>((LINE - reinterpret_cast<std::uintptr_t>(to) % LINE) % LINE, bytes);
  std::memcpy(to, from, head);
  std::size_t at = head;
  for (; at + LINE <= bytes; at += LINE)
    for (std::size_t k = 0; k < LINE; k += VECTOR_BYTES) stream(to + at + k, load<U64>(from + at + k));
  std::memcpy(to + at, from + at, bytes - at);
}

// Whether some columns of x follow one another in memory.
template <class Item>
bool side_by_side(const Permutation& job, std::size_t first, std::size_t width) {
  bool yes = true;
  for (std::size_t c = first + 1; c < first + width; ++c)
    yes &= job.column_offset[c] - job.column_offset[c - 1] == static_cast<std::ptrdiff_t>(sizeof(Item));
  return yes;
}

// The blocks of `width` columns, filled up.
inline void blocks_of(const Permutation& job, std::size_t first, std::size_t width, std::uint32_t (&block)[DRAW_COLUMNS]) {
  for (std::size_t c = 0; c < DRAW_COLUMNS; ++c)
    block[c] = static_cast<std::uint32_t>(job.block[first + smaller(c, width - 1)]);
}

inline std::size_t shift_of(const Permutation& job, std::size_t copy, std::int32_t block) {
  if (job.n_rows < 2) return 0;
  const Stream stream{job.seed, job.operation, static_cast<std::uint32_t>(copy), static_cast<std::uint32_t>(block)};
  return 1 + draw_integer(stream, 0, static_cast<std::uint32_t>(job.n_rows - 1));
}

// Rows [begin, end) of some columns of x, each in one piece: columns[c, row - begin].
template <class Item>
void read_columns(const Permutation& job, std::size_t first, std::size_t width, std::size_t begin, std::size_t end,
                  Item* columns, std::size_t length) {
  const std::ptrdiff_t* const offset = job.column_offset + first;
  const char* const x = job.x + static_cast<std::ptrdiff_t>(begin) * job.row_stride;
  if (side_by_side<Item>(job, first, width))
    return rows_to_columns(x + offset[0], job.row_stride, end - begin, width, job.n_rows - begin, columns, length);
  for (std::size_t c = 0; c < width; ++c)
    for (std::size_t row = 0; row < end - begin; ++row)
      std::memcpy(columns + c * length + row, x + static_cast<std::ptrdiff_t>(row) * job.row_stride + offset[c], sizeof(Item));
}

// The panels of one job. Rows of a tile are an odd number of lines apart, so that the rows of one column spread over all sets
// of a cache; panels are several lines wide, because single lines of rows that lie far apart are written at a fifth of the
// speed (0.8 ns an element instead of 0.16), and begin at lines of the result.
class Panels {
 public:
  Panels(const Permutation& job, std::size_t most_lines) : job_(job) {
    const std::size_t item = job.item_size, row = job.n_columns * item;
    std::size_t lines = smaller(larger<std::size_t>(TILE_BYTES / (LINE * larger<std::size_t>(job.n_rows, 1)), 1), most_lines);
    lines = smaller(lines, (row + 2 * LINE - 1) / LINE);
    lines -= lines % 2 == 0;
    row_bytes_ = lines * LINE;
    while (row_bytes_ > item && row_bytes_ * job.n_rows > TILE_BYTES) row_bytes_ /= 2;  // parts of a line, for very many rows
    width_ = row_bytes_ / item;
    skew_ = reinterpret_cast<std::uintptr_t>(job.out) % smaller(LINE, row_bytes_) / item;
    if (job.n_columns <= width_) skew_ = 0;
    count_ = (job.n_columns + skew_ + width_ - 1) / width_;
  }

  std::size_t count() const { return count_; }
  std::size_t row_bytes() const { return row_bytes_; }  // of a tile
  std::size_t first(std::size_t panel) const { return panel ? panel * width_ - skew_ : 0; }
  std::size_t width(std::size_t panel) const { return smaller((panel + 1) * width_ - skew_, job_.n_columns) - first(panel); }

  // Rows [begin, end) of `width` columns from `first` on, side by side in a tile.
  template <class Item>
  void read(std::size_t first, std::size_t width, std::size_t begin, std::size_t end, char* tile) const {
    const std::ptrdiff_t* const offset = job_.column_offset + first;
    const char* const x = job_.x + static_cast<std::ptrdiff_t>(begin) * job_.row_stride;
    if (side_by_side<Item>(job_, first, width)) {
      const std::size_t bytes = width * sizeof(Item);
      for (std::size_t row = 0; row < end - begin; ++row) {
        const char* const from = x + offset[0] + static_cast<std::ptrdiff_t>(row) * job_.row_stride;
        char* const to = tile + row * row_bytes_;
        if (begin + row + ROWS_AHEAD < job_.n_rows)
          for (std::size_t at = 0; at < bytes; at += LINE)
            __builtin_prefetch(from + static_cast<std::ptrdiff_t>(ROWS_AHEAD) * job_.row_stride + at, 0, 2);
        std::size_t at = 0;
        for (; at + VECTOR_BYTES <= bytes; at += VECTOR_BYTES) store(to + at, load<U64>(from + at));
        if (at < bytes) std::memcpy(to + at, from + at, bytes - at);
      }
      return;
    }
    // a few rows of a column at a time: where columns lie in one piece, a line holds several
    constexpr std::size_t together = LINE / sizeof(Item);
    for (std::size_t group = 0; group < end - begin; group += together)
      for (std::size_t c = 0; c < width; ++c)
        for (std::size_t row = group; row < smaller(group + together, end - begin); ++row)
          std::memcpy(tile + row * row_bytes_ + c * sizeof(Item),
                      x + static_cast<std::ptrdiff_t>(row) * job_.row_stride + offset[c], sizeof(Item));
  }

  // The result from row `row` of a copy on, where its rows can be written in whole lines past the caches; else null.
  char* lines(std::size_t first, std::size_t width, std::size_t copy, std::size_t row) const {
    const std::size_t stride = job_.n_columns * job_.item_size;
    char* const out = job_.out + (copy * job_.n_rows + row) * stride + first * job_.item_size;
    const std::size_t all = reinterpret_cast<std::uintptr_t>(out) | stride | width * job_.item_size;
    return large() && all % LINE == 0 ? out : nullptr;
  }

  // Rows of a tile into rows [begin, end) of one copy of the result.
  void write(std::size_t first, std::size_t width, std::size_t copy, std::size_t begin, std::size_t end,
             const char* tile) const {
    const std::size_t bytes = width * job_.item_size, stride = job_.n_columns * job_.item_size;
    char* out = job_.out + (copy * job_.n_rows + begin) * stride + first * job_.item_size;
    const bool past_caches = large();
    for (std::size_t row = begin; row < end; ++row, out += stride, tile += row_bytes_)
      if (past_caches)
        stream_bytes(out, tile, bytes);
      else
        std::memcpy(out, tile, bytes);
  }

 private:
  bool large() const { return job_.n_copies * job_.n_rows * job_.n_columns * job_.item_size >= STREAM_BYTES; }

  const Permutation& job_;
  std::size_t width_, skew_, count_, row_bytes_;
};

}  // namespace
}  // namespace DUALWALK_LEVEL
}  // namespace dualwalk
