// Columns brought to their marginals: ranks by a sorting network that has a column in each vector lane, then a table of quantiles.
#pragma once

#include <algorithm>

#include "kernels.hpp"
#include "simd/simd.hpp"

namespace dualwalk {
namespace DUALWALK_LEVEL {
namespace {

// A column's entry as one number: its value with the row in the last bits of the mantissa, which turn it by one part in
// 2^42 for 1024 rows. Sorted by these, only runs of values that differ in those bits alone are left to put in order.
struct RowInKey {
  I64 row_bits;  // a mask, the same in all lanes

  explicit RowInKey(std::size_t m) : row_bits{} {
    std::int64_t mask = 1;
    while (static_cast<std::size_t>(mask) < m) mask *= 2;
    row_bits += mask - 1;
  }
  // Rows of negative values count down, so that equal values are in the order of their rows.
  F64 with_row(F64 value, std::size_t row) const {
    const F64 largest = F64{} + 1.7976931348623157e308;
    value = value == value ? value : largest;
    value = value < largest ? value : largest;
    value = (value > -largest ? value : -largest) + 0.0;  // -0 is 0
    const I64 bits = bits_as<I64>(value);
    return bits_as<F64>((bits & ~row_bits) | (((bits < 0) ^ (I64{} + static_cast<std::int64_t>(row))) & row_bits));
  }
  I64 row(F64 key) const {
    const I64 bits = bits_as<I64>(key);
    return (bits ^ (bits < 0)) & row_bits;
  }
  // All bits set in lanes where two keys differ in their rows alone, or both have nothing else but a sign.
  U64 alike(F64 a, F64 b) const {
    return (U64)(bits_as<F64>(bits_as<I64>(a) & ~row_bits) == bits_as<F64>(bits_as<I64>(b) & ~row_bits));
  }
};

// Batcher's merge exchange (Knuth, The Art of Computer Programming 3, 5.2.2, algorithm M) for any m, all lanes at once.
DUALWALK_FN void sort_lanes(F64* key, std::size_t m) {
  std::size_t top = 1;
  while (2 * top < m) top *= 2;
  if (m < 2) return;
  for (std::size_t p = top; p > 0; p /= 2) {
    std::size_t q = top, first = 0, distance = p;
    for (;;) {
      for (std::size_t begin = first; begin + distance < m; begin += 2 * p) {
        const std::size_t end = smaller(begin + p, m - distance);
        for (std::size_t i = begin; i < end; ++i) {
          const F64 a = key[i], b = key[i + distance];
          key[i] = b < a ? b : a;  // of equals, a goes here and b there: none is lost
          key[i + distance] = b < a ? a : b;
        }
      }
      if (q == p) break;
      distance = q - p;
      q /= 2;
      first = p;
    }
  }
}

template <class T>
class Balancer {
 public:
  explicit Balancer(const Balance<T>& job) : job_(job), keys_(job.n_rows) {
    row_bytes_ = (job.n_rows * sizeof(std::uint32_t) + 63) / 64 * 64;
    worker_bytes_ = job.n_rows * (sizeof(F64) + COLUMNS * sizeof(T)) / 64 * 64 + 64 + row_bytes_;
  }

  bool run() {
    const double elements = static_cast<double>(job_.n_rows) * static_cast<double>(job_.n_columns);
    const int n_threads = threads_for(elements * ELEMENT_WORK, job_.n_threads);
    const Scratch rooms(worker_bytes_ * n_threads);
    if (!rooms) return false;
    auto body = [&](std::size_t task, int worker) { balance(task * COLUMNS, rooms.template as<char>(worker_bytes_ * worker)); };
    return run_parallel((job_.n_columns + COLUMNS - 1) / COLUMNS, n_threads, body, job_.poll, job_.poll_context);
  }

 private:
  static constexpr std::size_t COLUMNS = LANES<double>;
  static constexpr std::size_t FEW = 24;
  static constexpr double ELEMENT_WORK = 300;  // multiply-adds that take as long as sorting one element and its quantile

  void balance(std::size_t column, char* room) const {
    const std::size_t m = job_.n_rows, d = job_.n_columns, count = smaller(COLUMNS, d - column);
    F64* const key = reinterpret_cast<F64*>(room + row_bytes_);
    T* const made = reinterpret_cast<T*>(key + m);
    for (std::size_t row = 0; row < m; ++row) {
      F64 value = {};
      for (std::size_t lane = 0; lane < count; ++lane) value[lane] = job_.points[row * d + column + lane];
      key[row] = keys_.with_row(value, row);
    }
    sort_lanes(key, m);
    U64 doubtful = {};
    for (std::size_t r = 1; r < m; ++r) doubtful |= keys_.alike(key[r - 1], key[r]);
    for (std::size_t lane = 0; lane < count; ++lane)
      if (doubtful[lane]) settle(column, lane, key, reinterpret_cast<std::uint32_t*>(room));
    take_quantiles(column, count, key, made);
    for (std::size_t row = 0; row < m; ++row) std::memcpy(job_.values + row * d + column, made + row * COLUMNS, count * sizeof(T));
  }

  // Puts runs of alike keys of one lane in the order of the values themselves, NaN last, equal ones by row.
  void settle(std::size_t column, std::size_t lane, F64* key, std::uint32_t* rows) const {
    const T* const values = job_.points + column + lane;
    const std::size_t m = job_.n_rows, d = job_.n_columns;
    const auto before = [=](std::uint32_t i, std::uint32_t j) {
      const T a = values[i * d], b = values[j * d];
      if (a < b || b < a) return a < b;
      if ((a != a) != (b != b)) return b != b;
      return i < j;
    };
    for (std::size_t begin = 0, end; begin < m; begin = end) {
      for (end = begin + 1; end < m && keys_.alike(key[begin], key[end])[lane];) ++end;
      if (end - begin < 2) continue;
      for (std::size_t r = begin; r < end; ++r) rows[r] = static_cast<std::uint32_t>(keys_.row(key[r])[lane]);
      if (std::is_sorted(rows + begin, rows + end, before)) continue;
      if (end - begin > FEW)
        std::sort(rows + begin, rows + end, before);
      else
        for (std::size_t r = begin + 1; r < end; ++r) {
          const std::uint32_t row = rows[r];
          std::size_t to = r;
          for (; to > begin && before(row, rows[to - 1]); --to) rows[to] = rows[to - 1];
          rows[to] = row;
        }
      for (std::size_t r = begin; r < end; ++r) key[r][lane] = keys_.with_row(F64{} + static_cast<double>(values[rows[r] * d]), rows[r])[lane];
    }
  }

  void take_quantiles(std::size_t column, std::size_t count, const F64* key, T* made) const {
    const std::size_t n = job_.n_quantiles, d = job_.n_columns, last = n - 1, steps = n > 1 ? n - 2 : 0;
    const double m = static_cast<double>(job_.n_rows);
    const T* const table = job_.table + column;
    I64 tied = {};
    for (std::size_t lane = 0; lane < count; ++lane) tied[lane] = job_.tied[column + lane] ? -1 : 0;
    for (std::size_t r = 0; r < job_.n_rows; ++r) {
      const I64 row = keys_.row(key[r]);
      F64 place, low, high;
      for (std::size_t lane = 0; lane < COLUMNS; ++lane) place[lane] = job_.place[row[lane]];
      F64 position = (place + static_cast<double>(r)) / m * static_cast<double>(n) - 0.5;
      position = position > 0.0 ? position : F64{};
      position = position < static_cast<double>(last) ? position : F64{} + static_cast<double>(last);
      I64 lower = __builtin_convertvector(position, I64);
      const I64 most = I64{} + static_cast<std::int64_t>(steps);
      lower = lower < most ? lower : most;
      F64 share = position - __builtin_convertvector(lower, F64);
      share = tied ? (share >= 0.5 ? F64{} + 1.0 : F64{}) : share;
      for (std::size_t lane = 0; lane < COLUMNS; ++lane) {
        const std::size_t at = static_cast<std::size_t>(lower[lane]), from = lane < count ? lane : 0;
        low[lane] = table[at * d + from];
        high[lane] = table[smaller(at + 1, last) * d + from];
      }
      const F64 value = share == 1.0 ? high : low + share * (high - low);
      for (std::size_t lane = 0; lane < COLUMNS; ++lane) made[static_cast<std::size_t>(row[lane]) * COLUMNS + lane] = static_cast<T>(value[lane]);
    }
  }

  const Balance<T>& job_;
  const RowInKey keys_;
  std::size_t row_bytes_, worker_bytes_;
};

template <class T>
bool balance_columns(const Balance<T>& job) {
  return Balancer<T>(job).run();
}

}  // namespace
}  // namespace DUALWALK_LEVEL
}  // namespace dualwalk
