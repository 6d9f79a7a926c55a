// OneHot: y[i..., j, i...] = values[1] where j is the index at i... (negative ones count from depth), else values[0]; a new axis of
// `depth`. An index outside of [-depth, depth) gives a line of values[0].

#include <cmath>

#include "oxplow/ops/element_kinds.h"
#include "oxplow/ops/shape_rules.h"

namespace oxplow {
namespace {

// A number of any type as an integer, towards zero.
template <typename T>
int64_t whole(T v) {
  if constexpr (std::is_same_v<T, Float16> || std::is_same_v<T, BFloat16>) {
    return whole(static_cast<float>(v));
  } else if constexpr (std::is_floating_point_v<T>) {
    return v > T(-9e18) && v < T(9e18) ? static_cast<int64_t>(v) : INT64_MIN;
  } else {
    return static_cast<int64_t>(v);
  }
}

Result<TensorTypes> infer_one_hot(const InferContext& c) {
  const Shape& indices = c.shape(0);
  OXPLOW_ASSIGN(const auto depth, known_numbers(c, 1, "the depth"));
  if (depth.size() != 1 || !(std::fabs(depth[0]) < 1e15) || !is_arithmetic(c.type(0).dtype) || c.type(2).elements() != 2)
    return Error{ErrorCode::invalid_model, "OneHot wants indices, one depth and two values"};
  const auto extent = static_cast<int64_t>(depth[0]);
  if (extent < 0) return Error{ErrorCode::invalid_model, "the depth of a OneHot is negative"};
  OXPLOW_ASSIGN(const int axis, normalized_axis(c.attributes.integer("axis", -1), indices.rank() + 1));
  if (indices.rank() == kMaxRank) return Error{ErrorCode::unsupported, "more than 10 axes"};
  Shape to = indices;
  to.insert(axis, extent);
  return TensorTypes{{c.type(2).dtype, to}};
}

template <typename Index, typename Value>
std::unique_ptr<Step> one_hot(const PrepareContext& c) {
  const Shape to = c.out().type.shape;
  const int axis = *normalized_axis(c.attributes.integer("axis", -1), to.rank());
  const int64_t depth = to[axis], inner = product(to, axis + 1, to.rank()), count = c.in(0).type.elements();
  const int64_t outer = inner == 0 ? 0 : count / inner;
  const int tasks = task_count(outer, static_cast<double>(depth * inner) * 0.2, c.threads());
  return make_step("one_hot", tasks, [=](const Buffers& b, int task, int) {
    const Range range = task_range(outer, tasks, task);
    const Value off = b.in<Value>(2)[0], on = b.in<Value>(2)[1];
    for (int64_t o = range.begin; o < range.end; ++o) {
      Value* block = b.out<Value>() + o * depth * inner;
      for (int64_t i = 0; i < depth * inner; ++i) block[i] = off;
      for (int64_t i = 0; i < inner; ++i) {
        int64_t index = whole(b.in<Index>(0)[o * inner + i]);
        if (index < 0 && index >= -depth) index += depth;
        if (index >= 0 && index < depth) block[index * inner + i] = on;
      }
    }
  });
}

Result<std::unique_ptr<Step>> prepare_one_hot(const PrepareContext& c) {
  return visit_width(c.out().type.dtype, "OneHot", [&](auto v) {
    return visit(c.in(0).type.dtype,
                 [&](auto t) -> Result<std::unique_ptr<Step>> { return one_hot<decltype(t), decltype(v)>(c); });
  });
}

}  // namespace

namespace ops {
constinit const OpSpec OneHot{.name = "OneHot", .infer = infer_one_hot, .prepare = prepare_one_hot, .required_inputs = 3};
}  // namespace ops
}  // namespace oxplow
