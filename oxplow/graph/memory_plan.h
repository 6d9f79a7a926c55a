#pragma once

#include <cstddef>
#include <string>
#include <vector>

namespace oxplow {

// A piece of memory needed from step `first` to step `last`, both included.
struct Lifetime {
  size_t bytes = 0;
  int first = 0;
  int last = 0;
  // Not empty: a layout whose border of zeros must stay zero from run to run. Such memory is reused only by lifetimes of the very same
  // layout, so nobody ever writes the border and nobody has to clear it.
  std::string bordered_layout = {};
};

struct MemoryPlan {
  std::vector<size_t> offsets;  // of each lifetime, multiples of a cache line
  size_t bytes = 0;
};

// Places lifetimes in one arena: largest first, each at the lowest offset where it meets nobody alive at the same time.
MemoryPlan plan_memory(const std::vector<Lifetime>& lifetimes);

}  // namespace oxplow
