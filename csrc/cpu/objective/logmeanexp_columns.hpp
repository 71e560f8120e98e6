// log-mean-exp along the middle axis of an array (n_outer, n, n_inner): rows of columns, read in the order of memory.
//
// Rows go in chunks of a fixed number and columns in panels, so a column's bits do not depend on the threads. Where a row has
// fewer columns than a strip, several rows side by side count as one: (n, m) is also (n / k, k m), and k columns make one.
#pragma once

#include <numeric>

#include "objective/logmeanexp_spans.hpp"

namespace dualwalk {
namespace DUALWALK_LEVEL {
namespace {

constexpr std::size_t CHUNK_ROWS = 1024;    // rows summed together
constexpr std::size_t COLUMN_PANEL = 1024;  // columns summed together: their sums stay near, and a row fills a page
constexpr std::size_t LEAST_ROW = 2 * STRIP;  // columns that a folded row has at least
constexpr std::size_t NARROW_ROWS = 1024;   // in fewer rows, results next to zero are too many for NARROW to pay

// Rows of columns in memory.
template <class T>
struct Table {
  const T* f;
  const T* weights;
  std::size_t stride, n_rows, n_columns;
};

// The sums of a table of up to COLUMN_PANEL columns.
template <class T>
class PanelSums {
 public:
  // Into the first n_columns of `out`.
  void sum(const Table<T>& table, bool narrow, const SumArrays& out) {
    if (table.n_columns < STRIP) return sum_few_columns(table, out);
    const std::size_t n_strips = (table.n_columns + STRIP - 1) / STRIP;
    for (std::size_t s = 0; s < n_strips; ++s) strips_[s].clear();
    for (std::size_t row = 0; row < table.n_rows; row += BLOCK)
      for (std::size_t s = 0; s < n_strips; ++s) add(table, row, s, narrow ? Arithmetic::NARROW : Arithmetic::WIDE);
    for (std::size_t s = 0; s < n_strips; ++s) {
      StripSums& strip = strips_[s];
      if (narrow && !strip.within(NARROW_LIMIT)) {
        strip.clear();
        add_all(table, s, Arithmetic::WIDE);
      }
      if (!strip.within(WIDE_LIMIT)) add_far(table, s);
      const std::size_t at = column_of(table, s);
      std::memcpy(out.base + at, strip.base, sizeof(strip.base));
      std::memcpy(out.steps + at, strip.steps, sizeof(strip.steps));
      std::memcpy(out.rest + at, strip.rest, sizeof(strip.rest));
      if (table.weights)
        std::memcpy(out.weight + at, strip.weight, sizeof(strip.weight));
      else
        std::fill_n(out.weight + at, STRIP, static_cast<double>(table.n_rows));
    }
  }

 private:
  // The last strip overlaps the one before it.
  static std::size_t column_of(const Table<T>& table, std::size_t s) { return smaller(s * STRIP, table.n_columns - STRIP); }

  DUALWALK_FN void add(const Table<T>& table, std::size_t row, std::size_t s, Arithmetic how) {
    const std::size_t at = row * table.stride + column_of(table, s), n = smaller(BLOCK, table.n_rows - row);
    const std::size_t ahead = larger(AHEAD / table.stride, BLOCK) * table.stride;  // whole rows, one block on at least
    const T* const f = table.f + at;
    const T* const w = table.weights ? table.weights + at : nullptr;
    if constexpr (sizeof(T) == 4)
      if (how == Arithmetic::NARROW) return add_block<Arithmetic::NARROW, 2>(f, w, table.stride, n, ahead, strips_[s]);
    if (how == Arithmetic::SHIFTED) return add_block<Arithmetic::SHIFTED, 2>(f, w, table.stride, n, ahead, strips_[s]);
    add_block<Arithmetic::WIDE, 2>(f, w, table.stride, n, ahead, strips_[s]);
  }
  void add_all(const Table<T>& table, std::size_t s, Arithmetic how) {
    for (std::size_t row = 0; row < table.n_rows; row += BLOCK) add(table, row, s, how);
  }

  // Any values whatever: the largest of every column is looked for first.
  void add_far(const Table<T>& table, std::size_t s) {
    StripSums& strip = strips_[s];
    const std::size_t at = column_of(table, s);
    strip.clear();
    for (double& base : strip.base) base = -INFINITY;
    add_largest(table.f + at, table.weights ? table.weights + at : nullptr, table.stride, table.n_rows, strip);
    double peak[STRIP];
    std::memcpy(peak, strip.base, sizeof(peak));
    for (double& base : strip.base) base = std::isinf(base) ? 0.0 : base;
    add_all(table, s, Arithmetic::SHIFTED);
    for (std::size_t i = 0; i < STRIP; ++i) {
      strip.base[i] = peak[i];
      if (peak[i] == INFINITY) add_infinite(table, at + i, strip.steps[i], strip.rest[i]);
    }
  }
  static void add_infinite(const Table<T>& table, std::size_t column, double& steps, double& rest) {
    steps = rest = 0;
    for (std::size_t row = 0; row < table.n_rows; ++row) {
      const T x = table.f[row * table.stride + column];
      const double w = table.weights ? table.weights[row * table.stride + column] : 1.0;
      if (w > 0 && !(x < T(INFINITY))) steps += x == T(INFINITY) ? w : NAN;
    }
  }

  // Fewer than a strip, through padded copies.
  void sum_few_columns(const Table<T>& table, const SumArrays& out) {
    double memory[4 * STRIP];
    const SumArrays part = SumArrays::over(memory, STRIP);
    for (std::size_t row = 0; row < table.n_rows; row += BLOCK) {
      const std::size_t n_rows = smaller(BLOCK, table.n_rows - row);
      T f[BLOCK * STRIP] = {}, weights[BLOCK * STRIP] = {};
      for (std::size_t i = 0; i < n_rows; ++i) {
        const std::size_t at = (row + i) * table.stride, bytes = table.n_columns * sizeof(T);
        std::memcpy(f + i * STRIP, table.f + at, bytes);
        if (table.weights) std::memcpy(weights + i * STRIP, table.weights + at, bytes);
      }
      sum({f, table.weights ? weights : nullptr, STRIP, n_rows, STRIP}, false, part);
      if (row)
        out.add(part, table.n_columns);
      else
        for (std::size_t i = 0; i < table.n_columns; ++i) out.set(i, part.get(i));
    }
  }

  StripSums strips_[COLUMN_PANEL / STRIP];
};

template <class T>
class LogMeanExpColumns {
 public:
  explicit LogMeanExpColumns(const LogMeanExp<T>& job) : job_(job), m_(job.n_inner) {
    std::size_t fold = m_ < STRIP ? STRIP / std::gcd(STRIP, m_) : 1;
    while (m_ * fold < LEAST_ROW) fold *= 2;
    fold_ = fold <= job.n ? fold : 1;
    rows_ = job.n / fold_;  // a last row with the elements that are left over goes as it is
    chunks_ = (rows_ + CHUNK_ROWS - 1) / CHUNK_ROWS + (rows_ * fold_ < job.n);
    panels_ = (m_ * fold_ + COLUMN_PANEL - 1) / COLUMN_PANEL;  // one, where rows are folded
    places_ = job.n_outer * panels_;
    narrow_ = sizeof(T) == 4 && !job.weights && job.n >= NARROW_ROWS;
  }

  bool run() {
    const std::size_t shared = job_.gradient ? 2 * job_.n_outer * m_ : 0;
    const Scratch memory(sizeof(double) * (4 * job_.n_outer * chunks_ * m_ + shared)), redo(places_);
    if (!memory || !redo) return false;
    state_ = memory.as<double>();
    centres_ = state_ + 4 * job_.n_outer * chunks_ * m_;
    divisors_ = centres_ + shared / 2;
    bool* const again = redo.as<bool>();
    const double n = static_cast<double>(job_.n_outer * job_.n * m_);
    const int n_threads = threads_for(WORK_AN_EXPONENTIAL * n, job_.n_threads);
    const std::size_t units = places_ * chunks_;
    auto first = [&](std::size_t task, int) { sum_unit(task / chunks_, task % chunks_, narrow_); };
    run_parallel(units, n_threads, first);
    auto close = [&](std::size_t place, int) { again[place] = finish(place) && narrow_; };
    run_parallel(places_, n_threads, close);
    if (std::find(again, again + places_, true) != again + places_) {  // panels with results next to zero once more, in double
      auto second = [&](std::size_t task, int) {
        if (again[task / chunks_]) sum_unit(task / chunks_, task % chunks_, false);
      };
      run_parallel(units, n_threads, second);
      auto close_again = [&](std::size_t place, int) {
        if (again[place]) finish(place);
      };
      run_parallel(places_, n_threads, close_again);
    }
    if (!job_.gradient) return true;
    auto differentiate = [&](std::size_t task, int) {  // backwards: the end is still in the caches
      differentiate_unit((units - 1 - task) / chunks_, (units - 1 - task) % chunks_);
    };
    run_parallel(units, n_threads, differentiate);
    return true;
  }

 private:
  // `place` is an outer index and a panel; its columns of m are all of them where rows are folded.
  std::size_t first_column(std::size_t place) const { return place % panels_ * COLUMN_PANEL; }
  std::size_t n_columns(std::size_t place) const { return smaller(COLUMN_PANEL, m_ - first_column(place)); }
  std::size_t first_result(std::size_t place) const { return place / panels_ * m_ + first_column(place); }

  // One chunk of a place, folded, or the rows that are left over.
  Table<T> table(std::size_t place, std::size_t chunk) const {
    const bool folded = chunk * CHUNK_ROWS < rows_;
    const std::size_t fold = folded ? fold_ : 1, row = folded ? chunk * CHUNK_ROWS : rows_ * fold_;
    const std::size_t n_rows = folded ? smaller(CHUNK_ROWS, rows_ - row) : job_.n - row;
    const std::size_t at = place / panels_ * job_.n * m_ + row * fold * m_ + first_column(place);
    return {job_.f + at, job_.weights ? job_.weights + at : nullptr, m_ * fold, n_rows, n_columns(place) * fold};
  }

  SumArrays states_of(std::size_t place, std::size_t chunk) const {
    double* const memory = state_ + (place / panels_ * chunks_ + chunk) * 4 * m_;
    return SumArrays::over(memory, m_).from(first_column(place));
  }

  void sum_unit(std::size_t place, std::size_t chunk, bool narrow) const {
    PanelSums<T> sums;
    const Table<T> part = table(place, chunk);
    const SumArrays state = states_of(place, chunk);
    const std::size_t n = n_columns(place);
    if (part.n_columns == n) return sums.sum(part, narrow, state);
    double memory[4 * COLUMN_PANEL];
    const SumArrays folded = SumArrays::over(memory, COLUMN_PANEL);
    sums.sum(part, narrow, folded);
    for (std::size_t i = 0; i < n; ++i) state.set(i, folded.get(i));
    for (std::size_t i = n; i < part.n_columns; i += n) state.add(folded.from(i), n);
  }

  // Values and shares of a place; true where a value is next to zero.
  bool finish(std::size_t place) const {
    const std::size_t n = n_columns(place), at = first_result(place);
    const SumArrays total = states_of(place, 0);
    for (std::size_t chunk = 1; chunk < chunks_; ++chunk) total.add(states_of(place, chunk), n);
    double* const value = job_.value + at;
    total.values(n, value);
    if (job_.gradient) shares_of_many<T>(total, value, job_.weights != nullptr, n, centres_ + at, divisors_ + at);
    return std::any_of(value, value + n, is_near_zero);
  }

  void differentiate_unit(std::size_t place, std::size_t chunk) const {
    const Table<T> part = table(place, chunk);
    T* const out = job_.gradient + (part.f - job_.f);
    const std::size_t n = n_columns(place), first = first_result(place);
    ColumnShares<T, COLUMN_PANEL> columns;
    columns.prepare(centres_ + first, divisors_ + first, n, part.n_columns);
    const std::size_t ahead = larger(SHARES_AHEAD / part.stride, std::size_t{1}) * part.stride;
    for (std::size_t row = 0; row < part.n_rows; ++row) {
      const std::size_t at = row * part.stride;
      columns.write(part.f + at, part.weights ? part.weights + at : nullptr, out + at, part.n_columns, ahead);
    }
    for (std::size_t c = 0; c < part.n_columns; ++c) {
      if (divisors_[first + c % n] == divisors_[first + c % n]) continue;
      const ExpSum total = states_of(place, 0).get(c % n);
      for (std::size_t row = 0; row < part.n_rows; ++row) {
        const std::size_t at = row * part.stride + c;
        out[at] = odd_share(part.f[at], part.weights ? part.weights[at] : 1.0, total);
      }
    }
  }

  const LogMeanExp<T>& job_;
  const std::size_t m_;
  std::size_t fold_, rows_, chunks_, panels_, places_;
  bool narrow_;
  double* state_ = nullptr;
  double* centres_ = nullptr;
  double* divisors_ = nullptr;
};

}  // namespace
}  // namespace DUALWALK_LEVEL
}  // namespace dualwalk
