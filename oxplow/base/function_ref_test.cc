#include "oxplow/base/function_ref.h"

#include <gtest/gtest.h>

#include <memory>

namespace oxplow {
namespace {

int twice(int n) { return 2 * n; }

TEST(FunctionRef, CallsWhatItBorrows) {
  int calls = 0;
  auto count = [&](int n) { return calls += n; };
  const FunctionRef<int(int)> ref = count;
  EXPECT_EQ(ref(2), 2);
  EXPECT_EQ(ref(3), 5);
  EXPECT_EQ(calls, 5);
}

TEST(FunctionRef, PassesReferencesAndMoves) {
  auto fill = [](int& out, std::unique_ptr<int> from) { out = *from; };
  const FunctionRef<void(int&, std::unique_ptr<int>)> ref = fill;
  int out = 0;
  ref(out, std::make_unique<int>(7));
  EXPECT_EQ(out, 7);
}

TEST(FunctionRef, TakesConstCallablesAndFunctionPointers) {
  const auto one = [] { return 1; };
  EXPECT_EQ(FunctionRef<int()>(one)(), 1);
  auto* pointer = &twice;
  EXPECT_EQ(FunctionRef<int(int)>(pointer)(4), 8);
}

}  // namespace
}  // namespace oxplow
