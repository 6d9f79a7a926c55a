// Plans: where values lie (views, borders, outputs), and runs of them.

#include "oxplow/graph/plan.h"

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <new>

#include "oxplow/graph/small_graph.h"

// Every allocation of this program is counted, except where a sanitizer has operators of its own.
#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define OXPLOW_SANITIZER_ALLOCATES 1
#endif
#endif

namespace {
std::atomic<int64_t> allocations{0};
}

#ifndef OXPLOW_SANITIZER_ALLOCATES
// Never inlined: g++ would pair a new it sees through with a delete it does not.
[[gnu::noinline]] void* operator new(size_t size) {
  ++allocations;
  if (void* p = std::malloc(size ? size : 1)) return p;
  std::abort();
}
[[gnu::noinline]] void* operator new(size_t size, std::align_val_t alignment) {
  ++allocations;
  const auto a = static_cast<size_t>(alignment);
  if (void* p = std::aligned_alloc(a, (size + a - 1) / a * a)) return p;
  std::abort();
}
[[gnu::noinline]] void operator delete(void* p) noexcept { std::free(p); }
[[gnu::noinline]] void operator delete(void* p, size_t) noexcept { std::free(p); }
[[gnu::noinline]] void operator delete(void* p, std::align_val_t) noexcept { std::free(p); }
[[gnu::noinline]] void operator delete(void* p, size_t, std::align_val_t) noexcept { std::free(p); }
#endif

namespace oxplow {
namespace {

// A plan's own view of itself: "Copy, Linear, ..." in order.
std::string step_names(const Plan& plan) {
  std::string text;
  for (const PlannedStep& step : plan.steps) text += (text.empty() ? "" : ", ") + step.op;
  return text;
}

struct Planned {
  explicit Planned(const SmallGraph& g, int threads = 2) : test(threads) {
    auto made = make_plan(g.graph, test.machine);
    EXPECT_TRUE(made.ok()) << (made.ok() ? "" : made.error().message);
    execution = Execution::create(made.take()).take();
  }
  std::vector<Tensor> run(const std::vector<Tensor>& inputs) {
    std::vector<const void*> in;
    std::vector<void*> out;
    std::vector<Tensor> results;
    for (const Tensor& t : inputs) in.push_back(t.data());
    for (const TensorType& type : execution->plan().outputs) {
      results.push_back(Tensor::allocate(type).take());
      out.push_back(results.back().mutable_data());
    }
    execution->run(in, out, test.pool);
    return results;
  }
  std::string steps() const { return step_names(execution->plan()); }

  TestMachine test;
  std::unique_ptr<Execution> execution;
};

// A plan of the graph as it stands gives what its ops give one by one.
void expect_as_op_by_op(const SmallGraph& g, double tolerance = 0, std::string steps = {}) {
  const auto inputs = g.random_inputs();
  const auto expected = op_by_op(g.graph, inputs);
  Planned planned(g);
  if (!steps.empty()) EXPECT_EQ(planned.steps(), steps);
  for (int run = 0; run < 3; ++run) {  // memory is used again: the second run must not see the first
    const auto actual = planned.run(inputs);
    ASSERT_EQ(actual.size(), expected.size());
    for (size_t i = 0; i < actual.size(); ++i) expect_close(actual[i], expected[i], tolerance);
  }
}

TEST(Plan, ViewsTakeNoSteps) {
  SmallGraph g;
  const ValueId x = g.input("x", {DType::f32, Shape{4, 6}});
  const ValueId y = g.op("Relu", {g.reshape(g.op("Neg", {x}), {2, 2, 6})});
  const ValueId window = g.op("Slice", {y, g.constant(integers({1})), g.constant(integers({2})), g.constant(integers({1}))});
  g.output(g.op("Exp", {g.transpose(window, {2, 0, 1})}));
  expect_as_op_by_op(g, 0, "Neg, Relu, Exp");
}

TEST(Plan, SplitPartsAreWindows) {
  SmallGraph g;
  const ValueId y = g.op("Neg", {g.input("x", {DType::f32, Shape{3, 10}})});
  const auto parts = g.ops("Split", {y, g.constant(integers({4, 6}))}, attributes_of({{"axis", int64_t{1}}}), 2);
  g.output(g.op("Relu", {parts[0]})).output(g.op("Exp", {parts[1]}));
  expect_as_op_by_op(g, 0, "Neg, Relu, Exp");
}

TEST(Plan, ReversedSliceIsAWindow) {
  SmallGraph g;
  const ValueId x = g.input("x", {DType::f32, Shape{5, 6}});
  const auto backwards = [&](ValueId v, int64_t axis) {
    return g.op("Slice", {v, g.constant(integers({-1})), g.constant(integers({-100})), g.constant(integers({axis})),
                          g.constant(integers({-1}))});
  };
  g.output(g.op("Relu", {backwards(backwards(x, 0), 1)}));
  expect_as_op_by_op(g, 0, "Relu");
}

TEST(Plan, ReshapeOfATransposeCopies) {
  SmallGraph g;
  const ValueId x = g.input("x", {DType::f32, Shape{4, 6}});
  g.output(g.op("Relu", {g.reshape(g.transpose(x, {1, 0}), {24})}));
  expect_as_op_by_op(g, 0, "Copy, Relu");
}

TEST(Plan, ReshapeOfATransposeStraightToTheOutput) {
  SmallGraph g;
  const ValueId x = g.input("x", {DType::f32, Shape{4, 6}});
  g.output(g.reshape(g.transpose(x, {1, 0}), {3, 8}));
  expect_as_op_by_op(g, 0, "Copy");
}

TEST(Plan, DenseReadersGetDenseCopies) {
  SmallGraph g;
  const ValueId x = g.input("x", {DType::f32, Shape{4, 6}});
  g.output(g.op("Softmax", {g.transpose(x, {1, 0})}));
  expect_as_op_by_op(g, 0, "Copy, Softmax");
}

TEST(Plan, OutputsThatAreInputs) {
  SmallGraph g;
  const ValueId x = g.input("x", {DType::f32, Shape{4, 6}});
  g.output(x).output(g.transpose(x, {1, 0}));
  expect_as_op_by_op(g, 0, "Copy, Copy");
}

TEST(Plan, OutputsThatAreConstants) {
  SmallGraph g;
  g.input("x", {DType::f32, Shape{1}});
  const ValueId c = g.constant(random_f32({3, 4}, 9));
  g.output(c).output(c);
  expect_as_op_by_op(g, 0, "Copy, Copy");
}

TEST(Plan, TheSameOutputTwice) {
  SmallGraph g;
  const ValueId y = g.op("Relu", {g.input("x", {DType::f32, Shape{4}})});
  g.output(y).output(g.op("Neg", {y})).output(y);
  expect_as_op_by_op(g, 0, "Relu, Neg, Copy");
}

TEST(Plan, OutputsThatAreWindowsOfOutputs) {
  SmallGraph g;
  const ValueId y = g.op("Relu", {g.input("x", {DType::f32, Shape{4, 3}})});
  const auto parts = g.ops("Split", {y}, {}, 2);
  g.output(parts[1]).output(y).output(parts[0]).output(g.reshape(y, {3, 4}));
  expect_as_op_by_op(g);
}

TEST(Plan, GraphWithoutOutputsOrSteps) {
  SmallGraph g;
  const ValueId x = g.input("x", {DType::f32, Shape{4}});
  Planned nothing(g);
  EXPECT_TRUE(nothing.run(g.random_inputs()).empty());
  g.op("Relu", {x});
  Planned unread(g);
  EXPECT_TRUE(unread.run(g.random_inputs()).empty());
}

ValueId conv3x3(SmallGraph& g, ValueId x, int64_t pad, uint32_t seed, int64_t filters = 4) {
  const int64_t channels = g.graph.shape(x)[3];
  return g.op("Conv", {x, g.constant(random_f32({filters, channels, 3, 3}, seed))},
              attributes_of({{"pads", ints({pad, pad, pad, pad})}}));
}

TEST(Plan, ProducersWriteIntoTheBorder) {
  SmallGraph g;
  const ValueId x = g.input("x", {DType::f32, Shape{2, 6, 7, 4}});
  ValueId y = conv3x3(g, x, 1, 1);
  y = conv3x3(g, g.op("Relu", {y}), 1, 2);
  g.output(conv3x3(g, y, 1, 3));
  // Only the graph's own input has no border.
  expect_as_op_by_op(g, 1e-5, "Copy, Conv, Relu, Conv, Conv");
}

TEST(Plan, PaddingIsZeros) {
  const Tensor x = random_f32({2, 5, 6, 4}, 1), w = random_f32({3, 4, 3, 3}, 2);
  SmallGraph implicit, by_hand;
  implicit.output(
      implicit.op("Conv", {implicit.input("x", x.type()), implicit.constant(w)}, attributes_of({{"pads", ints({1, 2, 0, 1})}})));
  const ValueId padded = by_hand.op("Pad", {by_hand.input("x", x.type()), by_hand.constant(integers({0, 1, 2, 0, 0, 0, 1, 0}))});
  by_hand.output(by_hand.op("Conv", {padded, by_hand.constant(w)}));
  Planned a(implicit), b(by_hand);
  expect_close(a.run({x})[0], b.run({x})[0], 1e-6);
}

TEST(Plan, BordersStayZeroFromRunToRun) {
  // Values of many sizes come and go around the bordered ones; every run gives other values.
  SmallGraph g;
  const ValueId x = g.input("x", {DType::f32, Shape{1, 8, 8, 4}});
  ValueId y = x;
  for (uint32_t i = 0; i < 6; ++i) {
    const ValueId z = conv3x3(g, y, 1, i);
    const ValueId noise = g.op("Exp", {g.reshape(g.transpose(z, {0, 3, 1, 2}), {16, 16})});
    y = g.op("Add", {z, g.reshape(g.op("Softmax", {noise}), {1, 8, 8, 4})});
  }
  g.output(y);
  Planned plan(g);
  for (uint32_t run = 0; run < 4; ++run) {
    const Tensor in = random_f32({1, 8, 8, 4}, 100 + run);
    Planned fresh(g);
    EXPECT_TRUE(same_bits(plan.run({in})[0], fresh.run({in})[0])) << "run " << run;
  }
}

// Pixels of 2 KiB lie a line further apart in the arena, for readers of any kind; views would have to copy them.
TEST(Plan, PixelsThatWouldCollideAreSpread) {
  SmallGraph g;
  const ValueId x = g.input("x", {DType::f32, Shape{2, 3, 4, 8}});
  const ValueId wide = g.op("Conv", {x, g.constant(random_f32({512, 8, 1, 1}, 1))});
  const ValueId relu = g.op("Relu", {wide});
  const ValueId narrow = g.op("Conv", {relu, g.constant(random_f32({512, 512, 1, 1}, 2)), kNoValue, wide});
  const ValueId pool = g.op("MaxPool", {narrow}, attributes_of({{"kernel_shape", ints({2, 2})}}));
  g.output(g.op("Conv", {pool, g.constant(random_f32({5, 512, 2, 2}, 3))}));
  g.output(g.op("ReduceMean", {narrow, g.constant(integers({1, 2}))}));
  expect_as_op_by_op(g, 1e-5, "Conv, Relu, Conv, MaxPool, Conv, ReduceMean");
}

TEST(Plan, ReadersOfOneValueWithUnlikeBorders) {
  SmallGraph g;
  const ValueId y = g.op("Relu", {g.input("x", {DType::f32, Shape{1, 9, 9, 4}})});
  const ValueId a = conv3x3(g, y, 1, 1);
  const ValueId b = g.op("Conv", {y, g.constant(random_f32({4, 4, 5, 5}, 2))}, attributes_of({{"pads", ints({2, 2, 2, 2})}}));
  const ValueId pool = g.op("MaxPool", {y}, attributes_of({{"kernel_shape", ints({3, 3})}, {"pads", ints({1, 1, 1, 1})}}));
  g.output(g.op("Add", {g.op("Add", {a, b}), pool}));
  Planned plan(g);
  EXPECT_EQ(plan.steps().find("Copy"), std::string::npos) << "one border covers all readers: " << plan.steps();
  // Each branch by itself.
  const Tensor x = random_f32({1, 9, 9, 4}, 5);
  const auto branch = [&](ValueId id) {
    SmallGraph one = g;
    one.graph.outputs = {id};
    one.graph.remove_dead();
    return Planned(one).run({x})[0];
  };
  const Tensor sum = run_op("Add", {run_op("Add", {branch(a), branch(b)}), branch(pool)});
  EXPECT_TRUE(same_bits(plan.run({x})[0], sum));
}

// An elementwise op outside of the chains' types writes element by element: into bordered memory too.
TEST(Plan, ScalarOpsWriteIntoTheBorder) {
  SmallGraph g;
  const ValueId x = g.input("x", {DType::f32, Shape{1, 4, 4, 4}});
  const ValueId squared = g.op("Pow", {x, g.constant(Tensor::scalar<int64_t>(2))});
  g.output(conv3x3(g, squared, 1, 1));
  SmallGraph h;
  const ValueId u = h.input("x", {DType::f32, Shape{1, 4, 4, 4}});
  h.output(conv3x3(h, h.op("Mul", {u, u}), 1, 1));
  const Tensor in = random_f32({1, 4, 4, 4}, 1);
  expect_close(Planned(g).run({in})[0], Planned(h).run({in})[0], 1e-6);
}

TEST(Plan, ConcatWritesIntoTheBorder) {
  SmallGraph g;
  const ValueId x = g.input("x", {DType::f32, Shape{1, 5, 5, 3}});
  const ValueId y = g.op("Concat", {g.op("Relu", {x}), x, g.op("Neg", {x})}, attributes_of({{"axis", int64_t{3}}}));
  g.output(conv3x3(g, y, 1, 1));
  SmallGraph h;
  const ValueId u = h.input("x", {DType::f32, Shape{1, 5, 5, 9}});
  h.output(conv3x3(h, u, 1, 1));
  const Tensor in = random_f32({1, 5, 5, 3}, 1);
  const Tensor joined = run_op("Concat", {run_op("Relu", {in}), in, run_op("Neg", {in})}, attributes_of({{"axis", int64_t{3}}}));
  Planned plan(g);
  EXPECT_EQ(plan.steps(), "Relu, Neg, Concat, Conv");
  EXPECT_TRUE(same_bits(plan.run({in})[0], Planned(h).run({joined})[0]));
}

// A small net of everything: image, head, attention.
SmallGraph busy_graph() {
  SmallGraph g;
  const ValueId x = g.input("x", {DType::f32, Shape{2, 16, 16, 8}});
  ValueId y = conv3x3(g, x, 1, 1, 16);
  y = g.op("Relu", {g.op("Add", {conv3x3(g, y, 1, 2, 16), y})});
  y = g.op("MaxPool", {y}, attributes_of({{"kernel_shape", ints({2, 2})}, {"strides", ints({2, 2})}}));
  y = g.op("Conv", {y, g.constant(random_f32({16, 1, 3, 3}, 3))},
           attributes_of({{"group", int64_t{16}}, {"pads", ints({1, 1, 1, 1})}}));
  y = g.reshape(y, {2, 64, 16});
  y = g.op("LayerNormalization", {y, g.constant(random_f32({16}, 4)), g.constant(random_f32({16}, 5))});
  const ValueId scores = g.op("Softmax", {g.op("MatMul", {y, g.transpose(y, {0, 2, 1})})});
  y = g.op("MatMul", {scores, y});
  y = g.op("ReduceMean", {y, g.constant(integers({1}))}, attributes_of({{"keepdims", int64_t{0}}}));
  g.output(g.op("Linear", {y, g.constant(random_f32({16, 10}, 6))}));
  return g;
}

TEST(Plan, ThreadCountsChangeNoBit) {
  const SmallGraph g = busy_graph();
  const auto inputs = g.random_inputs();
  Planned one(g, 1);
  const Tensor expected = one.run(inputs)[0];
  for (int threads : {2, 3, 5}) {
    Planned many(g, threads);
    for (int run = 0; run < 20; ++run) ASSERT_TRUE(same_bits(many.run(inputs)[0], expected)) << threads << " threads";
  }
}

TEST(Plan, RunsAllocateNothing) {
#ifdef OXPLOW_SANITIZER_ALLOCATES
  GTEST_SKIP() << "nothing is counted under a sanitizer";
#endif
  const SmallGraph g = busy_graph();
  const auto inputs = g.random_inputs();
  for (int threads : {1, 3}) {
    Planned plan(g, threads);
    Tensor y = Tensor::allocate(plan.execution->plan().outputs[0]).take();
    const void* in[] = {inputs[0].data()};
    void* out[] = {y.mutable_data()};
    plan.execution->run(in, out, plan.test.pool);
    const int64_t before = allocations;
    for (int run = 0; run < 10; ++run) plan.execution->run(in, out, plan.test.pool);
    EXPECT_EQ(allocations - before, 0) << threads << " threads";
  }
}

TEST(Plan, ProfiledRunsGiveTheSameAndTimeEveryStep) {
  const SmallGraph g = busy_graph();
  const auto inputs = g.random_inputs();
  Planned plan(g);
  const Tensor expected = plan.run(inputs)[0];
  Tensor y = Tensor::allocate(expected.type()).take();
  const void* in[] = {inputs[0].data()};
  void* out[] = {y.mutable_data()};
  std::vector<double> seconds(plan.execution->plan().steps.size(), 0);
  plan.execution->run_profiled(in, out, plan.test.pool, seconds);
  EXPECT_TRUE(same_bits(y, expected));
  for (double s : seconds) EXPECT_GT(s, 0);
}

TEST(Plan, StepsSayTheirKernelReasonAndCost) {
  const SmallGraph g = busy_graph();
  Planned plan(g);
  for (const PlannedStep& step : plan.execution->plan().steps) {
    EXPECT_FALSE(step.step->kernel.empty()) << step.op;
    EXPECT_FALSE(step.node.empty()) << step.op;
    EXPECT_GT(step.cost.bytes, 0) << step.op;
  }
  const PlannedStep& last = plan.execution->plan().steps.back();
  EXPECT_EQ(last.cost.flops, 2.0 * 2 * 16 * 10);
}

TEST(Plan, NamesTheNodeThatCannotBePlanned) {
  SmallGraph g;
  const ValueId x = g.input("x", {DType::i32, Shape{2, 2}});
  g.output(g.op("Softmax", {x}));
  TestMachine test;
  const auto plan = make_plan(g.graph, test.machine);
  ASSERT_FALSE(plan.ok());
  EXPECT_EQ(plan.error().message, "node 'Softmax_0': Softmax of i32");
  EXPECT_EQ(plan.error().code, ErrorCode::unsupported);
}

}  // namespace
}  // namespace oxplow
