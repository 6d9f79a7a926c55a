#include "oxplow/kernels/pool/pool.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>

#include "oxplow/kernels/guarded.h"
#include "oxplow/kernels/pool/reference.h"

namespace oxplow {
namespace {

struct Case {
  int64_t batch, in_h, in_w, channels, kernel, stride, dilation, pad_before, pad_after;
  bool ceil_mode = false;
};

int64_t extent_of(const Case& c, int64_t in) {
  const int64_t span = in + c.pad_before + c.pad_after - (c.kernel - 1) * c.dilation - 1;
  return (span + (c.ceil_mode ? c.stride - 1 : 0)) / c.stride + 1;
}

PoolArgs geometry(const Case& c, PoolKind kind, bool include_pad) {
  PoolArgs args;
  args.kind = kind, args.count_include_pad = include_pad;
  args.batch = c.batch, args.in_h = c.in_h, args.in_w = c.in_w, args.channels = c.channels;
  args.out_h = extent_of(c, c.in_h), args.out_w = extent_of(c, c.in_w);
  args.kernel_h = args.kernel_w = c.kernel;
  args.stride_h = args.stride_w = c.stride;
  args.dilation_h = args.dilation_w = c.dilation;
  args.pad_top = args.pad_left = c.pad_before;
  args.pad_bottom = args.pad_right = c.pad_after;
  args.x_pixel = c.channels + 1, args.x_row = c.in_w * args.x_pixel + 2, args.x_image = c.in_h * args.x_row;
  args.y_pixel = c.channels + 2, args.y_row = args.out_w * args.y_pixel + 1, args.y_image = args.out_h * args.y_row;
  return args;
}

template <typename T>
void check(const PoolKernel& kernel, PoolArgs args, bool whole) {
  const std::string what = std::string(kernel.name) + " in " + std::to_string(args.in_h) + "x" + std::to_string(args.in_w) + "x" +
                           std::to_string(args.channels) + " kernel " + std::to_string(args.kernel_h) + " stride " +
                           std::to_string(args.stride_h) + " dilation " + std::to_string(args.dilation_h) + " include_pad " +
                           std::to_string(args.count_include_pad) + " kind " + std::to_string(static_cast<int>(args.kind));
  Guarded<T> x(args.batch * args.x_image, 1), y(args.batch * args.y_image, 3);
  x.fill_random(5);
  y.fill(T(77.0f));
  args.x = x.data();
  args.y = y.data();
  const int64_t rows = args.batch * args.out_h;
  if (whole) {
    kernel.run(args, 0, rows, 0, args.channels);
  } else {
    for (int64_t row = 0; row < rows; ++row) {
      for (int64_t c = 0; c < args.channels; c += kernel.channel_block) {
        kernel.run(args, row, row + 1, c, std::min(args.channels, c + kernel.channel_block));
      }
    }
  }
  int64_t written = 0;
  for (int64_t row = 0; row < rows; ++row) {
    for (int64_t j = 0; j < args.out_w; ++j) {
      for (int64_t c = 0; c < args.channels; ++c, ++written) {
        const int64_t n = row / args.out_h, i = row % args.out_h;
        double magnitude = 0;
        const double expected = pool_reference<T>(args, n, i, j, c, &magnitude);
        const double got = static_cast<double>(static_cast<float>(y[n * args.y_image + i * args.y_row + j * args.y_pixel + c]));
        if (args.kind == PoolKind::max) {
          ASSERT_EQ(got, expected) << what << " at " << row << " " << j << " " << c;
        } else {
          const double terms = static_cast<double>(args.kernel_h * args.kernel_w + 2);
          const double tolerance = terms * 0x1p-24 * magnitude + std::abs(expected) * rounding_of<T>();
          ASSERT_NEAR(got, expected, tolerance) << what << " at " << row << " " << j << " " << c;
        }
      }
    }
  }
  EXPECT_EQ(std::count_if(y.data(), y.data() + y.size(), [](T v) { return static_cast<float>(v) == 77.0f; }), y.size() - written)
      << what;
  EXPECT_TRUE(x.intact() && y.intact()) << what;
}

void check_all(const Case& c) {
  for (Isa isa : available_isas()) {
    for (const PoolKernel& kernel : pool_kernels(isa).kernels) {
      for (PoolKind kind : {PoolKind::max, PoolKind::average}) {
        for (bool include_pad : {false, true}) {
          const PoolArgs args = geometry(c, kind, include_pad);
          for (bool whole : {true, false})
            kernel.x == DType::f32 ? check<float>(kernel, args, whole) : check<BFloat16>(kernel, args, whole);
        }
      }
    }
  }
}

TEST(Pool, KernelsStridesDilationsAndPads) {
  for (int64_t kernel : {1, 2, 3, 5}) {
    for (int64_t stride : {1, 2, 3}) {
      for (int64_t dilation : {1, 2}) {
        for (int64_t pad : {0, 1, 2}) {
          for (bool ceil_mode : {false, true}) check_all({2, 11, 13, 5, kernel, stride, dilation, pad, pad, ceil_mode});
        }
      }
    }
  }
}

TEST(Pool, RaggedChannels) {
  for (int64_t channels : {1, 3, 4, 7, 8, 15, 16, 17, 31, 32, 63, 64, 65, 129}) check_all({1, 5, 6, channels, 3, 2, 1, 1, 1});
}

TEST(Pool, UnequalPads) {
  check_all({1, 6, 7, 9, 3, 2, 1, 0, 1});
  check_all({1, 6, 7, 9, 2, 2, 1, 1, 0});
}

TEST(Pool, WindowsThatSeeNothing) { check_all({1, 2, 2, 9, 2, 2, 1, 3, 3}); }

TEST(Pool, WholeImage) { check_all({2, 7, 7, 33, 7, 1, 1, 0, 0}); }

TEST(Pool, MaxIgnoresNan) {
  for (Isa isa : available_isas()) {
    const PoolKernel* kernel = find_pool(isa, DType::f32);
    ASSERT_NE(kernel, nullptr);
    PoolArgs args = geometry({1, 4, 4, 19, 2, 2, 1, 0, 0}, PoolKind::max, false);
    Guarded<float> x(args.x_image), y(args.y_image);
    x.fill(-3.0f);
    for (int64_t c = 0; c < 19; ++c) x[c] = NAN;
    args.x = x.data(), args.y = y.data();
    kernel->run(args, 0, 2, 0, 19);
    for (int64_t c = 0; c < 19; ++c) EXPECT_EQ(y[c], -3.0f) << kernel->name;
  }
}

}  // namespace
}  // namespace oxplow
