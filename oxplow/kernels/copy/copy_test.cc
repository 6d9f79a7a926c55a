#include "oxplow/kernels/copy/copy.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <random>
#include <string>
#include <vector>

#include "oxplow/kernels/guarded.h"

namespace oxplow {
namespace {

// Calls visit(src_offset, dst_offset) for every index.
template <typename Visit>
void walk(const Dims& extents, const Dims& src, const Dims& dst, Visit&& visit) {
  Dims index = Dims::filled(extents.rank(), 0);
  if (std::any_of(extents.begin(), extents.end(), [](int64_t e) { return e == 0; })) return;
  for (bool more = true; more;) {
    int64_t from = 0, to = 0;
    for (int d = 0; d < extents.rank(); ++d) from += index[d] * src[d], to += index[d] * dst[d];
    visit(from, to);
    more = false;
    for (int d = extents.rank() - 1; d >= 0 && !more; --d) {
      more = ++index[d] < extents[d];
      if (!more) index[d] = 0;
    }
  }
}

struct Range {
  int64_t low = 0, high = 0;
};
Range range_of(const Dims& extents, const Dims& strides) {
  Range range;
  for (int d = 0; d < extents.rank(); ++d) {
    const int64_t span = (extents[d] - 1) * strides[d];
    (span < 0 ? range.low : range.high) += span;
  }
  return range;
}

template <typename T>
T sample(std::mt19937& generator) {
  if constexpr (is_float(dtype_of<T>()) && sizeof(T) < 8) {
    // Whole numbers and fractions, then what rounding treats apart.
    constexpr float kSpecial[] = {0.0f, -0.0f, INFINITY, -INFINITY, 65504.0f, 65520.0f, 1e-7f, 3e38f};
    const auto r = generator();
    if (r % 8 == 0) return T(kSpecial[r / 8 % 8]);
    return T(std::uniform_real_distribution<float>(-300, 300)(generator));
  } else {
    return static_cast<T>(generator());
  }
}

template <typename S, typename D>
void check(const Dims& extents, const Dims& src_strides, const Dims& dst_strides, int64_t misalignment = 1) {
  const CopyPlan plan = plan_copy(dtype_of<S>(), dtype_of<D>(), extents, src_strides, dst_strides);
  const bool empty = std::any_of(extents.begin(), extents.end(), [](int64_t e) { return e == 0; });
  const Range src_range = empty ? Range{} : range_of(extents, src_strides),
              dst_range = empty ? Range{} : range_of(extents, dst_strides);
  Guarded<S> src(src_range.high - src_range.low + 1, misalignment);
  std::mt19937 generator(7);
  for (int64_t i = 0; i < src.size(); ++i) src[i] = sample<S>(generator);
  for (Isa isa : available_isas()) {
    const CopyKernels& kernels = copy_kernels(isa);
    for (int64_t step : {plan.units, int64_t{1}}) {
      Guarded<D> dst(dst_range.high - dst_range.low + 1, misalignment), expected(dst.size());
      std::memset(static_cast<void*>(dst.data()), 0x5a, static_cast<size_t>(dst.size()) * sizeof(D));
      std::memset(static_cast<void*>(expected.data()), 0x5a, static_cast<size_t>(dst.size()) * sizeof(D));
      walk(extents, src_strides, dst_strides, [&](int64_t from, int64_t to) {
        const S value = src[from - src_range.low];
        if constexpr (std::is_same_v<S, D>) {
          expected[to - dst_range.low] = value;
        } else {
          expected[to - dst_range.low] = D(static_cast<float>(value));
        }
      });
      for (int64_t unit = plan.units - 1; unit >= 0; unit -= step) {
        kernels.run(plan, src.data() - src_range.low, dst.data() - dst_range.low, unit - step + 1, unit + 1);
      }
      const std::string what = std::string(kernels.isa) + " form " + std::to_string(static_cast<int>(plan.form)) + " extents " +
                               to_string(extents) + " src " + to_string(src_strides) + " dst " + to_string(dst_strides);
      ASSERT_EQ(std::memcmp(dst.data(), expected.data(), static_cast<size_t>(dst.size()) * sizeof(D)), 0) << what;
      ASSERT_TRUE(dst.intact()) << what;
    }
  }
}

// Strides of `extents` laid out in the order of `permutation` (outermost first), `gap` elements after each innermost run.
Dims strides_in_order(const Dims& extents, const std::vector<int>& permutation, int64_t gap) {
  Dims strides = Dims::filled(extents.rank(), 0);
  int64_t stride = 1;
  for (size_t i = permutation.size(); i-- > 0;) {
    strides[permutation[i]] = stride;
    stride *= extents[permutation[i]];
    if (i + 1 == permutation.size()) stride += gap;
  }
  return strides;
}

template <typename S, typename D>
void check_permutations(const Dims& extents) {
  std::vector<int> permutation(extents.size());
  for (size_t i = 0; i < permutation.size(); ++i) permutation[i] = static_cast<int>(i);
  const std::vector<int> identity = permutation;
  do {
    for (int64_t gap : {0, 3})
      check<S, D>(extents, strides_in_order(extents, permutation, gap), strides_in_order(extents, identity, gap));
  } while (std::next_permutation(permutation.begin(), permutation.end()));
}

TEST(Copy, PermutationsOfEveryElementSize) {
  for (const Dims& extents : {Dims{3, 5, 2, 7}, Dims{1, 19, 4, 37}, Dims{70, 3, 1, 17}}) {
    check_permutations<uint8_t, uint8_t>(extents);
    check_permutations<uint16_t, uint16_t>(extents);
    check_permutations<float, float>(extents);
    check_permutations<int64_t, int64_t>(extents);
  }
}

TEST(Copy, Conversions) {
  for (const Dims& extents : {Dims{3, 5, 7}, Dims{67, 2, 35}}) {
    check_permutations<float, BFloat16>(extents);
    check_permutations<BFloat16, float>(extents);
    check_permutations<float, Float16>(extents);
    check_permutations<Float16, float>(extents);
    check_permutations<BFloat16, Float16>(extents);
    check_permutations<Float16, BFloat16>(extents);
  }
}

TEST(Copy, TranspositionsOfEverySize) {
  for (int64_t rows = 1; rows <= 35; ++rows) {
    for (int64_t columns = 1; columns <= 35; ++columns) {
      check<uint32_t, uint32_t>({rows, columns}, {1, rows}, {columns, 1});
      check<uint8_t, uint8_t>({rows, columns}, {1, rows + 1}, {columns + 2, 1});
    }
  }
  check<uint16_t, uint16_t>({130, 200}, {1, 131}, {203, 1});
  check<uint64_t, uint64_t>({130, 200}, {1, 131}, {203, 1});
}

TEST(Copy, RunsOfEveryLength) {
  for (int64_t n = 0; n <= 300; ++n) {
    check<uint8_t, uint8_t>({3, n}, {n + 1, 1}, {n + 2, 1});
    if (n < 70) check<float, BFloat16>({2, n}, {n + 1, 1}, {n + 3, 1});
  }
  check<uint8_t, uint8_t>({5000}, {1}, {1});
  check<uint8_t, uint8_t>({300000}, {1}, {1});
  check<float, float>({2, 40000}, {40001, 1}, {40002, 1});
}

TEST(Copy, ChannelsLastAndBack) {
  for (int64_t channels : {1, 2, 3, 4, 5, 12, 16, 24, 64, 65}) {
    const int64_t h = 9, w = 11;
    check<float, float>({2, h, w, channels}, {channels * h * w, w, 1, h * w}, {h * w * channels, w * channels, channels, 1});
    check<float, float>({2, channels, h, w}, {channels * h * w, 1, w * channels, channels}, {h * w * channels, h * w, w, 1});
    check<float, BFloat16>({2, h, w, channels}, {channels * h * w, w, 1, h * w}, {h * w * channels, w * channels, channels, 1});
    check<uint8_t, uint8_t>({2, h, w, channels}, {channels * h * w, w, 1, h * w}, {h * w * channels, w * channels, channels, 1});
    // Into a bordered buffer with padded pixels.
    check<float, float>({2, h, w, channels}, {channels * h * w, w, 1, h * w}, {(h + 2) * (w + 2) * 80, (w + 2) * 80, 80, 1});
  }
}

TEST(Copy, SpaceToDepth) {
  const int64_t h = 6, w = 10;
  check<float, float>({1, h, w, 2, 2, 3}, {0, 4 * w, 2, 2 * w, 1, 4 * h * w}, {0, w * 12, 12, 6, 3, 1});
}

TEST(Copy, BroadcastsAndFills) {
  check<float, float>({4, 5, 33}, {0, 0, 0}, {165, 33, 1});
  check<float, float>({4, 5, 33}, {0, 1, 0}, {165, 33, 1});
  check<uint8_t, uint8_t>({7, 100}, {0, 1}, {100, 1});
  check<uint8_t, uint8_t>({7, 100}, {1, 0}, {101, 1});
  check<float, BFloat16>({7, 100}, {1, 0}, {101, 1});
  check<int64_t, int64_t>({3, 4}, {0, 0}, {9, 2});
}

TEST(Copy, ReversedAndSteppedSources) {
  check<float, float>({5, 40}, {40, -1}, {40, 1});
  check<float, float>({5, 40}, {-40, 1}, {40, 1});
  check<uint16_t, uint16_t>({5, 40}, {-80, -2}, {40, 1});
  check<float, Float16>({5, 40}, {-80, 2}, {40, 1});
  check<float, float>({40}, {1}, {3});
}

TEST(Copy, ScalarsAndNothing) {
  check<float, float>({}, {}, {});
  check<float, float>({1, 1, 1}, {5, 6, 7}, {1, 1, 1});
  check<float, float>({3, 0, 5}, {5, 5, 1}, {5, 5, 1});
  EXPECT_EQ(plan_copy(DType::f32, DType::f32, {3, 0}, {1, 1}, {1, 1}).units, 0);
}

TEST(Copy, TenDimensions) {
  const Dims extents = {2, 1, 2, 3, 1, 2, 2, 1, 2, 3};
  check<float, float>(extents, strides_in_order(extents, {9, 8, 7, 6, 5, 4, 3, 2, 1, 0}, 0), dense_strides(extents));
  check<float, float>(extents, strides_in_order(extents, {3, 8, 1, 6, 5, 0, 9, 2, 7, 4}, 1), dense_strides(extents));
}

TEST(Copy, NanConvertsToNan) {
  for (Isa isa : available_isas()) {
    for (DType type : {DType::bf16, DType::f16}) {
      std::vector<float> src(21, NAN), back(21, 0.0f);
      std::vector<uint16_t> half(21);
      const CopyPlan there = plan_copy(DType::f32, type, {21}, {1}, {1}), again = plan_copy(type, DType::f32, {21}, {1}, {1});
      copy_kernels(isa).run(there, src.data(), half.data(), 0, there.units);
      copy_kernels(isa).run(again, half.data(), back.data(), 0, again.units);
      for (float v : back) EXPECT_TRUE(std::isnan(v)) << copy_kernels(isa).isa;
    }
  }
}

TEST(Copy, ClearsBordersAlone) {
  for (Isa isa : available_isas()) {
    for (int64_t gap : {0, 2}) {
      const int64_t batch = 2, h = 3, w = 4, channels = 5, pixel = channels + gap, row = (w + 3) * pixel, image = (h + 3) * row;
      Guarded<uint16_t> memory(batch * image);
      memory.fill(7);
      BorderArgs args;
      args.element_bytes = 2, args.batch = batch, args.inside_h = h, args.inside_w = w, args.channels = channels;
      args.top = 1, args.left = 2, args.bottom = 2, args.right = 1;
      args.pixel = pixel, args.row = row, args.image = image;
      args.inside = memory.data() + row + 2 * pixel;
      copy_kernels(isa).clear_border(args, 0, batch);
      EXPECT_TRUE(memory.intact());
      for (int64_t at = 0; at < memory.size(); ++at) {
        const int64_t i = at % image / row, j = at % row / pixel, c = at % pixel;
        const bool inside = i >= 1 && i < 1 + h && j >= 2 && j < 2 + w;
        EXPECT_EQ(memory[at], inside || c >= channels ? 7 : 0) << at;
      }
    }
  }
}

}  // namespace
}  // namespace oxplow
