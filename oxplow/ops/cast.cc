// Cast: elements in another type. Floats to integers truncate and saturate (NaN gives 0), anything to boolean is "not zero".

#include <cmath>
#include <limits>

#include "oxplow/ops/copy.h"

namespace oxplow {
namespace {

Result<TensorTypes> infer_cast(const InferContext& c) {
  const int64_t code = c.attributes.integer("to", -1);
  if (code < 0 || code > static_cast<int64_t>(DType::boolean))
    return Error{ErrorCode::invalid_model, "a cast to type " + std::to_string(code)};
  const auto to = static_cast<DType>(code);
  if (bits_of(to) < 8 || bits_of(c.type(0).dtype) < 8) return Error{ErrorCode::unsupported, "casts of 4-bit elements"};
  return TensorTypes{{to, c.shape(0)}};
}

template <typename To>
To saturate(double v) {
  if (v != v) return To{0};
  constexpr auto kLow = std::numeric_limits<To>::lowest(), kHigh = std::numeric_limits<To>::max();
  if (v <= static_cast<double>(kLow)) return kLow;
  if (v >= static_cast<double>(kHigh)) return kHigh;
  return static_cast<To>(v);
}

template <typename To, typename From>
To cast(From v) {
  constexpr bool kHalf = std::is_same_v<From, Float16> || std::is_same_v<From, BFloat16>;
  if constexpr (kHalf) {
    return cast<To>(static_cast<float>(v));
  } else if constexpr (std::is_same_v<To, bool>) {
    return v != From{0};
  } else if constexpr (std::is_same_v<To, Float16> || std::is_same_v<To, BFloat16>) {
    return To(static_cast<float>(v));
  } else if constexpr (std::is_floating_point_v<From> && std::is_integral_v<To>) {
    return saturate<To>(static_cast<double>(v));
  } else {
    return static_cast<To>(v);
  }
}

bool copies(DType dtype) { return dtype == DType::f32 || dtype == DType::bf16 || dtype == DType::f16; }

Result<std::unique_ptr<Step>> prepare_cast(const PrepareContext& c) {
  const DType from = c.in(0).type.dtype, to = c.out().type.dtype;
  if (from == to || (copies(from) && copies(to))) return prepare_copy(c);
  const int64_t n = c.in(0).type.elements();
  const int tasks = task_count(n, 1, c.threads());
  return visit(from, [&](auto f) {
    using From = decltype(f);
    return visit(to, [&](auto t) -> Result<std::unique_ptr<Step>> {
      using To = decltype(t);
      return make_step("cast", tasks, [n, tasks](const Buffers& b, int task, int) {
        const Range range = task_range(n, tasks, task);
        for (int64_t i = range.begin; i < range.end; ++i) b.out<To>()[i] = cast<To>(b.in<From>(0)[i]);
      });
    });
  });
}

bool cast_accepts(const PrepareContext& c, int i) { return copies(c.in(i).type.dtype) && copies(c.out().type.dtype); }
bool cast_writes(const PrepareContext& c, int i) { return copies(c.in(0).type.dtype) && copies(c.out(i).type.dtype); }

}  // namespace

namespace ops {
constinit const OpSpec Cast{
    .name = "Cast", .infer = infer_cast, .prepare = prepare_cast, .accepts_input = cast_accepts, .accepts_output = cast_writes};
}  // namespace ops
}  // namespace oxplow
