// Graphs whose shapes depend on values: islands with plans, and what is evaluated between them, against op by op.

#include "oxplow/graph/stepwise.h"

#include "oxplow/graph/small_graph.h"

namespace oxplow {
namespace {

// Nodes of ops whose types cannot be told yet.
std::vector<ValueId> untyped(Graph& graph, std::string_view op, std::vector<ValueId> inputs, int outputs = 1,
                             Attributes attributes = {}) {
  const OpSpec* spec = find_op(op);
  Node& node = graph.nodes.emplace_back(
      Node{.op = spec, .name = std::string(op), .attributes = std::move(attributes), .inputs = std::move(inputs), .outputs = {}});
  for (int i = 0; i < outputs; ++i) {
    node.outputs.push_back(graph.add_value(std::string(op) + std::to_string(i)));
    graph[node.outputs.back()].producer = &node;
  }
  return node.outputs;
}

// The elements of x = relu(a b) that are not zero: their indices, and their count as f32.
Graph count_positives(SmallGraph& g) {
  const ValueId a = g.input("a", {DType::f32, {4, 8}});
  const ValueId x = g.op("Relu", {g.op("Linear", {a, g.constant(random_f32({8, 6}, 3))})});
  const ValueId indices = untyped(g.graph, "NonZero", {x})[0];
  const ValueId transposed = untyped(g.graph, "Transpose", {indices}, 1, attributes_of({{"perm", ints({1, 0})}}))[0];
  const ValueId shape = untyped(g.graph, "Shape", {transposed})[0];
  g.output(transposed).output(shape);
  return g.graph;
}

TEST(Stepwise, RunsWhatDependsOnValues) {
  SmallGraph g;
  const Graph graph = count_positives(g);
  for (uint32_t seed : {1u, 2u, 1u}) {
    const Tensor a = random_f32({4, 8}, seed);
    const auto results = planned(graph, {a});
    const Tensor x = run_op("Relu", {run_op("Linear", {a, random_f32({8, 6}, 3)})});
    const Tensor expected = run_op("Transpose", {run_op("NonZero", {x})}, attributes_of({{"perm", ints({1, 0})}}));
    ASSERT_EQ(results.size(), 2u);
    EXPECT_TRUE(same_bits(results[0], expected));
    EXPECT_EQ(values_of<int64_t>(results[1]), ints({expected.shape()[0], 2}));
  }
}

TEST(Stepwise, ReshapesToShapesThatAreData) {
  SmallGraph g;
  const ValueId x = g.input("x", {DType::f32, {2, 6}});
  const ValueId shape = g.input("shape", {DType::i64, {2}});
  const ValueId y = untyped(g.graph, "Reshape", {g.op("Neg", {x}), shape})[0];
  g.output(untyped(g.graph, "Relu", {y})[0]);
  auto model = Model::from_graph(g.graph, {.isa = best_isa(), .passes = {}}, std::make_shared<ThreadPool>(2)).take();
  const Tensor data = random_f32({2, 6}, 1);
  for (const auto& extents : {ints({3, 4}), ints({4, 3}), ints({3, -1})}) {
    auto results = model->run(std::vector<Tensor>{data, integers(extents)});
    ASSERT_TRUE(results.ok()) << results.error().message;
    EXPECT_EQ((*results)[0].shape()[0], extents[0]);
    EXPECT_TRUE(same_bits((*results)[0], run_op("Relu", {run_op("Neg", {data})}).reshaped((*results)[0].shape())));
  }
  auto wrong = model->run(std::vector<Tensor>{data, integers({5, 5})});
  ASSERT_FALSE(wrong.ok());
  EXPECT_NE(wrong.error().code, ErrorCode::needs_values);
  EXPECT_NE(wrong.error().message.find("Reshape"), std::string::npos);
  auto plan = model->prepare({{DType::f32, {2, 6}}, {DType::i64, {2}}});
  ASSERT_FALSE(plan.ok());
  EXPECT_EQ(plan.error().code, ErrorCode::needs_values);
}

TEST(Stepwise, StopsAtItsLimitOfSteps) {
  SmallGraph g;
  const Graph graph = count_positives(g);
  auto model =
      Model::from_graph(graph, {.isa = best_isa(), .passes = {}, .max_steps = 1}, std::make_shared<ThreadPool>(1)).take();
  auto results = model->run(std::vector<Tensor>{random_f32({4, 8}, 1)});
  ASSERT_FALSE(results.ok());
  EXPECT_NE(results.error().message.find("more than 1 steps"), std::string::npos);
}

// More stages than a run may have: the rest goes node by node.
TEST(Stepwise, EndsLongAlternationsNodeByNode) {
  SmallGraph g;
  ValueId x = g.input("x", {DType::f32, {3, 4}});
  const ValueId shape = g.input("shape", {DType::i64, {2}});
  for (int i = 0; i < 100; ++i) {
    x = untyped(g.graph, "Neg", {untyped(g.graph, "Reshape", {x, shape})[0]})[0];
  }
  g.output(x);
  const Tensor data = random_f32({3, 4}, 1);
  EXPECT_TRUE(same_bits(planned(g.graph, {data, integers({4, 3})})[0], data.reshaped({4, 3})));
}

TEST(Stepwise, FoldsWhatItCanBeforehand) {
  SmallGraph g;
  const ValueId indices = untyped(g.graph, "NonZero", {g.constant(tensor<float>({3}, {0, 2, 3}))})[0];
  g.output(indices);
  auto model = Model::from_graph(g.graph, {.isa = best_isa(), .passes = {}}, std::make_shared<ThreadPool>(1)).take();
  EXPECT_TRUE(model->prepare({}).ok());
  EXPECT_EQ(values_of<int64_t>(planned(g.graph, {})[0]), ints({1, 2}));
}

TEST(NonZero, GivesColumnsOfIndices) {
  const Tensor found = run_op("NonZero", {tensor<bool>({2, 2}, {true, false, true, true})});
  EXPECT_EQ(to_string(found.type()), "i64[2, 3]");
  EXPECT_EQ(values_of<int64_t>(found), ints({0, 1, 1, 0, 0, 1}));
  EXPECT_EQ(to_string(run_op("NonZero", {tensor<int32_t>({2, 0}, {})}).type()), "i64[2, 0]");
}

}  // namespace
}  // namespace oxplow
