#include <charconv>
#include <cmath>

#include "oxplow/base/elements.h"
#include "oxplow/ops/strings.h"
#include "oxplow/tensor/strings.h"

namespace oxplow {
namespace {

template <typename T>
std::string text_of(T value) {
  if constexpr (std::is_floating_point_v<T>) {
    if (std::isnan(value)) return "NaN";
    if (std::isinf(value)) return value > 0 ? "INF" : "-INF";
  }
  char text[64];
  const auto [end, error] = std::to_chars(std::begin(text), std::end(text), value);
  return error == std::errc() ? std::string(text, end) : "";
}

// Elements of 32 bits or less have the digits that an f32 needs.
std::string text_of(DType dtype, double value) {
  return dtype == DType::f64 ? text_of(value) : text_of(static_cast<float>(value));
}

Result<std::vector<Datum>> to_strings(const Tensor& x) {
  std::vector<std::string> texts;
  texts.reserve(static_cast<size_t>(x.elements()));
  visit_wide(x.dtype(), [&](auto wide) {
    using Wide = decltype(wide);
    for (int64_t i = 0; i < x.elements(); ++i) {
      Wide value{};
      load_elements(x.dtype(), x.data(), i, 1, 1, &value);
      if constexpr (std::is_same_v<Wide, double>) {
        texts.push_back(text_of(x.dtype(), value));
      } else {
        texts.push_back(x.dtype() == DType::boolean ? (value ? "True" : "False") : text_of(value));
      }
    }
  });
  return std::vector<Datum>{string_tensor(std::move(texts), x.shape())};
}

template <typename Wide>
bool read(std::string_view text, Wide& value) {
  if (text.starts_with('+')) text.remove_prefix(1);
  if constexpr (!std::is_same_v<Wide, double>) {
    if (text == "true" || text == "True") return value = 1, true;
    if (text == "false" || text == "False") return value = 0, true;
  }
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc() && end == text.data() + text.size();
}

Result<std::vector<Datum>> to_numbers(const Tensor& x, DType to) {
  OXPLOW_ASSIGN(Tensor y, Tensor::allocate({to, x.shape()}));
  const auto texts = x.values<std::string_view>();
  std::string_view wrong;
  visit_wide(to, [&](auto wide) {
    using Wide = decltype(wide);
    for (size_t i = 0; i < texts.size(); ++i) {
      Wide value{};
      if (!read(texts[i], value)) {
        double number = 0;  // integers may be written "1e3" or "2.7"
        if (std::is_same_v<Wide, double> || !read(texts[i], number)) wrong = texts[i].empty() ? "''" : texts[i];
        if constexpr (!std::is_same_v<Wide, double>) value = saturated<Wide>(number);
      }
      store_elements(to, y.mutable_data(), static_cast<int64_t>(i), 1, 1, &value);
    }
  });
  if (!wrong.empty())
    return Error{ErrorCode::invalid_argument, "'" + std::string(wrong.substr(0, 40)) + "' is no " + std::string(name_of(to))};
  return std::vector<Datum>{std::move(y)};
}

}  // namespace

Result<std::vector<Datum>> cast_strings(const ComputeContext& c) {
  OXPLOW_ASSIGN(const Tensor x, c.tensor(0, "the input"));
  DType to = static_cast<DType>(c.attributes.integer("to", -1));  // infer has seen that there is such a type
  if (c.has(1)) {
    OXPLOW_ASSIGN(const Tensor like, c.tensor(1, "input 1"));
    to = like.dtype();
  }
  if (x.dtype() == to) return std::vector<Datum>{x};
  return to == DType::string ? to_strings(x) : to_numbers(x, to);
}

}  // namespace oxplow
