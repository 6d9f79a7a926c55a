#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "oxplow/tensor/tensor.h"

namespace oxplow {

class Graph;

// A graph is the body of a control flow op: shared by copies of the node, never changed.
using Attribute = std::variant<int64_t, float, std::string, std::vector<int64_t>, std::vector<float>, std::vector<std::string>,
                               Tensor, std::shared_ptr<const Graph>>;

// An op's named settings. Readers return the default when a name is absent or of another type.
class Attributes {
 public:
  void set(std::string_view name, Attribute value) { values_.insert_or_assign(std::string(name), std::move(value)); }
  void erase(std::string_view name) {
    if (auto it = values_.find(name); it != values_.end()) values_.erase(it);
  }
  bool has(std::string_view name) const { return values_.find(name) != values_.end(); }

  int64_t integer(std::string_view name, int64_t otherwise) const { return get<int64_t>(name, otherwise); }
  float number(std::string_view name, float otherwise) const { return get<float>(name, otherwise); }
  std::string text(std::string_view name, std::string otherwise) const { return get<std::string>(name, std::move(otherwise)); }
  std::vector<int64_t> integers(std::string_view name, std::vector<int64_t> otherwise = {}) const {
    return get<std::vector<int64_t>>(name, std::move(otherwise));
  }
  std::vector<float> numbers(std::string_view name) const { return get<std::vector<float>>(name, {}); }
  std::vector<std::string> texts(std::string_view name) const { return get<std::vector<std::string>>(name, {}); }
  const Tensor* tensor(std::string_view name) const {
    auto it = values_.find(name);
    return it == values_.end() ? nullptr : std::get_if<Tensor>(&it->second);
  }
  const Graph* graph(std::string_view name) const {
    auto it = values_.find(name);
    const auto* held = it == values_.end() ? nullptr : std::get_if<std::shared_ptr<const Graph>>(&it->second);
    return held ? held->get() : nullptr;
  }

  const std::map<std::string, Attribute, std::less<>>& all() const { return values_; }

 private:
  template <typename T>
  T get(std::string_view name, T otherwise) const {
    auto it = values_.find(name);
    if (it == values_.end()) return otherwise;
    const T* value = std::get_if<T>(&it->second);
    return value ? *value : otherwise;
  }
  std::map<std::string, Attribute, std::less<>> values_;
};

}  // namespace oxplow
