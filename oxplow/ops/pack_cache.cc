#include "oxplow/ops/pack_cache.h"

#include <algorithm>
#include <cstring>

namespace oxplow {
namespace {

// FNV-1a over words of eight bytes: tells weights of one model apart, no more.
uint64_t hash_of(const Tensor& tensor) {
  const auto* bytes = static_cast<const std::byte*>(tensor.data());
  uint64_t hash = 0xcbf29ce484222325 ^ tensor.bytes();
  for (size_t at = 0; at < tensor.bytes(); at += sizeof(uint64_t)) {
    uint64_t word = 0;
    std::memcpy(&word, bytes + at, std::min(sizeof(word), tensor.bytes() - at));
    hash = (hash ^ word) * 0x100000001b3;
    hash ^= hash >> 29;
  }
  return hash;
}

constexpr uint64_t kByContent = uint64_t{1} << 63;

}  // namespace

uint64_t PackCache::source_id(const Tensor& source) const {
  const auto offset = reinterpret_cast<uintptr_t>(source.data()) - reinterpret_cast<uintptr_t>(weights_.data());
  return offset < weights_.size() ? offset : hash_of(source) | kByContent;
}

Result<std::shared_ptr<const Buffer>> PackCache::get(const Tensor& source, const std::string& key, size_t bytes,
                                                     FunctionRef<void(void*)> pack) {
  std::lock_guard lock(mutex_);
  std::erase_if(entries_, [](const auto& entry) { return entry.second.packed.expired(); });
  const auto id = std::pair(source.data(), key);
  if (auto it = entries_.find(id); it != entries_.end() && it->second.source.lock() == source.owner()) {
    if (auto packed = it->second.packed.lock()) return packed;
  }
  if (!kept_.empty()) {
    const auto it = kept_.find({source_id(source), key});
    if (it != kept_.end() && it->second->size() == bytes) return it->second;
  }
  OXPLOW_ASSIGN(Buffer buffer, Buffer::allocate(bytes));
  pack(buffer.data());
  auto packed = std::make_shared<const Buffer>(std::move(buffer));
  entries_[id] = {source.type(), source.owner(), packed};
  return packed;
}

std::vector<KeptPack> PackCache::entries() const {
  std::lock_guard lock(mutex_);
  std::vector<KeptPack> result;
  for (const auto& [id, entry] : entries_) {
    auto packed = entry.packed.lock();
    const auto owner = entry.source.lock();
    if (packed && owner) result.push_back({id.second, source_id(Tensor::borrow(entry.type, id.first, owner)), std::move(packed)});
  }
  return result;
}

void PackCache::keep(std::span<const std::byte> weights, std::vector<KeptPack> packs) {
  std::lock_guard lock(mutex_);
  weights_ = weights;
  for (KeptPack& pack : packs) kept_[{pack.source, std::move(pack.key)}] = std::move(pack.packed);
}

}  // namespace oxplow
