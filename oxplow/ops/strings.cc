// Ops on strings, which are UTF-8.
//   StringConcat(a, b): end to end, broadcast.
//   StringSplit(x): by `delimiter` (runs of white space where it is none or ""), at most `maxsplit` times; gives the parts along a new
//     last axis, filled up with "", and how many there are.
//   StringNormalizer(x): without `stopwords`, then in `case_change_action` LOWER or UPPER case; words are compared without case unless
//     is_case_sensitive. x is [n] or [1, n]; where no word is left there is one "".

#include "oxplow/ops/strings.h"

#include <clocale>
#include <cwctype>
#include <optional>
#include <set>

#include "oxplow/ops/shape_rules.h"
#include "oxplow/tensor/strings.h"

namespace oxplow {
namespace {

constexpr size_t kMostBytes = size_t{1} << 30;

using Strings = std::span<const std::string_view>;

Result<Tensor> strings_of(const ComputeContext& c, int i) {
  OXPLOW_ASSIGN(Tensor tensor, c.tensor(i, "input " + std::to_string(i)));
  if (tensor.dtype() != DType::string)
    return Error{ErrorCode::invalid_model, "input " + std::to_string(i) + " must be strings, not " + to_string(tensor.type())};
  return tensor;
}

Dims strides_under(const Tensor& tensor, const Shape& shape) {
  Operand operand;
  operand.type = tensor.type();
  operand.strides = dense_strides(tensor.shape());
  operand.present = true;
  return broadcast_strides(operand, shape);
}

// Calls f(a's element, b's element) for each element of `shape`, to which both are broadcast.
template <typename F>
void for_each_pair(const Tensor& a, const Tensor& b, const Shape& shape, F f) {
  const Dims left = strides_under(a, shape), right = strides_under(b, shape), dense = dense_strides(shape);
  const Strings from = a.values<std::string_view>(), other = b.values<std::string_view>();
  for (int64_t i = 0; i < elements_of(shape); ++i) {
    int64_t at = 0, beside = 0;
    for (int axis = 0; axis < shape.rank(); ++axis) {
      const int64_t index = i / dense[axis] % shape[axis];
      at += index * left[axis];
      beside += index * right[axis];
    }
    f(from[static_cast<size_t>(at)], other[static_cast<size_t>(beside)]);
  }
}

Result<std::vector<Datum>> compute_concat(const ComputeContext& c) {
  OXPLOW_ASSIGN(const Tensor a, strings_of(c, 0));
  OXPLOW_ASSIGN(const Tensor b, strings_of(c, 1));
  OXPLOW_ASSIGN(const Shape shape, broadcast(a.shape(), b.shape()));
  size_t bytes = 0;  // a loop could double them again and again
  for_each_pair(a, b, shape, [&](std::string_view x, std::string_view y) { bytes += x.size() + y.size() + sizeof(std::string); });
  if (bytes > kMostBytes) return Error{ErrorCode::out_of_memory, "strings of " + std::to_string(bytes >> 20) + " MiB"};
  std::vector<std::string> joined;
  for_each_pair(a, b, shape, [&](std::string_view x, std::string_view y) { joined.push_back(std::string(x) + std::string(y)); });
  return std::vector<Datum>{string_tensor(std::move(joined), shape)};
}

std::vector<std::string_view> split_at(std::string_view text, std::string_view delimiter, int64_t most) {
  std::vector<std::string_view> parts;
  for (size_t at = text.find(delimiter); at != std::string_view::npos && std::cmp_less(parts.size(), most);
       at = text.find(delimiter)) {
    parts.push_back(text.substr(0, at));
    text.remove_prefix(at + delimiter.size());
  }
  parts.push_back(text);
  return parts;
}

std::vector<std::string_view> split_at_space(std::string_view text, int64_t most) {
  constexpr std::string_view kSpace = " \t\n\v\f\r";
  std::vector<std::string_view> parts;
  const auto skip = [&] { text.remove_prefix(std::min(text.find_first_not_of(kSpace), text.size())); };
  for (skip(); !text.empty(); skip()) {
    const size_t end = text.find_first_of(kSpace);
    if (std::cmp_greater_equal(parts.size(), most)) {
      parts.push_back(text.substr(0, text.find_last_not_of(kSpace) + 1));
      break;
    }
    parts.push_back(text.substr(0, end));
    text.remove_prefix(std::min(end, text.size()));
  }
  return parts;
}

Result<std::vector<Datum>> compute_split(const ComputeContext& c) {
  OXPLOW_ASSIGN(const Tensor x, strings_of(c, 0));
  if (x.shape().rank() == kMaxRank) return Error{ErrorCode::unsupported, "more than 10 axes"};
  const std::string delimiter = c.attributes.text("delimiter", "");
  const int64_t most = c.attributes.integer("maxsplit", INT64_MAX);
  OXPLOW_ASSIGN(Tensor counts, Tensor::allocate({DType::i64, x.shape()}));
  std::vector<std::vector<std::string_view>> parts;
  size_t widest = 0;
  for (std::string_view text : x.values<std::string_view>()) {
    const auto split = delimiter.empty() ? split_at_space(text, most)
                       : text.empty()    ? std::vector<std::string_view>{}
                                         : split_at(text, delimiter, most);
    counts.mutable_values<int64_t>()[parts.size()] = static_cast<int64_t>(split.size());
    widest = std::max(widest, split.size());
    parts.push_back(split);
  }
  Shape shape = x.shape();
  shape.push_back(static_cast<int64_t>(widest));
  OXPLOW_ASSIGN(Tensor result, Tensor::allocate({DType::string, shape}));
  for (size_t i = 0; i < parts.size(); ++i) {
    std::copy(parts[i].begin(), parts[i].end(),
              result.mutable_values<std::string_view>().begin() + static_cast<std::ptrdiff_t>(i * widest));
  }
  OXPLOW_ASSIGN(result, with_own_characters(result));
  return std::vector<Datum>{std::move(result), std::move(counts)};
}

// A character of UTF-8 and its length; nothing where the bytes are none.
std::optional<std::pair<char32_t, size_t>> decoded(std::string_view text) {
  const auto lead = static_cast<unsigned char>(text[0]);
  const size_t length = lead < 0x80 ? 1 : lead >> 5 == 6 ? 2 : lead >> 4 == 14 ? 3 : lead >> 3 == 30 ? 4 : 0;
  if (length == 0 || length > text.size()) return std::nullopt;
  char32_t code = length == 1 ? lead : lead & (0xffu >> (length + 1));
  for (size_t i = 1; i < length; ++i) {
    const auto next = static_cast<unsigned char>(text[i]);
    if (next >> 6 != 2) return std::nullopt;
    code = code << 6 | (next & 0x3f);
  }
  return std::pair(code, length);
}

void append_encoded(std::string& text, char32_t code) {
  const auto tail = [&](int shift) { text += static_cast<char>(0x80 | (code >> shift & 0x3f)); };
  if (code < 0x80) {
    text += static_cast<char>(code);
  } else if (code < 0x800) {
    text += static_cast<char>(0xc0 | code >> 6), tail(0);
  } else if (code < 0x10000) {
    text += static_cast<char>(0xe0 | code >> 12), tail(6), tail(0);
  } else {
    text += static_cast<char>(0xf0 | code >> 18), tail(12), tail(6), tail(0);
  }
}

// A word in another case, character by character; bytes that are no UTF-8 stay.
std::string in_case(std::string_view word, bool upper) {
  static const locale_t unicode = newlocale(LC_CTYPE_MASK, "C.UTF-8", nullptr);
  std::string result;
  while (!word.empty()) {
    const auto next = decoded(word);
    if (!next) {
      result += word[0];
      word.remove_prefix(1);
      continue;
    }
    auto code = static_cast<wint_t>(next->first);
    if (unicode) code = upper ? towupper_l(code, unicode) : towlower_l(code, unicode);
    append_encoded(result, static_cast<char32_t>(code));
    word.remove_prefix(next->second);
  }
  return result;
}

Result<std::vector<Datum>> compute_normalizer(const ComputeContext& c) {
  OXPLOW_ASSIGN(const Tensor x, strings_of(c, 0));
  const Shape& shape = x.shape();
  if (shape.rank() > 2 || (shape.rank() == 2 && shape[0] != 1))
    return Error{ErrorCode::invalid_model, "StringNormalizer wants [n] or [1, n], not " + to_string(x.type())};
  const bool sensitive = c.attributes.integer("is_case_sensitive", 0) != 0;
  const std::string action = c.attributes.text("case_change_action", "NONE");
  if (action != "NONE" && action != "LOWER" && action != "UPPER")
    return Error{ErrorCode::invalid_model, "case_change_action '" + action + "'"};
  std::set<std::string> stop;
  for (const std::string& word : c.attributes.texts("stopwords")) stop.insert(sensitive ? word : in_case(word, false));
  std::vector<std::string> words;
  for (std::string_view word : x.values<std::string_view>()) {
    if (stop.contains(sensitive ? std::string(word) : in_case(word, false))) continue;
    words.push_back(action == "NONE" ? std::string(word) : in_case(word, action == "UPPER"));
  }
  if (words.empty()) words.emplace_back();
  const auto count = static_cast<int64_t>(words.size());
  return std::vector<Datum>{string_tensor(std::move(words), shape.rank() == 2 ? Shape{1, count} : Shape{count})};
}

}  // namespace

Result<std::vector<Datum>> equal_strings(const ComputeContext& c) {
  OXPLOW_ASSIGN(const Tensor a, strings_of(c, 0));
  OXPLOW_ASSIGN(const Tensor b, strings_of(c, 1));
  OXPLOW_ASSIGN(const Shape shape, broadcast(a.shape(), b.shape()));
  OXPLOW_ASSIGN(Tensor equal, Tensor::allocate({DType::boolean, shape}));
  bool* to = equal.mutable_values<bool>().data();
  for_each_pair(a, b, shape, [&](std::string_view x, std::string_view y) { *to++ = x == y; });
  return std::vector<Datum>{std::move(equal)};
}

Result<std::vector<Datum>> select_strings(const ComputeContext& c) {
  OXPLOW_ASSIGN(const Tensor condition, c.tensor(0, "the condition"));
  OXPLOW_ASSIGN(const Tensor a, strings_of(c, 1));
  OXPLOW_ASSIGN(const Tensor b, strings_of(c, 2));
  if (condition.dtype() != DType::boolean)
    return Error{ErrorCode::invalid_model, "a condition of " + to_string(condition.type())};
  OXPLOW_ASSIGN(const Shape choices, broadcast(a.shape(), b.shape()));
  OXPLOW_ASSIGN(const Shape shape, broadcast(condition.shape(), choices));
  OXPLOW_ASSIGN(Tensor result, Tensor::allocate({DType::string, shape}));
  std::vector<std::pair<std::string_view, std::string_view>> pairs;
  for_each_pair(a, b, shape, [&](std::string_view x, std::string_view y) { pairs.emplace_back(x, y); });
  const Dims strides = strides_under(condition, shape), dense = dense_strides(shape);
  for (int64_t i = 0; i < result.elements(); ++i) {
    int64_t at = 0;
    for (int axis = 0; axis < shape.rank(); ++axis) at += i / dense[axis] % shape[axis] * strides[axis];
    const auto& [x, y] = pairs[static_cast<size_t>(i)];
    result.mutable_values<std::string_view>()[static_cast<size_t>(i)] = condition.values<bool>()[static_cast<size_t>(at)] ? x : y;
  }
  OXPLOW_ASSIGN(result, with_own_characters(result));
  return std::vector<Datum>{std::move(result)};
}

namespace ops {
constinit const OpSpec StringConcat{.name = "StringConcat", .required_inputs = 2, .compute = compute_concat};
constinit const OpSpec StringSplit{.name = "StringSplit", .compute = compute_split};
constinit const OpSpec StringNormalizer{.name = "StringNormalizer", .compute = compute_normalizer};
}  // namespace ops
}  // namespace oxplow
