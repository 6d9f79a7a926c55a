#include "oxplow/tensor/strings.h"

#include <map>

namespace oxplow {
namespace {

// Strings and views of them, which a tensor shows.
struct Characters {
  std::vector<std::string> strings;
  std::vector<std::string_view> views;
};

constexpr size_t kMostCharacters = size_t{4} << 30;

}  // namespace

Tensor string_tensor(std::vector<std::string> values, const Shape& shape) {
  OXPLOW_CHECK(static_cast<int64_t>(values.size()) == elements_of(shape));
  auto owned = std::make_shared<Characters>();
  owned->strings = std::move(values);
  owned->views.reserve(owned->strings.size() + 1);
  owned->views.assign(owned->strings.begin(), owned->strings.end());
  owned->views.emplace_back();  // so that there is memory for none, too
  return Tensor::borrow({DType::string, shape}, owned->views.data(), owned);
}

Result<Tensor> with_own_characters(const Tensor& tensor) {
  if (tensor.dtype() != DType::string) return tensor;
  const auto given = tensor.values<std::string_view>();
  std::map<std::pair<const char*, size_t>, size_t> places;
  size_t bytes = 0;
  for (std::string_view text : given) {
    if (places.try_emplace({text.data(), text.size()}, 0).second) bytes += text.size();
  }
  if (bytes > kMostCharacters) return Error{ErrorCode::out_of_memory, "strings of " + std::to_string(bytes >> 20) + " MiB"};
  auto owned = std::make_shared<Characters>();
  std::string& all = owned->strings.emplace_back();
  all.reserve(bytes);
  for (auto& [text, place] : places) {
    place = all.size();
    if (text.second > 0) all.append(text.first, text.second);
  }
  owned->views.reserve(given.size() + 1);
  for (std::string_view text : given)
    owned->views.push_back(std::string_view(all).substr(places.at({text.data(), text.size()}), text.size()));
  owned->views.emplace_back();
  return Tensor::borrow(tensor.type(), owned->views.data(), owned);
}

}  // namespace oxplow
