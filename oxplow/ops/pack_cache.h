#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <vector>

#include "oxplow/base/function_ref.h"
#include "oxplow/base/memory.h"
#include "oxplow/tensor/tensor.h"

namespace oxplow {

// Packed weights as they are kept from one process to the next.
struct KeptPack {
  std::string key;
  uint64_t source = 0;  // by source_id()
  std::shared_ptr<const Buffer> packed;
};

// Packed weights, shared by all plans that use them: an entry lives as long as somebody holds it.
class PackCache {
 public:
  // The form `key` of `source`; `pack` fills its `bytes` once. The key names kernel and geometry.
  Result<std::shared_ptr<const Buffer>> get(const Tensor& source, const std::string& key, size_t bytes,
                                            FunctionRef<void(void*)> pack);

  // All there is now, in no order.
  std::vector<KeptPack> entries() const;
  // From now on get() gives these instead of packing, for sources of the same id. Tensors in `weights` are told apart by where they lie there,
  // others by what they hold: the same in every process that maps the same file.
  void keep(std::span<const std::byte> weights, std::vector<KeptPack> packs);

 private:
  uint64_t source_id(const Tensor& source) const;

  struct Entry {
    TensorType type;                   // of the source
    std::weak_ptr<const void> source;  // an address alone could be another tensor's by now
    std::weak_ptr<const Buffer> packed;
  };
  mutable std::mutex mutex_;
  std::map<std::pair<const void*, std::string>, Entry> entries_;
  std::span<const std::byte> weights_;
  std::map<std::pair<uint64_t, std::string>, std::shared_ptr<const Buffer>> kept_;
};

}  // namespace oxplow
