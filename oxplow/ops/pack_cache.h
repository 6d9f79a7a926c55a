#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "oxplow/base/function_ref.h"
#include "oxplow/base/memory.h"
#include "oxplow/tensor/tensor.h"

namespace oxplow {

// Packed weights, shared by all plans that use them: an entry lives as long as somebody holds it.
class PackCache {
 public:
  // The form `key` of `source`; `pack` fills its `bytes` once. The key names kernel and geometry.
  Result<std::shared_ptr<const Buffer>> get(const Tensor& source, const std::string& key, size_t bytes,
                                            FunctionRef<void(void*)> pack);

 private:
  struct Entry {
    std::weak_ptr<const void> source;  // an address alone could be another tensor's by now
    std::weak_ptr<const Buffer> packed;
  };
  std::mutex mutex_;
  std::map<std::pair<const void*, std::string>, Entry> entries_;
};

}  // namespace oxplow
