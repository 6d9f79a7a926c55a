#include "oxplow/kernels/attention/attention.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "oxplow/kernels/attention/reference.h"
#include "oxplow/kernels/page_guarded.h"

namespace oxplow {
namespace {

constexpr float kGuard = -12345.0f;
constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

enum class MaskShape { none, keys, lanes_last, keys_last, head_keys, odd };

struct Case {
  int64_t batch = 1, queries = 1, keys = 1, heads = 1, kv_heads = 1, head_dim = 1, value_dim = 1;
  int64_t pad = 0;  // between rows
  MaskShape mask = MaskShape::none;
  bool causal = false;
  int64_t causal_offset = 0;
  float spread = 1;  // of q and k
};

template <typename T>
class Attention {
 public:
  Attention(const AttentionKernel& kernel, const Case& c)
      : kernel_(kernel),
        q_(size(c, c.queries, c.heads, c.head_dim)),
        k_(size(c, c.keys, c.kv_heads, c.head_dim)),
        v_(size(c, c.keys, c.kv_heads, c.value_dim)),
        y_(size(c, c.queries, c.heads, c.value_dim)),
        mask_(static_cast<size_t>(c.mask == MaskShape::none ? 0 : 2 * c.batch * c.heads * c.queries * c.keys)) {
    std::mt19937 rng(static_cast<uint32_t>(c.queries * 1000 + c.keys * 10 + c.head_dim));
    std::normal_distribution<float> normal(0, 1);
    for (T& x : q_) x = T(normal(rng) * c.spread);
    for (T& x : k_) x = T(normal(rng) * c.spread);
    for (T& x : v_) x = T(normal(rng));
    for (T& x : y_) x = T(kGuard);
    for (float& x : mask_) x = normal(rng) > 1.5f ? -kInfinity : 2 * normal(rng);
    args_ = {.batch = c.batch,
             .queries = c.queries,
             .keys = c.keys,
             .heads = c.heads,
             .kv_heads = c.kv_heads,
             .head_dim = c.head_dim,
             .value_dim = c.value_dim};
    args_.q = q_.data(), args_.k = k_.data(), args_.v = v_.data(), args_.y = y_.data();
    args_.q_head = args_.k_head = c.head_dim;
    args_.v_head = args_.y_head = c.value_dim;
    args_.q_row = c.heads * c.head_dim + c.pad, args_.k_row = c.kv_heads * c.head_dim + c.pad;
    args_.v_row = c.kv_heads * c.value_dim + c.pad, args_.y_row = c.heads * c.value_dim + c.pad;
    args_.q_batch = c.queries * args_.q_row, args_.k_batch = c.keys * args_.k_row;
    args_.v_batch = c.keys * args_.v_row, args_.y_batch = c.queries * args_.y_row;
    args_.scale = 1 / std::sqrt(static_cast<float>(std::max<int64_t>(c.head_dim, 1)));
    args_.causal = c.causal;
    args_.causal_offset = c.causal_offset;
    if (c.mask != MaskShape::none) set_mask(c);
  }

  AttentionArgs& args() { return args_; }
  PageGuarded<T>& q() { return q_; }
  PageGuarded<T>& k() { return k_; }
  PageGuarded<T>& v() { return v_; }
  PageGuarded<T>& y() { return y_; }
  PageGuarded<float>& mask() { return mask_; }
  int64_t tasks() const { return kernel_.tasks(args_); }

  void run(int64_t begin, int64_t end) {
    const size_t bytes = kernel_.scratch_bytes(args_);
    PageGuarded<std::byte> scratch((bytes + 63) / 64 * 64);
    std::fill(scratch.begin(), scratch.end(), std::byte{0xff});  // NaN
    kernel_.run(args_, begin, end, scratch.data());
  }
  void run() { run(0, tasks()); }

  void check() const {
    const double unit = sizeof(T) == 2 ? 0x1p-8 : 0x1p-23;
    std::vector<bool> written(y_.size());
    for (int64_t b = 0; b < args_.batch; ++b) {
      for (int64_t i = 0; i < args_.queries; ++i) {
        for (int64_t h = 0; h < args_.heads; ++h) {
          const ReferenceAttention want = reference_attention<T>(args_, b, h, i, unit);
          for (int64_t d = 0; d < args_.value_dim; ++d) {
            const int64_t at = b * args_.y_batch + i * args_.y_row + h * args_.y_head + d;
            written[at] = true;
            const float got = static_cast<float>(y_[at]);
            if (std::isnan(want.value[d])) {
              ASSERT_TRUE(std::isnan(got)) << kernel_.name << " b " << b << " h " << h << " i " << i << " d " << d << ": " << got;
            } else {
              ASSERT_NEAR(got, want.value[d], want.tolerance[d])
                  << kernel_.name << " b " << b << " h " << h << " i " << i << " d " << d;
            }
          }
        }
      }
    }
    for (size_t i = 0; i < y_.size(); ++i) {
      if (!written[i]) ASSERT_EQ(static_cast<float>(y_[i]), static_cast<float>(T(kGuard))) << "written between rows, at " << i;
    }
  }

 private:
  static size_t size(const Case& c, int64_t rows, int64_t heads, int64_t dim) {
    return static_cast<size_t>(c.batch * rows * (heads * dim + c.pad));
  }
  void set_mask(const Case& c) {
    args_.mask = mask_.data();
    switch (c.mask) {
      case MaskShape::none: break;
      case MaskShape::keys: args_.mask_batch = c.keys, args_.mask_key = 1; break;
      case MaskShape::head_keys: args_.mask_head = c.keys, args_.mask_key = 1; break;
      case MaskShape::lanes_last: args_.mask_head = c.queries * c.keys, args_.mask_query = 1, args_.mask_key = c.queries; break;
      case MaskShape::keys_last:
        args_.mask_batch = c.heads * c.queries * c.keys, args_.mask_head = c.queries * c.keys;
        args_.mask_query = c.keys, args_.mask_key = 1;
        break;
      case MaskShape::odd: args_.mask_query = 2, args_.mask_key = 2 * c.queries; break;
    }
    // The mask's last value touches the guard page.
    const int64_t last = (c.batch - 1) * args_.mask_batch + (c.heads - 1) * args_.mask_head + (c.queries - 1) * args_.mask_query +
                         (c.keys - 1) * args_.mask_key;
    args_.mask = mask_.end() - 1 - last;
  }

  const AttentionKernel& kernel_;
  PageGuarded<T> q_, k_, v_, y_;
  PageGuarded<float> mask_;
  AttentionArgs args_;
};

class AttentionTest : public testing::TestWithParam<Isa> {
 protected:
  template <typename F>
  void each_kernel(F f) {
    for (const AttentionKernel& kernel : attention_kernels(GetParam()).kernels) {
      if (kernel.type == DType::f32) {
        f(kernel, float{});
      } else {
        f(kernel, BFloat16{});
      }
      if (HasFatalFailure()) return;
    }
  }
  void check(const Case& c) {
    SCOPED_TRACE(testing::Message() << c.queries << " queries " << c.keys << " keys " << c.heads << "/" << c.kv_heads << " heads "
                                    << c.head_dim << " " << c.value_dim << " mask " << static_cast<int>(c.mask) << " causal "
                                    << c.causal << " " << c.causal_offset);
    each_kernel([&]<typename T>(const AttentionKernel& kernel, T) {
      Attention<T> a(kernel, c);
      a.run();
      a.check();
    });
  }
};

TEST_P(AttentionTest, EveryRaggedSize) {
  for (const int64_t queries : {1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 33, 48, 49, 63, 64, 65, 70}) {
    for (const int64_t keys : {1, 2, 5, 6, 7, 16, 33, 127, 128, 129, 200}) {
      for (const int64_t dim : {1, 3, 8, 17, 32, 64, 96}) {
        check(
            {.queries = queries, .keys = keys, .head_dim = dim, .value_dim = queries % 2 == 0 ? dim : 97 - dim, .pad = keys % 4});
        if (HasFatalFailure()) return;
      }
    }
  }
}

TEST_P(AttentionTest, HeadsAndBatches) {
  for (const int64_t queries : {1, 2, 4, 19}) {
    check({.batch = 3, .queries = queries, .keys = 50, .heads = 6, .kv_heads = 2, .head_dim = 24, .value_dim = 20, .pad = 5});
    check({.batch = 2, .queries = queries, .keys = 300, .heads = 5, .kv_heads = 5, .head_dim = 16, .value_dim = 16});
    check({.batch = 2, .queries = queries, .keys = 20, .heads = 32, .kv_heads = 1, .head_dim = 64, .value_dim = 64});
  }
}

TEST_P(AttentionTest, EveryMask) {
  for (const MaskShape mask :
       {MaskShape::keys, MaskShape::head_keys, MaskShape::lanes_last, MaskShape::keys_last, MaskShape::odd}) {
    for (const int64_t queries : {1, 3, 8, 16, 49, 64, 67}) {
      for (const int64_t keys : {1, 9, 49, 150}) {
        check({.batch = 2,
               .queries = queries,
               .keys = keys,
               .heads = 2,
               .kv_heads = 2,
               .head_dim = 8,
               .value_dim = 12,
               .mask = mask});
        if (HasFatalFailure()) return;
      }
    }
  }
}

TEST_P(AttentionTest, Causal) {
  for (const int64_t queries : {1, 2, 7, 16, 40, 64, 130}) {
    for (const int64_t keys : {1, 7, 64, 131, 290}) {
      for (const int64_t offset : {keys - queries, int64_t{0}, int64_t{-3}, int64_t{5}, int64_t{-200}}) {
        check({.queries = queries,
               .keys = keys,
               .heads = 2,
               .kv_heads = 1,
               .head_dim = 16,
               .value_dim = 16,
               .causal = true,
               .causal_offset = offset});
        check({.queries = queries,
               .keys = keys,
               .head_dim = 4,
               .value_dim = 4,
               .mask = MaskShape::keys,
               .causal = true,
               .causal_offset = offset});
        if (HasFatalFailure()) return;
      }
    }
  }
}

TEST_P(AttentionTest, ManyQueriesAndKeys) {
  for (const bool causal : {false, true}) {
    check({.queries = 301, .keys = 530, .head_dim = 40, .value_dim = 24, .causal = causal, .causal_offset = 200});
    check({.queries = 301,
           .keys = 530,
           .head_dim = 8,
           .value_dim = 40,
           .mask = MaskShape::keys_last,
           .causal = causal,
           .causal_offset = -20});
  }
}

TEST_P(AttentionTest, LargeScores) {
  check({.queries = 40, .keys = 300, .head_dim = 64, .value_dim = 8, .spread = 8});
  check({.queries = 2, .keys = 700, .head_dim = 64, .value_dim = 8, .spread = 8});
}

TEST_P(AttentionTest, NothingThere) {
  check({.queries = 0, .keys = 3, .head_dim = 4, .value_dim = 4});
  check({.queries = 5, .keys = 0, .head_dim = 4, .value_dim = 4});
  check({.queries = 1, .keys = 0, .head_dim = 4, .value_dim = 4});
  check({.queries = 5, .keys = 3, .head_dim = 0, .value_dim = 4});
  check({.queries = 5, .keys = 3, .head_dim = 4, .value_dim = 0});
  check({.batch = 0, .queries = 5, .keys = 3, .head_dim = 4, .value_dim = 4});
}

// The first block of keys is hidden for all, the second for some.
TEST_P(AttentionTest, HiddenKeys) {
  for (const int64_t queries : {1, 4, 20}) {
    each_kernel([&]<typename T>(const AttentionKernel& kernel, T) {
      Attention<T> a(kernel, {.queries = queries, .keys = 300, .head_dim = 8, .value_dim = 8, .mask = MaskShape::keys_last});
      float* mask = const_cast<float*>(a.args().mask);
      for (int64_t i = 0; i < queries; ++i) {
        for (int64_t j = 0; j < 300; ++j) mask[i * 300 + j] = i == 3 || j < 150 || (i == 2 && j < 299) ? -kInfinity : 0;
      }
      a.run();
      a.check();
    });
  }
}

TEST_P(AttentionTest, AnySplitGivesTheSameBits) {
  for (const int64_t queries : {1, 3, 150}) {
    each_kernel([&]<typename T>(const AttentionKernel& kernel, T) {
      const Case c{.batch = 2, .queries = queries, .keys = 140, .heads = 4, .kv_heads = 2, .head_dim = 40, .value_dim = 40};
      Attention<T> whole(kernel, c), parts(kernel, c);
      whole.run();
      for (int64_t task = whole.tasks(); task > 0; --task) parts.run(task - 1, task);
      parts.run(1, 1);
      for (size_t i = 0; i < whole.y().size(); ++i) {
        ASSERT_EQ(static_cast<float>(whole.y()[i]), static_cast<float>(parts.y()[i])) << i;
      }
    });
  }
}

TEST_P(AttentionTest, NanAndInfinity) {
  for (const int64_t queries : {2, 20}) {
    each_kernel([&]<typename T>(const AttentionKernel& kernel, T) {
      const Case c{.queries = queries, .keys = 200, .head_dim = 8, .value_dim = 8};
      Attention<T> in_query(kernel, c), in_key(kernel, c), in_value(kernel, c);
      in_query.q()[8 + 3] = T(kNan);
      in_key.k()[150 * 8] = T(kNan);
      in_value.v()[150 * 8 + 2] = T(kInfinity);
      for (Attention<T>* a : {&in_query, &in_key, &in_value}) a->run();
      for (int64_t i = 0; i < queries; ++i) {
        for (int64_t d = 0; d < 8; ++d) {
          EXPECT_EQ(std::isnan(static_cast<float>(in_query.y()[i * 8 + d])), i == 1);
          EXPECT_TRUE(std::isnan(static_cast<float>(in_key.y()[i * 8 + d])));
          EXPECT_EQ(static_cast<float>(in_value.y()[i * 8 + d]) == kInfinity, d == 2);
        }
      }
    });
  }
}

INSTANTIATE_TEST_SUITE_P(Tiers, AttentionTest, testing::ValuesIn(available_isas().begin(), available_isas().end()),
                         [](const auto& param) { return std::string(name_of(param.param)); });

}  // namespace
}  // namespace oxplow
