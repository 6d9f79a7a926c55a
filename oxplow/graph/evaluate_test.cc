// Eager mode itself; the values of the ops are in ops_*_test.cc.

#include "oxplow/graph/small_graph.h"

namespace oxplow {
namespace {

TEST(Evaluate, SaysWhatDoesNotFit) {
  EXPECT_NE(op_error("Add", {number(1)}).find("takes 2 inputs"), std::string::npos);
  EXPECT_NE(op_error("MatMul", {number(1)}).find("lacks its input 1"), std::string::npos);
  EXPECT_NE(op_error("Relu", {number(1)}, {}, 2).find("1 outputs, the model names 2"), std::string::npos);
  EXPECT_NE(op_error("BatchNormalization",
                     {random_f32({1, 2}, 1), random_f32({2}, 1), random_f32({2}, 1), random_f32({2}, 1), random_f32({2}, 1)})
                .find("can only be rewritten"),
            std::string::npos);
}

TEST(Evaluate, LeavesOutOptionalInputs) {
  const Tensor x = random_f32({2, 3}, 1), w = random_f32({3, 4}, 2), residual = random_f32({2, 4}, 3);
  EXPECT_TRUE(same_bits(run_op("Linear", {x, w, {}, {}}), run_op("Linear", {x, w})));
  EXPECT_FALSE(same_bits(run_op("Linear", {x, w, {}, residual}), run_op("Linear", {x, w})));
}

TEST(Evaluate, PadsImages) {
  const Tensor x = random_f32({2, 5, 6, 4}, 1), w = random_f32({3, 4, 3, 3}, 2);
  const Tensor padded = run_op("Pad", {x, integers({0, 1, 2, 0, 0, 0, 1, 0})});
  expect_close(run_op("Conv", {x, w}, attributes_of({{"pads", ints({1, 2, 0, 1})}})), run_op("Conv", {padded, w}), 1e-6);
}

TEST(Evaluate, GivesTheSameBitsOnEveryThreadCount) {
  const Tensor x = random_f32({300, 200}, 1), w = random_f32({200, 150}, 2);
  const Tensor one = run_op("Linear", {x, w}, {}, best_isa(), 1);
  for (int threads : {2, 3, 5}) EXPECT_TRUE(same_bits(run_op("Linear", {x, w}, {}, best_isa(), threads), one)) << threads;
}

TEST(PackCache, SharesWhatIsHeldAndForgetsTheRest) {
  PackCache packs;
  const Tensor w = random_f32({4}, 1), other = random_f32({4}, 2);
  int packed = 0;
  const auto pack = [&](void* p) { static_cast<char*>(p)[0] = static_cast<char>(++packed); };
  auto first = packs.get(w, "a", 64, pack).take();
  EXPECT_EQ(packs.get(w, "a", 64, pack).take(), first);
  EXPECT_NE(packs.get(w, "b", 64, pack).take(), first);
  EXPECT_NE(packs.get(other, "a", 64, pack).take(), first);
  EXPECT_EQ(packed, 3);
  first.reset();
  EXPECT_EQ(packs.get(w, "a", 64, pack).take()->size(), 64u);
  EXPECT_EQ(packed, 4) << "nobody held it";
}

}  // namespace
}  // namespace oxplow
