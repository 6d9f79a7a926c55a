// Batches in slices: loops of a plan (places of what crosses their bounds), and the pass that cuts the graph into them.

#include "oxplow/graph/small_graph.h"

namespace oxplow {
namespace {

Attributes slices(int64_t n) { return attributes_of({{"slices", n}}); }
ValueId slice(SmallGraph& g, ValueId x, int64_t n) { return g.op("BatchSlice", {x}, slices(n)); }
ValueId join(SmallGraph& g, ValueId x, int64_t n) { return g.op("BatchJoin", {x}, slices(n)); }
ValueId conv(SmallGraph& g, ValueId x, int64_t filters, int64_t kernel, uint32_t seed) {
  const int64_t pad = kernel / 2;
  return g.op("Conv", {x, g.constant(random_f32({filters, g.graph.shape(x)[3], kernel, kernel}, seed))},
              attributes_of({{"pads", ints({pad, pad, pad, pad})}}));
}

std::vector<Tensor> run(const SmallGraph& g, const std::vector<Tensor>& inputs, std::vector<BatchLoop>* loops = nullptr,
                        int threads = 2) {
  TestMachine test(threads);
  auto plan = make_plan(g.graph, test.machine);
  EXPECT_TRUE(plan.ok()) << (plan.ok() ? "" : plan.error().message);
  if (loops != nullptr) *loops = plan->loops;
  auto execution = Execution::create(plan.take()).take();
  std::vector<const void*> in;
  std::vector<void*> out;
  std::vector<Tensor> results;
  for (const Tensor& t : inputs) in.push_back(t.data());
  for (const TensorType& type : execution->plan().outputs) {
    results.push_back(Tensor::allocate(type).take());
    out.push_back(results.back().mutable_data());
  }
  for (int repeat = 0; repeat < 2; ++repeat) execution->run(in, out, test.pool);  // what a run leaves must not reach the next
  return results;
}

// The graph in slices of 1, 2, 3 and 6 gives the bits of the graph at once.
template <typename Build>
void expect_same(Build build, size_t loops_wanted) {
  SmallGraph whole;
  build(whole, 1);
  const auto inputs = whole.random_inputs();
  const auto expected = run(whole, inputs);
  for (const int64_t n : {2, 3, 6}) {
    SmallGraph sliced;
    build(sliced, n);
    std::vector<BatchLoop> loops;
    const auto actual = run(sliced, inputs, &loops);
    EXPECT_EQ(loops.size(), loops_wanted);
    for (const BatchLoop& loop : loops) EXPECT_EQ(loop.turns, n);
    ASSERT_EQ(actual.size(), expected.size());
    for (size_t i = 0; i < actual.size(); ++i)
      EXPECT_TRUE(same_bits(actual[i], expected[i])) << "output " << i << ", slices " << n;
  }
}

TEST(BatchLoop, FromInputToOutput) {
  expect_same(
      [](SmallGraph& g, int64_t n) {
        const ValueId x = slice(g, g.input("x", {DType::f32, Shape{6, 5, 7}}), n);
        g.output(join(g, g.op("Relu", {g.op("Softmax", {x})}), n));
      },
      1);
}

// Values cross into the loop with a border that its convolution wants, and out of it into another one.
TEST(BatchLoop, BordersLieAroundEverySlice) {
  expect_same(
      [](SmallGraph& g, int64_t n) {
        const ValueId x = g.input("x", {DType::f32, Shape{6, 7, 9, 8}});
        const ValueId first = conv(g, x, 16, 3, 1);
        const ValueId second = join(g, conv(g, conv(g, slice(g, first, n), 16, 5, 2), 24, 1, 3), n);
        const ValueId third = join(g, conv(g, slice(g, second, n), 8, 3, 4), n);
        g.output(conv(g, third, 8, 3, 5));
      },
      2);
}

// A value of the loop is read in it and behind it, one from before it in every turn, and again behind it.
TEST(BatchLoop, ValuesLiveOnBothSides) {
  expect_same(
      [](SmallGraph& g, int64_t n) {
        const ValueId x = g.input("x", {DType::f32, Shape{6, 4, 4, 8}});
        const ValueId before = g.op("Softmax", {x});
        const ValueId b = slice(g, before, n);
        const ValueId inside = g.op("Tanh", {b});
        const ValueId sum = g.op("Add", {g.op("Softmax", {inside}), b});
        const ValueId all = join(g, inside, n), total = join(g, sum, n);
        g.output(g.op("Add", {g.op("Mul", {all, before}), total})).output(total);
      },
      1);
}

TEST(BatchLoop, ViewsAtBothEnds) {
  expect_same(
      [](SmallGraph& g, int64_t n) {
        const ValueId x = slice(g, g.input("x", {DType::f32, Shape{6, 4, 5}}), n);
        const ValueId turned = g.transpose(x, {0, 2, 1});
        const ValueId soft = g.op("Softmax", {turned});
        g.output(join(g, g.op("Flatten", {g.transpose(soft, {0, 2, 1})}), n)).output(join(g, turned, n));
      },
      1);
}

// ---- the pass

// Images that L2 can hold a few of, and ops on them.
SmallGraph many_large_images(int64_t batch) {
  SmallGraph g;
  ValueId x = g.input("x", {DType::f32, Shape{batch, 96, 96, 64}});
  for (uint32_t i = 0; i < 3; ++i) {
    x = g.op("Conv", {x, g.constant(random_f32({64, 64, 1, 1}, i + 1, -0.2f, 0.2f))});
    x = g.op("MaxPool", {x}, attributes_of({{"kernel_shape", ints({2, 2})}, {"strides", ints({2, 2})}}));
  }
  x = g.op("ReduceMean", {x, g.constant(integers({1, 2}))});
  g.output(g.reshape(x, {batch, 64}));
  return g;
}

std::vector<BatchLoop> loops_of(const Graph& graph) {
  TensorTypes types;
  for (ValueId id : graph.inputs) types.push_back(graph[id].type);
  ModelOptions options;
  options.isa = best_isa();
  auto model = Model::from_graph(graph, options, std::make_shared<ThreadPool>(2)).take();
  auto execution = model->prepare(types);
  EXPECT_TRUE(execution.ok()) << (execution.ok() ? "" : execution.error().message);
  return execution.ok() ? (*execution)->plan().loops : std::vector<BatchLoop>{};
}

TEST(SliceBatch, LargeBatchesPassInSlices) {
  const SmallGraph g = many_large_images(8);
  const auto loops = loops_of(g.graph);
  ASSERT_FALSE(loops.empty());
  EXPECT_GT(loops[0].turns, 1);
  const auto inputs = g.random_inputs();
  const auto whole = planned(g.graph, inputs, {"slice_batch"});
  const auto sliced = planned(g.graph, inputs);
  ASSERT_EQ(sliced.size(), 1u);
  expect_close(sliced[0], whole[0], 1e-6);
  for (const int threads : {1, 3}) EXPECT_TRUE(same_bits(planned(g.graph, inputs, {}, threads)[0], sliced[0])) << threads;
}

TEST(SliceBatch, OneSampleAndSmallSamplesStayWhole) {
  EXPECT_TRUE(loops_of(many_large_images(1).graph).empty());
  SmallGraph g;
  g.output(g.op("Softmax", {g.op("Relu", {g.input("x", {DType::f32, Shape{64, 10}})})}));
  EXPECT_TRUE(loops_of(g.graph).empty());
}

// What depends on more than one sample must see the whole batch: along axis 0, in other places of the batch, by constants for each sample.
TEST(SliceBatch, WhatMixesSamplesStaysWhole) {
  const Shape large{4, 1 << 10, 1 << 10};
  const auto whole = [&](auto build) {
    SmallGraph g;
    const ValueId x = g.input("x", {DType::f32, large});
    g.output(build(g, x));
    return loops_of(g.graph).empty();
  };
  EXPECT_TRUE(whole([](SmallGraph& g, ValueId x) { return g.op("Softmax", {x}, attributes_of({{"axis", int64_t{0}}})); }));
  EXPECT_TRUE(whole([](SmallGraph& g, ValueId x) { return g.op("Softmax", {g.transpose(x, {1, 0, 2})}); }));
  EXPECT_TRUE(whole([](SmallGraph& g, ValueId x) {
    return g.op("Softmax", {g.op("Softmax", {x}, attributes_of({{"axis", int64_t{0}}}))}, attributes_of({{"axis", int64_t{0}}}));
  }));
  EXPECT_FALSE(whole([](SmallGraph& g, ValueId x) { return g.op("Softmax", {g.op("Softmax", {x})}); }));

  const auto by_constant = [&](const Shape& shape) {
    SmallGraph g;
    const ValueId x = g.input("x", {DType::f32, large});
    g.output(g.op("Add", {x, g.constant(random_f32(shape, 1))}));
    const Node& add = g.graph.nodes.front();
    const auto operands = g.graph.input_operands(add);
    return add.op->by_sample({add.attributes, operands, 1});
  };
  EXPECT_FALSE(by_constant({4, 1, 1}));
  EXPECT_TRUE(by_constant({1, 1, 1}));
  EXPECT_TRUE(by_constant({1 << 10, 1 << 10}));
}

TEST(SliceBatch, InputsOfOtherExtentsStayWhole) {
  SmallGraph g;
  const ValueId x = g.input("x", {DType::f32, Shape{4, 1 << 10, 1 << 10}}), y = g.input("y", {DType::f32, Shape{1 << 10}});
  g.output(g.op("Softmax", {g.op("Softmax", {g.op("Add", {x, y})})}));
  EXPECT_TRUE(loops_of(g.graph).empty());
}

}  // namespace
}  // namespace oxplow
