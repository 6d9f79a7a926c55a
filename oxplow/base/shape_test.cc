#include "oxplow/base/shape.h"

#include <gtest/gtest.h>

#include <vector>

namespace oxplow {
namespace {

TEST(Dims, KeepsWhatItIsGiven) {
  const Dims dims{2, 3, 224};
  EXPECT_EQ(dims.rank(), 3);
  EXPECT_EQ(dims[1], 3);
  EXPECT_EQ(dims.back(), 224);
  EXPECT_EQ(std::vector<int64_t>(dims.begin(), dims.end()), (std::vector<int64_t>{2, 3, 224}));
  EXPECT_TRUE(Dims().empty());
  EXPECT_EQ(Dims::filled(4, 7), (Dims{7, 7, 7, 7}));
}

TEST(Dims, InsertsAndErases) {
  Dims dims{1, 2, 3};
  dims.insert(0, 9);
  EXPECT_EQ(dims, (Dims{9, 1, 2, 3}));
  dims.insert(4, 8);
  EXPECT_EQ(dims, (Dims{9, 1, 2, 3, 8}));
  dims.erase(0);
  dims.erase(3);
  EXPECT_EQ(dims, (Dims{1, 2, 3}));
  dims.insert(1, 5);
  EXPECT_EQ(dims, (Dims{1, 5, 2, 3}));
}

TEST(Dims, ComparesRankAndValues) {
  EXPECT_EQ((Dims{1, 2}), (Dims{1, 2}));
  EXPECT_FALSE((Dims{1, 2}) == (Dims{1, 2, 3}));
  EXPECT_FALSE((Dims{1, 2}) == (Dims{1, 3}));
  EXPECT_EQ(Dims(), Dims());
}

TEST(Dims, RefusesMoreThanTheLargestRank) {
  Dims dims = Dims::filled(kMaxRank, 1);
  EXPECT_DEATH(dims.push_back(1), "kMaxRank");
}

TEST(Shape, CountsElements) {
  EXPECT_EQ(elements_of({}), 1);
  EXPECT_EQ(elements_of({5}), 5);
  EXPECT_EQ(elements_of({2, 3, 4}), 24);
  EXPECT_EQ(elements_of({2, 0, 4}), 0);
  EXPECT_EQ(product({2, 3, 4}, 1, 3), 12);
  EXPECT_EQ(product({2, 3, 4}, 1, 1), 1);
}

TEST(Shape, DenseStridesAreRowMajor) {
  EXPECT_EQ(dense_strides({2, 3, 4}), (Dims{12, 4, 1}));
  EXPECT_EQ(dense_strides({7}), (Dims{1}));
  EXPECT_EQ(dense_strides({}), Dims());
}

TEST(Shape, IsWrittenInBrackets) {
  EXPECT_EQ(to_string(Dims{2, 3, 224}), "[2, 3, 224]");
  EXPECT_EQ(to_string(Dims{-1}), "[-1]");
  EXPECT_EQ(to_string(Dims()), "[]");
}

}  // namespace
}  // namespace oxplow
