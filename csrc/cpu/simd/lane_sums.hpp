// The sums of the lanes of several vectors at once: each comes out in a lane of its own.
#pragma once

#include "simd/transpose.hpp"

namespace dualwalk {
namespace DUALWALK_LEVEL {
namespace {

#if defined(DUALWALK_SHUFFLES)
// Lanes with the bit Step hold sums of b's lanes, the others those of a's.
template <std::size_t Step, class V>
DUALWALK_FN V sum_in_halves(V a, V b) {
  swap_blocks<Step>(a, b, std::make_index_sequence<sizeof(V) / sizeof(Number<V>)>{});
  return a + b;
}
// The same with b = a: each lane is the sum of two.
template <std::size_t Step, class V, std::size_t... Lane>
DUALWALK_FN V sum_with_swapped(V a, std::index_sequence<Lane...>) {
  return a + __builtin_shufflevector(a, a, (Lane ^ Step)...);
}
template <std::size_t Step, std::size_t R, class V, std::size_t Lanes>
DUALWALK_FN void fold_rows(V (&sum)[Lanes]) {
  constexpr std::size_t left = R < Step ? R : Step;
#pragma GCC unroll 32
  for (std::size_t r = 0; r < left; ++r)
    sum[r] = r + Step < R ? sum_in_halves<Step>(sum[r], sum[r + Step])
                          : sum_with_swapped<Step>(sum[r], std::make_index_sequence<Lanes>{});
  if constexpr (Step > 1) fold_rows<Step / 2, left>(sum);
}
#endif

// Lane r of the result is the sum of the lanes of sum[r], for R vectors; lanes from R on are zero.
template <std::size_t R, class V, std::size_t Lanes>
DUALWALK_FN V lane_sums(V (&sum)[Lanes]) {
  V out{};
#if defined(DUALWALK_SHUFFLES)
  fold_rows<Lanes / 2, R>(sum);
  Integer<V> wanted{};
#pragma GCC unroll 32
  for (std::size_t r = 0; r < R; ++r) wanted[r] = -1;
  out = wanted ? sum[0] : out;
#else
  for (std::size_t r = 0; r < R; ++r)
    for (std::size_t lane = 0; lane < Lanes; ++lane) out[r] += sum[r][lane];
#endif
  return out;
}

}  // namespace
}  // namespace DUALWALK_LEVEL
}  // namespace dualwalk
