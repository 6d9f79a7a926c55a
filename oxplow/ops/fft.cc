#include "oxplow/ops/fft.h"

#include <cmath>
#include <numbers>
#include <utility>

namespace oxplow {
namespace {

Complex turn(double angle) { return {std::cos(angle), std::sin(angle)}; }
Complex operator*(Complex a, Complex b) { return {a.re * b.re - a.im * b.im, a.re * b.im + a.im * b.re}; }
Complex conjugate(Complex a) { return {a.re, -a.im}; }

}  // namespace

Fft::Fft(int64_t n) : n_(n) {
  const bool power = (n & (n - 1)) == 0;
  const int64_t least = power ? n : 2 * n - 1;
  while (size_ < least) size_ *= 2;
  for (int64_t k = 0; k < size_ / 2; ++k)
    roots_.push_back(turn(-2 * std::numbers::pi * static_cast<double>(k) / static_cast<double>(size_)));
  if (power) return;
  for (int64_t k = 0; k < n; ++k) {
    // k^2 modulo 2n keeps the angle small and exact.
    const int64_t square = k * k % (2 * n);
    chirp_.push_back(turn(-std::numbers::pi * static_cast<double>(square) / static_cast<double>(n)));
  }
  kernel_.resize(static_cast<size_t>(size_));
  for (int64_t k = 0; k < n; ++k) {
    const Complex value = conjugate(chirp_[static_cast<size_t>(k)]);
    kernel_[static_cast<size_t>(k)] = value;
    if (k > 0) kernel_[static_cast<size_t>(size_ - k)] = value;
  }
  radix2(kernel_.data(), false);
}

void Fft::radix2(Complex* x, bool backward) const {
  for (int64_t i = 1, j = 0; i < size_; ++i) {
    int64_t bit = size_ / 2;
    for (; j & bit; bit /= 2) j ^= bit;
    j ^= bit;
    if (i < j) std::swap(x[i], x[j]);
  }
  for (int64_t half = 1; half < size_; half *= 2) {
    const int64_t step = size_ / (2 * half);
    for (int64_t block = 0; block < size_; block += 2 * half) {
      for (int64_t k = 0; k < half; ++k) {
        const Complex root = roots_[static_cast<size_t>(k * step)];
        const Complex odd = x[block + half + k] * (backward ? conjugate(root) : root), even = x[block + k];
        x[block + k] = {even.re + odd.re, even.im + odd.im};
        x[block + half + k] = {even.re - odd.re, even.im - odd.im};
      }
    }
  }
}

void Fft::run(Complex* x, Complex* scratch, bool backward) const {
  if (n_ == size_) return radix2(x, backward);
  // The backward transform is the conjugate of the forward one of the conjugate.
  const auto maybe_conjugate = [&](Complex v) { return backward ? conjugate(v) : v; };
  for (int64_t k = 0; k < n_; ++k) scratch[k] = maybe_conjugate(x[k]) * chirp_[static_cast<size_t>(k)];
  for (int64_t k = n_; k < size_; ++k) scratch[k] = {};
  radix2(scratch, false);
  for (int64_t k = 0; k < size_; ++k) scratch[k] = scratch[k] * kernel_[static_cast<size_t>(k)];
  radix2(scratch, true);
  const double scale = 1 / static_cast<double>(size_);
  for (int64_t k = 0; k < n_; ++k) {
    const Complex v = scratch[k] * chirp_[static_cast<size_t>(k)];
    x[k] = maybe_conjugate({v.re * scale, v.im * scale});
  }
}

}  // namespace oxplow
