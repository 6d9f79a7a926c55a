// Values of what works along sequences: attention with all its options, rotary embedding, linear attention, causal convolution.

#include "oxplow/graph/small_graph.h"

namespace oxplow {
namespace {

using F = std::vector<float>;

// softmax(q k^T + bias) v for one head, in double.
F plain_attention(const F& q, const F& k, const F& v, int64_t queries, int64_t keys, int64_t width, const F& bias) {
  F y(static_cast<size_t>(queries * width));
  for (int64_t i = 0; i < queries; ++i) {
    std::vector<double> p(static_cast<size_t>(keys));
    double total = 0;
    for (int64_t j = 0; j < keys; ++j) {
      double s = bias[static_cast<size_t>(i * keys + j)];
      for (int64_t d = 0; d < width; ++d)
        s += static_cast<double>(q[static_cast<size_t>(i * width + d)] * k[static_cast<size_t>(j * width + d)]) /
             std::sqrt(static_cast<double>(width));
      total += p[static_cast<size_t>(j)] = std::exp(s);
    }
    for (int64_t j = 0; j < keys && total > 0; ++j) {
      for (int64_t d = 0; d < width; ++d)
        y[static_cast<size_t>(i * width + d)] +=
            static_cast<float>(p[static_cast<size_t>(j)] / total * static_cast<double>(v[static_cast<size_t>(j * width + d)]));
    }
  }
  return y;
}

void expect_values(const Tensor& actual, const F& expected) {
  expect_close(actual, tensor<float>(actual.shape(), expected), 1e-5);
}

constexpr float kInf = std::numeric_limits<float>::infinity();

TEST(Sequence, AttentionByRowsAndByKernelAgree) {
  const Tensor q = random_f32({1, 1, 3, 8}, 1), k = random_f32({1, 1, 4, 8}, 2), v = random_f32({1, 1, 4, 8}, 3);
  const F none(12, 0);
  const F expected = plain_attention(values_of<float>(q), values_of<float>(k), values_of<float>(v), 3, 4, 8, none);
  expect_values(run_op("MaskedAttention", {q, k, v}), expected);
  // A wide window hides nothing, but is no matter for the kernel.
  expect_values(run_op("MaskedAttention", {q, k, v}, attributes_of({{"left_window_size", int64_t{9}}})), expected);
  const F causal{0, -kInf, -kInf, -kInf, 0, 0, -kInf, -kInf, 0, 0, 0, -kInf};
  const F hidden = plain_attention(values_of<float>(q), values_of<float>(k), values_of<float>(v), 3, 4, 8, causal);
  expect_values(run_op("MaskedAttention", {q, k, v}, attributes_of({{"is_causal", int64_t{1}}})), hidden);
  expect_values(run_op("MaskedAttention", {q, k, v}, attributes_of({{"right_window_size", int64_t{0}}})), hidden);
}

TEST(Sequence, AttentionWithPast) {
  const Tensor q = random_f32({1, 1, 1, 4}, 1), k = random_f32({1, 1, 1, 4}, 2), v = random_f32({1, 1, 1, 4}, 3);
  const Tensor past_k = random_f32({1, 1, 2, 4}, 4), past_v = random_f32({1, 1, 2, 4}, 5);
  const Tensor all_k = run_op("Concat", {past_k, k}, attributes_of({{"axis", int64_t{2}}}));
  const Tensor all_v = run_op("Concat", {past_v, v}, attributes_of({{"axis", int64_t{2}}}));
  const auto results =
      run_ops("MaskedAttention", {q, k, v, Tensor{}, past_k, past_v}, attributes_of({{"is_causal", int64_t{1}}}), 3);
  expect_values(results[0],
                plain_attention(values_of<float>(q), values_of<float>(all_k), values_of<float>(all_v), 1, 3, 4, {0, 0, 0}));
  EXPECT_TRUE(same_bits(results[1], all_k));
  EXPECT_TRUE(same_bits(results[2], all_v));
}

// A query whose every key is hidden gives zeros.
TEST(Sequence, AttentionOfHiddenRows) {
  const Tensor q = random_f32({1, 1, 1, 4}, 1), k = random_f32({1, 1, 2, 4}, 2);
  const Tensor mask = tensor<bool>({1, 2}, {false, false});
  EXPECT_EQ(values_of<float>(run_op("MaskedAttention", {q, k, k, mask})), (F{0, 0, 0, 0}));
  EXPECT_NE(op_error("MaskedAttention", {q, k, k, tensor<bool>({1, 3}, {false, false, true})}).find("a mask"), std::string::npos);
}

TEST(Sequence, RotaryEmbedding) {
  const Tensor x = tensor<float>({1, 1, 1, 4}, {1, 2, 3, 4}), cos = tensor<float>({2, 2}, {1, 1, 0, 0}),
               sin = tensor<float>({2, 2}, {0, 0, 1, 1});
  const Tensor position = tensor<int64_t>({1, 1}, {1});
  EXPECT_EQ(values_of<float>(run_op("RotaryEmbedding", {x, cos, sin, position})), (F{-3, -4, 1, 2}));
  EXPECT_EQ(values_of<float>(run_op("RotaryEmbedding", {x, cos, sin, position}, attributes_of({{"interleaved", int64_t{1}}}))),
            (F{-2, 1, -4, 3}));
}

TEST(Sequence, LinearAttention) {
  // One head, one column: the state is the running sum of k v.
  const Tensor q = tensor<float>({1, 2, 1}, {1, 2}), k = tensor<float>({1, 2, 1}, {3, 4}), v = tensor<float>({1, 2, 1}, {5, 6});
  const auto results = run_ops(
      "LinearAttention", {q, k, v},
      attributes_of({{"q_num_heads", int64_t{1}}, {"kv_num_heads", int64_t{1}}, {"update_rule", std::string("linear")}}), 2);
  EXPECT_EQ(values_of<float>(results[0]), (F{15, 78}));
  EXPECT_EQ(values_of<float>(results[1]), (F{39}));
}

TEST(Sequence, CausalConv) {
  const Tensor x = tensor<float>({1, 1, 3}, {1, 2, 3}), w = tensor<float>({1, 1, 2}, {10, 1});
  const auto results = run_ops("CausalConvWithState", {x, w, Tensor{}, tensor<float>({1, 1, 1}, {7})}, {}, 2);
  EXPECT_EQ(values_of<float>(results[0]), (F{71, 12, 23}));
  EXPECT_EQ(values_of<float>(results[1]), (F{3}));
}

}  // namespace
}  // namespace oxplow
