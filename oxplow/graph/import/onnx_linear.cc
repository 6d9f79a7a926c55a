// Linear models and support vector machines of ai.onnx.ml, as products, kernels and votes.

#include <algorithm>
#include <numeric>

#include "oxplow/graph/import/onnx_ml.h"

namespace oxplow {
namespace {

Error unsound(std::string what) { return {ErrorCode::invalid_model, std::move(what)}; }

// `values` as a matrix of so many rows.
Result<ValueId> matrix(Builder& b, const std::vector<float>& values, int64_t rows, std::string_view name) {
  const auto n = static_cast<int64_t>(values.size());
  if (rows < 1 || n < rows || n % rows != 0)
    return unsound(std::string(name) + " has " + std::to_string(n) + " elements, which do not make " + std::to_string(rows) +
                   " rows");
  return b.graph.add_constant(Tensor::of<float>(values, Shape{rows, n / rows}), b.node.name + ":" + std::string(name));
}

// x times the rows of a matrix.
ValueId products(Builder& b, ValueId x, ValueId rows) {
  Attributes attributes;
  attributes.set("trans_w", int64_t{1});
  return b.add1("Linear", {x, rows}, std::move(attributes));
}

// plus one number a column, or one for all
Result<ValueId> shifted(Builder& b, ValueId y, const std::vector<float>& by, int64_t columns, std::string_view name) {
  if (by.empty()) return y;
  const auto n = static_cast<int64_t>(by.size());
  if (n != columns && n != 1)
    return unsound(std::string(name) + " has " + std::to_string(n) + " elements for " + std::to_string(columns) + " results");
  return b.add1("Add", {y, b.graph.add_constant(Tensor::of<float>(by, Shape{n}), b.node.name + ":" + std::string(name))});
}

Results linear_regressor(Builder& b) {
  const Attributes& a = b.node.attributes;
  const int64_t targets = a.integer("targets", 1);
  OXPLOW_ASSIGN(const ValueId w, matrix(b, a.numbers("coefficients"), targets, "coefficients"));
  const ValueId x = to_floats(b, b.node.input(0));
  OXPLOW_ASSIGN(const ValueId scores, shifted(b, products(b, x, w), a.numbers("intercepts"), targets, "intercepts"));
  OXPLOW_ASSIGN(const ValueId y, transformed(b, scores, a.text("post_transform", "NONE")));
  return std::vector<ValueId>{y};
}

Results linear_classifier(Builder& b) {
  const Attributes& a = b.node.attributes;
  OXPLOW_ASSIGN(const ClassLabels labels, class_labels(b, "classlabels_ints", "classlabels_strings"));
  const auto intercepts = a.numbers("intercepts");
  const auto count = static_cast<int64_t>(labels.count);
  const int64_t rows = labels.count == 2 && intercepts.size() == 1 ? 1 : count;
  OXPLOW_ASSIGN(const ValueId w, matrix(b, a.numbers("coefficients"), rows, "coefficients"));
  const ValueId x = to_floats(b, b.node.input(0));
  OXPLOW_ASSIGN(const ValueId scores, shifted(b, products(b, x, w), intercepts, rows, "intercepts"));
  return classified(b, scores, labels, rows < count ? "signed" : "", a.text("post_transform", "NONE"));
}

// The kernel of each row of x with each support vector.
Result<ValueId> kernel_values(Builder& b, ValueId x, ValueId vectors) {
  const Attributes& a = b.node.attributes;
  const std::string kernel = a.text("kernel_type", "LINEAR");
  auto parameters = a.numbers("kernel_params");  // gamma, coef0, degree
  if (!parameters.empty() && parameters.size() != 3)
    return unsound("kernel_params has " + std::to_string(parameters.size()) + " elements, not 3");
  parameters.resize(3);
  if (kernel == "LINEAR") return products(b, x, vectors);
  if (kernel == "RBF") {
    const ValueId distances = b.add1("SquaredDistances", {x, vectors});
    return b.add1("Exp", {b.add1("Mul", {distances, b.number(-parameters[0])})});
  }
  const ValueId scaled = b.add1("Mul", {products(b, x, vectors), b.number(parameters[0])});
  const ValueId moved = b.add1("Add", {scaled, b.number(parameters[1])});
  if (kernel == "POLY") return b.add1("Pow", {moved, b.number(parameters[2])});
  if (kernel == "SIGMOID") return b.add1("Tanh", {moved});
  return unsound("the kernel is the unknown " + kernel);
}

Results svm_regressor(Builder& b) {
  const Attributes& a = b.node.attributes;
  const int64_t supports = a.integer("n_supports", 0);
  const ValueId x = to_floats(b, b.node.input(0));
  const auto coefficients = a.numbers("coefficients");
  OXPLOW_ASSIGN(const ValueId w, matrix(b, coefficients, 1, "coefficients"));
  ValueId inner = x;
  if (supports > 0) {
    if (static_cast<int64_t>(coefficients.size()) != supports)
      return unsound("coefficients has " + std::to_string(coefficients.size()) + " elements for " + std::to_string(supports) +
                     " support vectors");
    OXPLOW_ASSIGN(const ValueId vectors, matrix(b, a.numbers("support_vectors"), supports, "support_vectors"));
    OXPLOW_ASSIGN(inner, kernel_values(b, x, vectors));
  }
  OXPLOW_ASSIGN(ValueId y, shifted(b, products(b, inner, w), a.numbers("rho"), 1, "rho"));
  if (a.integer("one_class", 0) != 0) y = b.add1("Select", {b.add1("Greater", {y, b.number(0)}), b.number(1), b.number(-1)});
  OXPLOW_ASSIGN(y, transformed(b, y, a.text("post_transform", "NONE")));
  return std::vector<ValueId>{y};
}

// A support vector machine decides between each pair of classes i < j by the vectors of both. Row (i, j) of the result has their
// coefficients, so that the decisions are a product of it with the kernel's values.
Result<std::vector<float>> pair_coefficients(const std::vector<float>& given, const std::vector<int64_t>& vectors_per_class) {
  const size_t classes = vectors_per_class.size();
  std::vector<size_t> first{0};
  for (int64_t n : vectors_per_class) {
    if (n < 0 || n > INT32_MAX) return unsound("vectors_per_class has the element " + std::to_string(n));
    first.push_back(first.back() + static_cast<size_t>(n));
  }
  const size_t vectors = first.back();
  if (given.size() != (classes - 1) * vectors)
    return unsound("coefficients has " + std::to_string(given.size()) + " elements, not one for each of " +
                   std::to_string(vectors) + " support vectors and " + std::to_string(classes - 1) + " other classes");
  std::vector<float> pairs;
  for (size_t i = 0; i < classes; ++i) {
    for (size_t j = i + 1; j < classes; ++j) {
      const size_t row = pairs.size();
      pairs.resize(row + vectors);
      for (size_t v = first[i]; v < first[i + 1]; ++v) pairs[row + v] = given[(j - 1) * vectors + v];
      for (size_t v = first[j]; v < first[j + 1]; ++v) pairs[row + v] = given[i * vectors + v];
    }
  }
  return pairs;
}

Results vote_of_pairs(Builder& b, const ClassLabels& labels) {
  const Attributes& a = b.node.attributes;
  const auto per_class = a.integers("vectors_per_class");
  if (per_class.size() != labels.count || labels.count < 2)
    return unsound("vectors_per_class has " + std::to_string(per_class.size()) + " elements for " + std::to_string(labels.count) +
                   " classes");
  OXPLOW_ASSIGN(const auto coefficients, pair_coefficients(a.numbers("coefficients"), per_class));
  const auto vectors = std::accumulate(per_class.begin(), per_class.end(), int64_t{0});
  const auto pairs = static_cast<int64_t>(labels.count * (labels.count - 1) / 2);
  OXPLOW_ASSIGN(const ValueId support, matrix(b, a.numbers("support_vectors"), vectors, "support_vectors"));
  OXPLOW_ASSIGN(const ValueId w, matrix(b, coefficients, pairs, "coefficients"));
  OXPLOW_ASSIGN(const ValueId kernel, kernel_values(b, to_floats(b, b.node.input(0)), support));
  if (static_cast<int64_t>(a.numbers("rho").size()) != pairs)
    return unsound("rho has " + std::to_string(a.numbers("rho").size()) + " elements for " + std::to_string(pairs) +
                   " pairs of classes");
  OXPLOW_ASSIGN(const ValueId decisions, shifted(b, products(b, kernel, w), a.numbers("rho"), pairs, "rho"));
  Attributes attributes;
  attributes.set("classes", static_cast<int64_t>(labels.count));
  const auto prob_a = a.numbers("prob_a"), prob_b = a.numbers("prob_b");
  if (!prob_a.empty()) {
    if (static_cast<int64_t>(prob_a.size()) != pairs || prob_b.size() != prob_a.size())
      return unsound("prob_a and prob_b have " + std::to_string(prob_a.size()) + " and " + std::to_string(prob_b.size()) +
                     " elements for " + std::to_string(pairs) + " pairs of classes");
    attributes.set("prob_a", prob_a);
    attributes.set("prob_b", prob_b);
  }
  const auto voted = b.add("PairwiseVote", {decisions}, std::move(attributes), 2);
  return labelled(b, voted[0], voted[1], labels, a.text("post_transform", "NONE"));
}

Results svm_classifier(Builder& b) {
  const Attributes& a = b.node.attributes;
  OXPLOW_ASSIGN(const ClassLabels labels, class_labels(b, "classlabels_ints", "classlabels_strings"));
  if (!a.integers("vectors_per_class").empty()) return vote_of_pairs(b, labels);
  OXPLOW_ASSIGN(const ValueId w, matrix(b, a.numbers("coefficients"), static_cast<int64_t>(labels.count), "coefficients"));
  const auto rho = a.numbers("rho");
  if (rho.empty()) return missing("rho");
  OXPLOW_ASSIGN(const ValueId scores, shifted(b, products(b, to_floats(b, b.node.input(0)), w), {rho[0]}, 1, "rho"));
  return classified(b, scores, labels, "", a.text("post_transform", "NONE"));
}

}  // namespace

std::span<const NamedRule> linear_rules() {
  static constexpr NamedRule kRules[] = {{"ai.onnx.ml.LinearClassifier", linear_classifier},
                                         {"ai.onnx.ml.LinearRegressor", linear_regressor},
                                         {"ai.onnx.ml.SVMClassifier", svm_classifier},
                                         {"ai.onnx.ml.SVMRegressor", svm_regressor}};
  return kRules;
}

}  // namespace oxplow
