#include "oxplow/kernels/norm/norm.h"
#include "oxplow/kernels/simd/storage.h"

// Group norm walks the image by rows of pixels, many groups at once: sums per channel, added up to sums per group.
namespace oxplow::OXPLOW_ISA {

void group_norm(const GroupNormArgs& args, int64_t begin, int64_t end);

namespace {

constexpr int64_t kWidth = F32::kWidth;
constexpr int64_t kChannelBlock = 512;  // channels walked together
constexpr int64_t kPixelsTogether = 4;
constexpr int64_t kPixelsOfBlock = 128;  // pixels that share accumulators before these join the totals

// totals[c] = sum over pixels of x[p][c], or of (x[p][c] - mean[c])^2, for c < n <= kChannelBlock.
template <typename Element, bool kSquares>
void sum_channels(const Element* x, int64_t pixels, int64_t x_pixel, int64_t n, const float* mean, float* totals) {
  alignas(64) float sums[kChannelBlock];
  const auto term = [&](const Element* p, int64_t c, auto... count) {
    const F32 v = load_f32(p + c, count...);
    if constexpr (!kSquares) return v;
    const F32 d = v - F32::load(mean + c);
    return d * d;
  };
  const auto add_pixels = [&](const Element* p, int64_t rows, int64_t c, auto... count) {
    F32 s = F32::load(sums + c);
    if (rows == kPixelsTogether) {
      s = s + ((term(p, c, count...) + term(p + x_pixel, c, count...)) +
               (term(p + 2 * x_pixel, c, count...) + term(p + 3 * x_pixel, c, count...)));
    } else {
      for (int64_t r = 0; r < rows; ++r) s = s + term(p + r * x_pixel, c, count...);
    }
    s.store(sums + c);
  };
  for (int64_t c = 0; c < n; c += kWidth) F32::zero().store(totals + c);
  for (int64_t begin = 0; begin < pixels; begin += kPixelsOfBlock) {
    const int64_t end = pixels - begin < kPixelsOfBlock ? pixels : begin + kPixelsOfBlock;
    for (int64_t c = 0; c < n; c += kWidth) F32::zero().store(sums + c);
    for (int64_t p = begin; p < end; p += kPixelsTogether) {
      const int64_t rows = end - p < kPixelsTogether ? end - p : kPixelsTogether;
      int64_t c = 0;
      for (; c + kWidth <= n; c += kWidth) add_pixels(x + p * x_pixel, rows, c);
      if (c < n) add_pixels(x + p * x_pixel, rows, c, n - c);
    }
    for (int64_t c = 0; c < n; c += kWidth) (F32::load(totals + c) + F32::load(sums + c)).store(totals + c);
  }
}

// y[p][c] = (x[p][c] - mean[c]) * scale[c] + shift[c].
template <typename Element>
void scale_channels(const Element* x, int64_t pixels, int64_t x_pixel, int64_t n, const float* mean, const float* scale,
                    const float* shift, Element* y, int64_t y_pixel) {
  const auto finish = [&](int64_t c, auto... count) {
    const F32 v = load_f32(x + c, count...) - F32::load(mean + c);
    store_f32(fma(v, F32::load(scale + c), F32::load(shift + c)), y + c, count...);
  };
  for (int64_t p = 0; p < pixels; ++p, x += x_pixel, y += y_pixel) {
    int64_t c = 0;
    for (; c + kWidth <= n; c += kWidth) finish(c);
    if (c < n) finish(c, n - c);
  }
}

// Calls f(channel, n) for blocks of at most kChannelBlock channels from `begin` to `end`.
template <typename F>
OXPLOW_INLINE void for_blocks(int64_t begin, int64_t end, F f) {
  for (int64_t c = begin; c < end; c += kChannelBlock) f(c, end - c < kChannelBlock ? end - c : kChannelBlock);
}

// Groups [first, first + count) of one image: whole groups that fit in a block of channels, or one that need not.
template <typename Element>
void norm_groups(const GroupNormArgs& args, int64_t image, int64_t first, int64_t count) {
  const auto* x = static_cast<const Element*>(args.x) + image * args.x_image;
  auto* y = static_cast<Element*>(args.y) + image * args.y_image;
  const int64_t size = args.channels / args.groups;
  const int64_t begin = first * size, end = begin + count * size;
  const float members = static_cast<float>(size * args.pixels);
  alignas(64) float per_channel[kChannelBlock], center[kChannelBlock], scale[kChannelBlock], shift[kChannelBlock];
  float mean[kChannelBlock] = {}, variance[kChannelBlock] = {};
  const auto spread_means = [&](int64_t c, int64_t n) {
    for (int64_t k = 0; k < kChannelBlock; ++k) center[k] = k < n ? mean[(c - begin + k) / size] : 0;
  };
  for_blocks(begin, end, [&](int64_t c, int64_t n) {
    sum_channels<Element, false>(x + c, args.pixels, args.x_pixel, n, nullptr, per_channel);
    for (int64_t k = 0; k < n; ++k) mean[(c - begin + k) / size] += per_channel[k];
  });
  for (int64_t g = 0; g < count; ++g) mean[g] /= members;
  for_blocks(begin, end, [&](int64_t c, int64_t n) {
    spread_means(c, n);
    sum_channels<Element, true>(x + c, args.pixels, args.x_pixel, n, center, per_channel);
    for (int64_t k = 0; k < n; ++k) variance[(c - begin + k) / size] += per_channel[k];
  });
  for_blocks(begin, end, [&](int64_t c, int64_t n) {
    spread_means(c, n);
    for (int64_t k = 0; k < kChannelBlock; ++k) {
      const float gamma = k >= n ? 0 : args.gamma == nullptr ? 1 : args.gamma[c + k];
      scale[k] = k >= n ? 0 : gamma / __builtin_sqrtf(variance[(c - begin + k) / size] / members + args.epsilon);
      shift[k] = k >= n || args.beta == nullptr ? 0 : args.beta[c + k];
    }
    scale_channels<Element>(x + c, args.pixels, args.x_pixel, n, center, scale, shift, y + c, args.y_pixel);
  });
}

}  // namespace

void group_norm(const GroupNormArgs& args, int64_t begin, int64_t end) {
  const int64_t size = args.channels / args.groups;
  const int64_t together = size < kChannelBlock ? kChannelBlock / size : 1;
  while (begin < end) {
    const int64_t image = begin / args.groups, first = begin % args.groups;
    int64_t count = args.groups - first < end - begin ? args.groups - first : end - begin;
    count = count < together ? count : together;
    with_element(args.type, [&](auto element) { norm_groups<decltype(element)>(args, image, first, count); });
    begin += count;
  }
}

}  // namespace oxplow::OXPLOW_ISA
