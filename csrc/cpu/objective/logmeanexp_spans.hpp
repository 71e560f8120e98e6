// log-mean-exp of spans of consecutive elements: the rows of an array, or segments given by their offsets.
//
// The elements are cut into tasks of a fixed size. A span belongs to the task it begins in; a long span is cut into chunks,
// each of which belongs to the task it begins in. So a result depends on the span alone, never on the threads.
#pragma once

#include <algorithm>
#include <cmath>

#include "objective/exp_sums.hpp"
#include "kernels.hpp"
#include "objective/softmax.hpp"
#include "objective/sum_arrays.hpp"

namespace dualwalk {
namespace DUALWALK_LEVEL {
namespace {

constexpr std::size_t CHUNK = 4096;             // elements summed together: they stay in L1
constexpr std::size_t TASK_ELEMENTS = 1 << 16;  // long enough for the prefetcher, short enough to share out
constexpr std::size_t NARROW_FROM = 256;        // elements from which the errors of NARROW terms average out
constexpr std::size_t SHORT = 64;               // spans up to here are added one by one from terms made side by side
constexpr std::size_t RUN = 1024;               // elements of such terms
constexpr std::size_t SHORTS = 256;             // of such spans
constexpr std::size_t AHEAD = 2048;             // elements: what is prefetched while these are summed
constexpr std::size_t PROBE_FROM = 32 * CHUNK;  // spans whose first chunk is asked whether the result may be next to zero
constexpr double WORK_AN_EXPONENTIAL = 5;       // multiply-adds that take as long

template <class T>
struct Spans {
  const std::int64_t* offsets;  // (count + 1,), or null where every span has `length` elements
  std::size_t count, length;

  std::size_t begin(std::size_t i) const { return offsets ? static_cast<std::size_t>(offsets[i]) : i * length; }
  std::size_t size(std::size_t i) const { return offsets ? static_cast<std::size_t>(offsets[i + 1] - offsets[i]) : length; }
  std::size_t elements() const { return begin(count); }
  // The first span that begins at `element` or later.
  std::size_t first_from(std::size_t element) const {
    if (!offsets) return smaller(count, (element + length - 1) / length);
    return std::lower_bound(offsets, offsets + count, static_cast<std::int64_t>(element)) - offsets;
  }
};

// The sum of a strip's columns.
DUALWALK_FN double sum_of_lanes(const double (&column)[STRIP]) {
  F64 sum = load<F64>(column);
  for (std::size_t k = 1; k < STRIP_WIDE; ++k) sum += load<F64>(column + k * LANES<double>);
  double lane[LANES<double>];
  store(lane, sum);
  for (std::size_t width = LANES<double> / 2; width > 0; width /= 2)
    for (std::size_t i = 0; i < width; ++i) lane[i] += lane[i + width];
  return lane[0];
}

// The sums of one chunk in the given arithmetic; true when every value was in its range.
template <Arithmetic how, class T>
bool sum_chunk(const T* f, const T* weights, std::size_t n, double base, ExpSum& out) {
  StripSums sums;
  sums.clear();
  for (double& b : sums.base) b = base;
  const std::size_t n_rows = n / STRIP, left = n % STRIP;
  for (std::size_t row = 0; row < n_rows; row += BLOCK) {
    const std::size_t at = row * STRIP;
    add_block<how, 1>(f + at, weights ? weights + at : nullptr, STRIP, smaller(BLOCK, n_rows - row), AHEAD, sums);
  }
  if (left) {  // through a padded copy, whose other sums are left alone
    T tail[STRIP], tail_weights[STRIP] = {};
    StripSums tail_sums;
    tail_sums.clear();
    for (T& x : tail) x = static_cast<T>(base);
    for (double& b : tail_sums.base) b = base;
    std::memcpy(tail, f + n - left, left * sizeof(T));
    if (weights) std::memcpy(tail_weights, weights + n - left, left * sizeof(T));
    add_block<how, 1>(tail, weights ? tail_weights : nullptr, STRIP, 1, 0, tail_sums);
    sums.add(tail_sums, left);
  }
  out = {base, sum_of_lanes(sums.steps), sum_of_lanes(sums.rest), weights ? sum_of_lanes(sums.weight) : static_cast<double>(n)};
  return how == Arithmetic::SHIFTED || sums.within(how == Arithmetic::NARROW ? NARROW_LIMIT : WIDE_LIMIT);
}

// Any values whatever: the largest is looked for first.
template <class T>
ExpSum sum_far_chunk(const T* f, const T* weights, std::size_t n) {
  StripSums largest;
  for (double& b : largest.base) b = -INFINITY;
  const std::size_t n_rows = n / STRIP;
  add_largest(f, weights, STRIP, n_rows, largest);
  double peak = *std::max_element(largest.base, largest.base + STRIP);
  for (std::size_t i = n_rows * STRIP; i < n; ++i)
    if (!weights || weights[i] > 0) peak = larger(peak, static_cast<double>(f[i]));
  ExpSum sum;
  sum_chunk<Arithmetic::SHIFTED>(f, weights, n, std::isinf(peak) ? 0.0 : peak, sum);  // finds NaN; all of -inf make 0
  sum.base = peak;
  if (peak != INFINITY) return sum;
  sum.steps = sum.rest = 0;
  for (std::size_t i = 0; i < n; ++i) {
    const double w = weights ? weights[i] : 1.0;
    if (w > 0 && !(f[i] < T(INFINITY))) sum.steps += f[i] == T(INFINITY) ? w : NAN;
  }
  return sum;
}

template <class T>
ExpSum sum_of_chunk(const T* f, const T* weights, std::size_t n, bool narrow) {
  ExpSum sum;
  if constexpr (sizeof(T) == 4)
    if (narrow && !weights && sum_chunk<Arithmetic::NARROW>(f, weights, n, 0, sum)) return sum;
  if (sum_chunk<Arithmetic::WIDE>(f, weights, n, 0, sum)) return sum;
  return sum_far_chunk(f, weights, n);
}

inline bool is_near_zero(double value) { return std::abs(value) < NARROW_LEAST; }

// The combined state of `count` states, which are used up.
inline ExpSum combine_all(ExpSum* states, std::size_t count) {
  for (std::size_t width = count; width > 1; width = (width + 1) / 2)
    for (std::size_t i = 0; i < width / 2; ++i) states[i] = combined(states[i], states[i + (width + 1) / 2]);
  return states[0];
}

template <class T>
class LogMeanExpSpans {
 public:
  explicit LogMeanExpSpans(const LogMeanExp<T>& job)
      : job_(job), spans_{job.offsets, job.n_outer, job.n}, n_(spans_.elements()) {}

  bool run() {
    const Scratch states(sizeof(ExpSum) * (n_ / CHUNK + 1)), wide(spans_.count);
    if (!states || !wide) return false;
    state_ = states.as<ExpSum>();
    wide_ = wide.as<bool>();
    streams_ = n_ * sizeof(T) >= LONG_GRADIENT_BYTES;
    const std::size_t n_tasks = (n_ + TASK_ELEMENTS - 1) / TASK_ELEMENTS;
    const int n_threads = threads_for(WORK_AN_EXPONENTIAL * static_cast<double>(n_), job_.n_threads);
    bool has_long = false;
    for (std::size_t span = 0; span < spans_.count; ++span) {
      const bool probe = spans_.size(span) >= PROBE_FROM;
      has_long |= is_long(span);
      wide_[span] = sizeof(T) == 8 || job_.weights || (probe && is_near_zero(value_of(sum_of(span, 0, CHUNK, false))));
    }
    auto first = [&](std::size_t task, int) { sum_task(task * TASK_ELEMENTS, false); };
    run_parallel(n_tasks, n_threads, first);
    if (!has_long) return true;
    bool again = false;
    finish(false);
    for (std::size_t span = 0; span < spans_.count; ++span) again |= to_be_redone(span);
    if (again) {
      auto second = [&](std::size_t task, int) { sum_task(task * TASK_ELEMENTS, true); };
      run_parallel(n_tasks, n_threads, second);
      finish(true);
    }
    if (!job_.gradient) return true;
    auto differentiate = [&](std::size_t task, int) { differentiate_task((n_tasks - 1 - task) * TASK_ELEMENTS); };
    run_parallel(n_tasks, n_threads, differentiate);  // backwards: the end is still in the caches
    return true;
  }

 private:
  std::size_t n_chunks(std::size_t span) const { return spans_.size(span) / CHUNK; }  // the last takes what is left over
  bool is_long(std::size_t span) const { return n_chunks(span) > 1; }
  bool to_be_redone(std::size_t span) const { return is_long(span) && !wide_[span] && is_near_zero(job_.value[span]); }
  std::size_t chunk_size(std::size_t span, std::size_t chunk) const {
    return chunk + 1 < n_chunks(span) ? CHUNK : spans_.size(span) - chunk * CHUNK;
  }
  // Chunks of long spans begin at least CHUNK apart, so these are nobody else's.
  ExpSum* states_of(std::size_t span) const { return state_ + spans_.begin(span) / CHUNK; }
  const T* weights_at(std::size_t element) const { return job_.weights ? job_.weights + element : nullptr; }

  ExpSum sum_of(std::size_t span, std::size_t from, std::size_t n, bool narrow) const {
    const std::size_t at = spans_.begin(span) + from;
    return sum_of_chunk(job_.f + at, weights_at(at), n, narrow);
  }

  // Calls what(span, chunk) for all chunks of long spans that begin in the task.
  template <class What>
  void each_chunk(std::size_t from, What what) const {
    const std::size_t to = smaller(n_, from + TASK_ELEMENTS);
    std::size_t span = spans_.first_from(from);
    if (span > 0) --span;  // it may reach into the task
    for (; span < spans_.count && spans_.begin(span) < to; ++span) {
      if (!is_long(span)) continue;
      const std::size_t begin = spans_.begin(span), chunks = n_chunks(span);
      for (std::size_t c = begin < from ? (from - begin + CHUNK - 1) / CHUNK : 0; c < chunks && begin + c * CHUNK < to; ++c)
        what(span, c);
    }
  }

  void sum_task(std::size_t from, bool again) {
    each_chunk(from, [&](std::size_t span, std::size_t chunk) {
      if (again && !to_be_redone(span)) return;
      states_of(span)[chunk] = sum_of(span, chunk * CHUNK, chunk_size(span, chunk), !again && !wide_[span]);
    });
    if (again) return;
    const std::size_t end = spans_.first_from(smaller(n_, from + TASK_ELEMENTS));
    for (std::size_t span = spans_.first_from(from); span < end;) {
      if (spans_.size(span) <= SHORT)
        span = sum_short(span, end);
      else if (is_long(span))
        ++span;
      else
        sum_whole(span++);
    }
  }

  // A span that is one chunk: everything at once, while it is in the caches.
  void sum_whole(std::size_t span) {
    const std::size_t n = spans_.size(span);
    const bool narrow = n >= NARROW_FROM && !wide_[span];
    ExpSum sum = sum_of(span, 0, n, narrow);
    if (narrow && is_near_zero(value_of(sum))) sum = sum_of(span, 0, n, false);
    write(span, sum);
  }
  void write(std::size_t span, const ExpSum& sum) {
    const std::size_t at = spans_.begin(span);
    job_.value[span] = value_of(sum);
    if (job_.gradient) write_shares(job_.f + at, weights_at(at), job_.gradient + at, spans_.size(span), sum, false);
  }

  // Consecutive short spans, RUN elements or less: their terms in vectors, then a sum each. Returns the span after the last.
  std::size_t sum_short(std::size_t first, std::size_t end) {
    const std::size_t at = spans_.begin(first);
    std::size_t last = first;
    while (last < end && last - first < SHORTS && spans_.size(last) <= SHORT && spans_.begin(last + 1) - at <= RUN) ++last;
    const std::size_t n = spans_.begin(last) - at;
    double steps[RUN], rest[RUN];
    if (!make_terms(job_.f + at, weights_at(at), n, steps, rest)) {
      if (last - first == 1) return sum_whole(first), last;
      for (std::size_t span = first; span < last; ++span) sum_short(span, span + 1);  // each on its own: none shall notice
      return last;
    }
    double memory[4 * SHORTS];
    const SumArrays sums = SumArrays::over(memory, SHORTS);
    for (std::size_t span = first, i = 0; span < last; ++span) {
      const std::size_t to = spans_.begin(span + 1) - at;
      ExpSum sum = {0, 0, 0, static_cast<double>(to - i)};
      if (job_.weights) sum.weight = add_up(job_.weights + at, i, to);
      sum.steps = add_up(steps, i, to);
      if (sizeof(T) == 8) sum.rest = add_up(rest, i, to);
      sums.set(span - first, sum);
      i = to;
    }
    sums.values(last - first, job_.value + first);
    if (!job_.gradient) return last;
    for (std::size_t span = first, i = 0; span < last; ++span) {
      // where weights are tiny, 1 / total would not be finite
      const double total = sums.steps[span - first] + sums.rest[span - first], share = 1.0 / (job_.weights ? 1.0 : total);
      for (const std::size_t to = spans_.begin(span + 1) - at; i < to; ++i) {
        const double term = sizeof(T) == 8 ? steps[i] + rest[i] : steps[i];
        job_.gradient[at + i] = static_cast<T>(job_.weights ? term / total : term * share);
      }
    }
    return last;
  }

  template <class N>
  static DUALWALK_FN double add_up(const N* x, std::size_t from, std::size_t to) {
    double sum = 0, other = 0;
    for (; from + 2 <= to; from += 2) {
      sum += x[from];
      other += x[from + 1];
    }
    return sum + other + (from < to ? x[from] : N{0});
  }

  // The two parts of w exp(f), for floats their sum; false where some f is out of range.
  static bool make_terms(const T* f, const T* weights, std::size_t n, double* steps, double* rest) {
    StripSums seen;
    seen.clear();
    for (std::size_t i = 0; i < n; i += STRIP) {
      const std::size_t count = smaller(STRIP, n - i);
      T padded[STRIP] = {}, padded_weights[STRIP] = {};
      const T* from = f + i;
      const T* w = weights ? weights + i : nullptr;
      if (count < STRIP) {
        std::memcpy(padded, from, count * sizeof(T));
        from = padded;
        if (w) w = static_cast<const T*>(std::memcpy(padded_weights, w, count * sizeof(T)));
      }
      F64 x[STRIP_WIDE], power[STRIP_WIDE], e[STRIP_WIDE], weight[STRIP_WIDE];
      load_wide(from, x);
      for (std::size_t k = 0; k < STRIP_WIDE; ++k) seen.see(x[k]);
      parts_of_exponential<T>(x, power, e);
      if (w) {
        load_wide(w, weight);
        for (std::size_t k = 0; k < STRIP_WIDE; ++k) power[k] *= weight[k];
      }
      for (std::size_t k = 0; k < STRIP_WIDE; ++k) {
        const F64 more = power[k] * e[k];
        store(steps + i + k * LANES<double>, sizeof(T) == 8 ? power[k] : power[k] + more);
        if (sizeof(T) == 8) store(rest + i + k * LANES<double>, more);
      }
    }
    return seen.within(WIDE_LIMIT);
  }

  void finish(bool again) {
    for (std::size_t span = 0; span < spans_.count; ++span) {
      if (!is_long(span) || (again && !to_be_redone(span))) continue;
      job_.value[span] = value_of(combine_all(states_of(span), n_chunks(span)));
    }
  }

  void differentiate_task(std::size_t from) const {
    each_chunk(from, [&](std::size_t span, std::size_t chunk) {
      const std::size_t at = spans_.begin(span) + chunk * CHUNK;
      write_shares(job_.f + at, weights_at(at), job_.gradient + at, chunk_size(span, chunk), *states_of(span), streams_);
    });
  }

  const LogMeanExp<T>& job_;
  const Spans<T> spans_;
  const std::size_t n_;
  ExpSum* state_ = nullptr;
  bool* wide_ = nullptr;
  bool streams_ = false;
};

}  // namespace
}  // namespace DUALWALK_LEVEL
}  // namespace dualwalk
