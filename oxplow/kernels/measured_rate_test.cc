#include "oxplow/kernels/measured_rate.h"

#include <gtest/gtest.h>

namespace oxplow {
namespace {

TEST(MeasuredRate, MeasuresEachKernelOnce) {
  const int first = 0, second = 0;
  int runs = 0;
  const auto work = [&] { ++runs; };
  const double rate = measured_gflops(&first, 1e3, work);
  EXPECT_GT(rate, 0);
  EXPECT_GT(runs, 1);
  const int before = runs;
  EXPECT_EQ(measured_gflops(&first, 5e3, work), rate);
  EXPECT_EQ(runs, before);
  measured_gflops(&second, 1e3, work);
  EXPECT_GT(runs, before);
}

}  // namespace
}  // namespace oxplow
