// The ops of ai.onnx.ml that prepare features, said in ops that compute on any tensor.

#include <algorithm>
#include <cmath>
#include <numeric>

#include "oxplow/graph/import/onnx_ml.h"

namespace oxplow {
namespace {

ValueId floats(Builder& b, const std::vector<float>& values) {
  return b.graph.add_constant(Tensor::of<float>(values, Shape{static_cast<int64_t>(values.size())}), b.node.name + ":numbers");
}

// (x - offset) * scale
Results scaler(Builder& b) {
  ValueId x = to_floats(b, b.node.input(0));
  const auto offset = b.node.attributes.numbers("offset"), scale = b.node.attributes.numbers("scale");
  if (!offset.empty()) x = b.add1("Sub", {x, floats(b, offset)});
  if (!scale.empty()) x = b.add1("Mul", {x, floats(b, scale)});
  return std::vector<ValueId>{x};
}

// Each row over its norm; rows of zeros stay so.
Results normalizer(Builder& b) {
  const std::string norm = b.node.attributes.text("norm", "MAX");
  if (norm != "MAX" && norm != "L1" && norm != "L2") return Error{ErrorCode::invalid_model, "the norm is the unknown " + norm};
  const ValueId x = to_floats(b, b.node.input(0)), axis = b.integers({-1});
  ValueId size = norm == "MAX"  ? b.add1("ReduceMax", {b.add1("Abs", {x}), axis})
                 : norm == "L1" ? b.add1("ReduceL1", {x, axis})
                                : b.add1("ReduceL2", {x, axis});
  return b.add("Div", {x, b.add1("Maximum", {size, b.number(1e-30f)})});
}

Results binarizer(Builder& b) {
  const ValueId x = to_floats(b, b.node.input(0));
  return std::vector<ValueId>{to_floats(b, b.add1("Greater", {x, b.number(b.node.attributes.number("threshold", 0))}))};
}

// Missing values are NaN or a number of their own.
Results imputer(Builder& b) {
  const Attributes& a = b.node.attributes;
  const ValueId x = b.node.input(0);
  if (const auto values = a.integers("imputed_value_int64s"); !values.empty()) {
    const ValueId missing_one = b.graph.add_constant(Tensor::scalar<int64_t>(a.integer("replaced_value_int64", 0)), b.node.name);
    return b.add("Select", {b.add1("Equal", {x, missing_one}), b.integers(values), x});
  }
  const auto values = a.numbers("imputed_value_floats");
  if (values.empty()) return missing("imputed_value_floats or imputed_value_int64s");
  const float replaced = a.number("replaced_value_float", 0);
  const ValueId is_missing = std::isnan(replaced) ? b.add1("IsNaN", {x}) : b.add1("Equal", {x, b.number(replaced)});
  return b.add("Select", {is_missing, floats(b, values), x});
}

// A new last axis with a one where the category is.
Results one_hot_encoder(Builder& b) {
  if (!text_list(b.node.attributes, "cats_strings").empty()) return Error{ErrorCode::unsupported, "categories that are strings"};
  const auto categories = b.node.attributes.integers("cats_int64s");
  if (categories.empty()) return missing("cats_int64s or cats_strings");
  Attributes to_integers;
  to_integers.set("to", static_cast<int64_t>(DType::i64));
  const ValueId x = b.add1("Cast", {b.node.input(0)}, std::move(to_integers));
  const ValueId is_category = b.add1("Equal", {b.add1("Unsqueeze", {x, b.integers({-1})}), b.integers(categories)});
  return std::vector<ValueId>{to_floats(b, is_category)};
}

Results array_feature_extractor(Builder& b) {
  Attributes attributes;
  attributes.set("axis", int64_t{-1});
  return b.add("Gather", {b.node.input(0), b.add1("Reshape", {b.node.input(1), b.integers({-1})})}, std::move(attributes));
}

Results feature_vectorizer(Builder& b) {
  std::vector<ValueId> inputs;
  const auto widths = b.node.attributes.integers("inputdimensions");
  if (widths.size() != b.node.inputs.size())
    return Error{ErrorCode::invalid_model, "there are " + std::to_string(b.node.inputs.size()) +
                                               " inputs, but inputdimensions has " + std::to_string(widths.size()) + " elements"};
  for (size_t i = 0; i < widths.size(); ++i) {
    const ValueId matrix = b.add1("Reshape", {to_floats(b, b.node.inputs[i]), b.integers({-1, widths[i]})});
    inputs.push_back(matrix);
  }
  Attributes attributes;
  attributes.set("axis", int64_t{1});
  return b.add("Concat", std::move(inputs), std::move(attributes));
}

// One side of a LabelEncoder as a tensor; `name` is "keys", "values" or, with one element, "default".
Result<std::optional<Tensor>> encoder_side(const Attributes& a, const std::string& name, bool single) {
  if (const Tensor* tensor = a.tensor(name + "_tensor")) return std::optional(*tensor);
  const auto list = [](auto values) {
    using T = typename decltype(values)::value_type;
    return std::optional(Tensor::of<T>(values, Shape{static_cast<int64_t>(values.size())}));
  };
  if (a.has(name + (single ? "_string" : "_strings")) && !single) return Error{ErrorCode::unsupported, "labels that are strings"};
  if (single && a.has(name + "_int64")) return list(std::vector<int64_t>{a.integer(name + "_int64", -1)});
  if (single && a.has(name + "_float")) return list(std::vector<float>{a.number(name + "_float", 0)});
  if (a.has(name + "_int64s")) return list(a.integers(name + "_int64s"));
  if (a.has(name + "_floats")) return list(a.numbers(name + "_floats"));
  return std::optional<Tensor>{};
}

Results label_encoder(Builder& b) {
  const Attributes& a = b.node.attributes;
  OXPLOW_ASSIGN(const auto keys, encoder_side(a, "keys", false));
  OXPLOW_ASSIGN(const auto values, encoder_side(a, "values", false));
  OXPLOW_ASSIGN(const auto otherwise, encoder_side(a, "default", true));
  if (!keys) return missing("the list of keys");
  if (!values) return missing("the list of values");
  if (keys->elements() != values->elements())
    return Error{ErrorCode::invalid_model, "there are " + std::to_string(keys->elements()) + " keys, but " +
                                               std::to_string(values->elements()) + " values"};
  Attributes attributes;
  attributes.set("keys", *keys);
  attributes.set("values", *values);
  if (otherwise) {
    attributes.set("default", *otherwise);
  } else if (values->dtype() == DType::i64) {
    attributes.set("default", Tensor::scalar<int64_t>(-1));
  }
  return b.add("LookUp", {b.node.input(0)}, std::move(attributes));
}

}  // namespace

std::span<const NamedRule> feature_rules() {
  static constexpr NamedRule kRules[] = {
      {"ai.onnx.ml.ArrayFeatureExtractor", array_feature_extractor},
      {"ai.onnx.ml.Binarizer", binarizer},
      {"ai.onnx.ml.FeatureVectorizer", feature_vectorizer},
      {"ai.onnx.ml.Imputer", imputer},
      {"ai.onnx.ml.LabelEncoder", label_encoder},
      {"ai.onnx.ml.Normalizer", normalizer},
      {"ai.onnx.ml.OneHotEncoder", one_hot_encoder},
      {"ai.onnx.ml.Scaler", scaler},
  };
  return kRules;
}

}  // namespace oxplow
