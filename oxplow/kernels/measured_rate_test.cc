#include "oxplow/kernels/measured_rate.h"

#include <gtest/gtest.h>

namespace oxplow {
namespace {

TEST(MeasuredRate, MeasuresEachKernelOnce) {
  int runs = 0;
  const auto work = [&] { ++runs; };
  const double rate = measured_gflops("test_first", 1e3, work);
  EXPECT_GT(rate, 0);
  EXPECT_GT(runs, 1);
  const int before = runs;
  EXPECT_EQ(measured_gflops("test_first", 5e3, work), rate);
  EXPECT_EQ(runs, before);
  measured_gflops("test_second", 1e3, work);
  EXPECT_GT(runs, before);
}

TEST(MeasuredRate, TakesOverWhatIsNotYetKnown) {
  const double own = measured_gflops("test_own", 1e3, [] {});
  note_gflops({{"test_own", -1}, {"test_noted", 12.5}});
  EXPECT_EQ(measured_gflops("test_own", 1e3, [] {}), own);
  EXPECT_EQ(measured_gflops("test_noted", 1e3, [] { ADD_FAILURE() << "measured again"; }), 12.5);
  EXPECT_EQ(known_gflops().at("test_noted"), 12.5);
}

}  // namespace
}  // namespace oxplow
