// DFT:  the discrete Fourier transform along an axis of x [..., 1 (real) or 2 (complex)], cut or filled with zeros to dft_length (input 1).
//       `inverse` divides by the length; `onesided` gives, or with inverse takes, the first half of a real signal's spectrum.
//       axis: input 2, or attribute.
// STFT: of frames every frame_step (input 1) of a signal [B, L, 1 or 2], each times window (input 2), of frame_length (input 3).

#include <algorithm>

#include "oxplow/ops/element_kinds.h"
#include "oxplow/ops/fft.h"
#include "oxplow/ops/shape_rules.h"

namespace oxplow {
namespace {

constexpr int64_t kLongest = int64_t{1} << 24;  // tables grow with the length

// One transform: which elements come in, which go out.
struct Transform {
  int64_t length = 1;              // of the transform
  int64_t in = 0, parts = 1;       // elements there are along the axis, numbers each
  int64_t out = 0, out_parts = 2;  // elements wanted
  bool inverse = false, half_in = false;

  // `from` and `to` are `stride` elements apart.
  template <typename T>
  void run(const Fft& fft, const T* from, int64_t from_stride, const T* window, T* to, int64_t to_stride, Complex* x) const {
    const int64_t given = std::min(in, half_in ? length / 2 + 1 : length);
    for (int64_t j = 0; j < length; ++j) x[j] = {};
    for (int64_t j = 0; j < given; ++j) {
      const double weight = window ? static_cast<double>(static_cast<Wide<T>>(window[j])) : 1.0;
      x[j].re = weight * static_cast<double>(static_cast<Wide<T>>(from[j * from_stride]));
      if (parts == 2) x[j].im = weight * static_cast<double>(static_cast<Wide<T>>(from[j * from_stride + 1]));
    }
    if (half_in) mirror(x);
    fft.run(x, x + length, inverse);
    const double scale = inverse ? 1 / static_cast<double>(length) : 1.0;
    for (int64_t k = 0; k < out; ++k) {
      to[k * to_stride] = T(static_cast<Wide<T>>(x[k].re * scale));
      if (out_parts == 2) to[k * to_stride + 1] = T(static_cast<Wide<T>>(x[k].im * scale));
    }
  }
  // The second half of a real signal's spectrum is the conjugate of the first; its ends are real.
  void mirror(Complex* x) const {
    x[0].im = 0;
    for (int64_t j = 1; j <= length / 2; ++j) {
      if (2 * j == length) x[j].im = 0;
      x[length - j] = {x[j].re, 2 * j == length ? 0 : -x[j].im};
    }
  }
};

Result<int64_t> one_integer(const InferContext& c, int i, const char* what, int64_t otherwise) {
  if (!c.has(i)) return otherwise;
  OXPLOW_ASSIGN(const auto values, c.integers(i, what));
  if (values.size() != 1) return Error{ErrorCode::invalid_model, std::string(what) + " must be one number"};
  return values[0];
}

struct Dft {
  int axis = 0;
  Transform transform;
};

Result<Dft> dft_of(const InferContext& c) {
  const Shape& x = c.shape(0);
  if (x.rank() < 2 || (x.back() != 1 && x.back() != 2) || !is_float(c.type(0).dtype))
    return Error{ErrorCode::invalid_model, "a DFT of " + to_string(c.type(0)) + ": its last axis must have 1 or 2 parts"};
  OXPLOW_ASSIGN(const int64_t axis, one_integer(c, 2, "the axis", c.attributes.integer("axis", -2)));
  Dft dft;
  OXPLOW_ASSIGN(dft.axis, normalized_axis(axis, x.rank()));
  if (dft.axis == x.rank() - 1) return Error{ErrorCode::invalid_model, "a DFT along the axis of real and imaginary parts"};
  Transform& t = dft.transform;
  const bool onesided = c.attributes.integer("onesided", 0) != 0;
  t.inverse = c.attributes.integer("inverse", 0) != 0;
  t.half_in = t.inverse && onesided;
  t.in = x[dft.axis];
  t.parts = x.back();
  OXPLOW_ASSIGN(t.length, one_integer(c, 1, "the length", t.half_in ? 2 * (t.in - 1) : t.in));
  if (t.length < 1 || t.length > kLongest) return Error{ErrorCode::invalid_model, "a DFT of length " + std::to_string(t.length)};
  t.out = onesided && !t.inverse ? t.length / 2 + 1 : t.length;
  t.out_parts = t.half_in ? 1 : 2;
  return dft;
}

Result<TensorTypes> infer_dft(const InferContext& c) {
  OXPLOW_ASSIGN(const Dft dft, dft_of(c));
  Shape to = c.shape(0);
  to[dft.axis] = dft.transform.out;
  to[to.rank() - 1] = dft.transform.out_parts;
  return TensorTypes{{c.type(0).dtype, to}};
}

double transform_ns(int64_t length) { return static_cast<double>(length) * 60; }

// A step of `units` transforms: body(buffers, unit, scratch).
template <typename F>
std::unique_ptr<Step> transform_step(const char* kernel, const PrepareContext& c, const Fft& fft, int64_t units, F body) {
  const int tasks = task_count(units, transform_ns(fft.length()), c.threads());
  const size_t scratch = round_up(static_cast<size_t>(fft.length() + fft.scratch()) * sizeof(Complex), kCacheLine);
  auto step = make_step(kernel, tasks, [=](const Buffers& b, int task, int worker) {
    const Range range = task_range(units, tasks, task);
    auto* x = reinterpret_cast<Complex*>(b.workspace + static_cast<size_t>(worker) * scratch);
    for (int64_t u = range.begin; u < range.end; ++u) body(b, u, x);
  });
  step->workspace_bytes = scratch * static_cast<size_t>(c.threads());
  step->why = fft.scratch() ? "Bluestein's convolution" : "radix 2";
  return step;
}

Result<std::unique_ptr<Step>> prepare_dft(const PrepareContext& c) {
  OXPLOW_ASSIGN(const Dft dft, dft_of(c.infer()));
  const Shape &x = c.in(0).type.shape, &y = c.out().type.shape;
  const Transform t = dft.transform;
  const int last = x.rank() - 1;
  const int64_t inner = product(x, dft.axis + 1, last), units = product(x, 0, dft.axis) * inner;
  const auto fft = std::make_shared<const Fft>(t.length);
  const int64_t in_stride = inner * x[last], out_stride = inner * y[last];
  return visit_floating(c.in(0).type.dtype, "DFT", [&](auto v) -> Result<std::unique_ptr<Step>> {
    using T = decltype(v);
    return transform_step("dft", c, *fft, units, [=](const Buffers& b, int64_t u, Complex* scratch) {
      const int64_t outer = u / inner, column = u % inner;
      t.run<T>(*fft, b.in<T>(0) + outer * t.in * in_stride + column * t.parts, in_stride, nullptr,
               b.out<T>() + outer * t.out * out_stride + column * t.out_parts, out_stride, scratch);
    });
  });
}

struct Frames {
  Transform transform;
  int64_t step = 1, count = 0;
};

Result<Frames> frames_of(const InferContext& c) {
  const Shape& x = c.shape(0);
  if (x.rank() != 3 || (x[2] != 1 && x[2] != 2) || !is_float(c.type(0).dtype))
    return Error{ErrorCode::invalid_model, "an STFT of " + to_string(c.type(0)) + ": it wants [batch, length, 1 or 2 parts]"};
  Frames f;
  OXPLOW_ASSIGN(f.step, one_integer(c, 1, "the frame step", 1));
  const bool has_window = c.has(2);
  if (has_window && (c.shape(2).rank() != 1 || c.type(2).dtype != c.type(0).dtype))
    return Error{ErrorCode::invalid_model, "a window of " + to_string(c.type(2))};
  OXPLOW_ASSIGN(const int64_t length, one_integer(c, 3, "the frame length", has_window ? c.shape(2)[0] : x[1]));
  if (f.step < 1 || length < 1 || length > kLongest || length > x[1] || (has_window && c.shape(2)[0] != length))
    return Error{ErrorCode::invalid_model,
                 "frames of " + std::to_string(length) + " every " + std::to_string(f.step) + " do not fit " + to_string(x)};
  f.count = 1 + (x[1] - length) / f.step;
  f.transform.length = f.transform.in = length;
  f.transform.parts = x[2];
  f.transform.out = c.attributes.integer("onesided", 1) != 0 ? length / 2 + 1 : length;
  return f;
}

Result<TensorTypes> infer_stft(const InferContext& c) {
  OXPLOW_ASSIGN(const Frames f, frames_of(c));
  return TensorTypes{{c.type(0).dtype, Shape{c.shape(0)[0], f.count, f.transform.out, 2}}};
}

Result<std::unique_ptr<Step>> prepare_stft(const PrepareContext& c) {
  OXPLOW_ASSIGN(const Frames f, frames_of(c.infer()));
  const Transform t = f.transform;
  const int64_t signal = c.in(0).type.shape[1], units = c.in(0).type.shape[0] * f.count;
  const bool has_window = c.has(2);
  const auto fft = std::make_shared<const Fft>(t.length);
  return visit_floating(c.in(0).type.dtype, "STFT", [&](auto v) -> Result<std::unique_ptr<Step>> {
    using T = decltype(v);
    return transform_step("stft", c, *fft, units, [=](const Buffers& b, int64_t u, Complex* scratch) {
      const int64_t first = u / f.count * signal + u % f.count * f.step;
      t.run<T>(*fft, b.in<T>(0) + first * t.parts, t.parts, has_window ? b.in<T>(2) : nullptr, b.out<T>() + u * t.out * 2, 2,
               scratch);
    });
  });
}

}  // namespace

namespace ops {
constinit const OpSpec DFT{.name = "DFT", .infer = infer_dft, .prepare = prepare_dft};
constinit const OpSpec STFT{.name = "STFT", .infer = infer_stft, .prepare = prepare_stft, .required_inputs = 2};
}  // namespace ops
}  // namespace oxplow
