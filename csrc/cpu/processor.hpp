// Which x86 instructions this processor has and this system lets programs use.
#pragma once

#include <cstdint>

namespace dualwalk {

struct Instructions {
  bool avx2, avx512;  // with FMA and BMI2; and with BW, DQ and VL
};

// Asks the processor itself: for Windows, whose linker finds nothing behind __builtin_cpu_supports.
inline Instructions ask_processor() {
  struct Answer {
    std::uint32_t a, b, c, d;
  };
  const auto ask = [](std::uint32_t leaf) {
    Answer answer;
    __asm__ volatile("cpuid" : "=a"(answer.a), "=b"(answer.b), "=c"(answer.c), "=d"(answer.d) : "a"(leaf), "c"(0));
    return answer;
  };
  const auto all = [](std::uint32_t bits, std::uint32_t wanted) { return (bits & wanted) == wanted; };
  const auto bit = [](int place) { return std::uint32_t{1} << place; };
  if (ask(0).a < 7) return {false, false};
  const std::uint32_t first = ask(1).c, second = ask(7).b;
  if (!all(first, bit(12) | bit(27))) return {false, false};  // FMA, and a system that says which registers it saves
  std::uint32_t saved, upper;
  __asm__ volatile("xgetbv" : "=a"(saved), "=d"(upper) : "c"(0));
  const bool avx2 = all(saved, 0x6) && all(second, bit(5) | bit(8));                                     // AVX2, BMI2
  const bool avx512 = avx2 && all(saved, 0xE6) && all(second, bit(16) | bit(17) | bit(30) | bit(31));  // F, DQ, BW, VL
  return {avx2, avx512};
}

inline Instructions instructions() {
#if defined(_WIN32)
  return ask_processor();
#else
  __builtin_cpu_init();
  const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi2");
  const bool avx512 = avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                      __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
  return {avx2, avx512};
#endif
}

}  // namespace dualwalk
