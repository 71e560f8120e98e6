// permute_marginals on the CPU. A panel of columns is rearranged in a tile that stays in the cache: every column is a chain of
// its own, so the processor works on all of them at once, and nothing but a shift is transposed.
//
// What a shuffle of 512 x 8192 float32 takes (0.9 ns an element, one thread of a Zen 5 core at 4.05 GHz), parts measured alone:
// the exchanges 0.34 (three loads and two stores in 1.4 cycles), the draws 0.15 (Philox keeps the multiplier busy), in and out
// of the tile 0.16 (the speed of memcpy). What is left over was not measured by itself; the tile lies in the second cache.
#pragma once

#include "permute/panel.hpp"
#include "permute/resample_tall.hpp"
#include "permute/shift_tall.hpp"
#include "permute/shuffle_tall.hpp"
#include "permute/swap.hpp"

namespace dualwalk {
namespace DUALWALK_LEVEL {
namespace {

struct Bytes16 {
  std::uint64_t half[2];
};

template <class Item>
class Permuter {
  static constexpr std::size_t STAGE_ROWS = larger(RUN_ROWS, DRAW_ROWS);  // resampled or shifted before they are written
  static constexpr std::size_t RUNS_TOGETHER = 8;

 public:
  explicit Permuter(const Permutation& job) : job_(job), panels_(job, MOST_LINES) {
    copies_a_task_ = job.n_copies * panels_.count() / (8 * static_cast<std::size_t>(job.n_threads));
    copies_a_task_ = smaller(larger<std::size_t>(copies_a_task_, 1), job.n_copies);
    tasks_a_panel_ = (job.n_copies + copies_a_task_ - 1) / copies_a_task_;
    column_length_ = (job.n_rows + 2 * LINE) * sizeof(Item) / LINE | 1;  // lines, an odd number of them
    column_length_ *= LINE / sizeof(Item);
    tile_bytes_ = panels_.row_bytes() * (job.operation == SHIFT ? column_length_ : job.n_rows);
    scratch_bytes_ = tile_bytes_ + panels_.row_bytes() * STAGE_ROWS;
  }

  bool run() {
    const Scratch tiles(scratch_bytes_ * static_cast<std::size_t>(job_.n_threads));
    if (!tiles) return false;
    auto body = [&](std::size_t task, int worker) {
      char* const tile = tiles.as<char>(scratch_bytes_ * static_cast<std::size_t>(worker));
      const std::size_t panel = task / tasks_a_panel_, first_copy = task % tasks_a_panel_ * copies_a_task_;
      const std::size_t first = panels_.first(panel), width = panels_.width(panel);
      for (std::size_t copy = first_copy; copy < smaller(first_copy + copies_a_task_, job_.n_copies); ++copy) {
        rearrange(first, width, copy, copy == first_copy, tile);
      }
    };
    return run_parallel(panels_.count() * tasks_a_panel_, job_.n_threads, body);
  }

 private:
  void rearrange(std::size_t first, std::size_t width, std::size_t copy, bool fresh, char* tile) const {
    char* const stage = tile + tile_bytes_;
    std::size_t n_runs = 1;
    for (std::size_t c = 1; c < width; ++c) n_runs += job_.block[first + c] != job_.block[first + c - 1];
    const bool single = width >= COUNTERS && 2 * n_runs > width;
    if constexpr (can_transpose<Item>)
      if (job_.operation == SHIFT && single) return shift_columns(first, width, copy, fresh, tile, stage);
    if (fresh || job_.operation == SHUFFLE) panels_.template read<Item>(first, width, 0, job_.n_rows, tile);
    if (job_.operation == SHUFFLE) {
      single ? shuffle_columns(first, width, copy, tile) : shuffle_runs(first, width, copy, tile);
      panels_.write(first, width, copy, 0, job_.n_rows, tile);
    } else if (single && job_.operation == RESAMPLE) {
      resample_columns(first, width, copy, tile, stage);
    } else {
      copy_runs(first, width, copy, tile, stage);
    }
  }

  // Fisher-Yates from the inside out, in place.
  void shuffle_columns(std::size_t first, std::size_t width, std::size_t copy, char* tile) const {
    const std::size_t row_bytes = panels_.row_bytes();
    for (std::size_t c = 0; c < width; c += DRAW_COLUMNS) {
      std::uint32_t block[DRAW_COLUMNS], draws[DRAW_ROWS][DRAW_COLUMNS];
      const std::size_t columns = smaller(DRAW_COLUMNS, width - c);
      blocks_of(job_, first + c, columns, block);
      char* const base = tile + c * sizeof(Item);
      for (std::size_t group = 0; group < job_.n_rows; group += DRAW_ROWS) {
        draw_columns(stream(copy, 0), block, group, LinearBound{1, 1}, static_cast<std::uint32_t>(row_bytes), draws);
        const std::size_t rows = smaller(DRAW_ROWS, job_.n_rows - group);
        char* row = base + group * row_bytes;
        for (std::size_t i = 0; i < rows; ++i, row += row_bytes)
          if (columns == DRAW_COLUMNS) {
#pragma GCC unroll 16
            for (std::size_t k = 0; k < DRAW_COLUMNS; ++k) exchange(row, base + draws[i][k], k);
          } else {
            for (std::size_t k = 0; k < columns; ++k) exchange(row, base + draws[i][k], k);
          }
      }
    }
  }

  DUALWALK_FN static void exchange(char* row, char* other, std::size_t column) {
    Item* const a = reinterpret_cast<Item*>(row) + column;
    Item* const b = reinterpret_cast<Item*>(other) + column;
    const Item held = *b;
    *b = *a;
    *a = held;
  }

  // The same where columns of one block lie side by side and move together; a few blocks at a time, so that their draws stay
  // near.
  void shuffle_runs(std::size_t first, std::size_t width, std::size_t copy, char* tile) const {
    const std::size_t row_bytes = panels_.row_bytes();
    Run runs[RUNS_TOGETHER];
    std::uint32_t draws[RUNS_TOGETHER][RUN_ROWS];
    for (std::size_t c = 0; c < width;) {
      std::size_t n_runs = 0;
      for (; n_runs < RUNS_TOGETHER && c < width; ++n_runs) c = next_run(first, c, width, runs[n_runs]);
      for (std::size_t group = 0; group < job_.n_rows; group += RUN_ROWS) {
        for (std::size_t k = 0; k < n_runs; ++k)
          draw_run(stream(copy, runs[k].block), group, LinearBound{1, 1}, static_cast<std::uint32_t>(row_bytes), draws[k]);
        const std::size_t rows = smaller(RUN_ROWS, job_.n_rows - group);
        for (std::size_t i = 0; i < rows; ++i)
          for (std::size_t k = 0; k < n_runs; ++k)
            swap_bytes(tile + runs[k].begin + (group + i) * row_bytes, tile + runs[k].begin + draws[k][place_in_run(i)],
                       runs[k].bytes);
      }
    }
  }

  // Resamples or shifts runs of columns.
  void copy_runs(std::size_t first, std::size_t width, std::size_t copy, const char* tile, char* stage) const {
    const std::size_t row_bytes = panels_.row_bytes();
    std::uint32_t draws[RUN_ROWS];
    for (std::size_t group = 0; group < job_.n_rows; group += RUN_ROWS) {
      const std::size_t rows = smaller(RUN_ROWS, job_.n_rows - group);
      for (std::size_t c = 0; c < width;) {
        Run run;
        c = next_run(first, c, width, run);
        if (job_.operation == RESAMPLE) {
          const LinearBound bound{0, static_cast<std::uint32_t>(job_.n_rows)};
          draw_run(stream(copy, run.block), group, bound, static_cast<std::uint32_t>(row_bytes), draws);
          for (std::size_t i = 0; i < rows; ++i)
            copy_bytes(stage + i * row_bytes + run.begin, tile + draws[place_in_run(i)] + run.begin, run.bytes);
        } else {
          std::size_t source = wrapped(group + shift_of(job_, copy, static_cast<std::int32_t>(run.block)));
          for (std::size_t i = 0; i < rows; ++i, source = source + 1 == job_.n_rows ? 0 : source + 1)
            copy_bytes(stage + i * row_bytes + run.begin, tile + source * row_bytes + run.begin, run.bytes);
        }
      }
      panels_.write(first, width, copy, group, group + rows, stage);
    }
  }

  void resample_columns(std::size_t first, std::size_t width, std::size_t copy, const char* tile, char* stage) const {
    const std::size_t row_bytes = panels_.row_bytes();
    for (std::size_t group = 0; group < job_.n_rows; group += DRAW_ROWS) {
      const std::size_t rows = smaller(DRAW_ROWS, job_.n_rows - group);
      for (std::size_t c = 0; c < width; c += DRAW_COLUMNS) {
        std::uint32_t block[DRAW_COLUMNS], draws[DRAW_ROWS][DRAW_COLUMNS];
        const std::size_t columns = smaller(DRAW_COLUMNS, width - c);
        blocks_of(job_, first + c, columns, block);
        draw_columns(stream(copy, 0), block, group, LinearBound{0, static_cast<std::uint32_t>(job_.n_rows)},
                     static_cast<std::uint32_t>(row_bytes), draws);
        const char* const base = tile + c * sizeof(Item);
        for (std::size_t i = 0; i < rows; ++i) {
          Item* const to = reinterpret_cast<Item*>(stage + i * row_bytes) + c;
          if (columns == DRAW_COLUMNS) {
#pragma GCC unroll 16
            for (std::size_t k = 0; k < DRAW_COLUMNS; ++k) to[k] = reinterpret_cast<const Item*>(base + draws[i][k])[k];
          } else {
            for (std::size_t k = 0; k < columns; ++k) to[k] = reinterpret_cast<const Item*>(base + draws[i][k])[k];
          }
        }
      }
      panels_.write(first, width, copy, group, group + rows, stage);
    }
  }

  // Rotates columns that lie in one piece each: rows are transposed on their way in and out, a square of vectors at a time.
  // Behind each column its beginning is repeated, so that a vector can be read across its end.
  void shift_columns(std::size_t first, std::size_t width, std::size_t copy, bool fresh, char* tile, char* stage) const {
    constexpr std::size_t lanes = VECTOR_BYTES / sizeof(Item);
    const std::size_t n = job_.n_rows, row = panels_.row_bytes() / sizeof(Item), all = (width + lanes - 1) / lanes * lanes;
    Item* const columns = reinterpret_cast<Item*>(tile);
    Item* const staged = reinterpret_cast<Item*>(stage);
    if (fresh) {
      read_columns(job_, first, width, 0, n, columns, column_length_);
      for (std::size_t c = 0; c < width; ++c)
        for (std::size_t k = 0; k < lanes; ++k) columns[c * column_length_ + n + k] = columns[c * column_length_ + k % n];
    }
    std::size_t shift[MOST_LINES * LINE / sizeof(Item)];
    for (std::size_t c = 0; c < all; ++c) shift[c] = shift_of(job_, copy, job_.block[first + smaller(c, width - 1)]);
    const auto squares = [&](std::size_t r, Item* to, std::size_t to_row, bool past_caches) {
      for (std::size_t c = 0; c < all; c += lanes) {
        const Item* from[lanes];
        for (std::size_t i = 0; i < lanes; ++i) from[i] = columns + (c + i) * column_length_ + wrapped(r + shift[c + i]);
        square_to_rows(from, to + c, to_row, past_caches);
      }
    };
    for (std::size_t group = 0; group < n; group += STAGE_ROWS) {
      const std::size_t end = smaller(group + STAGE_ROWS, n);
      char* const lines = (end - group) % lanes ? nullptr : panels_.lines(first, width, copy, group);
      for (std::size_t r = group; r < end; r += lanes)
        if (lines)
          squares(r, reinterpret_cast<Item*>(lines) + (r - group) * job_.n_columns, job_.n_columns, true);
        else
          squares(r, staged + (r - group) * row, row, false);
      if (!lines) panels_.write(first, width, copy, group, end, stage);
    }
  }

  std::size_t wrapped(std::size_t row) const { return row < job_.n_rows ? row : row - job_.n_rows; }

  // A block's neighbouring columns inside a panel: they share their draws and move together.
  struct Run {
    std::uint32_t block;
    std::size_t begin, bytes;  // in a row of the tile
  };
  std::size_t next_run(std::size_t first, std::size_t column, std::size_t width, Run& run) const {
    std::size_t end = column + 1;
    while (end < width && job_.block[first + end] == job_.block[first + column]) ++end;
    run = {static_cast<std::uint32_t>(job_.block[first + column]), column * sizeof(Item), (end - column) * sizeof(Item)};
    return end;
  }

  Stream stream(std::size_t copy, std::uint32_t block) const {
    return {job_.seed, job_.operation, static_cast<std::uint32_t>(copy), block};
  }

  const Permutation& job_;
  const Panels panels_;
  std::size_t copies_a_task_, tasks_a_panel_, column_length_, tile_bytes_, scratch_bytes_;
};

// Draws with any bounds, by the code that shuffles: the tests that hold the backends together reach its rejections here. The
// second way to draw makes one part in eight.
inline void draw_integers(const Stream& stream, const std::uint32_t* bounds, std::size_t n_rows, std::uint32_t* out) {
  const ListedBound bound{bounds, n_rows};
  for (std::size_t group = 0; group < n_rows; group += RUN_ROWS) {
    std::uint32_t run[RUN_ROWS], columns[DRAW_ROWS][DRAW_COLUMNS], block[DRAW_COLUMNS];
    draw_run(stream, group, bound, 1, run);
    for (std::size_t c = 0; c < DRAW_COLUMNS; ++c) block[c] = stream.block;
    for (std::size_t i = 0; i < smaller(RUN_ROWS, n_rows - group); ++i) {
      const std::size_t turn = (group + i) / DRAW_ROWS, place = i % DRAW_ROWS;
      if (turn % 8 == 1 && place == 0) draw_columns(stream, block, group + i, bound, 1, columns);
      out[group + i] = turn % 8 == 1 ? columns[place][turn / 8 % DRAW_COLUMNS] : run[place_in_run(i)];
    }
  }
}

template <class Item>
bool permute_items(const Permutation& job) {
  if (job.n_rows <= job.longest) return Permuter<Item>(job).run();
  if (job.operation == SHUFFLE) return TallShuffle<Item>(job).run();
  return job.operation == SHIFT ? TallShift<Item>(job).run() : TallResample<Item>(job).run();
}

inline bool permute(const Permutation& job) {
  switch (job.item_size) {
    case 1: return permute_items<std::uint8_t>(job);
    case 2: return permute_items<std::uint16_t>(job);
    case 4: return permute_items<std::uint32_t>(job);
    case 8: return permute_items<std::uint64_t>(job);
    default: return permute_items<Bytes16>(job);
  }
}

}  // namespace
}  // namespace DUALWALK_LEVEL
}  // namespace dualwalk
