#include "oxplow/ops/wide_reduce.h"

#include <cmath>

#include "oxplow/base/elements.h"
#include "oxplow/ops/runs.h"
#include "oxplow/ops/shape_rules.h"

namespace oxplow {
namespace {

// The axes that remain, with strides of x and y, and those that are reduced, with strides of x.
struct ReduceSpace {
  DType dtype;
  Shape outer, inside;
  std::vector<Dims> outer_strides{2}, inside_strides{1};

  ReduceSpace(const PrepareContext& c, const std::vector<bool>& reduced) : dtype(c.in(0).type.dtype) {
    const Operand& x = c.in(0);
    const Operand& y = c.out();
    const bool keep = y.type.shape.rank() == x.type.shape.rank();
    int y_axis = 0;
    for (int i = 0; i < x.type.shape.rank(); ++i) {
      if (reduced[static_cast<size_t>(i)]) {
        inside.push_back(x.type.shape[i]);
        inside_strides[0].push_back(x.strides[i]);
        y_axis += keep ? 1 : 0;
      } else {
        outer.push_back(x.type.shape[i]);
        outer_strides[0].push_back(x.strides[i]);
        outer_strides[1].push_back(y.strides[y_axis++]);
      }
    }
    merge(outer, outer_strides);
    merge(inside, inside_strides);
  }

  static void merge(Shape& extents, std::vector<Dims>& strides) {
    if (extents.empty()) {
      extents.push_back(1);
      for (Dims& s : strides) s.push_back(0);
    }
    merge_axes(extents, strides);
  }

  // r = f(r, v) over the reduced elements v of one result, whose first is at `first`.
  template <typename Wide, typename F>
  Wide fold(const void* x, int64_t first, Wide r, F f) const {
    Wide block[kRunBlock];
    for_each_run(inside, inside_strides, 0, elements_of(inside), [&](const RunOffsets& at, int64_t n) {
      load_elements(dtype, x, first + at[0], inside_strides[0].back(), n, block);
      for (int64_t i = 0; i < n; ++i) r = f(r, block[i]);
    });
    return r;
  }
};

double larger(double r, double v) { return v > r || v != v ? v : r; }

double log_sum_exp(const ReduceSpace& space, const void* x, int64_t first) {
  const double most = space.fold<double>(x, first, -INFINITY, larger);
  if (!std::isfinite(most)) return most;
  return most + std::log(space.fold<double>(x, first, 0, [most](double r, double v) { return r + std::exp(v - most); }));
}

double reduced_float(ReduceOp op, const ReduceSpace& space, const void* x, int64_t first) {
  const auto fold = [&](double r, auto f) { return space.fold<double>(x, first, r, f); };
  const auto sum = [](double r, double v) { return r + v; };
  const auto squares = [](double r, double v) { return r + v * v; };
  switch (op) {
    case ReduceOp::sum: return fold(0, sum);
    case ReduceOp::mean: return fold(0, sum) / static_cast<double>(elements_of(space.inside));
    case ReduceOp::max: return fold(-INFINITY, larger);
    case ReduceOp::min: return fold(INFINITY, [](double r, double v) { return v < r || v != v ? v : r; });
    case ReduceOp::prod: return fold(1, [](double r, double v) { return r * v; });
    case ReduceOp::sum_square: return fold(0, squares);
    case ReduceOp::l1: return fold(0, [](double r, double v) { return r + std::fabs(v); });
    case ReduceOp::l2: return std::sqrt(fold(0, squares));
    case ReduceOp::log_sum: return std::log(fold(0, sum));
    case ReduceOp::log_sum_exp: return log_sum_exp(space, x, first);
  }
  return 0;
}

// Whether integers stay integers all the way.
bool is_integral(ReduceOp op) {
  return op == ReduceOp::sum || op == ReduceOp::max || op == ReduceOp::min || op == ReduceOp::prod ||
         op == ReduceOp::sum_square || op == ReduceOp::l1;
}

template <typename Int>
Int reduced_integer(ReduceOp op, const ReduceSpace& space, const void* x, int64_t first) {
  const auto fold = [&](Int r, auto f) { return space.fold<Int>(x, first, r, f); };
  // Unsigned, so that overflow wraps.
  const auto wrapping = [&](uint64_t r, auto f) {
    return fold(static_cast<Int>(r),
                [f](Int a, Int v) { return static_cast<Int>(f(static_cast<uint64_t>(a), static_cast<uint64_t>(v))); });
  };
  switch (op) {
    case ReduceOp::max: return fold(least_of<Int>(space.dtype), [](Int r, Int v) { return std::max(r, v); });
    case ReduceOp::min: return fold(greatest_of<Int>(space.dtype), [](Int r, Int v) { return std::min(r, v); });
    case ReduceOp::prod: return wrapping(1, [](uint64_t r, uint64_t v) { return r * v; });
    case ReduceOp::sum_square: return wrapping(0, [](uint64_t r, uint64_t v) { return r + v * v; });
    case ReduceOp::l1:
      return fold(0, [](Int r, Int v) {
        const auto size = v < 0 ? 0 - static_cast<uint64_t>(v) : static_cast<uint64_t>(v);
        return static_cast<Int>(static_cast<uint64_t>(r) + size);
      });
    default: return wrapping(0, [](uint64_t r, uint64_t v) { return r + v; });
  }
}

}  // namespace

std::unique_ptr<Step> wide_reduce(const PrepareContext& context, ReduceOp op, const std::vector<bool>& reduced) {
  const ReduceSpace space(context, reduced);
  const DType dtype = space.dtype;
  const int64_t results = elements_of(space.outer);
  const int tasks = task_count(results, static_cast<double>(elements_of(space.inside)) * 4 + 50, context.threads());
  const auto step_of = [&](auto wide) {
    using Wide = decltype(wide);
    return make_step("wide_reduce " + std::string(name_of(op)), tasks, [=](const Buffers& b, int task, int) {
      const Range range = task_range(results, tasks, task);
      for_each_run(space.outer, space.outer_strides, range.begin, range.end, [&](const RunOffsets& at, int64_t n) {
        for (int64_t i = 0; i < n; ++i) {
          const int64_t first = at[0] + i * space.outer_strides[0].back(), to = at[1] + i * space.outer_strides[1].back();
          Wide result;
          if constexpr (std::is_same_v<Wide, double>) {
            result = reduced_float(op, space, b.inputs[0], first);
          } else {
            result = reduced_integer<Wide>(op, space, b.inputs[0], first);
          }
          store_elements(dtype, b.outputs[0], to, 1, 1, &result);
        }
      });
    });
  };
  auto step = is_integral(op) ? visit_wide(dtype, step_of) : step_of(double{});
  step->why = "elements of any type";
  return step;
}

}  // namespace oxplow
