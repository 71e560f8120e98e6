#include <cstring>

#include "kernels.hpp"

namespace dualwalk {

namespace baseline {
extern const Kernels table;
}
#if defined(DUALWALK_X86_LEVELS)
namespace avx2 {
extern const Kernels table;
}
namespace avx512 {
extern const Kernels table;
}
#endif

namespace {

struct Available {
  const Kernels* table[4] = {};
  const char* name[4] = {};

  Available() {
    int n = 0;
#if defined(DUALWALK_X86_LEVELS)
    __builtin_cpu_init();
    const bool has_avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi2");
    if (has_avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
        __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl"))
      table[n++] = &avx512::table;
    if (has_avx2) table[n++] = &avx2::table;
#endif
    table[n++] = &baseline::table;
    for (int i = 0; i < n; ++i) name[i] = table[i]->level;
  }
};

const Available& available() {
  static const Available here;
  return here;
}

}  // namespace

const Kernels* kernels(const char* level) {
  const Available& here = available();
  if (level == nullptr || *level == '\0') return here.table[0];
  for (int i = 0; here.table[i]; ++i)
    if (std::strcmp(here.name[i], level) == 0) return here.table[i];
  return nullptr;
}

const char* const* levels() { return available().name; }

}  // namespace dualwalk
