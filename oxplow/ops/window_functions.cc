// Tables that signals are weighted with.
//   HannWindow, HammingWindow, BlackmanWindow: sums of cosines over `size` (input 0) points, `periodic` or symmetric.
//   MelWeightMatrix: [dft_length / 2 + 1, num_mel_bins] triangles that sum a spectrum into bins evenly spaced on the mel scale.

#include <algorithm>
#include <cmath>
#include <numbers>

#include "oxplow/ops/element_kinds.h"

namespace oxplow {
namespace {

DType wanted_type(const Attributes& attributes) {
  return static_cast<DType>(attributes.integer("output_datatype", static_cast<int64_t>(DType::f32)));
}

template <typename T>
T stored(double v) {
  if constexpr (std::is_same_v<T, Float16> || std::is_same_v<T, BFloat16>) {
    return T(static_cast<float>(v));
  } else {
    return static_cast<T>(v);
  }
}

Result<TensorTypes> infer_window(const InferContext& c) {
  OXPLOW_ASSIGN(const auto size, c.integers(0, "the window's size"));
  if (size.size() != 1 || size[0] < 0 || size[0] > int64_t{1} << 32)
    return Error{ErrorCode::invalid_model, "impossible size of a window"};
  return TensorTypes{{wanted_type(c.attributes), Shape{size[0]}}};
}

enum class Window { hann, hamming, blackman };

double window_at(Window window, double angle) {
  switch (window) {
    case Window::hann: return 0.5 - 0.5 * std::cos(angle);
    case Window::hamming: return 25.0 / 46.0 - 21.0 / 46.0 * std::cos(angle);
    case Window::blackman: return 0.42 - 0.5 * std::cos(angle) + 0.08 * std::cos(2 * angle);
  }
  return 0;
}

template <Window kWindow>
Result<std::unique_ptr<Step>> prepare_window(const PrepareContext& c) {
  const int64_t size = c.out().type.shape[0], period = size - (c.attributes.integer("periodic", 1) != 0 ? 0 : 1);
  return visit_arithmetic(c.out().type.dtype, "a window", [&](auto t) -> Result<std::unique_ptr<Step>> {
    using T = decltype(t);
    const int tasks = task_count(size, 20, c.threads());
    return make_step("window", tasks, [=](const Buffers& b, int task, int) {
      const Range range = task_range(size, tasks, task);
      for (int64_t i = range.begin; i < range.end; ++i) {
        const double angle = 2 * std::numbers::pi * static_cast<double>(i) / static_cast<double>(period);
        b.out<T>()[i] = stored<T>(window_at(kWindow, period == 0 ? std::numbers::pi : angle));
      }
    });
  });
}

struct MelBins {
  int64_t bins = 0, dft_length = 0, rows = 0;
  double low = 0, high = 0, sample_rate = 1;
};

Result<MelBins> mel_bins(const InferContext& c) {
  double values[5];
  for (int i = 0; i < 5; ++i) {
    OXPLOW_ASSIGN(const auto given, known_numbers(c, i, "the mel bins"));
    if (given.size() != 1 || !(std::fabs(given[0]) < 1e9))
      return Error{ErrorCode::invalid_model, "MelWeightMatrix wants five numbers"};
    values[i] = given[0];
  }
  MelBins mel{static_cast<int64_t>(values[0]), static_cast<int64_t>(values[1]), 0, values[3], values[4], values[2]};
  mel.rows = mel.dft_length / 2 + 1;
  if (mel.bins < 0 || mel.dft_length < 0 || mel.sample_rate <= 0 || mel.low < 0 || mel.high < mel.low)
    return Error{ErrorCode::invalid_model, "impossible mel bins"};
  return mel;
}

Result<TensorTypes> infer_mel_weights(const InferContext& c) {
  OXPLOW_ASSIGN(const MelBins mel, mel_bins(c));
  return TensorTypes{{wanted_type(c.attributes), Shape{mel.rows, mel.bins}}};
}

// The spectrum's row that edge i of the bins falls on.
int64_t mel_edge(const MelBins& mel, int64_t i) {
  const auto to_mel = [](double hertz) { return 2595 * std::log10(1 + hertz / 700); };
  const double step = (to_mel(mel.high) - to_mel(mel.low)) / static_cast<double>(mel.bins + 2);
  const double hertz = 700 * (std::pow(10.0, (static_cast<double>(i) * step + to_mel(mel.low)) / 2595) - 1);
  const double row = std::floor(static_cast<double>(mel.dft_length + 1) * hertz / mel.sample_rate);
  return static_cast<int64_t>(std::clamp(row, 0.0, 1e15));
}

Result<std::unique_ptr<Step>> prepare_mel_weights(const PrepareContext& c) {
  OXPLOW_ASSIGN(const MelBins mel, mel_bins(c.infer()));
  return visit_arithmetic(c.out().type.dtype, "MelWeightMatrix", [&](auto t) -> Result<std::unique_ptr<Step>> {
    using T = decltype(t);
    return make_step("mel_weight_matrix", 1, [=](const Buffers& b, int, int) {
      std::fill_n(b.out<T>(), mel.rows * mel.bins, stored<T>(0));
      for (int64_t bin = 0; bin < mel.bins; ++bin) {
        const int64_t low = mel_edge(mel, bin), center = mel_edge(mel, bin + 1), high = mel_edge(mel, bin + 2);
        const auto set = [&](int64_t row, double v) {
          if (row < mel.rows) b.out<T>()[row * mel.bins + bin] = stored<T>(v);
        };
        if (center == low) set(center, 1);
        for (int64_t row = low; center > low && row <= std::min(center, mel.rows); ++row)
          set(row, static_cast<double>(row - low) / static_cast<double>(center - low));
        for (int64_t row = center; row < std::min(high, mel.rows); ++row)
          set(row, static_cast<double>(high - row) / static_cast<double>(high - center));
      }
    });
  });
}

}  // namespace

namespace ops {
constinit const OpSpec HannWindow{.name = "HannWindow", .infer = infer_window, .prepare = prepare_window<Window::hann>};
constinit const OpSpec HammingWindow{.name = "HammingWindow", .infer = infer_window, .prepare = prepare_window<Window::hamming>};
constinit const OpSpec BlackmanWindow{
    .name = "BlackmanWindow", .infer = infer_window, .prepare = prepare_window<Window::blackman>};
constinit const OpSpec MelWeightMatrix{
    .name = "MelWeightMatrix", .infer = infer_mel_weights, .prepare = prepare_mel_weights, .required_inputs = 5};
}  // namespace ops
}  // namespace oxplow
