// Resampling more rows than a tile holds: every number is fetched from where it lies. The draws of some rows are made, and what
// they name is asked for, while the rows before them are written: the memory answers many requests at once.
#pragma once

#include "permute/panel.hpp"

namespace dualwalk {
namespace DUALWALK_LEVEL {
namespace {

template <class Item>
class TallResample {
  static constexpr std::size_t WIDTH = smaller(LINE / sizeof(Item), DRAW_COLUMNS);  // columns: a line of the result
  static constexpr std::size_t ROWS_A_TASK = 1 << 14;
  using Draws = std::uint32_t[DRAW_ROWS][DRAW_COLUMNS];

 public:
  explicit TallResample(const Permutation& job) : job_(job) {}

  bool run() const {
    const std::size_t lists = (job_.n_columns + WIDTH - 1) / WIDTH, parts = (job_.n_rows + ROWS_A_TASK - 1) / ROWS_A_TASK;
    auto body = [&](std::size_t task, int) {
      const std::size_t begin = task % parts * ROWS_A_TASK, end = smaller(begin + ROWS_A_TASK, job_.n_rows);
      rows(task / parts % lists * WIDTH, task / parts / lists, begin, end);
    };
    return run_parallel(lists * parts * job_.n_copies, job_.n_threads, body);
  }

 private:
  void rows(std::size_t first, std::size_t copy, std::size_t begin, std::size_t end) const {
    const std::size_t width = smaller(WIDTH, job_.n_columns - first);
    std::uint32_t block[DRAW_COLUMNS];
    blocks_of(job_, first, width, block);
    const char* from[WIDTH];
    for (std::size_t c = 0; c < width; ++c) from[c] = job_.x + job_.column_offset[first + c];
    Draws draws[2];
    const auto ask = [&](std::size_t row, Draws& to) {
      const Stream stream{job_.seed, job_.operation, static_cast<std::uint32_t>(copy), 0};
      draw_columns(stream, block, row, LinearBound{0, static_cast<std::uint32_t>(job_.n_rows)}, 1, to);
      for (std::size_t i = 0; i < DRAW_ROWS; ++i)
        for (std::size_t c = 0; c < width; ++c) __builtin_prefetch(at(from[c], to[i][c]), 0, 3);
    };
    ask(begin, draws[0]);
    char* out = job_.out + (copy * job_.n_rows + begin) * row_bytes() + first * sizeof(Item);
    for (std::size_t row = begin, turn = 0; row < end; row += DRAW_ROWS, turn = 1 - turn) {
      if (row + DRAW_ROWS < end) ask(row + DRAW_ROWS, draws[1 - turn]);
      for (std::size_t i = 0; i < smaller(DRAW_ROWS, end - row); ++i, out += row_bytes()) {
        Item line[WIDTH];
        for (std::size_t c = 0; c < width; ++c) std::memcpy(&line[c], at(from[c], draws[turn][i][c]), sizeof(Item));
        std::memcpy(out, line, width * sizeof(Item));
      }
    }
  }

  DUALWALK_FN const char* at(const char* column, std::uint32_t row) const {
    return column + static_cast<std::ptrdiff_t>(row) * job_.row_stride;
  }
  std::size_t row_bytes() const { return job_.n_columns * sizeof(Item); }

  const Permutation& job_;
};

}  // namespace
}  // namespace DUALWALK_LEVEL
}  // namespace dualwalk
