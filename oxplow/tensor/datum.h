#pragma once

#include <memory>
#include <utility>
#include <variant>
#include <vector>

#include "oxplow/tensor/tensor.h"

namespace oxplow {

class Datum;
using Sequence = std::vector<Datum>;

// A dictionary: `values` of key keys[i] is values[i]. Both have one axis; keys are i64 or strings.
struct Map {
  Tensor keys;
  Tensor values;
};

// What a value of a graph can be in a run: a tensor, a sequence, a map, or nothing (an empty optional, an input left out). An optional
// that holds something is that something. Copies share storage, which is never written once it is shared.
class Datum {
 public:
  Datum() = default;
  // Nothing where the tensor is not defined().
  Datum(Tensor tensor) {
    if (tensor.defined()) held_ = std::move(tensor);
  }
  Datum(Sequence elements) : held_(std::make_shared<const Sequence>(std::move(elements))) {}
  Datum(Map map) : held_(std::make_shared<const Map>(std::move(map))) {}

  bool empty() const { return std::holds_alternative<std::monostate>(held_); }
  // Null where it is something else.
  const Tensor* tensor() const { return std::get_if<Tensor>(&held_); }
  const Sequence* sequence() const { return behind<Sequence>(); }
  const Map* map() const { return behind<Map>(); }
  // "nothing", "a tensor", "a sequence", "a map".
  const char* kind() const {
    constexpr const char* kKinds[] = {"nothing", "a tensor", "a sequence", "a map"};
    return kKinds[held_.index()];
  }

 private:
  template <typename T>
  const T* behind() const {
    const auto* pointer = std::get_if<std::shared_ptr<const T>>(&held_);
    return pointer ? pointer->get() : nullptr;
  }
  std::variant<std::monostate, Tensor, std::shared_ptr<const Sequence>, std::shared_ptr<const Map>> held_;
};

}  // namespace oxplow
