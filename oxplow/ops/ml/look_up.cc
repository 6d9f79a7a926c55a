// LookUp: each element by the list of attribute `keys` as the value that stands at the key's place in `values`, or `default` (zero) where it is no
// key. NaN is a key like any other; of equal keys the last one counts.

#include <algorithm>
#include <cmath>
#include <cstring>

#include "oxplow/ops/op.h"

namespace oxplow {
namespace {

struct Lists {
  Tensor keys, values, otherwise;
};

Result<Lists> lists_of(const Attributes& attributes) {
  const Tensor *keys = attributes.tensor("keys"), *values = attributes.tensor("values"),
               *otherwise = attributes.tensor("default");
  if (keys == nullptr || values == nullptr || keys->elements() != values->elements())
    return Error{ErrorCode::invalid_model, "the lists of keys and of values do not have the same length"};
  if (bits_of(values->dtype()) < 8 || bits_of(keys->dtype()) < 8)
    return Error{ErrorCode::unsupported, "labels of less than a byte"};
  OXPLOW_ASSIGN(Tensor zero, Tensor::allocate({values->dtype(), Shape{1}}));
  if (otherwise != nullptr && (otherwise->dtype() != values->dtype() || otherwise->elements() != 1))
    return Error{ErrorCode::invalid_model, "the default must be one value of the type of the values"};
  return Lists{*keys, *values, otherwise != nullptr ? *otherwise : zero};
}

Result<TensorTypes> infer_look_up(const InferContext& c) {
  OXPLOW_ASSIGN(const Lists lists, lists_of(c.attributes));
  if (c.type(0).dtype != lists.keys.dtype())
    return Error{ErrorCode::invalid_model,
                 "the keys are of " + std::string(name_of(lists.keys.dtype())) + ", but the input is " + to_string(c.type(0))};
  return TensorTypes{{lists.values.dtype(), c.shape(0)}};
}

// Numbers in order, NaN behind all.
template <typename T>
bool before(T a, T b) {
  if constexpr (std::is_floating_point_v<T>) {
    if (std::isnan(a) || std::isnan(b)) return !std::isnan(a) && std::isnan(b);
  }
  return a < b;
}

// Keys in order, each with its place in `values`.
template <typename T>
std::vector<std::pair<T, int64_t>> sorted_keys(const Tensor& keys) {
  std::vector<std::pair<T, int64_t>> sorted;
  for (T key : keys.values<T>()) sorted.emplace_back(key, static_cast<int64_t>(sorted.size()));
  std::sort(sorted.begin(), sorted.end(), [](const auto& a, const auto& b) {
    return before(a.first, b.first) || (!before(b.first, a.first) && a.second < b.second);
  });
  return sorted;
}

template <typename T>
int64_t place_of(const std::vector<std::pair<T, int64_t>>& keys, T x) {
  const auto end =
      std::upper_bound(keys.begin(), keys.end(), x, [](T value, const auto& key) { return before(value, key.first); });
  return end == keys.begin() || before((end - 1)->first, x) ? -1 : (end - 1)->second;
}

template <typename T>
std::unique_ptr<Step> make_look_up(const PrepareContext& c, const Lists& lists) {
  const int64_t n = c.in(0).type.elements();
  const auto width = static_cast<size_t>(bits_of(lists.values.dtype())) / 8;
  const int tasks = task_count(n, 20, c.threads());
  return make_step("look_up", tasks, [=, keys = sorted_keys<T>(lists.keys)](const Buffers& b, int task, int) {
    const Range range = task_range(n, tasks, task);
    for (int64_t i = range.begin; i < range.end; ++i) {
      const int64_t place = place_of(keys, b.in<T>(0)[i]);
      const auto* from = static_cast<const std::byte*>(place < 0 ? lists.otherwise.data() : lists.values.data());
      std::memcpy(b.out<std::byte>() + static_cast<size_t>(i) * width,
                  from + static_cast<size_t>(std::max<int64_t>(place, 0)) * width, width);
    }
  });
}

Result<std::unique_ptr<Step>> prepare_look_up(const PrepareContext& c) {
  OXPLOW_ASSIGN(const Lists lists, lists_of(c.attributes));
  std::unique_ptr<Step> step;
  switch (lists.keys.dtype()) {
    case DType::i64: step = make_look_up<int64_t>(c, lists); break;
    case DType::i32: step = make_look_up<int32_t>(c, lists); break;
    case DType::i16: step = make_look_up<int16_t>(c, lists); break;
    case DType::f32: step = make_look_up<float>(c, lists); break;
    case DType::f64: step = make_look_up<double>(c, lists); break;
    default: return Error{ErrorCode::unsupported, "keys of " + to_string(lists.keys.type())};
  }
  step->why = std::to_string(lists.keys.elements()) + " keys";
  return step;
}

}  // namespace

namespace ops {
constinit const OpSpec LookUp{.name = "LookUp", .infer = infer_look_up, .prepare = prepare_look_up};
}  // namespace ops
}  // namespace oxplow
