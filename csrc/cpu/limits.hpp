// What this machine can do at this SIMD level: memory traffic and multiply-adds by loops that do nothing else. For benchmarks,
// which set a kernel's time beside the time of its traffic or its arithmetic, measured in the same run.
#pragma once

#include <chrono>
#include <cstring>

#include "simd/simd.hpp"

namespace dualwalk {
namespace DUALWALK_LEVEL {
namespace {

// Vectors handled together: enough independent chains to hide the latency of a load or of a multiply-add.
constexpr std::size_t LIMIT_UNROLL = 8;
constexpr std::size_t LIMIT_CHAINS = 12;  // 4 cycles of latency times 2 units, and some; with 2 constants still 16 registers
constexpr std::size_t LIMIT_STEPS = 4096;
// Bytes between two looks at the clock, so that the clock (some 25 ns) is under a hundredth of the time.
constexpr std::size_t LIMIT_BYTES_A_LOOK = 1 << 19;
constexpr std::chrono::milliseconds LONGEST_WAIT(100);  // for the other threads to begin

// Keeps the compiler from moving or merging what is before and after it.
DUALWALK_FN void memory_fence() { __asm__ volatile("" : : : "memory"); }
// Makes the compiler believe that v is used; by value, so that v itself may stay in a register.
template <class V>
DUALWALK_FN void keep(V v) {
  __asm__ volatile("" : : "r"(&v) : "memory");
}

template <class T>
struct LimitRange {
  const T* x;
  T* out;
  std::size_t n;
};

template <class T>
void read_pass(const LimitRange<T>& range, std::size_t repeats) {
  constexpr std::size_t width = LANES<T> * LIMIT_UNROLL;
  U64 sum[LIMIT_UNROLL] = {};
  for (; repeats; --repeats) {
    for (std::size_t i = 0; i + width <= range.n; i += width)
      for (std::size_t k = 0; k < LIMIT_UNROLL; ++k) sum[k] |= load<U64>(range.x + i + k * LANES<T>);
    memory_fence();  // every pass reads again
  }
  for (const U64& part : sum) keep(part);
}

template <class T, bool past_caches>
void write_pass(const LimitRange<T>& range, std::size_t repeats) {
  constexpr std::size_t width = LANES<T> * LIMIT_UNROLL;
  const Vector<T> value = Vector<T>{} + range.x[0];
  for (; repeats; --repeats)
    for (std::size_t i = 0; i + width <= range.n; i += width) {
      for (std::size_t k = 0; k < LIMIT_UNROLL; ++k)
        past_caches ? stream(range.out + i + k * LANES<T>, value) : store(range.out + i + k * LANES<T>, value);
      memory_fence();  // without it the compiler would call memset
    }
}

template <class T, bool past_caches>
void copy_pass(const LimitRange<T>& range, std::size_t repeats) {
  constexpr std::size_t width = LANES<T> * LIMIT_UNROLL;
  for (; repeats; --repeats)
    for (std::size_t i = 0; i + width <= range.n; i += width) {
      Vector<T> held[LIMIT_UNROLL];
      for (std::size_t k = 0; k < LIMIT_UNROLL; ++k) held[k] = load<Vector<T>>(range.x + i + k * LANES<T>);
      for (std::size_t k = 0; k < LIMIT_UNROLL; ++k)
        past_caches ? stream(range.out + i + k * LANES<T>, held[k]) : store(range.out + i + k * LANES<T>, held[k]);
      memory_fence();  // without it the compiler would call memcpy
    }
}

template <class T>
void multiply_add_pass(const LimitRange<T>& range, std::size_t repeats) {
  // a chain tends to addend / (1 - factor): neither overflow nor subnormal numbers
  const Vector<T> factor = Vector<T>{} + T(0.5), addend = Vector<T>{} + range.x[0];
  Vector<T> chain[LIMIT_CHAINS];
  for (std::size_t k = 0; k < LIMIT_CHAINS; ++k) chain[k] = addend + T(k);
  for (std::size_t step = 0; step < LIMIT_STEPS * repeats; ++step)
    for (std::size_t k = 0; k < LIMIT_CHAINS; ++k) chain[k] = chain[k] * factor + addend;
  for (const Vector<T>& part : chain) keep(part);
}

// Sets job.rate to bytes (copies count what is read and what is written) or operations a second of all threads together; false
// for a name it does not know.
template <class T>
bool measure_limit(Limit<T>& job) {
  struct Known {
    const char* name;
    void (*pass)(const LimitRange<T>&, std::size_t repeats);
    double work;  // of a pass: a number or an element
    bool arithmetic;
  };
  constexpr double per_pass = 2.0 * LANES<T> * LIMIT_CHAINS * LIMIT_STEPS;
  static const Known table[] = {{"read", read_pass<T>, sizeof(T), false},
                                {"write", write_pass<T, false>, sizeof(T), false},
                                {"write_streaming", write_pass<T, true>, sizeof(T), false},
                                {"copy", copy_pass<T, false>, 2 * sizeof(T), false},
                                {"copy_streaming", copy_pass<T, true>, 2 * sizeof(T), false},
                                {"multiply_add", multiply_add_pass<T>, per_pass, true}};
  const Known* known = nullptr;
  for (const Known& row : table)
    if (!std::strcmp(job.name, row.name)) known = &row;
  if (!known) return false;

  using Clock = std::chrono::steady_clock;
  constexpr std::size_t width = LANES<T> * LIMIT_UNROLL;
  const std::size_t n_threads = job.n_threads, share = job.n / n_threads / width * width;
  std::size_t repeats = 1;  // passes between two looks at the clock
  if (!known->arithmetic) repeats += LIMIT_BYTES_A_LOOK / larger<std::size_t>(share * sizeof(T), 1);
  Scratch rates(n_threads * sizeof(double));
  if (!rates) return false;
  std::size_t here = 0;
  auto body = [&](std::size_t task, int) {
    const LimitRange<T> range{job.x + task * share, job.out ? job.out + task * share : nullptr, share};
    known->pass(range, 1);  // the caches and the clock rate warm up
    __atomic_fetch_add(&here, 1, __ATOMIC_ACQ_REL);
    for (const auto since = Clock::now(); __atomic_load_n(&here, __ATOMIC_ACQUIRE) < n_threads;)
      if (Clock::now() - since > LONGEST_WAIT) break;
    const auto start = Clock::now();
    double elapsed = 0.0, passes = 0.0;
    while (elapsed < job.seconds) {
      known->pass(range, repeats);
      passes += static_cast<double>(repeats);
      elapsed = std::chrono::duration<double>(Clock::now() - start).count();
    }
    rates.as<double>()[task] = passes * known->work * (known->arithmetic ? 1.0 : static_cast<double>(share)) / elapsed;
  };
  if (!run_parallel(n_threads, job.n_threads, body)) return false;
  job.rate = 0.0;
  for (std::size_t task = 0; task < n_threads; ++task) job.rate += rates.as<double>()[task];
  return true;
}

}  // namespace
}  // namespace DUALWALK_LEVEL
}  // namespace dualwalk
