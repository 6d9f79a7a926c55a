// Each pass on the graphs it is for, and on graphs that look alike but must stay: the ops it leaves, and the same values as before.

#include "oxplow/graph/pass.h"

#include "oxplow/graph/small_graph.h"
#include "oxplow/kernels/gemm/gemm.h"

namespace oxplow {
namespace {

// The graph after the named passes, run and cleaned up after as run_passes() does.
Graph after(const Graph& graph, std::vector<std::string_view> names, PassOptions options = {}) {
  for (const NamedPass& pass : all_passes()) {
    if (std::find(names.begin(), names.end(), pass.name) == names.end()) options.skip.emplace_back(pass.name);
  }
  TestMachine test;
  FoldMemo memo;
  Graph result = graph;
  auto reports = run_passes(result, {memo, test.machine, options});
  EXPECT_TRUE(reports.ok()) << (reports.ok() ? "" : reports.error().message);
  return result;
}

// After the passes the graph has the ops `ops`, and the values that it had before.
Graph expect_rewritten(const SmallGraph& g, std::vector<std::string_view> names, const std::string& ops, double tolerance = 0) {
  EXPECT_TRUE(g.graph.verify().ok());
  const Graph result = after(g.graph, std::move(names));
  EXPECT_EQ(histogram(result), ops) << result.to_text();
  const auto inputs = g.random_inputs();
  const auto expected = op_by_op(g.graph, inputs), actual = op_by_op(result, inputs);
  EXPECT_EQ(actual.size(), expected.size());
  for (size_t i = 0; i < std::min(actual.size(), expected.size()); ++i) expect_close(actual[i], expected[i], tolerance);
  return result;
}

Tensor scalar_of_rank(float value, int rank) { return tensor<float>(Shape::filled(rank, 1), {value}); }

// ---- simplify

TEST(Simplify, DropsWhatChangesNothing) {
  SmallGraph g;
  ValueId x = g.input("x", {DType::f32, Shape{2, 3}});
  x = g.op("Identity", {x});
  x = g.op("Cast", {x}, attributes_of({{"to", static_cast<int64_t>(DType::f32)}}));
  x = g.reshape(x, {2, 3});
  x = g.transpose(x, {0, 1});
  x = g.op("Expand", {x, g.constant(integers({1, 3}))});
  x = g.op("Slice", {x, g.constant(integers({0})), g.constant(integers({100}))});
  x = g.op("Concat", {x}, attributes_of({{"axis", int64_t{0}}}));
  g.output(g.op("Relu", {x}));
  expect_rewritten(g, {"simplify"}, "Relu 1");
}

TEST(Simplify, KeepsWhatReverses) {
  SmallGraph g;
  const ValueId x = g.input("x", {DType::f32, Shape{4}});
  g.output(g.op("Slice", {x, g.constant(integers({-1})), g.constant(integers({-10})), g.constant(integers({0})),
                          g.constant(integers({-1}))}));
  expect_rewritten(g, {"simplify"}, "Slice 1");
}

TEST(Simplify, ComposesTransposes) {
  SmallGraph g;
  const ValueId x = g.input("x", {DType::f32, Shape{2, 3, 4, 5}});
  const ValueId there = g.transpose(x, {0, 2, 3, 1});
  g.output(g.op("Relu", {g.transpose(there, {0, 3, 1, 2})})).output(g.transpose(there, {3, 2, 1, 0}));
  expect_rewritten(g, {"simplify"}, "Relu 1, Transpose 1");
}

TEST(Simplify, AnOutputMayBecomeAnInput) {
  SmallGraph g;
  g.output(g.op("Identity", {g.input("x", {DType::f32, Shape{4}})}));
  expect_rewritten(g, {"simplify"}, "");
}

TEST(Simplify, ProductsWithConstantMatricesAreLinear) {
  SmallGraph g;
  const ValueId x = g.input("x", {DType::f32, Shape{2, 3, 4}});
  g.output(g.op("MatMul", {x, g.constant(random_f32({4, 5}, 1))}));
  g.output(g.op("MatMul", {x, g.constant(random_f32({2, 4, 5}, 2))}));
  g.output(g.op("MatMul", {x, g.constant(random_f32({4}, 3))}));
  expect_rewritten(g, {"simplify"}, "Linear 1, MatMul 2");
}

TEST(Simplify, AVectorTimesAMatrixIsLinear) {
  SmallGraph g;
  g.output(g.op("MatMul", {g.input("x", {DType::f32, Shape{4}}), g.constant(random_f32({4, 5}, 1))}));
  expect_rewritten(g, {"simplify"}, "Linear 1");
}

// ---- fold_batch_norm

ValueId batch_norm(SmallGraph& g, ValueId x) {
  const int64_t c = g.graph.shape(x)[1];
  return g.op("BatchNormalization",
              {x, g.constant(random_f32({c}, 11)), g.constant(random_f32({c}, 12)), g.constant(random_f32({c}, 13)),
               g.constant(random_f32({c}, 14, 0.5f, 2))},
              attributes_of({{"epsilon", 1e-3f}}));
}

ValueId nchw_conv(SmallGraph& g, ValueId x, Shape w, bool bias, int64_t pad = 1, int64_t group = 1) {
  std::vector<ValueId> inputs{g.transpose(x, {0, 2, 3, 1}), g.constant(random_f32(w, 21))};
  if (bias) inputs.push_back(g.constant(random_f32({w[0]}, 22)));
  return g.transpose(g.op("Conv", inputs, attributes_of({{"pads", ints({pad, pad, pad, pad})}, {"group", group}})), {0, 3, 1, 2});
}

TEST(FoldBatchNorm, IntoTheConvolution) {
  for (bool bias : {false, true}) {
    for (int64_t group : {1, 2, 4}) {
      SmallGraph g;
      g.output(batch_norm(g, nchw_conv(g, g.input("x", {DType::f32, Shape{2, 4, 5, 6}}), {4, 4 / group, 3, 3}, bias, 1, group)));
      const Graph result = expect_rewritten(g, {"fold_batch_norm"}, "Conv 1, Transpose 2", 1e-5);
      EXPECT_EQ(result.nodes.size(), 3u);
    }
  }
}

TEST(FoldBatchNorm, AConvolutionThatOthersReadStays) {
  SmallGraph g;
  const ValueId y = nchw_conv(g, g.input("x", {DType::f32, Shape{1, 4, 5, 6}}), {4, 4, 3, 3}, true);
  g.output(batch_norm(g, y)).output(y);
  expect_rewritten(g, {"fold_batch_norm"}, "Add 1, Conv 1, Mul 1, Transpose 2", 1e-5);
}

TEST(FoldBatchNorm, AloneItIsSpelledOut) {
  SmallGraph g;
  g.output(batch_norm(g, g.input("x", {DType::f32, Shape{2, 3}})));
  g.output(batch_norm(g, g.input("y", {DType::f32, Shape{2, 3, 4, 5, 2}})));
  expect_rewritten(g, {"fold_batch_norm"}, "Add 2, Mul 2", 1e-5);
}

TEST(FoldBatchNorm, ComputedStatistics) {
  SmallGraph g;
  const ValueId x = g.input("x", {DType::f32, Shape{2, 3, 4, 4}}), scale = g.input("scale", {DType::f32, Shape{3}});
  const ValueId c = g.constant(random_f32({3}, 1, 0.5f, 1.5f));
  g.output(g.op("BatchNormalization", {x, scale, c, c, c}));
  expect_rewritten(g, {"fold_batch_norm"}, "Add 1, Div 1, Mul 2, Reshape 2, Sub 1", 1e-5);
}

// ---- sink_transposes

TEST(SinkTransposes, MeetTheirInverseAndVanish) {
  SmallGraph g;
  const ValueId x = g.input("x", {DType::f32, Shape{2, 3, 4, 5}});
  ValueId y = g.op("Relu", {g.transpose(x, {0, 3, 1, 2})});
  y = g.op("Mul", {y, g.constant(random_f32({5, 1, 1}, 1))});
  y = g.op("Add", {y, g.constant(number(2))});
  g.output(g.transpose(y, {0, 2, 3, 1}));
  expect_rewritten(g, {"sink_transposes"}, "Add 1, Mul 1, Relu 1");
}

TEST(SinkTransposes, ThroughBinaryOpsOfOnePermutation) {
  SmallGraph g;
  const ValueId a = g.input("a", {DType::f32, Shape{2, 3, 4}}), b = g.input("b", {DType::f32, Shape{2, 1, 4}});
  const ValueId sum = g.op("Add", {g.transpose(a, {2, 0, 1}), g.transpose(b, {2, 0, 1})});
  g.output(g.transpose(sum, {1, 2, 0}));
  expect_rewritten(g, {"sink_transposes"}, "Add 1");
}

TEST(SinkTransposes, NotWhereTheOtherOperandLiesOtherwise) {
  SmallGraph g;
  const ValueId a = g.input("a", {DType::f32, Shape{4, 4}}), b = g.input("b", {DType::f32, Shape{4, 4}});
  g.output(g.op("Add", {g.transpose(a, {1, 0}), b}));
  expect_rewritten(g, {"sink_transposes"}, "Add 1, Transpose 1");
}

TEST(SinkTransposes, OperandsOfOneElement) {
  SmallGraph g;
  const ValueId a = g.input("a", {DType::f32, Shape{2, 3, 4}});
  ValueId y = g.transpose(a, {2, 1, 0});
  y = g.op("Mul", {y, g.input("s", {DType::f32, Shape{}})});
  y = g.op("Mul", {y, g.input("t", {DType::f32, Shape{1, 1, 1}})});
  g.output(g.transpose(y, {2, 1, 0}));
  expect_rewritten(g, {"sink_transposes"}, "Mul 2");
}

TEST(SinkTransposes, RankGrowsOnTheWay) {
  SmallGraph g;
  const ValueId a = g.input("a", {DType::f32, Shape{3, 4}});
  g.output(g.op("Mul", {g.transpose(a, {1, 0}), g.constant(random_f32({2, 4, 3}, 1))}));
  expect_rewritten(g, {"sink_transposes"}, "Mul 1, Transpose 1");
}

TEST(SinkTransposes, ThroughConcat) {
  SmallGraph g;
  const ValueId a = g.input("a", {DType::f32, Shape{1, 4, 5, 2}}), b = g.input("b", {DType::f32, Shape{1, 4, 5, 3}});
  for (int64_t axis : {1, -3}) {
    const ValueId y =
        g.op("Concat", {g.transpose(a, {0, 3, 1, 2}), g.transpose(b, {0, 3, 1, 2}), g.constant(random_f32({1, 1, 4, 5}, 3))},
             attributes_of({{"axis", axis}}));
    g.output(g.transpose(y, {0, 2, 3, 1}));
  }
  const Graph result = expect_rewritten(g, {"sink_transposes"}, "Concat 2");
  EXPECT_EQ(result.nodes.front().attributes.integer("axis", 0), 3);
}

TEST(SinkTransposes, ThroughReductions) {
  SmallGraph g;
  const ValueId x = g.input("x", {DType::f32, Shape{2, 4, 5, 3}});
  const ValueId t = g.transpose(x, {0, 3, 1, 2});
  const auto keep = [](int64_t k) { return attributes_of({{"keepdims", k}}); };
  g.output(g.op("ReduceMean", {t}, attributes_of({{"first_axis", int64_t{2}}})));
  g.output(g.op("ReduceMax", {t, g.constant(integers({-1, 1}))}, keep(0)));
  g.output(g.op("ReduceSum", {t, g.constant(integers({0}))}, keep(0)));
  g.output(g.op("ReduceSum", {t, g.constant(integers({1, 2}))}, keep(1)));
  g.output(g.op("ReduceMin", {t, g.constant(integers({0, 1, 2, 3}))}, keep(0)));
  expect_rewritten(g, {"sink_transposes"}, "ReduceMax 1, ReduceMean 1, ReduceMin 1, ReduceSum 2, Transpose 3", 1e-6);
}

TEST(SinkTransposes, ThroughCastAndSelect) {
  SmallGraph g;
  const ValueId x = g.input("x", {DType::f32, Shape{2, 3}});
  const ValueId t = g.transpose(x, {1, 0});
  const ValueId wide = g.op("Cast", {t}, attributes_of({{"to", static_cast<int64_t>(DType::f64)}}));
  const ValueId back = g.op("Cast", {wide}, attributes_of({{"to", static_cast<int64_t>(DType::f32)}}));
  const ValueId y = g.op("Select", {g.op("Less", {back, g.constant(number(0))}), g.constant(random_f32({3, 2}, 4)), back});
  g.output(g.transpose(y, {1, 0}));
  expect_rewritten(g, {"sink_transposes"}, "Cast 2, Less 1, Select 1");
}

// ---- recognize_activations

enum class GeluForm { half_last, half_first, half_inside };
ValueId spelled_gelu(SmallGraph& g, ValueId x, GeluForm form, bool divide, int rank = 0) {
  const auto n = [&](float v) { return g.constant(scalar_of_rank(v, rank)); };
  const ValueId inside = divide ? g.op("Div", {x, n(std::sqrt(2.0f))}) : g.op("Mul", {n(std::sqrt(0.5f)), x});
  const ValueId sum = g.op("Add", {n(1), g.op("Erf", {inside})});
  if (form == GeluForm::half_last) return g.op("Mul", {g.op("Mul", {x, sum}), n(0.5f)});
  if (form == GeluForm::half_first) return g.op("Mul", {g.op("Mul", {n(0.5f), x}), sum});
  return g.op("Mul", {x, g.op("Mul", {sum, n(0.5f)})});
}

TEST(RecognizeActivations, GeluInEveryForm) {
  for (GeluForm form : {GeluForm::half_last, GeluForm::half_first, GeluForm::half_inside}) {
    for (bool divide : {false, true}) {
      SmallGraph g;
      g.output(spelled_gelu(g, g.input("x", {DType::f32, Shape{3, 40}}), form, divide));
      expect_rewritten(g, {"recognize_activations"}, "Gelu 1", 1e-6);
    }
  }
}

TEST(RecognizeActivations, NumbersThatAddAxesStay) {
  SmallGraph g;
  g.output(spelled_gelu(g, g.input("x", {DType::f32, Shape{3}}), GeluForm::half_last, false, 3));
  const Graph result = after(g.graph, {"recognize_activations"});
  EXPECT_EQ(result.shape(result.outputs[0]), (Shape{1, 1, 3}));
}

TEST(RecognizeActivations, OtherNumbersAreNotGelu) {
  SmallGraph g;
  const ValueId x = g.input("x", {DType::f32, Shape{3}});
  const ValueId sum = g.op("Add", {g.constant(number(1)), g.op("Erf", {g.op("Mul", {x, g.constant(number(0.5f))})})});
  g.output(g.op("Mul", {g.op("Mul", {x, sum}), g.constant(number(0.5f))}));
  expect_rewritten(g, {"recognize_activations"}, "Add 1, Erf 1, Mul 3");
}

TEST(RecognizeActivations, GatedByItself) {
  SmallGraph g;
  const ValueId x = g.input("x", {DType::f32, Shape{3, 40}});
  const auto hard = [](float alpha) { return attributes_of({{"alpha", alpha}, {"beta", 0.5f}}); };
  g.output(g.op("Mul", {x, g.op("Sigmoid", {x})}));
  g.output(g.op("Mul", {g.op("HardSigmoid", {x}, hard(1.0f / 6)), x}));
  g.output(g.op("Mul", {x, g.op("HardSigmoid", {x}, hard(0.2f))}));
  g.output(g.op("Mul", {g.op("Neg", {x}), g.op("Sigmoid", {x})}));
  expect_rewritten(g, {"recognize_activations"}, "HardSigmoid 1, HardSwish 1, Mul 2, Neg 1, Sigmoid 1, Silu 1", 1e-6);
}

// ---- fuse_attention

struct Scores {
  bool mask = false, scale_q = false, divide = false;
  int scale_rank = 0;
};
ValueId spelled_attention(SmallGraph& g, const Scores& s) {
  // [B, S, H, D] as models have them, heads moved to the front.
  const auto heads = [&](const char* name, std::initializer_list<int64_t> perm) {
    return g.transpose(g.input(name, {DType::f32, Shape{2, 6, 3, 8}}), perm);
  };
  ValueId q = heads("q", {0, 2, 1, 3});
  const ValueId k = heads("k", {0, 2, 3, 1}), v = heads("v", {0, 2, 1, 3});
  const ValueId factor = g.constant(scalar_of_rank(s.divide ? 4.0f : 0.25f, s.scale_rank));
  const char* op = s.divide ? "Div" : "Mul";
  if (s.scale_q) q = g.op(op, {q, factor});
  ValueId scores = g.op("MatMul", {q, k});
  if (!s.scale_q) scores = g.op(op, {scores, factor});
  if (s.mask) scores = g.op("Add", {scores, g.input("mask", {DType::f32, Shape{2, 1, 1, 6}})});
  return g.transpose(g.op("MatMul", {g.op("Softmax", {scores}, attributes_of({{"axis", int64_t{-1}}})), v}), {0, 2, 1, 3});
}

TEST(FuseAttention, InEveryForm) {
  for (const Scores& s :
       {Scores{}, Scores{.mask = true}, Scores{.scale_q = true}, Scores{.mask = true, .divide = true}, Scores{.scale_rank = 1}}) {
    SmallGraph g;
    g.output(spelled_attention(g, s));
    const Graph result = expect_rewritten(g, {"fuse_attention", "tidy"}, "Attention 1", 1e-5);
    EXPECT_EQ(result.nodes.front().attributes.number("scale", 0), 0.25f);
  }
}

TEST(FuseAttention, ScaledBeforeTheTransposition) {
  SmallGraph g;
  const ValueId q = g.input("q", {DType::f32, Shape{1, 4, 2, 8}}), k = g.input("k", {DType::f32, Shape{1, 4, 2, 8}});
  const ValueId v = g.input("v", {DType::f32, Shape{1, 2, 4, 8}}), half = g.constant(scalar_of_rank(0.5f, 0));
  const ValueId scores =
      g.op("MatMul", {g.transpose(g.op("Mul", {q, half}), {0, 2, 1, 3}), g.transpose(g.op("Mul", {half, k}), {0, 2, 3, 1})});
  g.output(g.op("MatMul", {g.op("Softmax", {scores}), v}));
  const Graph result = after(g.graph, {"fuse_attention", "tidy"});
  EXPECT_EQ(histogram(result).find("Mul"), std::string::npos) << result.to_text();
  const auto inputs = g.random_inputs();
  expect_close(op_by_op(result, inputs)[0], op_by_op(g.graph, inputs)[0], 1e-5);
}

TEST(FuseAttention, ProbabilitiesThatOthersReadStay) {
  SmallGraph g;
  const ValueId q = g.input("q", {DType::f32, Shape{1, 2, 4, 8}});
  const ValueId p = g.op("Softmax", {g.op("MatMul", {q, g.transpose(q, {0, 1, 3, 2})})});
  g.output(g.op("MatMul", {p, q})).output(p);
  expect_rewritten(g, {"fuse_attention"}, "MatMul 2, Softmax 1, Transpose 1");
}

TEST(FuseAttention, NumbersThatAddAxesStay) {
  SmallGraph g;
  // A query of three axes, made four by the scale.
  const ValueId q = g.op("Mul", {g.input("q", {DType::f32, Shape{2, 4, 8}}), g.constant(scalar_of_rank(0.5f, 4))});
  const ValueId k = g.input("k", {DType::f32, Shape{1, 2, 8, 4}}), v = g.input("v", {DType::f32, Shape{1, 2, 4, 8}});
  g.output(g.op("MatMul", {g.op("Softmax", {g.op("MatMul", {q, k})}), v}));
  expect_rewritten(g, {"fuse_attention"}, "MatMul 2, Mul 1, Softmax 1");
}

TEST(FuseAttention, BroadcastHeadsStay) {
  SmallGraph g;
  const ValueId q = g.input("q", {DType::f32, Shape{1, 2, 4, 8}}), k = g.input("k", {DType::f32, Shape{1, 1, 8, 4}}),
                v = g.input("v", {DType::f32, Shape{1, 1, 4, 8}});
  g.output(g.op("MatMul", {g.op("Softmax", {g.op("MatMul", {q, k})}), v}));
  expect_rewritten(g, {"fuse_attention"}, "MatMul 2, Softmax 1");
}

TEST(FuseAttention, LayerAfterLayer) {
  SmallGraph g;
  ValueId x = g.input("x", {DType::f32, Shape{1, 2, 4, 8}});
  for (int i = 0; i < 3; ++i) {
    const ValueId p = g.op("Softmax", {g.op("MatMul", {x, g.transpose(x, {0, 1, 3, 2})})});
    x = g.op("Add", {g.op("MatMul", {p, x}), x});
  }
  g.output(x);
  const Graph result = after(g.graph, {"fuse_attention"});
  EXPECT_EQ(histogram(result).substr(0, 18), "Add 3, Attention 3") << result.to_text();
  const auto inputs = g.random_inputs();
  expect_close(op_by_op(result, inputs)[0], op_by_op(g.graph, inputs)[0], 1e-5);
}

// ---- fuse_bias, merge_siblings

ValueId linear(SmallGraph& g, ValueId x, int64_t n, uint32_t seed, bool bias = false) {
  std::vector<ValueId> inputs{x, g.constant(random_f32({g.graph.shape(x).back(), n}, seed))};
  if (bias) inputs.push_back(g.constant(random_f32({n}, seed + 100)));
  return g.op("Linear", inputs);
}

TEST(FuseBias, RowsOfConstants) {
  for (const Shape& row : {Shape{5}, Shape{1, 5}, Shape{1, 1, 5}}) {
    SmallGraph g;
    g.output(g.op("Add", {g.constant(random_f32(row, 7)), linear(g, g.input("x", {DType::f32, Shape{2, 3, 4}}), 5, 1)}));
    expect_rewritten(g, {"fuse_bias"}, "Linear 1", 1e-6);
  }
}

TEST(FuseBias, WhatIsNoBiasStays) {
  SmallGraph g;
  const ValueId x = g.input("x", {DType::f32, Shape{5, 4}});
  g.output(g.op("Add", {linear(g, x, 5, 1), g.constant(random_f32({5, 1}, 7))}));      // a column
  g.output(g.op("Add", {linear(g, x, 5, 2), g.constant(random_f32({1}, 8))}));         // a number
  g.output(g.op("Add", {linear(g, x, 5, 3), g.constant(random_f32({1, 1, 5}, 9))}));   // adds an axis
  g.output(g.op("Add", {linear(g, x, 5, 4, true), g.constant(random_f32({5}, 10))}));  // has one already
  const ValueId shared = linear(g, x, 5, 5);
  g.output(g.op("Add", {shared, g.constant(random_f32({5}, 11))})).output(shared);
  expect_rewritten(g, {"fuse_bias"}, "Add 5, Linear 5");
}

TEST(MergeSiblings, QueryKeyValue) {
  for (bool bias : {false, true}) {
    SmallGraph g;
    const ValueId x = g.input("x", {DType::f32, Shape{2, 3, 8}});
    for (uint32_t i = 0; i < 3; ++i) g.output(g.op("Relu", {linear(g, x, 4 + i, i, bias)}));
    expect_rewritten(g, {"merge_siblings"}, "Linear 1, Relu 3, Split 1");
  }
}

TEST(MergeSiblings, TransposedWeights) {
  SmallGraph g;
  const ValueId x = g.input("x", {DType::f32, Shape{3, 8}});
  for (uint32_t i = 0; i < 2; ++i)
    g.output(g.op("Linear", {x, g.constant(random_f32({5 + i, 8}, i))}, attributes_of({{"trans_w", int64_t{1}}})));
  expect_rewritten(g, {"merge_siblings"}, "Linear 1, Split 1");
}

TEST(MergeSiblings, UnlikeOnesStay) {
  SmallGraph g;
  const ValueId x = g.input("x", {DType::f32, Shape{8, 8}});
  g.output(linear(g, x, 4, 1)).output(linear(g, x, 4, 2, true));
  g.output(linear(g, g.op("Relu", {x}), 4, 3));
  g.output(g.op("Linear", {x, g.constant(random_f32({4, 8}, 4))}, attributes_of({{"trans_w", int64_t{1}}})));
  g.output(g.op("Linear", {x, g.input("w", {DType::f32, Shape{8, 4}})}));
  expect_rewritten(g, {"merge_siblings"}, "Linear 5, Relu 1");
}

TEST(MergeSiblings, ComputedBiasesStay) {
  SmallGraph g;
  const ValueId x = g.input("x", {DType::f32, Shape{3, 8}});
  const ValueId first = g.op("Linear", {x, g.constant(random_f32({8, 3}, 1)), g.constant(random_f32({3}, 2))});
  // The second bias is made of the first product: merged, the graph would be a circle.
  const ValueId bias = g.op("ReduceSum", {first, g.constant(integers({0}))}, attributes_of({{"keepdims", int64_t{0}}}));
  g.output(g.op("Linear", {x, g.constant(random_f32({8, 3}, 3)), bias}));
  expect_rewritten(g, {"merge_siblings"}, "Linear 2, ReduceSum 1");
}

// ---- fuse_epilogues

TEST(FuseEpilogues, ActivationsOfProducts) {
  const std::pair<const char*, Attributes> activations[] = {{"Relu", {}},
                                                            {"ClipTo", attributes_of({{"alpha", 0.0f}, {"beta", 6.0f}})},
                                                            {"Sigmoid", {}},
                                                            {"Silu", {}},
                                                            {"HardSwish", {}},
                                                            {"Gelu", {}},
                                                            {"GeluTanh", {}},
                                                            {"Tanh", {}},
                                                            {"LeakyRelu", attributes_of({{"alpha", 0.3f}})},
                                                            {"HardSigmoid", attributes_of({{"alpha", 0.3f}, {"beta", 0.1f}})}};
  for (const auto& [op, attributes] : activations) {
    SmallGraph g;
    g.output(g.op(op, {linear(g, g.input("x", {DType::f32, Shape{5, 8}}), 6, 1, true)}, attributes));
    SCOPED_TRACE(op);
    expect_rewritten(g, {"fuse_epilogues"}, "Linear 1", 1e-6);
  }
}

TEST(FuseEpilogues, ResidualThenActivation) {
  SmallGraph g;
  const ValueId x = g.input("x", {DType::f32, Shape{1, 6, 6, 4}});
  const ValueId conv = g.op("Conv", {x, g.constant(random_f32({4, 4, 3, 3}, 1)), g.constant(random_f32({4}, 2))},
                            attributes_of({{"pads", ints({1, 1, 1, 1})}}));
  g.output(g.op("Relu", {g.op("Add", {x, conv})}));
  const Graph result = expect_rewritten(g, {"fuse_epilogues"}, "Conv 1", 1e-5);
  EXPECT_EQ(result.nodes.front().inputs.size(), 4u);
}

TEST(FuseEpilogues, ResidualWithoutBias) {
  SmallGraph g;
  const ValueId x = g.input("x", {DType::f32, Shape{5, 8}});
  g.output(g.op("Add", {linear(g, x, 8, 1), x}));
  const Graph result = expect_rewritten(g, {"fuse_epilogues"}, "Linear 1", 1e-5);
  EXPECT_EQ(result.nodes.front().inputs[2], kNoValue);
}

TEST(FuseEpilogues, OfTwoProductsTheLaterTakesTheOther) {
  SmallGraph g;
  const ValueId x = g.input("x", {DType::f32, Shape{5, 8}});
  const ValueId a = linear(g, x, 6, 1), b = linear(g, g.op("Exp", {x}), 6, 2);
  g.output(g.op("Add", {b, a}));
  expect_rewritten(g, {"fuse_epilogues"}, "Exp 1, Linear 2", 1e-5);
}

TEST(FuseEpilogues, WhatOthersReadStays) {
  SmallGraph g;
  const ValueId y = linear(g, g.input("x", {DType::f32, Shape{5, 8}}), 6, 1);
  g.output(g.op("Relu", {y})).output(y);
  const ValueId z = linear(g, g.graph.inputs[0], 6, 2);
  g.output(g.op("Add", {z, z}));
  expect_rewritten(g, {"fuse_epilogues"}, "Add 1, Linear 2, Relu 1");
}

TEST(FuseEpilogues, ActivationBeforeResidualStays) {
  SmallGraph g;
  const ValueId x = g.input("x", {DType::f32, Shape{5, 8}});
  g.output(g.op("Add", {g.op("Relu", {linear(g, x, 8, 1)}), x}));
  expect_rewritten(g, {"fuse_epilogues"}, "Add 1, Linear 1", 1e-6);
}

TEST(FuseEpilogues, AnActivatedValueReadTwice) {
  SmallGraph g;
  const ValueId y = g.op("Relu", {linear(g, g.input("x", {DType::f32, Shape{5, 8}}), 6, 1)});
  g.output(g.op("Sigmoid", {y})).output(g.op("Tanh", {y}));
  expect_rewritten(g, {"fuse_epilogues"}, "Linear 1, Sigmoid 1, Tanh 1", 1e-6);
}

TEST(FuseEpilogues, ResidualsOfOtherExtentsStay) {
  SmallGraph g;
  const ValueId x = g.input("x", {DType::f32, Shape{5, 8}});
  g.output(g.op("Add", {linear(g, x, 6, 1), g.input("r", {DType::f32, Shape{1, 6}})}));
  g.output(g.op("Add", {linear(g, x, 1, 2), g.input("s", {DType::f32, Shape{5, 6}})}));
  expect_rewritten(g, {"fuse_epilogues"}, "Add 2, Linear 2");
}

// ---- fuse_chains

TEST(FuseChains, NeighboursBecomeOne) {
  SmallGraph g;
  const ValueId x = g.input("x", {DType::f32, Shape{4, 50}}), b = g.input("b", {DType::f32, Shape{50}});
  g.output(g.op("Tanh", {g.op("Add", {g.op("Mul", {x, b}), g.op("Exp", {x})})}));
  const Graph result = after(g.graph, {"fuse_chains"});
  EXPECT_EQ(histogram(result).substr(0, 5), "Chain") << result.to_text();
  EXPECT_LT(result.nodes.size(), 4u);
  const auto inputs = g.random_inputs();
  expect_close(op_by_op(result, inputs)[0], op_by_op(g.graph, inputs)[0], 1e-6);
}

TEST(FuseChains, OneValueUsedTwiceByOneReader) {
  SmallGraph g;
  const ValueId y = g.op("Exp", {g.input("x", {DType::f32, Shape{4, 50}})});
  g.output(g.op("Mul", {y, y}));
  expect_rewritten(g, {"fuse_chains"}, "Chain 1", 1e-6);
}

TEST(FuseChains, SelectByABoolean) {
  SmallGraph g;
  const ValueId x = g.input("x", {DType::f32, Shape{4, 50}});
  const ValueId c = g.op("Less", {x, g.constant(number(0))});
  g.output(g.op("Relu", {g.op("Select", {c, g.op("Neg", {x}), x})}));
  const auto inputs = g.random_inputs();
  const Graph result = after(g.graph, {"fuse_chains"});
  EXPECT_LT(result.nodes.size(), 4u) << result.to_text();
  expect_close(op_by_op(result, inputs)[0], op_by_op(g.graph, inputs)[0], 0);
}

TEST(FuseChains, SharedValuesAndOtherTypesStay) {
  SmallGraph g;
  const ValueId x = g.input("x", {DType::f32, Shape{4}});
  const ValueId y = g.op("Exp", {x});
  g.output(g.op("Neg", {y})).output(y);
  const ValueId i = g.op("Cast", {x}, attributes_of({{"to", static_cast<int64_t>(DType::i64)}}));
  g.output(g.op("Neg", {g.op("Abs", {i})}));
  g.output(g.op("Add", {g.op("Relu", {g.input("r", {DType::f32, Shape{1}})}), x}));  // the inner one is smaller than the result
  expect_rewritten(g, {"fuse_chains"}, "Abs 1, Add 1, Cast 1, Exp 1, Neg 2, Relu 1");
}

TEST(FuseChains, RandomExpressions) {
  const char* const kUnary[] = {"Relu", "Neg", "Abs", "Sigmoid", "Tanh", "Sign", "Floor"};
  const char* const kBinary[] = {"Add", "Sub", "Mul", "Maximum", "Minimum"};
  for (uint32_t seed = 0; seed < 60; ++seed) {
    std::mt19937 random(seed);
    SmallGraph g;
    std::vector<ValueId> values{g.input("a", {DType::f32, Shape{3, 1, 20}}), g.input("b", {DType::f32, Shape{20}}),
                                g.input("c", {DType::f32, Shape{3, 7, 20}}), g.constant(number(0.5f))};
    for (int i = 0; i < 40; ++i) {
      const auto pick = [&] { return values[values.size() - 1 - random() % std::min<size_t>(values.size(), 6)]; };
      values.push_back(random() % 2 ? g.op(kUnary[random() % 7], {pick()}) : g.op(kBinary[random() % 5], {pick(), pick()}));
      if (random() % 8 == 0) g.output(values.back());
    }
    g.output(values.back());
    const Graph result = after(g.graph, {"fuse_chains"});
    EXPECT_LE(result.nodes.size(), g.graph.nodes.size());
    const auto inputs = g.random_inputs(seed);
    const auto expected = op_by_op(g.graph, inputs), actual = op_by_op(result, inputs), run = planned(g.graph, inputs);
    for (size_t i = 0; i < expected.size(); ++i) {
      expect_close(actual[i], expected[i], 1e-5);
      expect_close(run[i], expected[i], 1e-5);
    }
    if (testing::Test::HasFailure()) FAIL() << "seed " << seed << "\n" << g.graph.to_text() << "\n" << result.to_text();
  }
}

// ---- lower_precision, choose_convolutions

PassOptions bf16() {
  PassOptions options;
  options.precision = Precision::bf16;
  return options;
}

TEST(LowerPrecision, KeepsTypesOfInputsAndOutputs) {
  SmallGraph g;
  const ValueId x = g.input("x", {DType::f32, Shape{5, 8}});
  g.output(g.op("Relu", {linear(g, x, 8, 1, true)})).output(x);
  const Graph result = after(g.graph, {"lower_precision"}, bf16());
  if (find_gemm(best_isa(), DType::bf16, DType::bf16, 8))
    EXPECT_EQ(histogram(result), "Cast 2, Chain 1, Linear 1") << result.to_text();
  for (ValueId id : result.outputs) EXPECT_EQ(result.dtype(id), DType::f32);
  const auto inputs = g.random_inputs();
  expect_close(op_by_op(result, inputs)[0], op_by_op(g.graph, inputs)[0], 0x1p-6);
}

TEST(LowerPrecision, WeightsAndMasksThatAreComputedStayF32) {
  SmallGraph g;
  const ValueId x = g.input("x", {DType::f32, Shape{5, 8}});
  const ValueId w = g.op("Exp", {g.input("w", {DType::f32, Shape{8, 6}})}),
                bias = g.op("Exp", {g.input("bias", {DType::f32, Shape{6}})});
  g.output(g.op("Linear", {x, w, bias}));
  const ValueId scale = g.op("Exp", {g.input("scale", {DType::f32, Shape{8}})});
  g.output(g.op("LayerNormalization", {x, scale}));
  const ValueId q = g.input("q", {DType::f32, Shape{1, 4, 2, 8}});
  const ValueId mask = g.op("Neg", {g.input("mask", {DType::f32, Shape{4, 4}})});
  g.output(g.op("Attention", {q, q, q, mask}));
  const Graph result = after(g.graph, {"lower_precision"}, bf16());
  const auto inputs = g.random_inputs();
  const auto expected = op_by_op(g.graph, inputs), actual = op_by_op(result, inputs);
  ASSERT_EQ(actual.size(), expected.size());
  for (size_t i = 0; i < expected.size(); ++i) expect_close(actual[i], expected[i], 0x1p-4);
}

TEST(ChooseConvolutions, NotesTheAlgorithm) {
  SmallGraph g;
  g.output(nchw_conv(g, g.input("x", {DType::f32, Shape{1, 4, 5, 6}}), {4, 4, 3, 3}, true));
  PassOptions options;
  options.convolution = "plain";
  const Graph result = after(g.graph, {"choose_convolutions"}, options);
  const auto inputs = g.random_inputs();
  expect_close(op_by_op(result, inputs)[0], op_by_op(g.graph, inputs)[0], 1e-5);
}

// ---- the runner

TEST(Passes, ReportAndSkip) {
  SmallGraph g;
  g.output(g.op("Identity", {g.input("x", {DType::f32, Shape{4}})}));
  TestMachine test;
  FoldMemo memo;
  PassOptions options;
  options.skip = {"fuse_chains"};
  Graph graph = g.graph;
  auto reports = run_passes(graph, {memo, test.machine, options});
  ASSERT_TRUE(reports.ok());
  ASSERT_EQ(reports->size(), all_passes().size() - 1);
  EXPECT_EQ((*reports)[0].name, "simplify");
  EXPECT_TRUE((*reports)[0].changed);
  EXPECT_FALSE((*reports)[1].changed);
}

// A net with something for every pass: leaving any one pass out changes no value.
TEST(Passes, EachMayBeLeftOut) {
  SmallGraph g;
  const ValueId x = g.input("x", {DType::f32, Shape{2, 4, 8, 8}});
  ValueId y = nchw_conv(g, x, {8, 4, 3, 3}, true);
  y = g.op("Relu", {g.op("Add", {y, nchw_conv(g, y, {8, 8, 3, 3}, false)})});
  y = g.op("Mul", {y, g.op("ReduceMean", {y}, attributes_of({{"first_axis", int64_t{2}}}))});
  y = g.transpose(g.reshape(y, {2, 8, 64}), {0, 2, 1});
  y = g.op("LayerNormalization", {y, g.constant(random_f32({8}, 4)), g.constant(random_f32({8}, 5))});
  const auto head = [&](uint32_t seed) {
    return g.transpose(
        g.reshape(g.op("Add", {g.op("MatMul", {y, g.constant(random_f32({8, 8}, seed))}), g.constant(random_f32({8}, seed + 1))}),
                  {2, 64, 2, 4}),
        {0, 2, 1, 3});
  };
  const ValueId q = head(31), k = head(33), v = head(35);
  const ValueId scores = g.op("Div", {g.op("MatMul", {q, g.transpose(k, {0, 1, 3, 2})}), g.constant(number(2))});
  ValueId z = g.reshape(g.transpose(g.op("MatMul", {g.op("Softmax", {scores}), v}), {0, 2, 1, 3}), {2, 64, 8});
  z = spelled_gelu(g, g.op("Add", {z, y}), GeluForm::half_last, true);
  g.output(g.op("Identity", {z})).output(q);
  const auto inputs = g.random_inputs();
  const auto expected = op_by_op(g.graph, inputs);
  const auto check = [&](std::vector<std::string> skip) {
    const auto actual = planned(g.graph, inputs, skip);
    ASSERT_EQ(actual.size(), 2u);
    for (size_t i = 0; i < 2; ++i) expect_close(actual[i], expected[i], 1e-4);
  };
  check({});
  std::vector<std::string> all;
  for (const NamedPass& pass : all_passes()) {
    SCOPED_TRACE("without " + std::string(pass.name));
    check({std::string(pass.name)});
    all.emplace_back(pass.name);
  }
  check(all);
}

}  // namespace
}  // namespace oxplow
