#include "oxplow/base/random_numbers.h"

#include <gtest/gtest.h>

#include <cmath>

namespace oxplow {
namespace {

// The known answers of the authors' test suite.
TEST(Philox, KnownAnswers) {
  EXPECT_EQ(philox(0, 0, 0), (std::array<uint32_t, 4>{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
  constexpr uint64_t kOnes = ~uint64_t{0};
  EXPECT_EQ(philox(kOnes, kOnes, kOnes), (std::array<uint32_t, 4>{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
}

TEST(Philox, MeansAndDeviations) {
  constexpr int kCount = 100000;
  double uniform = 0, normal = 0, squares = 0;
  for (int i = 0; i < kCount; ++i) {
    const double u = uniform_number(1, 2, static_cast<uint64_t>(i)), z = normal_number(1, 2, static_cast<uint64_t>(i));
    ASSERT_TRUE(u >= 0 && u < 1);
    uniform += u / kCount;
    normal += z / kCount;
    squares += z * z / kCount;
  }
  const double spread = 5 / std::sqrt(kCount);  // five standard errors, the numbers being always the same
  EXPECT_NEAR(uniform, 0.5, spread * std::sqrt(1.0 / 12));
  EXPECT_NEAR(normal, 0, spread);
  EXPECT_NEAR(squares, 1, spread * std::sqrt(2.0));
}

}  // namespace
}  // namespace oxplow
