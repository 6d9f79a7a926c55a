// Shape rules of the ops that compute, and all the ways their inputs may not fit.

#include "oxplow/ops/shape_rules.h"

#include <gtest/gtest.h>

#include "oxplow/ops/infer_call.h"

namespace oxplow {
namespace {

TEST(ShapeRules, NormalizedAxis) {
  EXPECT_EQ(*normalized_axis(-1, 3), 2);
  EXPECT_EQ(*normalized_axis(0, 3), 0);
  EXPECT_EQ(*normalized_axis(3, 3, true), 3);
  EXPECT_FALSE(normalized_axis(3, 3).ok());
  EXPECT_FALSE(normalized_axis(-4, 3).ok());
  EXPECT_FALSE(normalized_axis(0, 0).ok());
}

TEST(ShapeRules, Broadcast) {
  EXPECT_EQ(*broadcast({3, 1}, {1, 4}), (Shape{3, 4}));
  EXPECT_EQ(*broadcast({}, {2, 3}), (Shape{2, 3}));
  EXPECT_EQ(*broadcast({5, 1, 3}, {4, 1}), (Shape{5, 4, 3}));
  EXPECT_EQ(*broadcast({1}, {0}), (Shape{0}));
  EXPECT_FALSE(broadcast({2}, {3}).ok());
  EXPECT_FALSE(broadcast({2}, {0}).ok());
}

TEST(ShapeRules, MergeAxes) {
  Shape extents{2, 3, 1, 4, 5};
  std::vector<Dims> strides{{60, 20, 7, 5, 1}, {0, 20, 9, 5, 1}};
  merge_axes(extents, strides);
  EXPECT_EQ(extents, (Shape{2, 60}));
  EXPECT_EQ(strides[0], (Dims{60, 1}));
  EXPECT_EQ(strides[1], (Dims{0, 1}));
  Shape ones{1, 1};
  std::vector<Dims> any{{4, 8}};
  merge_axes(ones, any);
  EXPECT_EQ(ones.rank(), 1);
}

TEST(Elementwise, Types) {
  EXPECT_EQ(InferCall("Add").f32({2, 1}).f32({3}).text(), "f32[2, 3]");
  EXPECT_EQ(InferCall("Less").in(DType::i64, {2}).in(DType::i64, {}).text(), "boolean[2]");
  EXPECT_EQ(InferCall("Pow").f32({2}).in(DType::i64, {}).text(), "f32[2]") << "an exponent may have a type of its own";
  EXPECT_EQ(InferCall("Select").in(DType::boolean, {2, 1}).f32({}).f32({3}).text(), "f32[2, 3]");
  EXPECT_EQ(InferCall("IsNaN").f32({2}).text(), "boolean[2]");
  expect_error(InferCall("Add").f32({2}), "takes 2 inputs");
  expect_error(InferCall("Add").f32({2}).absent(), "input 1 is missing");
  expect_error(InferCall("Add").f32({2}).in(DType::i64, {2}), "inputs of types f32 and i64");
  expect_error(InferCall("Add").f32({2}).f32({3}), "cannot be broadcast");
  expect_error(InferCall("Select").f32({2}).f32({2}).f32({2}), "condition");
  expect_error(InferCall("Select").in(DType::boolean, {2}).f32({2}).in(DType::i64, {2}), "inputs of types");
}

TEST(Chain, BroadcastsAll) {
  EXPECT_EQ(InferCall("Chain").f32({2, 1}).f32({3}).set("dtype", static_cast<int64_t>(DType::bf16)).text(), "bf16[2, 3]");
  expect_error(InferCall("Chain").f32({2}).f32({3}).set("dtype", static_cast<int64_t>(DType::f32)), "cannot be broadcast");
}

InferCall conv(const Shape& x, const Shape& w) {
  InferCall call("Conv");
  call.f32(x).f32(w);
  return call;
}

std::vector<int64_t> ints(std::initializer_list<int64_t> values) { return values; }

TEST(Conv, Shapes) {
  EXPECT_EQ(conv({2, 8, 9, 3}, {5, 3, 3, 3}).text(), "f32[2, 6, 7, 5]");
  EXPECT_EQ(conv({2, 8, 9, 3}, {5, 3, 3, 3}).set("pads", ints({1, 0, 1, 2})).text(), "f32[2, 8, 9, 5]");
  EXPECT_EQ(conv({1, 8, 9, 3}, {5, 3, 3, 3}).set("strides", ints({2, 3})).text(), "f32[1, 3, 3, 5]");
  EXPECT_EQ(conv({1, 8, 9, 3}, {5, 3, 3, 3}).set("dilations", ints({3, 4})).text(), "f32[1, 2, 1, 5]");
  EXPECT_EQ(conv({1, 8, 9, 4}, {6, 2, 1, 1}).set("group", int64_t{2}).text(), "f32[1, 8, 9, 6]");
  EXPECT_EQ(conv({0, 8, 9, 3}, {5, 3, 3, 3}).text(), "f32[0, 6, 7, 5]");
  EXPECT_EQ(conv({1, 7, 8, 3}, {5, 3, 3, 3}).set("auto_pad", "SAME_UPPER").set("strides", ints({2, 2})).text(),
            "f32[1, 4, 4, 5]");
  EXPECT_EQ(conv({1, 7, 8, 3}, {5, 3, 3, 3}).set("auto_pad", "VALID").set("pads", ints({1, 1, 1, 1})).text(), "f32[1, 5, 6, 5]");
}

TEST(Conv, Errors) {
  expect_error(conv({1, 8, 3}, {5, 3, 3}), "convolution over 1 axes");
  expect_error(conv({1, 8, 8, 8, 3}, {5, 3, 3, 3, 3}), "convolution over 3 axes");
  expect_error(conv({1, 8, 8, 4}, {5, 3, 3, 3}), "do not fit 4 channels");
  expect_error(conv({1, 8, 8, 4}, {5, 2, 3, 3}).set("group", int64_t{2}), "groups");
  expect_error(conv({1, 8, 8, 4}, {5, 4, 3, 3}).set("group", int64_t{0}), "groups");
  expect_error(conv({1, 2, 8, 3}, {5, 3, 3, 3}), "does not fit into an image of 2");
  expect_error(conv({1, 8, 8, 3}, {5, 3, 3, 3}).set("strides", ints({0, 1})), "out of range");
  expect_error(conv({1, 8, 8, 3}, {5, 3, 3, 3}).set("strides", ints({1})), "do not fit an image");
  expect_error(conv({1, 8, 8, 3}, {5, 3, 3, 3}).set("pads", ints({-1, 0, 0, 0})), "out of range");
  expect_error(conv({1, 8, 8, 3}, {5, 3, 0, 3}), "out of range");
  expect_error(conv({1, 8, 8, 3}, {5, 3, 3, 3}).f32({4}), "a bias of f32[4] for 5 filters");
  expect_error(conv({1, 8, 8, 3}, {5, 3, 3, 3}).absent().f32({1, 8, 8, 5}), "residual");
  expect_error(conv({1, 8, 8, 3}, {5, 3, 3, 3}).absent().in(DType::bf16, {1, 6, 6, 5}), "residual");
  const int64_t huge = (int64_t{1} << 31) - 1;
  expect_error(conv({1, 8, 8, 3}, {5, 3, 3, 3}).set("pads", ints({huge, huge, huge, huge})), "impossible");
}

TEST(Pool, Shapes) {
  const auto pool = [](const Shape& x) {
    InferCall call("MaxPool");
    call.f32(x).set("kernel_shape", ints({3, 3})).set("strides", ints({2, 2}));
    return call;
  };
  EXPECT_EQ(pool({1, 8, 8, 4}).text(), "f32[1, 3, 3, 4]");
  EXPECT_EQ(pool({1, 8, 8, 4}).set("ceil_mode", int64_t{1}).text(), "f32[1, 4, 4, 4]");
  EXPECT_EQ(pool({1, 7, 7, 4}).set("ceil_mode", int64_t{1}).text(), "f32[1, 3, 3, 4]");
  // The last window may not begin in the padding behind the image.
  EXPECT_EQ(pool({1, 4, 4, 4}).set("ceil_mode", int64_t{1}).set("pads", ints({1, 1, 1, 1})).text(), "f32[1, 3, 3, 4]");
  EXPECT_EQ(InferCall("AveragePool")
                .f32({1, 4, 4, 2})
                .set("kernel_shape", ints({1, 1}))
                .set("strides", ints({3, 3}))
                .set("ceil_mode", int64_t{1})
                .text(),
            "f32[1, 2, 2, 2]");
  expect_error(InferCall("MaxPool").f32({1, 8, 8, 4}), "other than two axes");
  expect_error(InferCall("MaxPool", 2).f32({1, 8, 8, 4}).set("kernel_shape", ints({2, 2})), "indices");
  expect_error(pool({1, 2, 8, 4}), "does not fit");
}

TEST(Linear, Shapes) {
  EXPECT_EQ(InferCall("Linear").f32({2, 5, 4}).f32({4, 3}).text(), "f32[2, 5, 3]");
  EXPECT_EQ(InferCall("Linear").f32({4}).f32({3, 4}).set("trans_w", int64_t{1}).text(), "f32[3]");
  expect_error(InferCall("Linear").f32({2, 5}).f32({4, 3}), "weights for 4 features");
  expect_error(InferCall("Linear").f32({}).f32({4, 3}), "matrix product");
  expect_error(InferCall("Linear").f32({4}).f32({1, 4, 3}), "matrix product");
  expect_error(InferCall("Linear").f32({2, 4}).f32({4, 3}).f32({4}), "bias");
  expect_error(InferCall("Linear").f32({2, 4}).f32({4, 3}).absent().f32({2, 4}), "residual");
  expect_error(InferCall("Linear").f32({2, 4}).f32({4, 3}).absent().f32({3}), "residual");
}

TEST(MatMul, Shapes) {
  const auto matmul = [](const Shape& a, const Shape& b) { return InferCall("MatMul").f32(a).f32(b).text(); };
  EXPECT_EQ(matmul({2, 3}, {3, 4}), "f32[2, 4]");
  EXPECT_EQ(matmul({3}, {3, 4}), "f32[4]");
  EXPECT_EQ(matmul({2, 3}, {3}), "f32[2]");
  EXPECT_EQ(matmul({3}, {3}), "f32[]");
  EXPECT_EQ(matmul({5, 1, 2, 3}, {4, 3, 6}), "f32[5, 4, 2, 6]");
  EXPECT_EQ(matmul({3}, {7, 3, 4}), "f32[7, 4]");
  expect_error(InferCall("MatMul").f32({2, 3}).f32({4, 3}), "matrix product of [2, 3] and [4, 3]");
  expect_error(InferCall("MatMul").f32({}).f32({4, 3}), "scalar");
  expect_error(InferCall("MatMul").f32({2, 2, 3}).f32({3, 3, 4}), "cannot be broadcast");
  expect_error(InferCall("MatMul").f32({2, 3}).in(DType::i64, {3, 4}), "types");
}

TEST(Attention, Shapes) {
  const auto attention = [] {
    InferCall call("Attention");
    call.f32({2, 5, 4, 8}).f32({2, 7, 4, 8}).f32({2, 7, 4, 6});
    return call;
  };
  EXPECT_EQ(attention().text(), "f32[2, 5, 4, 6]");
  EXPECT_EQ(attention().f32({1, 1, 5, 7}).text(), "f32[2, 5, 4, 6]");
  EXPECT_EQ(InferCall("Attention").f32({1, 5, 4, 8}).f32({1, 5, 2, 8}).f32({1, 5, 2, 8}).text(), "f32[1, 5, 4, 8]");
  expect_error(attention().f32({2, 4, 5, 6}), "broadcast");
  expect_error(attention().f32({3, 2, 4, 5, 7}), "mask");
  expect_error(attention().in(DType::boolean, {5, 7}), "mask");
  expect_error(InferCall("Attention").f32({1, 5, 3, 8}).f32({1, 5, 2, 8}).f32({1, 5, 2, 8}), "attention of");
  expect_error(InferCall("Attention").f32({1, 5, 2, 8}).f32({1, 5, 2, 7}).f32({1, 5, 2, 8}), "attention of");
  expect_error(InferCall("Attention").f32({1, 5, 2, 8}).in(DType::bf16, {1, 5, 2, 8}).f32({1, 5, 2, 8}), "attention of");
}

TEST(LayerNormalization, Shapes) {
  const auto norm = [](const Shape& scale) {
    InferCall call("LayerNormalization");
    call.f32({2, 3, 4}).f32(scale);
    return call;
  };
  EXPECT_EQ(norm({4}).text(), "f32[2, 3, 4]");
  EXPECT_EQ(norm({3, 4}).set("axis", int64_t{1}).text(), "f32[2, 3, 4]");
  expect_error(norm({3}), "for rows of 4");
  expect_error(norm({4}).f32({5}), "for rows of 4");
  expect_error(norm({4}).f32({4}).f32({2, 3, 5}), "residual");
  expect_error(norm({4}).set("axis", int64_t{3}), "outside");
  EXPECT_EQ(InferCall("LayerNormalization", 3).f32({2, 4}).f32({4}).text(), "f32[2, 4], f32[2, 1], f32[2, 1]");
  EXPECT_EQ(InferCall("RMSNormalization").in(DType::f64, {2, 4}).f32({2, 1}).text(), "f64[2, 4]");
}

TEST(Softmax, Shapes) {
  EXPECT_EQ(InferCall("Softmax").f32({2, 3}).text(), "f32[2, 3]");
  expect_error(InferCall("Softmax").f32({2, 3}).set("axis", int64_t{2}), "outside");
  expect_error(InferCall("LogSoftmax").f32({}), "outside of 0 axes");
}

TEST(Reductions, Shapes) {
  EXPECT_EQ(InferCall("ReduceMean").f32({2, 3, 4}).integers({1}).text(), "f32[2, 1, 4]");
  EXPECT_EQ(InferCall("ReduceMean").f32({2, 3, 4}).integers({-1, 0}).set("keepdims", int64_t{0}).text(), "f32[3]");
  EXPECT_EQ(InferCall("ReduceMax").f32({2, 3}).text(), "f32[1, 1]");
  EXPECT_EQ(InferCall("ReduceMax").f32({2, 3}).integers({}).set("noop_with_empty_axes", int64_t{1}).text(), "f32[2, 3]");
  EXPECT_EQ(InferCall("ReduceMax").f32({2, 3, 4, 5}).set("first_axis", int64_t{2}).text(), "f32[2, 3, 1, 1]");
  EXPECT_EQ(InferCall("ReduceSum").f32({}).set("keepdims", int64_t{0}).text(), "f32[]");
  expect_error(InferCall("ReduceSum").f32({2}).integers({1}), "outside");
  expect_error(InferCall("ReduceSum").f32({2}).in(DType::i64, {1}), "depends on data");
}

TEST(BatchNormalization, Shapes) {
  const auto norm = [](const Shape& scale) {
    return InferCall("BatchNormalization").f32({2, 3, 4}).f32(scale).f32({3}).f32({3}).f32({3});
  };
  EXPECT_EQ(norm({3}).text(), "f32[2, 3, 4]");
  expect_error(norm({4}), "one element a channel");
  expect_error(InferCall("BatchNormalization").f32({2}).f32({2}).f32({2}).f32({2}).f32({2}), "no channels");
  expect_error(InferCall("BatchNormalization").f32({2, 3}).f32({3}).f32({3}).f32({3}), "lacks its input 4");
}

TEST(Gather, Shapes) {
  EXPECT_EQ(InferCall("Gather").f32({5, 6}).in(DType::i64, {2, 3}).text(), "f32[2, 3, 6]");
  EXPECT_EQ(InferCall("Gather").f32({5, 6}).in(DType::i32, {}).set("axis", int64_t{-1}).text(), "f32[5]");
  EXPECT_EQ(InferCall("Gather").f32({5, 6}).integers({-5, 4}).text(), "f32[2, 6]");
  expect_error(InferCall("Gather").f32({5, 6}).integers({5}), "index 5 is outside of an axis of 5");
  expect_error(InferCall("Gather").f32({5, 6}).integers({-6}), "index -6");
  expect_error(InferCall("Gather").f32({5, 6}).f32({2}), "indices must be");
  expect_error(InferCall("Gather").f32({}).in(DType::i64, {2}), "outside of 0 axes");
  expect_error(InferCall("Gather").f32({1, 1, 1, 1, 1, 1}).in(DType::i64, {1, 1, 1, 1, 1, 1}), "more than 10 axes");
}

TEST(Concat, Shapes) {
  const auto joined = [](int64_t axis) { return InferCall("Concat").f32({2, 3}).f32({2, 4}).set("axis", axis); };
  EXPECT_EQ(joined(1).text(), "f32[2, 7]");
  EXPECT_EQ(joined(-1).text(), "f32[2, 7]");
  expect_error(joined(0), "side by side along axis 0");
  expect_error(joined(2), "outside");
  expect_error(InferCall("Concat").f32({2, 3}).in(DType::i64, {2, 3}), "side by side");
  expect_error(InferCall("Concat").f32({2, 3}).f32({2, 3, 1}), "side by side");
  expect_error(InferCall("Concat").f32({2, 3}).absent(), "missing");
  expect_error(InferCall("Concat").f32({int64_t{1} << 59}).f32({int64_t{1} << 59}), "impossible");
}

TEST(Pad, Shapes) {
  const auto padded = [](std::vector<int64_t> pads) { return InferCall("Pad").f32({2, 5}).integers(std::move(pads)); };
  EXPECT_EQ(padded({1, 0, 2, 3}).text(), "f32[5, 8]");
  EXPECT_EQ(padded({0, -2, 0, -3}).text(), "f32[2, 0]");
  EXPECT_EQ(padded({-1, 4}).absent().integers({-1}).text(), "f32[2, 8]");
  expect_error(padded({1, 0}), "for each axis");
  expect_error(padded({0, -6, 0, 3}), "impossible pads");
  expect_error(padded({0, -3, 0, -3}), "impossible pads");
  expect_error(padded({0, 0, 0, int64_t{1} << 41}), "impossible pads");
  expect_error(padded({0, 0, 0, 0}).set("mode", "sideways"), "Pad in mode sideways");
  expect_error(padded({0, 0, 0, 0}).in(DType::i8, {}), "value");
  expect_error(padded({0, 0, 0, 0}).f32({2}), "value");
  expect_error(InferCall("Pad").f32({2}).in(DType::i64, {2}), "depends on data");
}

TEST(Cast, Types) {
  const auto cast = [](DType to) { return InferCall("Cast").f32({2}).set("to", static_cast<int64_t>(to)); };
  EXPECT_EQ(cast(DType::i8).text(), "i8[2]");
  EXPECT_EQ(cast(DType::i4).text(), "i4[2]");
  expect_error(InferCall("Cast").f32({2}).set("to", int64_t{99}), "type 99");
  expect_error(InferCall("Cast").f32({2}), "type");
}

TEST(ShapeValues, Types) {
  EXPECT_EQ(InferCall("Shape").f32({2, 3, 4}).text(), "i64[3]");
  EXPECT_EQ(InferCall("Shape").f32({2, 3, 4}).set("start", int64_t{1}).set("end", int64_t{-1}).text(), "i64[1]");
  EXPECT_EQ(InferCall("Shape").f32({2, 3, 4}).set("start", int64_t{2}).set("end", int64_t{1}).text(), "i64[0]");
  EXPECT_EQ(InferCall("Size").f32({2, 3, 4}).text(), "i64[]");
  EXPECT_EQ(InferCall("ConstantOfShape").integers({2, 0}).text(), "f32[2, 0]");
  EXPECT_EQ(InferCall("ConstantOfShape").integers({2}).set("value", Tensor::scalar<int64_t>(7)).text(), "i64[2]");
  expect_error(InferCall("ConstantOfShape").integers({-2}), "impossible shape");
  expect_error(InferCall("ConstantOfShape").integers({int64_t{1} << 40}), "more than 16 GiB");
  expect_error(InferCall("ConstantOfShape").integers({2}).set("value", Tensor::of<float>(std::vector<float>{}, Shape{0})),
               "one element");
  expect_error(InferCall("ConstantOfShape").integers(std::vector<int64_t>(11, 1)), "more than 10 axes");
}

TEST(Range, Types) {
  const auto range = [](auto start, auto limit, auto delta) {
    return InferCall("Range").constant(Tensor::scalar(start)).constant(Tensor::scalar(limit)).constant(Tensor::scalar(delta));
  };
  EXPECT_EQ(range(int64_t{3}, int64_t{10}, int64_t{3}).text(), "i64[3]");
  EXPECT_EQ(range(int64_t{10}, int64_t{3}, int64_t{-2}).text(), "i64[4]");
  EXPECT_EQ(range(1.0f, 0.0f, 0.5f).text(), "f32[0]");
  expect_error(range(int64_t{0}, int64_t{10}, int64_t{0}), "step 0");
  expect_error(range(0.0f, 1e30f, 1.0f), "more than 1e10");
  expect_error(range(int64_t{0}, int64_t{4}, int8_t{1}), "types");
  expect_error(InferCall("Range").in(DType::i64, {}).in(DType::i64, {}).in(DType::i64, {}), "depend on data");
}

TEST(Rules, EveryOpRefusesToBeCalledWithNothing) {
  for (const OpSpec* op : all_ops()) {
    const std::string text = InferCall(op->name).text();
    EXPECT_TRUE(text.starts_with("error: ")) << op->name << " gives " << text;
  }
}

TEST(Rules, EveryOpWantsAsManyOutputsAsItHas) {
  for (const OpSpec* op : all_ops()) {
    if (std::string_view(op->name) == "Split") continue;
    InferCall call(op->name, 9);
    for (int i = 0; i < 3; ++i) call.f32({2, 2});
    EXPECT_TRUE(call.text().starts_with("error: ")) << op->name;
  }
}

TEST(Rules, FourBitIntegersAreNoAxes) {
  auto axes = Tensor::allocate({DType::i4, Shape{1}});
  ASSERT_TRUE(axes.ok());
  expect_error(InferCall("Squeeze").f32({1, 2}).constant(*axes), "axes of i4");
  expect_error(InferCall("Range").constant(*axes).constant(*axes).constant(*axes), "a Range of i4");
}

}  // namespace
}  // namespace oxplow
