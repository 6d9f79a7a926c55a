#include "oxplow/kernels/peak/peak.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "oxplow/base/memory.h"
#include "oxplow/kernels/peak/machine_peaks.h"

namespace oxplow {
namespace {

class PeakOf : public testing::TestWithParam<Isa> {};

TEST_P(PeakOf, CountsItsOperations) {
  const PeakKernels& kernels = peak_kernels(GetParam());
  EXPECT_GT(kernels.f32(1), 0);
  EXPECT_EQ(kernels.f32(0), 0);
  EXPECT_EQ(kernels.f32(1000), 1000 * kernels.f32(1));
  EXPECT_EQ(kernels.i8(1000), 1000 * kernels.i8(1));
  EXPECT_EQ(kernels.bf16 != nullptr, has_bf16(GetParam()));
  if (kernels.bf16 != nullptr) {
    EXPECT_EQ(kernels.bf16(1000), 1000 * kernels.bf16(1));
  }
}

TEST_P(PeakOf, ReadsEveryByteOnce) {
  const PeakKernels& kernels = peak_kernels(GetParam());
  constexpr size_t kBytes = 64 * 1024;
  Buffer buffer = Buffer::allocate(kBytes + 1024).take();
  auto* const values = reinterpret_cast<float*>(buffer.data());
  // Small whole numbers: their sum is exact in any order.
  double expected = 0;
  for (size_t i = 0; i < kBytes / sizeof(float); ++i) expected += values[i] = static_cast<float>(i % 7);
  values[kBytes / sizeof(float)] = 1e30f;  // just behind
  EXPECT_EQ(kernels.read(buffer.data(), kBytes), static_cast<float>(expected));
  EXPECT_EQ(kernels.read(buffer.data(), 0), 0);
}

std::string name_of_case(const testing::TestParamInfo<Isa>& info) { return std::string(name_of(info.param)); }
INSTANTIATE_TEST_SUITE_P(Tiers, PeakOf, testing::ValuesIn(available_isas().begin(), available_isas().end()), name_of_case);

TEST(MachinePeaks, AreThereForAllThreads) {
  ThreadPool pool(2);
  for (Isa isa : available_isas()) {
    const MachinePeaks peaks = quick_peaks(pool, isa);
    EXPECT_EQ(peaks.threads, 2);
    for (double figure : {peaks.f32_gflops, peaks.i8_gops, peaks.l1_gbps, peaks.l2_gbps, peaks.dram_gbps}) EXPECT_GT(figure, 0);
    EXPECT_EQ(peaks.bf16_gflops > 0, has_bf16(isa));
  }
}

}  // namespace
}  // namespace oxplow
