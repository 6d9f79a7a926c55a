#include "oxplow/kernels/tree/decision.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace oxplow {
namespace {

// The next number of the forest's precision; NaN after infinity.
double next(double x, bool f64) {
  if (x == std::numeric_limits<double>::infinity()) return std::nan("");
  if (f64) return std::nextafter(x, std::numeric_limits<double>::infinity());
  return static_cast<double>(std::nextafter(static_cast<float>(x), std::numeric_limits<float>::infinity()));
}

// The boundaries of {x} for each x of a set: where one number's end is another's beginning, there is none.
std::vector<double> boundaries_of_set(std::vector<double> members, bool f64) {
  for (double& x : members) x += 0.0;  // -0 is 0
  std::erase_if(members, [](double x) { return std::isnan(x); });
  std::sort(members.begin(), members.end());
  members.erase(std::unique(members.begin(), members.end()), members.end());
  std::vector<double> boundaries;
  for (double x : members) {
    if (!boundaries.empty() && boundaries.back() == x) {
      boundaries.pop_back();
    } else {
      boundaries.push_back(x);
    }
    const double end = next(x, f64);
    if (!std::isnan(end)) boundaries.push_back(end);
  }
  return boundaries;
}

}  // namespace

TreeDecision decision_of(const Forest& forest, const TreeBranch& branch) {
  const double t = branch.threshold + 0.0;
  const bool never = std::isnan(t);  // no number compares
  const auto cut = [](double x) { return std::isnan(x) ? std::vector<double>{} : std::vector<double>{x}; };
  TreeDecision d{.boundaries = {}, .even = branch.when_false, .odd = branch.when_true, .missing = branch.when_false};
  const auto swap_sides = [&] { d.even = branch.when_true, d.odd = branch.when_false; };
  switch (branch.test) {
    case TreeTest::lt:
      d.boundaries = cut(t);
      if (!never) swap_sides();
      break;
    case TreeTest::leq:
      if (never) break;
      d.boundaries = cut(next(t, forest.f64));
      swap_sides();
      break;
    case TreeTest::gte: d.boundaries = cut(t); break;
    case TreeTest::gt:
      if (!never) d.boundaries = cut(next(t, forest.f64));
      break;
    case TreeTest::eq: d.boundaries = boundaries_of_set({t}, forest.f64); break;
    case TreeTest::neq:
      d.boundaries = boundaries_of_set({t}, forest.f64);
      swap_sides();
      d.missing = branch.when_true;  // NaN is not equal to anything
      break;
    case TreeTest::member:
      d.boundaries = boundaries_of_set(
          {forest.members.begin() + branch.members_begin, forest.members.begin() + branch.members_end}, forest.f64);
      break;
  }
  if (branch.missing_is_true) d.missing = branch.when_true;
  return d;
}

}  // namespace oxplow
