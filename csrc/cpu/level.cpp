// The loops of one SIMD level. CMake compiles this file once a level, with DUALWALK_LEVEL set to its name.
#include "sampling/balance.hpp"
#include "limits.hpp"
#include "objective/log_sigmoid_mean.hpp"
#include "objective/logmeanexp.hpp"
#include "nodes/node_terms.hpp"
#include "permute/permute.hpp"
#include "sampling/relax_local.hpp"
#include "nodes/train_nodes.hpp"
#include "walks/walk_local.hpp"
#include "walks/walk_mixture.hpp"
#include "walks/walk_mlp.hpp"

namespace dualwalk {
namespace DUALWALK_LEVEL {
namespace {

template <class T>
bool elementary(const char* name, const T* x, T* out, std::size_t n) {
  using V = Vector<T>;
  V (*function)(V) = nullptr;
  if (!std::strcmp(name, "exp")) function = [](V v) { return exponential(v); };
  if (!std::strcmp(name, "log")) function = [](V v) { return logarithm(v); };
  if (!std::strcmp(name, "log_one_plus")) function = [](V v) { return log_one_plus(v); };
  if (!std::strcmp(name, "silu")) function = [](V v) { V slope; return silu(v, slope); };
  if (!std::strcmp(name, "silu_slope")) function = [](V v) { V slope; silu(v, slope); return slope; };
  if (!std::strcmp(name, "log_sigmoid")) function = [](V v) { V slope; return log_sigmoid(v, slope); };
  if (!function) return false;
  for (std::size_t i = 0; i < n; i += LANES<T>) {
    const std::size_t count = smaller(LANES<T>, n - i);
    V v = {};
    std::memcpy(&v, x + i, count * sizeof(T));
    v = function(v);
    std::memcpy(out + i, &v, count * sizeof(T));
  }
  return true;
}

#define DUALWALK_NAME_OF(level) #level
#define DUALWALK_NAME(level) DUALWALK_NAME_OF(level)

}  // namespace

extern const Kernels table;
const Kernels table = {
    DUALWALK_NAME(DUALWALK_LEVEL),
    draw_integers,
    permute,
    {log_mean_exp<float>, log_sigmoid_mean<float>, walk_mlp<float>, walk_local<float>, walk_mixture<float>,
     anneal_mixture<float>, train_nodes<float>, score_nodes<float>, node_terms<float>, draw_normals<float>,
     relax_local<float>, balance_columns<float>, elementary<float>, measure_limit<float>},
    {log_mean_exp<double>, log_sigmoid_mean<double>, walk_mlp<double>, walk_local<double>, walk_mixture<double>,
     anneal_mixture<double>, train_nodes<double>, score_nodes<double>, node_terms<double>, draw_normals<double>,
     relax_local<double>, balance_columns<double>, elementary<double>, measure_limit<double>},
};

}  // namespace DUALWALK_LEVEL
}  // namespace dualwalk
