// Import of ai.onnx.ml: small models with results worked out by hand, and models that must be refused.

#include <limits>

#include "oxplow/graph/import/onnx.h"
#include "oxplow/graph/import/onnx_writer.h"
#include "oxplow/graph/small_graph.h"

namespace oxplow {
namespace {

using Pairs = std::vector<std::pair<const char*, Attribute>>;
using Floats = std::vector<float>;
using Ints = std::vector<int64_t>;
using Texts = std::vector<std::string>;

constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();

Result<std::vector<Tensor>> run_ml(std::string_view op, const std::vector<Tensor>& inputs, const Pairs& attributes, int outputs) {
  OnnxWriter writer;
  writer.domain("ai.onnx.ml", 3);
  static constexpr std::string_view kInputs[] = {"x0", "x1"}, kOutputs[] = {"y0", "y1"};
  for (size_t i = 0; i < inputs.size(); ++i) {
    std::vector<OnnxWriter::Dim> dims;
    for (int64_t extent : inputs[i].shape()) dims.emplace_back(extent);
    writer.input(kInputs[i], dims, inputs[i].dtype() == DType::i64 ? onnx::ElementType::INT64 : onnx::ElementType::FLOAT);
  }
  writer.add_node(op, std::span(kInputs).first(inputs.size()), std::span(kOutputs).first(static_cast<size_t>(outputs)),
                  attributes, "ai.onnx.ml");
  for (int i = 0; i < outputs; ++i) writer.output(kOutputs[i]);
  const std::string bytes = writer.bytes();
  auto model = parse_onnx(std::as_bytes(std::span(bytes)));
  if (!model.ok()) return model.error();
  auto graph = import_onnx(std::make_shared<const OnnxModel>(model.take()));
  if (!graph.ok()) return graph.error();
  auto made = Model::from_graph(*graph, {.isa = best_isa(), .passes = {}}, std::make_shared<ThreadPool>(2));
  if (!made.ok()) return made.error();
  return (*made)->run(inputs);
}

std::vector<Tensor> results(std::string_view op, const std::vector<Tensor>& inputs, const Pairs& attributes, int outputs = 1) {
  auto tensors = run_ml(op, inputs, attributes, outputs);
  EXPECT_TRUE(tensors.ok()) << op << ": " << (tensors.ok() ? "" : tensors.error().message);
  return tensors.ok() ? tensors.take() : std::vector<Tensor>(static_cast<size_t>(outputs), Tensor::scalar<float>(0));
}
Floats floats(std::string_view op, const Tensor& x, const Pairs& attributes) {
  return values_of<float>(results(op, {x}, attributes)[0]);
}
std::string complaint(std::string_view op, const Tensor& x, const Pairs& attributes) {
  const auto tensors = run_ml(op, {x}, attributes, 1);
  return tensors.ok() ? "none" : tensors.error().message;
}
void expect_floats(const Floats& actual, const Floats& wanted) {
  ASSERT_EQ(actual.size(), wanted.size());
  for (size_t i = 0; i < wanted.size(); ++i) EXPECT_NEAR(actual[i], wanted[i], 1e-5f) << "element " << i;
}

// Tree 0: x0 <= 1 (NaN passes) ? 1 : (x1 < 0 ? 2 : 4). Tree 1: a leaf, 8.
Pairs two_trees(const std::string& kind) {
  const auto name = [&](const char* list) {
    return kind == "class" ? std::string("class_") + list : std::string("target_") + list;
  };
  static std::vector<std::string> names;
  names = {name("treeids"), name("nodeids"), name("ids"), name("weights")};
  return {{"nodes_treeids", Ints{0, 0, 0, 0, 0, 1}},
          {"nodes_nodeids", Ints{0, 1, 2, 3, 4, 0}},
          {"nodes_featureids", Ints{0, 0, 1, 0, 0, 0}},
          {"nodes_modes", Texts{"BRANCH_LEQ", "LEAF", "BRANCH_LT", "LEAF", "LEAF", "LEAF"}},
          {"nodes_values", Floats{1, 0, 0, 0, 0, 0}},
          {"nodes_truenodeids", Ints{1, 0, 3, 0, 0, 0}},
          {"nodes_falsenodeids", Ints{2, 0, 4, 0, 0, 0}},
          {"nodes_missing_value_tracks_true", Ints{1, 0, 0, 0, 0, 0}},
          {names[0].c_str(), Ints{0, 0, 0, 1}},
          {names[1].c_str(), Ints{1, 3, 4, 0}},
          {names[2].c_str(), Ints{0, 0, 0, 0}},
          {names[3].c_str(), Floats{1, 2, 4, 8}}};
}
Pairs with(Pairs pairs, const std::string& name, Attribute value) {
  for (auto& [key, old] : pairs) {
    if (key == name) {
      old = std::move(value);
      return pairs;
    }
  }
  static std::vector<std::unique_ptr<std::string>> names;
  names.push_back(std::make_unique<std::string>(name));
  pairs.emplace_back(names.back()->c_str(), std::move(value));
  return pairs;
}
Tensor four_rows() { return tensor<float>({4, 2}, {0, 0, 2, -1, 2, 1, kNaN, 1}); }

TEST(OnnxTrees, Regressor) {
  expect_floats(floats("TreeEnsembleRegressor", four_rows(), two_trees("target")), {9, 10, 12, 9});
  expect_floats(floats("TreeEnsembleRegressor", four_rows(), with(two_trees("target"), "base_values", Floats{0.5f})),
                {9.5f, 10.5f, 12.5f, 9.5f});
  expect_floats(floats("TreeEnsembleRegressor", four_rows(), with(two_trees("target"), "aggregate_function", std::string("MAX"))),
                {8, 8, 8, 8});
  expect_floats(
      floats("TreeEnsembleRegressor", four_rows(), with(two_trees("target"), "aggregate_function", std::string("AVERAGE"))),
      {4.5f, 5, 6, 4.5f});
}

TEST(OnnxTrees, BinaryClassifier) {
  const Pairs labels = with(two_trees("class"), "classlabels_int64s", Ints{5, 7});
  auto all = results("TreeEnsembleClassifier", {four_rows()}, with(labels, "class_weights", Floats{0.1f, 0.2f, 0.4f, 0.2f}), 2);
  EXPECT_EQ(values_of<int64_t>(all[0]), (Ints{5, 5, 7, 5}));
  expect_floats(values_of<float>(all[1]), {0.7f, 0.3f, 0.6f, 0.4f, 0.4f, 0.6f, 0.7f, 0.3f});
  all = results("TreeEnsembleClassifier", {four_rows()},
                with(with(labels, "class_weights", Floats{-3, 0, 1, 1}), "post_transform", std::string("LOGISTIC")), 2);
  EXPECT_EQ(values_of<int64_t>(all[0]), (Ints{5, 7, 7, 5}));
  const float one = 1 / (1 + std::exp(-1.0f)), two = 1 / (1 + std::exp(-2.0f));
  expect_floats(values_of<float>(all[1]), {two, 1 - two, 1 - one, one, 1 - two, two, two, 1 - two});
}

TEST(OnnxTrees, ClassifierOfThree) {
  const Pairs three = with(with(two_trees("class"), "classlabels_int64s", Ints{0, 1, 2}), "class_ids", Ints{0, 1, 2, 1});
  const auto all = results("TreeEnsembleClassifier", {four_rows()}, with(three, "base_values", Floats{9, 0, 5}), 2);
  EXPECT_EQ(values_of<int64_t>(all[0]), (Ints{0, 1, 0, 0}));
  expect_floats(values_of<float>(all[1]), {10, 8, 5, 9, 10, 5, 9, 8, 9, 10, 8, 5});
}

TEST(OnnxTrees, IndexedWithSets) {
  Pairs pairs = {{"nodes_featureids", Ints{0, 1}},
                 {"nodes_splits", tensor<float>({2}, {0, 2})},
                 {"nodes_modes", tensor<uint8_t>({2}, {6, 4})},
                 {"nodes_truenodeids", Ints{1, 1}},
                 {"nodes_falsenodeids", Ints{0, 2}},
                 {"nodes_trueleafs", Ints{0, 1}},
                 {"nodes_falseleafs", Ints{1, 1}},
                 {"tree_roots", Ints{0}},
                 {"membership_values", tensor<float>({3}, {3, 5, kNaN})},
                 {"leaf_targetids", Ints{0, 1, 0}},
                 {"leaf_weights", tensor<float>({3}, {1, 2, 4})},
                 {"n_targets", int64_t{2}}};
  const Tensor x = tensor<float>({3, 2}, {4, 2, 5, 2, 3, 1});
  expect_floats(floats("TreeEnsemble", x, pairs), {1, 0, 0, 2, 4, 0});
  EXPECT_NE(complaint("TreeEnsemble", x, with(pairs, "membership_values", tensor<float>({2}, {3, 5}))).find("fewer sets"),
            std::string::npos);
  EXPECT_NE(complaint("TreeEnsemble", x, with(pairs, "nodes_truenodeids", Ints{0, 1})).find("its own ancestor"),
            std::string::npos);
  EXPECT_NE(complaint("TreeEnsemble", x, with(pairs, "nodes_falsenodeids", Ints{0, 3})).find("outside of 0 to 2"),
            std::string::npos);
  EXPECT_NE(complaint("TreeEnsemble", x, with(pairs, "leaf_targetids", Ints{0, 2, 0})).find("target 2 of 2"), std::string::npos);
}

TEST(OnnxTrees, UnsoundOnesAreRefused) {
  const auto refused = [](const char* list, Attribute value, const char* why) {
    const std::string message =
        complaint("TreeEnsembleRegressor", four_rows(), with(two_trees("target"), list, std::move(value)));
    EXPECT_NE(message.find(why), std::string::npos) << message;
  };
  refused("nodes_truenodeids", Ints{0, 0, 3, 0, 0, 0}, "belongs to no tree");
  refused("nodes_truenodeids", Ints{1, 0, 0, 0, 0, 0}, "belongs to no tree");
  refused("nodes_falsenodeids", Ints{1, 0, 4, 0, 0, 0}, "two roots");
  refused("nodes_falsenodeids", Ints{9, 0, 4, 0, 0, 0}, "node 0 of tree 0 has the child 9, which is not there");
  refused("nodes_nodeids", Ints{0, 1, 2, 3, 3, 0}, "node 3 of tree 0 is there twice");
  refused("nodes_values", Floats{1, 2}, "nodes_values has 2 elements, nodes_nodeids 6");
  refused("nodes_treeids", Ints{0}, "nodes_treeids has 1 elements");
  refused("nodes_modes", Texts{"BRANCH_LEQ", "LEAF", "BRANCH", "LEAF", "LEAF", "LEAF"}, "unknown mode BRANCH");
  refused("nodes_featureids", Ints{0, 0, 2, 0, 0, 0}, "feature 2, but the input f32[4, 2] has 2 features");
  refused("nodes_featureids", Ints{0, 0, -1, 0, 0, 0}, "-1 is outside of 0 to");
  refused("target_ids", Ints{0, 0, 1, 0}, "target 1 of 1");
  refused("target_nodeids", Ints{1, 3, 2, 0}, "a weight is given to node 2 of tree 0, which is no leaf");
  refused("target_weights", Floats{1}, "target_weights has 1 elements, target_ids 4");
  refused("n_targets", int64_t{0}, "it has 0 targets");
  refused("base_values", Floats{1, 2}, "2 base values for 1 targets");
  refused("post_transform", std::string("CUBE"), "unknown CUBE");
}

TEST(OnnxMl, Features) {
  const Tensor x = tensor<float>({2, 2}, {3, -4, 0, 0});
  expect_floats(floats("Scaler", x, {{"offset", Floats{1, 0}}, {"scale", Floats{2, 0.5f}}}), {4, -2, -2, 0});
  expect_floats(floats("Normalizer", x, {{"norm", std::string("L1")}}), {3.0f / 7, -4.0f / 7, 0, 0});
  expect_floats(floats("Normalizer", x, {{"norm", std::string("L2")}}), {0.6f, -0.8f, 0, 0});
  expect_floats(floats("Normalizer", x, {}), {0.75f, -1, 0, 0});
  expect_floats(floats("Binarizer", x, {{"threshold", 1.0f}}), {1, 0, 0, 0});
  expect_floats(floats("Imputer", tensor<float>({2, 2}, {kNaN, 1, 2, kNaN}),
                       {{"imputed_value_floats", Floats{7, 8}}, {"replaced_value_float", kNaN}}),
                {7, 1, 2, 8});
  expect_floats(floats("OneHotEncoder", integers({5, 1, 9}), {{"cats_int64s", Ints{1, 5}}}), {0, 1, 1, 0, 0, 0});
  expect_floats(values_of<float>(results("ArrayFeatureExtractor", {x, integers({1, 0})}, {})[0]), {-4, 3, 0, 0});
  expect_floats(
      values_of<float>(results("FeatureVectorizer", {x, tensor<float>({2, 1}, {5, 6})}, {{"inputdimensions", Ints{2, 1}}})[0]),
      {3, -4, 5, 0, 0, 6});
}

TEST(OnnxMl, LabelEncoder) {
  const Pairs lists = {{"keys_int64s", Ints{4, 2, 9}}, {"values_floats", Floats{0.5f, 1.5f, 2.5f}}, {"default_float", -1.0f}};
  expect_floats(floats("LabelEncoder", integers({9, 3, 2, 4}), lists), {2.5f, -1, 1.5f, 0.5f});
  const Pairs floats_to_integers = {{"keys_floats", Floats{kNaN, 1}}, {"values_int64s", Ints{8, 9}}};
  EXPECT_EQ(values_of<int64_t>(results("LabelEncoder", {tensor<float>({3}, {1, kNaN, 2})}, floats_to_integers)[0]),
            (Ints{9, 8, -1}));
  EXPECT_NE(complaint("LabelEncoder", integers({1}), with(lists, "values_floats", Floats{1})).find("3 keys, but 1 values"),
            std::string::npos);
}

TEST(OnnxMl, LinearModels) {
  const Tensor x = tensor<float>({2, 2}, {1, 2, -1, 0});
  expect_floats(floats("LinearRegressor", x,
                       {{"coefficients", Floats{1, 2, 3, 4}}, {"intercepts", Floats{0.5f, 0}}, {"targets", int64_t{2}}}),
                {5.5f, 11, -0.5f, -3});
  auto all = results("LinearClassifier", {x},
                     {{"coefficients", Floats{1, 1}}, {"intercepts", Floats{0}}, {"classlabels_ints", Ints{3, 4}}}, 2);
  EXPECT_EQ(values_of<int64_t>(all[0]), (Ints{4, 3}));
  expect_floats(values_of<float>(all[1]), {-3, 3, 1, -1});
  EXPECT_NE(
      complaint("LinearRegressor", x, {{"coefficients", Floats{1, 2, 3}}, {"targets", int64_t{2}}}).find("do not make 2 rows"),
      std::string::npos);
}

TEST(OnnxMl, SupportVectorRegression) {
  const Tensor x = tensor<float>({1, 2}, {1, 2});
  const Pairs machine = {{"support_vectors", Floats{1, 0, 0, 2}},
                         {"coefficients", Floats{2, -1}},
                         {"n_supports", int64_t{2}},
                         {"kernel_params", Floats{0.5f, 1, 2}},
                         {"rho", Floats{0.25f}}};
  expect_floats(floats("SVMRegressor", x, machine), {2 * 1 - 4 + 0.25f});
  expect_floats(floats("SVMRegressor", x, with(machine, "kernel_type", std::string("RBF"))),
                {2 * std::exp(-2.0f) - std::exp(-0.5f) + 0.25f});
  expect_floats(floats("SVMRegressor", x, with(machine, "kernel_type", std::string("POLY"))), {2 * 2.25f - 9 + 0.25f});
  expect_floats(floats("SVMRegressor", x, with(machine, "kernel_type", std::string("SIGMOID"))),
                {2 * std::tanh(1.5f) - std::tanh(3.0f) + 0.25f});
  expect_floats(floats("SVMRegressor", x, with(machine, "one_class", int64_t{1})), {-1});
  EXPECT_NE(complaint("SVMRegressor", x, with(machine, "coefficients", Floats{1})).find("1 elements for 2 support vectors"),
            std::string::npos);
}

TEST(OnnxMl, SupportVectorClassification) {
  // One vector a class on a line at 0, 1 and 2; linear kernel: the decision (i, j) is c1 * i * x + c2 * j * x + rho.
  const Pairs machine = {{"support_vectors", Floats{0, 1, 2}},
                         {"coefficients", Floats{1, -1, -1, 1, 1, -1}},
                         {"vectors_per_class", Ints{1, 1, 1}},
                         {"rho", Floats{0.5f, 1, 1.5f}},
                         {"classlabels_ints", Ints{10, 20, 30}}};
  const Tensor x = tensor<float>({2, 1}, {0, 2});
  auto all = results("SVMClassifier", {x}, machine, 2);
  const Floats decisions = values_of<float>(all[1]);
  expect_floats(decisions, {0.5f, 1, 1.5f, -1.5f, -3, -0.5f});
  EXPECT_EQ(values_of<int64_t>(all[0]), (Ints{10, 30}));
  all = results("SVMClassifier", {x}, with(with(machine, "prob_a", Floats{-1, -1, -1}), "prob_b", Floats{0, 0, 0}), 2);
  const Floats p = values_of<float>(all[1]);
  EXPECT_NEAR(p[0] + p[1] + p[2], 1, 1e-5f);
  EXPECT_GT(p[0], p[1]);
  EXPECT_GT(p[1], p[2]);
  const auto refused = [&](const char* list, Attribute value, const char* why) {
    const std::string message = complaint("SVMClassifier", x, with(machine, list, std::move(value)));
    EXPECT_NE(message.find(why), std::string::npos) << message;
  };
  refused("coefficients", Floats{1}, "coefficients has 1 elements");
  refused("support_vectors", Floats{1, 2}, "do not make 3 rows");
  refused("vectors_per_class", Ints{1, 1}, "vectors_per_class has 2 elements for 3 classes");
  refused("vectors_per_class", Ints{1, -1, 1}, "the element -1");
  refused("rho", Floats{1}, "rho has 1 elements for 3 pairs");
  refused("prob_a", Floats{1}, "prob_a and prob_b have 1 and 0");
}

}  // namespace
}  // namespace oxplow
