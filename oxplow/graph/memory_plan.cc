#include "oxplow/graph/memory_plan.h"

#include <algorithm>
#include <limits>
#include <map>
#include <numeric>

#include "oxplow/base/memory.h"

namespace oxplow {
namespace {

// Memory that one lifetime, or several of one bordered layout after each other, take.
struct Slot {
  size_t bytes = 0;
  int first = 0;
  int last = 0;
  size_t offset = 0;
};

// Which slot each lifetime is in. Bordered layouts: the first slot of the layout that is free; it then belongs to the layout for good.
std::vector<size_t> assign_slots(const std::vector<Lifetime>& lifetimes, std::vector<Slot>& slots) {
  std::vector<size_t> order(lifetimes.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::sort(order.begin(), order.end(),
            [&](size_t a, size_t b) { return std::pair(lifetimes[a].first, a) < std::pair(lifetimes[b].first, b); });
  struct Owned {
    size_t slot;
    int busy_until;
  };
  std::map<std::string, std::vector<Owned>> bordered;
  std::vector<size_t> slot_of(lifetimes.size());
  for (size_t i : order) {
    const Lifetime& life = lifetimes[i];
    const size_t bytes = round_up(std::max<size_t>(life.bytes, 1), kCacheLine);
    if (life.bordered_layout.empty()) {
      slot_of[i] = slots.size();
      slots.push_back({bytes, life.first, life.last});
      continue;
    }
    auto& owned = bordered[life.bordered_layout];
    auto free = std::find_if(owned.begin(), owned.end(), [&](const Owned& o) { return o.busy_until < life.first; });
    if (free == owned.end()) {
      free = owned.insert(free, {slots.size(), 0});
      slots.push_back({bytes, std::numeric_limits<int>::min(), std::numeric_limits<int>::max()});
    }
    free->busy_until = life.last;
    slot_of[i] = free->slot;
  }
  return slot_of;
}

}  // namespace

MemoryPlan plan_memory(const std::vector<Lifetime>& lifetimes) {
  std::vector<Slot> slots;
  const std::vector<size_t> slot_of = assign_slots(lifetimes, slots);
  std::vector<Slot*> order;
  for (Slot& slot : slots) order.push_back(&slot);
  std::sort(order.begin(), order.end(),
            [](const Slot* a, const Slot* b) { return a->bytes != b->bytes ? a->bytes > b->bytes : a < b; });

  MemoryPlan plan;
  std::vector<Slot*> placed;  // by ascending offset
  const auto by_offset = [](const Slot* a, const Slot* b) { return a->offset < b->offset; };
  for (Slot* slot : order) {
    for (const Slot* other : placed) {
      if (other->first > slot->last || slot->first > other->last) continue;
      if (other->offset >= slot->offset + slot->bytes) break;
      slot->offset = std::max(slot->offset, other->offset + other->bytes);
    }
    plan.bytes = std::max(plan.bytes, slot->offset + slot->bytes);
    placed.insert(std::upper_bound(placed.begin(), placed.end(), slot, by_offset), slot);
  }
  for (size_t slot : slot_of) plan.offsets.push_back(slots[slot].offset);
  return plan;
}

}  // namespace oxplow
