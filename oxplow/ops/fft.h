#pragma once

#include <cstdint>
#include <vector>

namespace oxplow {

struct Complex {
  double re = 0, im = 0;
};

// The discrete Fourier transform of one length, X[k] = sum over j of x[j] exp(-+2 pi i j k / n), - forward and + backward, unscaled.
// Powers of two by radix 2, other lengths by Bluestein's convolution of the next power of two that holds it.
class Fft {
 public:
  // n >= 1.
  explicit Fft(int64_t n);
  int64_t length() const { return n_; }
  // Numbers of scratch that run() needs.
  int64_t scratch() const { return n_ == size_ ? 0 : size_; }
  // In place.
  void run(Complex* x, Complex* scratch, bool backward) const;

 private:
  void radix2(Complex* x, bool backward) const;

  int64_t n_ = 1, size_ = 1;     // size_: the power of two that is transformed
  std::vector<Complex> roots_;   // exp(-2 pi i k / size_), k < size_ / 2
  std::vector<Complex> chirp_;   // exp(-pi i k^2 / n), k < n
  std::vector<Complex> kernel_;  // the transform of the chirp's conjugate, both ways round
};

}  // namespace oxplow
