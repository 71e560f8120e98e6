// Columns with more rows than a tile holds are rearranged in two steps, and the step between needs no memory but the result's:
// the items of `width` columns lie there as one list, item e in row e / width at column e % width. The list is a sequence of
// groups, a group a sequence of columns. Groups are taken up in order and become rows: when all that is before a row has been
// taken up, the row can be written, since no list item that is still wanted lies there.
#pragma once

#include <atomic>

#include "permute/panel.hpp"

namespace dualwalk {
namespace DUALWALK_LEVEL {
namespace {

template <class Item>
class TallList {
 protected:
  static constexpr std::size_t WIDTH = smaller(LINE / sizeof(Item), DRAW_COLUMNS);  // columns of a full list
  struct Full {
    static constexpr std::size_t width = WIDTH;
  };
  struct Partial {
    std::size_t width;
  };

  // `rows_held`: of each column, in a buffer of a thread
  TallList(const Permutation& job, std::size_t rows_held) : job_(job), width_(WIDTH), stride_(job.n_columns * sizeof(Item)) {
    while (width_ > 1 && (width_ * rows_held * sizeof(Item) > TILE_BYTES || width_ * job.n_rows >> 32)) width_ /= 2;
  }

  // Calls each(list, first column, copy) for every list of columns; false when memory ran out.
  template <class Each>
  bool for_lists(Each each) {
    const std::size_t n_lists = (job_.n_columns + width_ - 1) / width_;
    auto body = [&](std::size_t task, int) {
      const std::size_t first = task % n_lists * width_, width = smaller(width_, job_.n_columns - first);
      const bool done = width == WIDTH ? each(Full{}, first, task / n_lists) : each(Partial{width}, first, task / n_lists);
      if (!done) failed_ = true;
    };
    return run_parallel(n_lists * job_.n_copies, job_.n_threads, body) && !failed_;
  }

  // Where a copy of some columns begins.
  Item* result(std::size_t first, std::size_t copy) const {
    return reinterpret_cast<Item*>(job_.out + copy * job_.n_rows * stride_) + first;
  }

  template <class List>
  DUALWALK_FN Item* place(List list, Item* out, std::uint32_t element) const {
    const auto width = static_cast<std::uint32_t>(list.width);
    return reinterpret_cast<Item*>(reinterpret_cast<char*>(out) + element / width * stride_) + element % width;
  }

  // Calls move(place, offset, count) for the pieces of rows that hold items element .. element + size - 1.
  template <class List, class Move>
  DUALWALK_FN void pieces(List list, Item* out, std::uint32_t element, std::size_t size, Move move) const {
    for (std::size_t i = 0; i < size;) {
      const std::size_t count = smaller<std::size_t>(list.width - (element + i) % list.width, size - i);
      Item* const at = place(list, out, static_cast<std::uint32_t>(element + i));
      __builtin_prefetch(reinterpret_cast<char*>(at) + AHEAD * stride_, 0, 3);
      if (count == WIDTH)
        move(at, i, std::integral_constant<std::size_t, WIDTH>{});
      else
        move(at, i, count);
      i += count;
    }
  }
  template <class List>
  void take(List list, Item* out, std::uint32_t element, std::size_t size, Item* to) const {
    pieces(list, out, element, size, [&](const Item* at, std::size_t i, auto count) {
      for (std::size_t k = 0; k < count; ++k) to[i + k] = at[k];
    });
  }
  template <class List>
  void put(List list, Item* out, std::uint32_t element, std::size_t size, const Item* from) const {
    pieces(list, out, element, size, [&](Item* at, std::size_t i, auto count) {
      for (std::size_t k = 0; k < count; ++k) at[k] = from[i + k];
    });
  }

  // Columns in a buffer: a whole number of squares, and not a power of two apart.
  static std::size_t column_length(std::size_t rows) { return (rows + 2 * LINE) / LINE * LINE + LINE / sizeof(Item); }

  // The first `rows` of columns in a buffer become rows of the result.
  template <class List>
  void write_rows(List list, const Item* columns, std::size_t length, std::size_t rows, Item* out,
                  std::size_t first_row) const {
    char* to = reinterpret_cast<char*>(out) + first_row * stride_;
    alignas(LINE) Item stage[LINE][WIDTH];
    for (std::size_t row = 0; row < rows; row += LINE) {
      columns_to_rows(columns + row, length, list.width, LINE, &stage[0][0], WIDTH);
      for (std::size_t i = 0; i < smaller(LINE, rows - row); ++i, to += stride_)
        stream_bytes(to, reinterpret_cast<const char*>(stage[i]), list.width * sizeof(Item));
    }
  }

  const Permutation& job_;
  std::size_t width_, stride_;

 private:
  static constexpr std::size_t AHEAD = 16;  // rows
  std::atomic<bool> failed_{false};
};

}  // namespace
}  // namespace DUALWALK_LEVEL
}  // namespace dualwalk
