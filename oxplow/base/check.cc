#include "oxplow/base/check.h"

#include <cstdio>
#include <cstdlib>

namespace oxplow {

// The one place that ends the process: an invariant of our own is broken, and going on would compute wrong answers.
void check_failed(const char* condition, const char* file, int line) {
  std::fprintf(stderr, "oxplow: internal error: %s does not hold at %s:%d\n", condition, file, line);
  std::abort();
}

}  // namespace oxplow
