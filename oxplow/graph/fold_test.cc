#include "oxplow/graph/fold.h"

#include "oxplow/graph/small_graph.h"

namespace oxplow {
namespace {

struct Folder {
  TestMachine test;
  FoldMemo memo;
  Graph operator()(Graph graph) {
    const Status status = infer_and_fold(graph, memo, test.machine);
    EXPECT_TRUE(status.ok()) << (status.ok() ? "" : status.error().message);
    return graph;
  }
};

TEST(Fold, ComputesWhatDependsOnShapesAlone) {
  SmallGraph g;
  const ValueId x = g.input("x", {DType::f32, Shape{2, 3, 4}});
  const ValueId shape = g.op("Shape", {x});
  const ValueId first = g.op("Gather", {shape, g.constant(integers({0}))});
  const ValueId target = g.op("Concat", {first, g.constant(integers({-1}))});
  g.output(g.op("Relu", {x})).output(target);
  const Graph folded = Folder()(g.graph);
  EXPECT_EQ(histogram(folded), "Relu 1");
  ASSERT_TRUE(folded.constant(folded.outputs[1]));
  EXPECT_EQ(values_of<int64_t>(*folded.constant(folded.outputs[1])), (std::vector<int64_t>{2, -1}));
  EXPECT_TRUE(folded.verify().ok());
}

TEST(Fold, FollowsComputedShapes) {
  // Types downstream of a computed shape are known only once it is folded, as importers leave them.
  Graph graph;
  const ValueId x = graph.add_value("x");
  graph[x].type = {DType::f32, Shape{2, 3, 4}};
  graph[x].typed = true;
  graph.inputs = {x};
  const ValueId axis = graph.add_constant(integers({-1}), "axis");
  const auto add = [&](const char* op, std::vector<ValueId> inputs) {
    graph.nodes.push_back(
        {.op = find_op(op), .name = op, .attributes = {}, .inputs = std::move(inputs), .outputs = {graph.add_value(op)}});
    graph[graph.nodes.back().outputs[0]].producer = &graph.nodes.back();
    return graph.nodes.back().outputs[0];
  };
  const ValueId y = add("Reshape", {x, add("Gather", {add("Shape", {x}), axis})});
  graph.outputs = {y};
  TestMachine test;
  FoldMemo memo;
  const Status status = infer_and_fold(graph, memo, test.machine);
  ASSERT_FALSE(status.ok()) << "4 elements for 24";
  EXPECT_NE(status.error().message.find("node 'Reshape' (Reshape): cannot reshape"), std::string::npos) << status.error().message;
}

TEST(Fold, LargeResultsAreSharedWhileTheyLive) {
  const Tensor w = random_f32({100, 100}, 1);
  const auto folded_with = [&](Folder& fold) {
    SmallGraph g;
    g.output(g.op("Neg", {g.constant(w)}));
    return *fold(g.graph).constant(1);
  };
  Folder fold;
  const Tensor a = folded_with(fold), b = folded_with(fold);
  EXPECT_EQ(a.data(), b.data()) << "the same op on the same constant";
}

// Attributes that print alike are not alike.
TEST(Fold, TellsCloseAttributesApart) {
  SmallGraph g;
  const ValueId w = g.constant(random_f32({100, 100}, 1));
  const ValueId a = g.op("LeakyRelu", {w}, attributes_of({{"alpha", 1e-7f}})),
                b = g.op("LeakyRelu", {w}, attributes_of({{"alpha", 2e-7f}}));
  g.output(a).output(b);
  const Graph folded = Folder()(g.graph);
  EXPECT_FALSE(same_bits(*folded.constant(a), *folded.constant(b)));
}

TEST(Fold, TellsNumbersOfOutputsApart) {
  SmallGraph g;
  const ValueId w = g.constant(random_f32({6, 1000}, 1));
  const auto two = g.ops("Split", {w}, {}, 2), three = g.ops("Split", {w}, {}, 3);
  g.output(two[1]).output(three[2]);
  const Graph folded = Folder()(g.graph);
  EXPECT_EQ(folded.constant(two[1])->shape(), (Shape{3, 1000}));
  EXPECT_EQ(folded.constant(three[2])->shape(), (Shape{2, 1000}));
}

TEST(Fold, LeavesHugeResultsToTheRun) {
  SmallGraph g;
  g.output(g.op("Expand", {g.constant(number(1)), g.constant(integers({128, 1024, 1024}))}));
  EXPECT_EQ(histogram(Folder()(g.graph)), "Expand 1");
}

// Weights side by side are no more bytes than they were apart.
TEST(Fold, ComputesHugeResultsOfInputsAsHuge) {
  SmallGraph g;
  const ValueId half = g.constant(Tensor::allocate({DType::u8, Shape{1024, 140 << 10}}).take());
  g.output(g.op("Concat", {half, half}, attributes_of({{"axis", int64_t{0}}})));
  const Graph folded = Folder()(g.graph);
  EXPECT_EQ(histogram(folded), "");
  ASSERT_TRUE(folded.constant(folded.outputs[0]));
  EXPECT_EQ(folded.shape(folded.outputs[0]), (Shape{2048, 140 << 10}));
}

TEST(Fold, MemoForgetsWithItsInputs) {
  FoldMemo memo;
  Tensor result = random_f32({4}, 1);
  {
    const Tensor input = random_f32({4}, 2);
    memo.insert("k", {input}, {result});
    ASSERT_EQ(memo.find("k").size(), 1u);
    EXPECT_EQ(memo.find("k")[0].data(), result.data());
  }
  EXPECT_TRUE(memo.find("k").empty()) << "another tensor may live at the input's address by now";
  const Tensor input = random_f32({4}, 2);
  memo.insert("k", {input}, {result});
  result = {};
  EXPECT_TRUE(memo.find("k").empty());
  EXPECT_TRUE(memo.find("unknown").empty());
}

}  // namespace
}  // namespace oxplow
