#include "oxplow/graph/model.h"

#include <thread>

#include "oxplow/base/memory.h"
#include "oxplow/graph/small_graph.h"

namespace oxplow {
namespace {

std::unique_ptr<Model> model_of(const SmallGraph& g, ModelOptions options = {}, int threads = 2) {
  options.isa = best_isa();
  return Model::from_graph(g.graph, options, std::make_shared<ThreadPool>(threads)).take();
}

// y [n, 5] = relu(x [n, 8] w) for any n; z: the sum of y's rows.
SmallGraph rows() {
  SmallGraph g;
  const ValueId x = g.declare("x", {DType::f32, Shape{1, 8}}, {{-1, "n"}, {8, ""}});
  const ValueId y = g.op("Relu", {g.op("Linear", {x, g.constant(random_f32({8, 5}, 1))})});
  g.output(y).output(g.op("ReduceSum", {y, g.constant(integers({1}))}));
  return g;
}

// An image of any size.
SmallGraph images() {
  SmallGraph g;
  const ValueId x = g.declare("image", {DType::f32, Shape{1, 8, 8, 3}}, {{-1, "n"}, {-1, "h"}, {-1, "w"}, {3, ""}});
  const auto conv = [&](ValueId v, int64_t channels, uint32_t seed) {
    return g.op("Relu",
                {g.op("Conv", {v, g.constant(random_f32({16, channels, 3, 3}, seed)), g.constant(random_f32({16}, seed + 9))},
                      attributes_of({{"pads", ints({1, 1, 1, 1})}}))});
  };
  const ValueId pooled = g.op("ReduceMean", {conv(conv(conv(x, 3, 1), 16, 2), 16, 3), g.constant(integers({1, 2}))},
                              attributes_of({{"keepdims", int64_t{0}}}));
  g.output(g.op("Softmax", {g.op("Linear", {pooled, g.constant(random_f32({16, 10}, 4))})}));
  return g;
}

std::string run_error(Model& model, std::vector<Tensor> inputs) {
  const auto results = model.run(inputs);
  return results.ok() ? "no error" : results.error().message;
}

TEST(Model, RunsAnyBatch) {
  const auto model = model_of(rows());
  const Tensor x = random_f32({7, 8}, 1);
  const auto all = model->run(std::vector<Tensor>{x}).take();
  for (int64_t n : {1, 3, 7, 0, 3}) {
    const auto some = model->run(std::vector<Tensor>{Tensor::borrow({DType::f32, Shape{n, 8}}, x.data())}).take();
    ASSERT_EQ(some[0].shape(), (Shape{n, 5}));
    for (int64_t i = 0; i < n * 5; ++i)
      EXPECT_EQ(some[0].values<float>()[static_cast<size_t>(i)], all[0].values<float>()[static_cast<size_t>(i)]);
  }
}

TEST(Model, NamesWhatDoesNotFit) {
  const auto model = model_of(rows());
  EXPECT_EQ(run_error(*model, {}), "the model takes 1 inputs, not 0");
  EXPECT_EQ(run_error(*model, {random_f32({2, 8}, 1), number(1)}), "the model takes 1 inputs, not 2");
  EXPECT_EQ(run_error(*model, {random_f32({2, 7}, 1)}), "input 'x' is f32[2, 7], the model wants f32[n, 8]: axis 1 must be 8");
  EXPECT_EQ(run_error(*model, {random_f32({8}, 1)}), "input 'x' is f32[8], the model wants f32[n, 8]: it must have 2 axes");
  EXPECT_EQ(run_error(*model, {tensor<int32_t>({1, 8}, std::vector<int32_t>(8))}),
            "input 'x' is i32[1, 8], the model wants f32[n, 8]: convert its elements");
}

TEST(Model, RefusesTensorsThatAreNone) {
  const auto model = model_of(rows());
  EXPECT_NE(run_error(*model, {Tensor{}}), "no error");
  const auto prepared = model->prepare({{DType::f32, Shape{int64_t{1} << 60, 8}}});
  EXPECT_FALSE(prepared.ok());
  EXPECT_FALSE(model->prepare({{DType::f32, Shape{-1, 8}}}).ok());
}

TEST(Model, OneSymbolHasOneValue) {
  SmallGraph g;
  const ValueId a = g.declare("a", {DType::f32, Shape{2, 3}}, {{-1, "n"}, {-1, "s"}}),
                b = g.declare("b", {DType::f32, Shape{2, 3}}, {{-1, "n"}, {-1, "s"}});
  g.output(g.op("Add", {a, b}));
  const auto model = model_of(g);
  EXPECT_EQ(run_error(*model, {random_f32({2, 3}, 1), random_f32({2, 3}, 2)}), "no error");
  EXPECT_EQ(run_error(*model, {random_f32({2, 3}, 1), random_f32({1, 3}, 2)}),
            "input 'b' is f32[1, 3], the model wants f32[n, s]: axis 0 ('n') is 2 in input 'a'");
}

TEST(Model, NamesTheNodeThatDoesNotFit) {
  SmallGraph g;
  const ValueId x = g.declare("x", {DType::f32, Shape{1, 6}}, {{-1, "n"}, {-1, "m"}});
  g.output(g.reshape(x, {-1, 6}));
  const auto model = model_of(g);
  EXPECT_EQ(run_error(*model, {random_f32({5, 2}, 1)}),
            "node 'Reshape_0' (Reshape): cannot reshape [5, 2]: -1 has no whole value");
}

TEST(Model, ExampleTypes) {
  SmallGraph g;
  g.declare("ids", {DType::i64, Shape{1, 4}}, {{-1, "batch"}, {-1, "sequence"}});
  g.declare("x", {DType::f32, Shape{1, 3}}, {{-1, ""}, {3, ""}});
  const auto model = model_of(g);
  const auto types = model->input_types(2, {{"sequence", 16}});
  ASSERT_TRUE(types.ok());
  EXPECT_EQ(to_string((*types)[0]) + to_string((*types)[1]), "i64[2, 16]f32[2, 3]");
  const auto unknown = model->input_types(2, {{"sequense", 16}});
  ASSERT_FALSE(unknown.ok());
  EXPECT_NE(unknown.error().message.find("no input has an open axis 'sequense'; the open axes are '"), std::string::npos)
      << unknown.error().message;
  const auto open = model->input_types(2, {});
  ASSERT_FALSE(open.ok());
  EXPECT_EQ(open.error().message, "input 'ids' leaves axis 1 ('sequence') open: give it with --dim sequence=N");
}

TEST(Model, KeepsPlansInUseAndNoMoreThanAllowed) {
  const auto model = model_of(rows(), {.passes = {}, .max_plans = 2});
  const auto plan = [&](int64_t n) { return model->prepare({{DType::f32, Shape{n, 8}}}).take(); };
  const Execution* one = plan(1);
  EXPECT_EQ(plan(1), one) << "met before";
  plan(2);
  EXPECT_EQ(plan(1), one) << "used lately";
  plan(3);
  EXPECT_EQ(plan(1), one) << "the oldest went, not this one";
}

TEST(Model, PlansMayTakeSoManyBytes) {
  const auto model = model_of(rows(), {.passes = {}, .max_plan_bytes = 1});
  const Execution* one = model->prepare({{DType::f32, Shape{1, 8}}}).take();
  EXPECT_EQ(model->prepare({{DType::f32, Shape{1, 8}}}).take(), one) << "the latest always stays";
  EXPECT_TRUE(model->run(std::vector<Tensor>{random_f32({9, 8}, 1)}).ok());
}

TEST(Model, PlansShareWeights) {
  // 4 MiB of weights: ten plans of their own copies would show.
  SmallGraph g;
  const ValueId x = g.declare("x", {DType::f32, Shape{1, 1024}}, {{-1, "n"}, {1024, ""}});
  g.output(g.op("Linear", {x, g.constant(random_f32({1024, 1024}, 1))}));
  const auto model = model_of(g);
  ASSERT_TRUE(model->prepare({{DType::f32, Shape{1, 1024}}}).ok());
  const size_t before = resident_bytes();
  for (int64_t n = 2; n < 12; ++n) ASSERT_TRUE(model->prepare({{DType::f32, Shape{n, 1024}}}).ok());
  EXPECT_LT(resident_bytes(), before + (size_t{4} << 20));
}

// 500 shapes, each met about 20 times in random order: memory must not grow with the number of shapes or runs.
TEST(Model, EndlessShapesDoNotGrowMemory) {
  const auto model = model_of(images());
  std::mt19937 random(1);
  size_t after_first = 0;
  for (int run = 0; run < 10000; ++run) {
    const auto shape = static_cast<int64_t>(random() % 500);
    const Shape extents{1 + shape % 4, 8 + shape / 4 % 5, 8 + shape / 20 % 25, 3};
    ASSERT_TRUE(model->run(std::vector<Tensor>{random_f32(extents, static_cast<uint32_t>(run))}).ok());
    if (run == 99) after_first = resident_bytes();
  }
  EXPECT_LE(resident_bytes(), after_first + (size_t{5} << 20)) << "grew by " << (resident_bytes() - after_first) / 1024 << " KiB";
}

TEST(Model, RunsFromManyThreadsAtOnce) {
  const auto model = model_of(rows());
  const Tensor x = random_f32({6, 8}, 1);
  const auto expected = model->run(std::vector<Tensor>{x}).take();
  std::vector<std::thread> callers;
  std::atomic<int> wrong{0};
  for (int t = 0; t < 4; ++t) {
    callers.emplace_back([&, t] {
      for (int i = 0; i < 100; ++i) {
        const int64_t n = 1 + (t + i) % 6;
        const auto y = model->run(std::vector<Tensor>{Tensor::borrow({DType::f32, Shape{n, 8}}, x.data())});
        if (!y.ok() ||
            !std::equal((*y)[0].values<float>().begin(), (*y)[0].values<float>().end(), expected[0].values<float>().begin()))
          ++wrong;
      }
    });
  }
  for (std::thread& caller : callers) caller.join();
  EXPECT_EQ(wrong, 0);
}

TEST(Model, ExplainsItsGraph) {
  const auto model = model_of(rows());
  const auto text = model->explain_graph({{DType::f32, Shape{3, 8}}});
  ASSERT_TRUE(text.ok());
  EXPECT_NE(text->find("Linear("), std::string::npos);
  EXPECT_EQ(text->find("Relu("), std::string::npos) << "it is the product's epilogue";
  EXPECT_EQ(model->output_names().size(), 2u);
}

TEST(Model, RefusesBrokenGraphs) {
  SmallGraph g = rows();
  g.graph.outputs[0] = g.graph.add_value("lost");
  const auto model = Model::from_graph(g.graph, {}, std::make_shared<ThreadPool>(1));
  ASSERT_FALSE(model.ok());
  EXPECT_NE(model.error().message.find("nothing writes the output 'lost'"), std::string::npos);
}

}  // namespace
}  // namespace oxplow
