// Values of RNN, GRU and LSTM: by hand, by another grouping of sequences, and f32 products against f64 loops.

#include "oxplow/graph/small_graph.h"

namespace oxplow {
namespace {

using F = std::vector<float>;

void expect_like_f64(std::string_view op, const std::vector<Tensor>& inputs, const Attributes& attributes, int outputs) {
  const auto fast = run_ops(op, inputs, attributes, outputs), threads = run_ops(op, inputs, attributes, outputs, best_isa(), 3);
  std::vector<Tensor> wide;
  for (const Tensor& input : inputs) wide.push_back(widened(input));
  const auto slow = run_ops(op, wide, attributes, outputs);
  for (size_t o = 0; o < fast.size(); ++o) {
    ASSERT_EQ(fast[o].shape(), slow[o].shape());
    for (size_t i = 0; i < static_cast<size_t>(fast[o].elements()); ++i)
      ASSERT_NEAR(static_cast<double>(fast[o].values<float>()[i]), slow[o].values<double>()[i], 2e-5) << o << " " << i;
    EXPECT_TRUE(same_bits(fast[o], threads[o]));
  }
}

TEST(Recurrent, RnnByHand) {
  const Tensor x = tensor<float>({3, 1, 1}, {1, 2, 3}), w = tensor<float>({1, 1, 1}, {1}), r = tensor<float>({1, 1, 1}, {10});
  const Attributes relu = attributes_of({{"activations", std::vector<std::string>{"Relu"}}});
  EXPECT_EQ(values_of<float>(run_op("RNN", {x, w, r}, relu)), (F{1, 12, 123}));
  Attributes reverse = relu;
  reverse.set("direction", std::string("reverse"));
  EXPECT_EQ(values_of<float>(run_op("RNN", {x, w, r}, reverse)), (F{321, 32, 3}));
  const Tensor lengths = tensor<int32_t>({1}, {2});
  const auto shorter = run_ops("RNN", {x, w, r, Tensor{}, lengths}, reverse, 2);
  EXPECT_EQ(values_of<float>(shorter[0]), (F{21, 2, 0}));
  EXPECT_EQ(values_of<float>(shorter[1]), (F{21}));
}

// 20 sequences are two tasks; lengths differ.
TEST(Recurrent, BothWaysLikeF64) {
  constexpr int64_t kSteps = 5, kBatch = 20, kIn = 3, kHidden = 6;
  std::vector<int32_t> lengths(kBatch);
  for (size_t i = 0; i < lengths.size(); ++i) lengths[i] = static_cast<int32_t>(i % 6);
  const Attributes both = attributes_of({{"direction", std::string("bidirectional")}, {"hidden_size", kHidden}});
  for (const auto& [op, gates, outputs] : {std::tuple{"RNN", 1, 2}, {"GRU", 3, 2}, {"LSTM", 4, 3}}) {
    std::vector<Tensor> inputs{random_f32({kSteps, kBatch, kIn}, 1),         random_f32({2, gates * kHidden, kIn}, 2),
                               random_f32({2, gates * kHidden, kHidden}, 3), random_f32({2, 2 * gates * kHidden}, 4),
                               tensor<int32_t>({kBatch}, lengths),           random_f32({2, kBatch, kHidden}, 5)};
    if (outputs == 3) {
      inputs.push_back(random_f32({2, kBatch, kHidden}, 6));
      inputs.push_back(random_f32({2, 3 * kHidden}, 7));
    }
    expect_like_f64(op, inputs, both, outputs);
    Attributes linear = both;
    linear.set("linear_before_reset", int64_t{1});
    expect_like_f64(op, inputs, linear, outputs);
  }
}

TEST(Recurrent, BatchFirst) {
  const Tensor x = random_f32({2, 3, 4}, 1), w = random_f32({1, 8, 4}, 2), r = random_f32({1, 8, 2}, 3);
  const auto steps_first = run_ops("LSTM", {run_op("Transpose", {x}, attributes_of({{"perm", ints({1, 0, 2})}})), w, r}, {}, 2);
  const auto batch_first = run_ops("LSTM", {x, w, r}, attributes_of({{"layout", int64_t{1}}}), 2);
  EXPECT_TRUE(same_bits(batch_first[0], run_op("Transpose", {steps_first[0]}, attributes_of({{"perm", ints({2, 0, 1, 3})}}))));
  EXPECT_TRUE(same_bits(batch_first[1], run_op("Transpose", {steps_first[1]}, attributes_of({{"perm", ints({1, 0, 2})}}))));
}

TEST(Recurrent, Refusals) {
  const Tensor x = random_f32({3, 1, 1}, 1), w = random_f32({1, 1, 1}, 2);
  EXPECT_NE(op_error("LSTM", {x, w, w}).find("the weights"), std::string::npos);
  EXPECT_NE(op_error("RNN", {x, w, w}, attributes_of({{"activations", std::vector<std::string>{"Sine"}}})).find("'Sine'"),
            std::string::npos);
}

}  // namespace
}  // namespace oxplow
