// TfIdfVectorizer(x): how often each n-gram of a pool occurs in each row of x (integers or strings, [n] or [rows, n]), n-grams of
// min_gram_length to max_gram_length elements with 0 to max_skip_count skipped between neighbours. The pool has all unigrams, then all
// bigrams and so on, each kind from ngram_counts[its length - 1] on; the j-th n-gram counts in column ngram_indexes[j].
//   mode TF: the count. IDF: the weight where it occurs. TFIDF: the count times the weight.

#include <algorithm>
#include <map>

#include "oxplow/ops/op.h"

namespace oxplow {
namespace {

struct Pool {
  std::map<std::vector<std::string>, size_t> index;  // of an n-gram among all
  std::vector<int64_t> columns;
  std::vector<float> weights;
  int64_t width = 0;
  int64_t shortest = 1, longest = 1, skips = 0;
};

Status read_grams(const ComputeContext& c, Pool& pool) {
  std::vector<std::string> elements = c.attributes.texts("pool_strings");
  for (int64_t value : c.attributes.integers("pool_int64s")) elements.push_back(std::to_string(value));
  auto starts = c.attributes.integers("ngram_counts");
  const auto end = static_cast<int64_t>(elements.size());
  starts.push_back(end);
  size_t grams = 0;
  for (size_t k = 0; k + 1 < starts.size(); ++k) {
    const auto length = static_cast<int64_t>(k) + 1;
    if (starts[k] < 0 || starts[k] > starts[k + 1] || starts[k + 1] > end || (starts[k + 1] - starts[k]) % length != 0)
      return Error{ErrorCode::invalid_model, "ngram_counts do not fit the pool"};
    for (int64_t at = starts[k]; at < starts[k + 1]; at += length) {
      const auto first = elements.begin() + at;
      pool.index.emplace(std::vector<std::string>(first, first + length), grams++);
    }
  }
  if (grams != pool.columns.size())
    return Error{ErrorCode::invalid_model, "ngram_indexes are not one for each n-gram of the pool"};
  return {};
}

Result<Pool> pool_of(const ComputeContext& c) {
  Pool pool{.index = {},
            .columns = c.attributes.integers("ngram_indexes"),
            .weights = c.attributes.numbers("weights"),
            .width = 0,
            .shortest = c.attributes.integer("min_gram_length", 1),
            .longest = c.attributes.integer("max_gram_length", 1),
            .skips = c.attributes.integer("max_skip_count", 0)};
  constexpr int64_t kWidest = int64_t{1} << 28;
  for (int64_t column : pool.columns) {
    if (column < 0 || column >= kWidest) return Error{ErrorCode::invalid_model, "an impossible entry of ngram_indexes"};
    pool.width = std::max(pool.width, column + 1);
  }
  if (pool.shortest < 1 || pool.longest < pool.shortest || pool.skips < 0)
    return Error{ErrorCode::invalid_model, "impossible lengths of n-grams"};
  if (!pool.weights.empty() && pool.weights.size() != pool.columns.size())
    return Error{ErrorCode::invalid_model, "weights are not one for each n-gram of the pool"};
  OXPLOW_TRY(read_grams(c, pool));
  return pool;
}

void count_grams(const Pool& pool, std::span<const std::string> row, float* counts) {
  const auto size = static_cast<int64_t>(row.size());
  for (int64_t length = pool.shortest; length <= std::min(pool.longest, size); ++length) {
    // Unigrams have no neighbours to skip between.
    const int64_t skips = length == 1 ? 0 : std::min(pool.skips, size);
    for (int64_t step = 1; step <= skips + 1; ++step) {
      for (int64_t first = 0; first + (length - 1) * step < size; ++first) {
        std::vector<std::string> gram;
        for (int64_t k = 0; k < length; ++k) gram.push_back(row[static_cast<size_t>(first + k * step)]);
        if (const auto found = pool.index.find(gram); found != pool.index.end()) counts[found->second] += 1;
      }
    }
  }
}

Result<std::vector<std::string>> elements_of(const Tensor& x) {
  if (x.dtype() == DType::string) {
    const auto values = x.values<std::string_view>();
    return std::vector<std::string>(values.begin(), values.end());
  }
  if (x.dtype() != DType::i64 && x.dtype() != DType::i32)
    return Error{ErrorCode::invalid_model, "TfIdfVectorizer of " + to_string(x.type())};
  std::vector<std::string> elements;
  for (int64_t value : to_int64s(x)) elements.push_back(std::to_string(value));
  return elements;
}

Result<std::vector<Datum>> compute_tf_idf(const ComputeContext& c) {
  OXPLOW_ASSIGN(const Tensor x, c.tensor(0, "the input"));
  if (x.shape().rank() < 1 || x.shape().rank() > 2)
    return Error{ErrorCode::invalid_model, "TfIdfVectorizer wants [n] or [rows, n], not " + to_string(x.type())};
  const std::string mode = c.attributes.text("mode", "");
  if (mode != "TF" && mode != "IDF" && mode != "TFIDF") return Error{ErrorCode::invalid_model, "mode '" + mode + "'"};
  OXPLOW_ASSIGN(const Pool pool, pool_of(c));
  OXPLOW_ASSIGN(const auto elements, elements_of(x));
  const bool rows = x.shape().rank() == 2;
  const auto width = static_cast<size_t>(x.shape().back());
  OXPLOW_ASSIGN(Tensor y, Tensor::allocate({DType::f32, rows ? Shape{x.shape()[0], pool.width} : Shape{pool.width}}));
  std::vector<float> counts(pool.columns.size());
  for (int64_t r = 0; r < (rows ? x.shape()[0] : 1); ++r) {
    std::fill(counts.begin(), counts.end(), 0.0f);
    count_grams(pool, std::span(elements).subspan(static_cast<size_t>(r) * width, width), counts.data());
    float* to = y.mutable_values<float>().data() + r * pool.width;
    for (size_t g = 0; g < counts.size(); ++g) {
      const float weight = pool.weights.empty() ? 1 : pool.weights[g];
      to[pool.columns[g]] = mode == "TF" ? counts[g] : mode == "IDF" ? (counts[g] > 0 ? weight : 0) : counts[g] * weight;
    }
  }
  return std::vector<Datum>{std::move(y)};
}

}  // namespace

namespace ops {
constinit const OpSpec TfIdfVectorizer{.name = "TfIdfVectorizer", .compute = compute_tf_idf};
}  // namespace ops
}  // namespace oxplow
