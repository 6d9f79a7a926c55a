#include "oxplow/base/isa.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <string>

namespace oxplow {
namespace {

class IsaFromEnvironment : public testing::Test {
 protected:
  void SetUp() override {
    const char* value = std::getenv("OXPLOW_ISA");
    if (value != nullptr) saved_ = value;
    had_ = value != nullptr;
  }
  void TearDown() override { had_ ? setenv("OXPLOW_ISA", saved_.c_str(), 1) : unsetenv("OXPLOW_ISA"); }
  std::string saved_;
  bool had_ = false;
};

TEST(Isa, BaselineIsAlwaysThere) {
#if defined(__x86_64__)
  EXPECT_EQ(available_isas().front(), Isa::x86_64);
#else
  EXPECT_EQ(available_isas().front(), Isa::neon);
#endif
  EXPECT_TRUE(std::is_sorted(available_isas().begin(), available_isas().end()));
  EXPECT_EQ(best_isa(), available_isas().back());
}

TEST(Isa, NamesAreTheTiersOfTheBuild) {
  EXPECT_EQ(name_of(Isa::x86_64), "x86_64");
  EXPECT_EQ(name_of(Isa::avx512_vnni), "avx512_vnni");
  EXPECT_EQ(name_of(Isa::neon_i8mm), "neon_i8mm");
}

TEST(Isa, EveryAvailableTierIsFoundByName) {
  for (Isa isa : available_isas()) {
    const auto found = isa_named(name_of(isa));
    ASSERT_TRUE(found.ok());
    EXPECT_EQ(*found, isa);
  }
}

#if defined(__x86_64__)
TEST(Isa, AgreesWithTheCompilersDetection) {
  const auto has = [](Isa isa) { return std::ranges::count(available_isas(), isa) == 1; };
  if (has(Isa::avx2)) {
    EXPECT_TRUE(__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi2"));
  }
  const bool avx512 = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                      __builtin_cpu_supports("avx512cd") && __builtin_cpu_supports("avx512dq") &&
                      __builtin_cpu_supports("avx512vl");
  EXPECT_EQ(has(Isa::avx512), avx512);
  const bool vnni = avx512 && __builtin_cpu_supports("avx512vnni") && __builtin_cpu_supports("avx512vbmi") &&
                    __builtin_cpu_supports("avx512bf16");
  if (has(Isa::avx512_vnni)) {
    EXPECT_TRUE(vnni);
  }
}
#endif

TEST(Isa, RefusesUnknownNamesWithTheListOfWhatThereIs) {
  const auto found = isa_named("avx1024");
  ASSERT_FALSE(found.ok());
  EXPECT_EQ(found.error().code, ErrorCode::invalid_argument);
  EXPECT_NE(found.error().message.find("avx1024"), std::string::npos);
  EXPECT_NE(found.error().message.find(name_of(available_isas().front())), std::string::npos);
  EXPECT_EQ(found.error().message.find('\n'), std::string::npos);
}

TEST(Isa, RefusesTiersThatThisMachineLacks) {
  // The other architecture's tier is one that no machine of this architecture has.
#if defined(__x86_64__)
  const auto found = isa_named("neon_dot");
#else
  const auto found = isa_named("avx512");
#endif
  ASSERT_FALSE(found.ok());
  EXPECT_EQ(found.error().code, ErrorCode::unsupported);
  EXPECT_NE(found.error().message.find("this machine cannot run"), std::string::npos);
  for (Isa isa : available_isas()) EXPECT_NE(found.error().message.find(name_of(isa)), std::string::npos);
}

TEST_F(IsaFromEnvironment, IsTheBestWhenUnset) {
  unsetenv("OXPLOW_ISA");
  EXPECT_EQ(*isa_from_environment(), best_isa());
  setenv("OXPLOW_ISA", "", 1);
  EXPECT_EQ(*isa_from_environment(), best_isa());
}

TEST_F(IsaFromEnvironment, CanBeLowered) {
  for (Isa isa : available_isas()) {
    setenv("OXPLOW_ISA", std::string(name_of(isa)).c_str(), 1);
    EXPECT_EQ(*isa_from_environment(), isa);
  }
}

TEST_F(IsaFromEnvironment, NamesTheVariableInErrors) {
  setenv("OXPLOW_ISA", "mmx", 1);
  const auto isa = isa_from_environment();
  ASSERT_FALSE(isa.ok());
  EXPECT_EQ(isa.error().message.rfind("OXPLOW_ISA", 0), 0u);
}

TEST(Isa, Bf16NeedsHardware) {
  EXPECT_FALSE(has_bf16(Isa::x86_64));
  EXPECT_FALSE(has_bf16(Isa::avx512));
  EXPECT_TRUE(has_bf16(Isa::avx512_vnni));
  EXPECT_TRUE(has_bf16(Isa::amx));
  EXPECT_FALSE(has_bf16(Isa::neon_dot));
  EXPECT_TRUE(has_bf16(Isa::neon_i8mm));
}

}  // namespace
}  // namespace oxplow
