// The shift of more rows than a tile holds: a column's rows go to the list of columns in the order of the result, a stretch of
// them at a time, and from there to rows. Everything moves by lines, whatever the shifts.
#pragma once

#include "permute/tall_list.hpp"

namespace dualwalk {
namespace DUALWALK_LEVEL {
namespace {

template <class Item>
class TallShift : TallList<Item> {
  using List = TallList<Item>;
  using List::column_length, List::job_, List::WIDTH;

 public:
  explicit TallShift(const Permutation& job) : List(job, together(job)), rows_(together(job)) {}

  bool run() {
    return List::for_lists([&](auto list, std::size_t first, std::size_t copy) { return shift_list(list, first, copy); });
  }

 private:
  // Rows of a group of the list.
  static std::size_t together(const Permutation& job) { return larger<std::size_t>(job.longest / 2, 1); }

  template <class L>
  bool shift_list(L list, std::size_t first, std::size_t copy) const {
    const std::size_t n = job_.n_rows, length = column_length(rows_);
    const Scratch scratch(list.width * length * sizeof(Item));
    if (!scratch) return false;
    Item *const columns = scratch.as<Item>(), *const out = List::result(first, copy);
    std::size_t shift[WIDTH];
    for (std::size_t c = 0; c < list.width; ++c) shift[c] = shift_of(job_, copy, job_.block[first + c]);
    for (std::size_t row = 0; row < n; row += rows_) {
      const std::size_t end = smaller(row + rows_, n);
      read_columns(job_, first, list.width, row, end, columns, length);
      for (std::size_t c = 0; c < list.width; ++c)
        for (std::size_t i = row; i < end;) {
          const std::size_t to = i < shift[c] ? i + n - shift[c] : i - shift[c], group = to / rows_ * rows_;
          const std::size_t count = smaller(end - i, size(group) - (to - group));
          List::put(list, out, element(list, group, c) + static_cast<std::uint32_t>(to - group), count,
                    columns + c * length + (i - row));
          i += count;
        }
    }
    for (std::size_t group = 0; group < n; group += rows_) {
      for (std::size_t c = 0; c < list.width; ++c)
        List::take(list, out, element(list, group, c), size(group), columns + c * length);
      List::write_rows(list, columns, length, size(group), out, group);
    }
    return true;
  }

  std::size_t size(std::size_t group) const { return smaller(rows_, job_.n_rows - group); }
  template <class L>
  std::uint32_t element(L list, std::size_t group, std::size_t column) const {
    return static_cast<std::uint32_t>(group * list.width + column * size(group));
  }

  const std::size_t rows_;
};

}  // namespace
}  // namespace DUALWALK_LEVEL
}  // namespace dualwalk
