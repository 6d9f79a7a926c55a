// RotaryEmbedding: turns pairs of a head's first `rotary_embedding_dim` columns (default: all) by the angle of their position,
//   y1 = cos x1 - sin x2, y2 = sin x1 + cos x2, the pairs being (i, i + dim / 2), or (2i, 2i + 1) where `interleaved`.
//   inputs: x [B, H, S, D] or [B, S, H D]; cos and sin, [positions, dim / 2] by position_ids [B, S], or without these [B, S, dim / 2].

#include <algorithm>

#include "oxplow/ops/element_kinds.h"

namespace oxplow {
namespace {

struct Rotary {
  int64_t batch = 0, heads = 0, rows = 0, columns = 0, turned = 0;
  int64_t batch_stride = 0, head_stride = 0, row_stride = 0;
  int64_t positions = 0;  // of the tables, or 0 where they have a row for each of x
  bool interleaved = false;
};

Result<Rotary> rotary_of(const InferContext& c) {
  const Shape &x = c.shape(0), &cos = c.shape(1);
  Rotary r;
  const int64_t heads = c.attributes.integer("num_heads", 0);
  const auto misfit = [&] {
    return Error{ErrorCode::invalid_model,
                 "a rotation of " + to_string(c.type(0)) + " by tables " + to_string(c.type(1)) + " and " + to_string(c.type(2))};
  };
  if (x.rank() == 4) {
    r = {x[0], x[1], x[2], x[3], 0, x[1] * x[2] * x[3], x[2] * x[3], x[3]};
  } else if (x.rank() == 3 && heads > 0 && x[2] % heads == 0) {
    r = {x[0], heads, x[1], x[2] / heads, 0, x[1] * x[2], x[2] / heads, x[2]};
  } else {
    return misfit();
  }
  r.turned = c.attributes.integer("rotary_embedding_dim", 0);
  if (r.turned == 0) r.turned = r.columns;
  r.interleaved = c.attributes.integer("interleaved", 0) != 0;
  const bool by_position = c.has(3);
  bool fits = r.turned > 0 && r.turned <= r.columns && r.turned % 2 == 0 && c.shape(2) == cos &&
              c.type(1).dtype == c.type(0).dtype && c.type(2).dtype == c.type(0).dtype && !cos.empty() &&
              cos.back() == r.turned / 2;
  if (by_position) {
    fits = fits && cos.rank() == 2 && c.type(3).dtype == DType::i64 && c.shape(3) == Shape{r.batch, r.rows};
    r.positions = cos[0];
    fits = fits && (r.positions > 0 || elements_of(x) == 0);
  } else {
    fits = fits && cos == Shape{r.batch, r.rows, r.turned / 2};
  }
  if (!fits) return misfit();
  return r;
}

Result<TensorTypes> infer_rotary(const InferContext& c) {
  OXPLOW_ASSIGN([[maybe_unused]] const Rotary rotary, rotary_of(c));
  return TensorTypes{c.type(0)};
}

template <typename T>
void turn_row(const Rotary& r, const T* x, const T* cos, const T* sin, T* y) {
  using C = Wide<T>;
  const int64_t half = r.turned / 2, step = r.interleaved ? 2 : 1, apart = r.interleaved ? 1 : half;
  for (int64_t i = 0; i < half; ++i) {
    const int64_t a = i * step, b = a + apart;
    const C x1 = static_cast<C>(x[a]), x2 = static_cast<C>(x[b]), co = static_cast<C>(cos[i]), si = static_cast<C>(sin[i]);
    y[a] = T(co * x1 - si * x2);
    y[b] = T(si * x1 + co * x2);
  }
  std::copy(x + r.turned, x + r.columns, y + r.turned);
}

Result<std::unique_ptr<Step>> prepare_rotary(const PrepareContext& c) {
  OXPLOW_ASSIGN(const Rotary r, rotary_of(c.infer()));
  const int64_t units = r.batch * r.heads * r.rows;
  const int tasks = task_count(units, static_cast<double>(r.columns) * 0.7, c.threads());
  return visit_floating(c.in(0).type.dtype, "RotaryEmbedding", [&](auto t) -> Result<std::unique_ptr<Step>> {
    using T = decltype(t);
    return make_step("rotary_embedding", tasks, [=](const Buffers& b, int task, int) {
      const Range range = task_range(units, tasks, task);
      for (int64_t u = range.begin; u < range.end; ++u) {
        const int64_t i = u % r.rows, h = u / r.rows % r.heads, n = u / r.rows / r.heads;
        const int64_t at = n * r.batch_stride + h * r.head_stride + i * r.row_stride;
        int64_t row = n * r.rows + i;
        if (r.positions > 0) row = index_within(b.in<int64_t>(3)[row], r.positions);
        row *= r.turned / 2;
        turn_row(r, b.in<T>(0) + at, b.in<T>(1) + row, b.in<T>(2) + row, b.out<T>() + at);
      }
    });
  });
}

}  // namespace

namespace ops {
constinit const OpSpec RotaryEmbedding{
    .name = "RotaryEmbedding", .infer = infer_rotary, .prepare = prepare_rotary, .required_inputs = 3};
}  // namespace ops
}  // namespace oxplow
