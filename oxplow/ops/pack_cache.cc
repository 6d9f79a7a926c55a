#include "oxplow/ops/pack_cache.h"

namespace oxplow {

Result<std::shared_ptr<const Buffer>> PackCache::get(const Tensor& source, const std::string& key, size_t bytes,
                                                     FunctionRef<void(void*)> pack) {
  std::lock_guard lock(mutex_);
  std::erase_if(entries_, [](const auto& entry) { return entry.second.packed.expired(); });
  const auto id = std::pair(source.data(), key);
  if (auto it = entries_.find(id); it != entries_.end() && it->second.source.lock() == source.owner()) {
    if (auto packed = it->second.packed.lock()) return packed;
  }
  OXPLOW_ASSIGN(Buffer buffer, Buffer::allocate(bytes));
  pack(buffer.data());
  auto packed = std::make_shared<const Buffer>(std::move(buffer));
  entries_[id] = {source.owner(), packed};
  return packed;
}

}  // namespace oxplow
