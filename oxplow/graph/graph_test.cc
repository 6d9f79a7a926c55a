#include "oxplow/graph/graph.h"

#include "oxplow/graph/small_graph.h"

namespace oxplow {
namespace {

TEST(Graph, SaysItself) {
  SmallGraph g;
  const ValueId x = g.input("x", {DType::f32, Shape{2, 3}});
  const ValueId y = g.op("Add", {x, g.constant(number(1))});
  g.output(g.op("Relu", {y}));
  EXPECT_EQ(g.graph.to_text(),
            "%2 f32[2, 3] = Add(%0, $1)  # Add_0\n"
            "%3 f32[2, 3] = Relu(%2)  # Relu_1\n");
  EXPECT_TRUE(g.graph.verify().ok());
}

TEST(Graph, CopiesAreDeepInStructure) {
  SmallGraph g;
  const ValueId x = g.input("x", {DType::f32, Shape{2}});
  const ValueId y = g.op("Relu", {x});
  g.output(y);
  Graph copy = g.graph;
  EXPECT_EQ(copy.producer(y), &copy.nodes.front());
  copy.nodes.front().attributes.set("a", int64_t{1});
  EXPECT_FALSE(g.graph.nodes.front().attributes.has("a"));
  EXPECT_TRUE(copy.verify().ok());
}

TEST(Graph, RemovesTheDead) {
  SmallGraph g;
  const ValueId x = g.input("x", {DType::f32, Shape{2}});
  const ValueId y = g.op("Relu", {x});
  g.op("Exp", {g.op("Neg", {x})});
  g.output(y);
  g.graph.remove_dead();
  EXPECT_EQ(histogram(g.graph), "Relu 1");
  EXPECT_TRUE(g.graph.verify().ok());
}

TEST(Graph, KeepsANodeForOneOfItsOutputs) {
  SmallGraph g;
  const auto parts = g.ops("Split", {g.input("x", {DType::f32, Shape{4}})}, {}, 2);
  g.output(parts[1]);
  g.graph.remove_dead();
  EXPECT_EQ(histogram(g.graph), "Split 1");
}

TEST(Graph, ReplacesUsesInOutputsToo) {
  SmallGraph g;
  const ValueId x = g.input("x", {DType::f32, Shape{2}});
  const ValueId y = g.op("Relu", {x});
  g.op("Neg", {y});
  g.output(y).output(y);
  EXPECT_EQ(g.graph.use_counts()[static_cast<size_t>(y)], 3);
  g.graph.replace_uses(y, x);
  EXPECT_EQ(g.graph.outputs, (std::vector<ValueId>{x, x}));
  EXPECT_EQ(g.graph.use_counts()[static_cast<size_t>(y)], 0);
}

std::string verify_error(const Graph& graph) {
  const Status status = graph.verify();
  return status.ok() ? "sound" : status.error().message;
}

TEST(Graph, VerifyFindsWhatIsBroken) {
  SmallGraph g;
  const ValueId x = g.input("x", {DType::f32, Shape{2}});
  const ValueId y = g.op("Relu", {x}), z = g.op("Neg", {y});
  g.output(z);

  Graph cycle = g.graph;
  cycle.nodes.front().inputs[0] = z;
  EXPECT_NE(verify_error(cycle).find("a cycle or a dangling input"), std::string::npos) << verify_error(cycle);

  Graph twice = g.graph;
  twice.nodes.back().outputs[0] = y;
  EXPECT_NE(verify_error(twice).find("a second time"), std::string::npos);

  Graph writes_input = g.graph;
  writes_input.nodes.back().outputs[0] = x;
  EXPECT_NE(verify_error(writes_input).find("a second time"), std::string::npos);

  Graph unwritten = g.graph;
  unwritten.outputs[0] = unwritten.add_value("lost");
  EXPECT_NE(verify_error(unwritten).find("nothing writes the output 'lost'"), std::string::npos);

  Graph stranger = g.graph;
  stranger[y].producer = nullptr;
  EXPECT_NE(verify_error(stranger).find("not the producer"), std::string::npos);
}

TEST(Graph, InferSaysWhyNot) {
  SmallGraph g;
  const ValueId x = g.input("x", {DType::f32, Shape{2}});
  auto failed = g.graph.emit1(g.graph.nodes.end(), "MatMul", "product", {x});
  ASSERT_FALSE(failed.ok());
  EXPECT_EQ(failed.error().message, "MatMul: MatMul lacks its input 1");
  failed = g.graph.emit1(g.graph.nodes.end(), "Ploughshare", "", {x});
  EXPECT_EQ(failed.error().message, "no op named Ploughshare");
  const ValueId untyped = g.graph.add_value("u");
  failed = g.graph.emit1(g.graph.nodes.end(), "Relu", "", {untyped});
  EXPECT_NE(failed.error().message.find("'u' is read before it is written"), std::string::npos);
}

}  // namespace
}  // namespace oxplow
