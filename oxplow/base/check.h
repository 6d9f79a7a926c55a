#pragma once
// Checks for programmers' errors. Never for input: the outside world gives Result<T>.

namespace oxplow {
[[noreturn]] void check_failed(const char* condition, const char* file, int line);
}  // namespace oxplow

#define OXPLOW_CHECK(condition) \
  (__builtin_expect(!!(condition), 1) ? void(0) : ::oxplow::check_failed(#condition, __FILE__, __LINE__))

#ifdef NDEBUG
#define OXPLOW_DCHECK(condition) void(0)
#else
#define OXPLOW_DCHECK(condition) OXPLOW_CHECK(condition)
#endif
