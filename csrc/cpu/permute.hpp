// permute_marginals on the CPU. A panel of columns, one cache line wide, is rearranged row by row in a tile that stays in the
// cache: every column is a chain of its own, so the processor works on all of them at once, and nothing is transposed.
#pragma once

#include "draws.hpp"
#include "kernels.hpp"

namespace dualwalk {
namespace DUALWALK_LEVEL {
namespace {

struct Bytes16 {
  std::uint64_t half[2];
};

constexpr std::size_t LINE = 64;                     // bytes
constexpr std::size_t TILE_BYTES = 8 * 1024 * 1024;  // a share of the last cache: 512 KiB was 5x slower at 100000 x 64

template <class Item>
class Permuter {
  static constexpr std::size_t WIDTH = LINE / sizeof(Item) < 16 ? LINE / sizeof(Item) : 16;  // columns of a full panel

 public:
  explicit Permuter(const Permutation& job) : job_(job) {
    // narrower panels for very many rows, so that the random accesses of a column stay in the cache
    const std::size_t fits = TILE_BYTES / (sizeof(Item) * (job.n_rows + 1));
    width_ = smaller(job.n_columns, fits >= WIDTH ? WIDTH : larger<std::size_t>(fits, 1));
    n_panels_ = (job.n_columns + width_ - 1) / width_;
    copies_a_task_ = job.n_copies * n_panels_ / (8 * static_cast<std::size_t>(job.n_threads));
    copies_a_task_ = smaller(larger<std::size_t>(copies_a_task_, 1), job.n_copies);
    tasks_a_panel_ = (job.n_copies + copies_a_task_ - 1) / copies_a_task_;
    for (std::size_t c = 1; c < job.n_columns; ++c)
      contiguous_ &= job.column_offset[c] - job.column_offset[c - 1] == static_cast<std::ptrdiff_t>(sizeof(Item));
    tile_bytes_ = (width_ * job.n_rows * sizeof(Item) + LINE) / LINE * LINE;
  }

  bool run() {
    const Scratch tiles(tile_bytes_ * static_cast<std::size_t>(job_.n_threads));
    if (!tiles) return false;
    auto body = [&](std::size_t task, int worker) {
      panel(task / tasks_a_panel_, task % tasks_a_panel_, tiles.as<Item>(tile_bytes_ * worker));
    };
    return run_parallel(n_panels_ * tasks_a_panel_, job_.n_threads, body);
  }

 private:
  // Full panels know their width when they are compiled; that is what makes them fast.
  struct Full {
    static constexpr std::size_t width = WIDTH;
  };
  struct Partial {
    std::size_t width;
  };

  void panel(std::size_t number, std::size_t part, Item* tile) const {
    const std::size_t first = number * width_, width = smaller(width_, job_.n_columns - first);
    const std::size_t begin = part * copies_a_task_, end = smaller(begin + copies_a_task_, job_.n_copies);
    if (width == WIDTH)
      copies(Full{}, first, begin, end, tile);
    else
      copies(Partial{width}, first, begin, end, tile);
  }

  template <class Panel>
  void copies(Panel panel, std::size_t first, std::size_t begin, std::size_t end, Item* tile) const {
    const std::size_t n = job_.n_rows;
    if (job_.operation != SHUFFLE)  // source rows side by side first
      for (std::size_t row = 0; row < n; ++row) read_row(panel, row, first, tile + row * panel.width);
    for (std::size_t copy = begin; copy < end; ++copy) {
      Item* const out = reinterpret_cast<Item*>(job_.out) + copy * n * job_.n_columns + first;
      if (job_.operation == SHUFFLE) {
        shuffle(panel, first, copy, tile, out);
        for (std::size_t row = 0; row < n; ++row) std::memcpy(out + row * job_.n_columns, tile + row * panel.width, panel.width * sizeof(Item));
      } else if (job_.operation == RESAMPLE) {
        resample(panel, first, copy, tile, out);
      } else {
        shift(panel, first, copy, tile, out);
      }
    }
  }

  // Fisher-Yates from the inside out, into the tile.
  template <class Panel>
  void shuffle(Panel panel, std::size_t first, std::size_t copy, Item* tile, const Item* out) const {
    const std::size_t n = job_.n_rows, width = panel.width;
    std::uint32_t draws[WIDTH][ROWS_A_GROUP];
    std::ptrdiff_t offset[WIDTH];
    for (std::size_t c = 0; c < width; ++c) offset[c] = job_.column_offset[first + c];
    for (std::size_t group = 0; group < n; group += ROWS_A_GROUP) {
      draw(panel, first, copy, group, LinearBound{1, 1}, draws);
      const std::size_t rows = smaller(ROWS_A_GROUP, n - group);
      for (std::size_t i = 0; i < rows; ++i) {
        const std::size_t row = group + i, place = place_in_group(i);
        const char* const from = job_.x + static_cast<std::ptrdiff_t>(row) * job_.row_stride;
        __builtin_prefetch(out + row * job_.n_columns, 1, 2);  // rows lie far apart: fetch them while there is work
        __builtin_prefetch(from + offset[0] + LINE, 0, 2);
        for (std::size_t c = 0; c < width; ++c) {
          const std::size_t other = draws[c][place];
          tile[row * width + c] = tile[other * width + c];
          std::memcpy(&tile[other * width + c], from + offset[c], sizeof(Item));
        }
      }
    }
  }

  template <class Panel>
  void resample(Panel panel, std::size_t first, std::size_t copy, const Item* tile, Item* out) const {
    const std::size_t n = job_.n_rows, width = panel.width;
    std::uint32_t draws[WIDTH][ROWS_A_GROUP];
    for (std::size_t group = 0; group < n; group += ROWS_A_GROUP) {
      draw(panel, first, copy, group, LinearBound{0, static_cast<std::uint32_t>(n)}, draws);
      const std::size_t rows = smaller(ROWS_A_GROUP, n - group);
      for (std::size_t i = 0; i < rows; ++i) {
        const std::size_t place = place_in_group(i);
        for (std::size_t c = 0; c < width; ++c) out[(group + i) * job_.n_columns + c] = tile[draws[c][place] * width + c];
      }
    }
  }

  template <class Panel>
  void shift(Panel panel, std::size_t first, std::size_t copy, const Item* tile, Item* out) const {
    const std::size_t n = job_.n_rows, width = panel.width;
    std::size_t source[WIDTH];
    for (std::size_t c = 0; c < width; ++c)
      source[c] = n < 2 ? 0 : 1 + draw_integer(stream(copy, job_.block[first + c]), 0, static_cast<std::uint32_t>(n - 1));
    for (std::size_t row = 0; row < n; ++row)
      for (std::size_t c = 0; c < width; ++c) {
        out[row * job_.n_columns + c] = tile[source[c] * width + c];
        source[c] = source[c] + 1 == n ? 0 : source[c] + 1;
      }
  }

  // The draws of one group of rows for every column of the panel; columns of one block share them.
  template <class Panel>
  void draw(Panel panel, std::size_t first, std::size_t copy, std::size_t group, LinearBound bound,
            std::uint32_t (*draws)[ROWS_A_GROUP]) const {
    for (std::size_t c = 0; c < panel.width; ++c) {
      const std::int32_t block = job_.block[first + c];
      if (c > 0 && block == job_.block[first + c - 1])
        std::memcpy(draws[c], draws[c - 1], sizeof(draws[c]));
      else
        draw_group(stream(copy, block), group, bound, draws[c]);
    }
  }

  Stream stream(std::size_t copy, std::int32_t block) const {
    return {job_.seed, job_.operation, static_cast<std::uint32_t>(copy), static_cast<std::uint32_t>(block)};
  }

  // One row of the panel, from wherever its columns lie.
  template <class Panel>
  DUALWALK_FN void read_row(Panel panel, std::size_t row, std::size_t first, Item* to) const {
    const char* const from = job_.x + static_cast<std::ptrdiff_t>(row) * job_.row_stride;
    const std::ptrdiff_t* const offset = job_.column_offset + first;
    if (contiguous_)
      std::memcpy(to, from + offset[0], panel.width * sizeof(Item));
    else
      for (std::size_t c = 0; c < panel.width; ++c) std::memcpy(to + c, from + offset[c], sizeof(Item));
  }

  const Permutation& job_;
  bool contiguous_ = true;  // columns follow one another in memory
  std::size_t width_, n_panels_, copies_a_task_, tasks_a_panel_, tile_bytes_;
};

inline bool permute(const Permutation& job) {
  switch (job.item_size) {
    case 1: return Permuter<std::uint8_t>(job).run();
    case 2: return Permuter<std::uint16_t>(job).run();
    case 4: return Permuter<std::uint32_t>(job).run();
    case 8: return Permuter<std::uint64_t>(job).run();
    default: return Permuter<Bytes16>(job).run();
  }
}

// Draws with any bounds, by the code that shuffles: the tests that hold the backends together reach its rejections here.
inline void draw_integers(const Stream& stream, const std::uint32_t* bounds, std::size_t n_rows, std::uint32_t* out) {
  std::uint32_t draws[ROWS_A_GROUP];
  for (std::size_t row = 0; row < n_rows; ++row) {
    if (row % ROWS_A_GROUP == 0) draw_group(stream, row, ListedBound{bounds, n_rows}, draws);
    out[row] = draws[place_in_group(row % ROWS_A_GROUP)];
  }
}

}  // namespace
}  // namespace DUALWALK_LEVEL
}  // namespace dualwalk
