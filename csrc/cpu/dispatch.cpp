#include <cstring>

#include "kernels.hpp"
#if defined(DUALWALK_X86_LEVELS)
#include "processor.hpp"
#endif

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
    const Instructions here = instructions();
    if (here.avx512) table[n++] = &avx512::table;
    if (here.avx2) table[n++] = &avx2::table;
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
