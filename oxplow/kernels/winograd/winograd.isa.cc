#include "oxplow/kernels/winograd/winograd.h"

#include "oxplow/kernels/winograd/product.h"
#include "oxplow/kernels/winograd/schedule.h"
#include "oxplow/kernels/winograd/tiling.h"
#include "oxplow/kernels/winograd/transform.h"

namespace oxplow::OXPLOW_ISA {

extern const WinogradKernels winograd_kernels;

namespace {

// Packed weights: [panel][point][in_channels][kPanel].
template <int kBase>
size_t packed_bytes(const ConvArgs& args) {
  return static_cast<size_t>(quotient_up(args.out_channels, kPanel) * kBase * kBase * args.in_channels * kPanel) * sizeof(float);
}

// G g G^T of kPanel kernels side by side, in double: each weight is rounded once.
template <int kBase>
void transform_weights(const double (&g)[3][3][kPanel], float* packed, int64_t plane) {
  using P = Points<kBase>;
  double rows[kBase][3][kPanel];
  for (int i = 0; i < kBase; ++i) {
    const double x = P::kValues[i], scale = P::weight_scale(i);
    for (int s = 0; s < 3; ++s) {
      for (int k = 0; k < kPanel; ++k) {
        rows[i][s][k] = i == 2 ? g[2][s][k] : scale * (g[0][s][k] + x * (g[1][s][k] + x * g[2][s][k]));
      }
    }
  }
  for (int i = 0; i < kBase; ++i) {
    for (int j = 0; j < kBase; ++j) {
      const double x = P::kValues[j], scale = P::weight_scale(j);
      float* to = packed + (i * kBase + j) * plane;
      for (int k = 0; k < kPanel; ++k) {
        const double value = j == 2 ? rows[i][2][k] : scale * (rows[i][0][k] + x * (rows[i][1][k] + x * rows[i][2][k]));
        to[k] = static_cast<float>(value);
      }
    }
  }
}

template <int kBase>
void pack(const float* w, int64_t out_stride, int64_t in_stride, int64_t row_stride, int64_t column_stride,
          int64_t in_channels_given, const ConvArgs& args, int64_t panel_begin, int64_t panel_end, void* packed) {
  const int64_t plane = args.in_channels * kPanel;
  for (int64_t panel = panel_begin; panel < panel_end; ++panel) {
    float* to = static_cast<float*>(packed) + panel * kBase * kBase * plane;
    const int64_t first = panel * kPanel;
    const int64_t given = least(args.out_channels - first, kPanel);
    for (int64_t c = 0; c < args.in_channels; ++c) {
      double g[3][3][kPanel] = {};
      for (int64_t k = 0; k < given && c < in_channels_given; ++k) {
        const float* from = w + (first + k) * out_stride + c * in_stride;
        for (int r = 0; r < 3; ++r) {
          for (int s = 0; s < 3; ++s) g[r][s][k] = from[r * row_stride + s * column_stride];
        }
      }
      transform_weights<kBase>(g, to + c * kPanel, plane);
    }
  }
}

// V of tiles [first, last), tile `first` at v.
template <int kBase, typename Element>
void transform_input(const ConvArgs& args, const Schedule<kBase>& schedule, int64_t first, int64_t last, float* v) {
  alignas(64) Columns columns;
  for (int64_t t = first; t < last;) {
    const Strip strip = schedule.tiling.strip_at(t, last, kStripTiles);
    const Element* x =
        static_cast<const Element*>(args.x) + strip.image * args.x_image + strip.row * args.x_row + strip.column * args.x_pixel;
    const int rows = strip.height + 2;
    const int64_t width = (strip.tiles - 1) * (kBase - 2) + strip.width + 2;
    for (int64_t c = 0; c < args.in_channels; c += F32::kWidth) {
      const int64_t lanes = least(args.in_channels - c, F32::kWidth);
      OXPLOW_FOR_POINTS(kBase, rows, input_down, x + c, args.x_row, args.x_pixel, width, lanes, columns);
      float* to = v + (t - first) * schedule.v_tile + c;
      for (int64_t i = 0; i < strip.tiles; ++i, to += schedule.v_tile) {
        OXPLOW_FOR_POINTS(kBase, strip.width + 2, input_across, columns, i * (kBase - 2), rows, to, schedule.v_plane);
      }
    }
    t += strip.tiles;
  }
}

// M of tiles [first, last), tile `first` at v and m, for panels [panel, panel_end).
template <int kBase>
void multiply(const ConvArgs& args, const Schedule<kBase>& schedule, int64_t first, int64_t last, int64_t panel,
              int64_t panel_end, const float* v, float* m) {
  constexpr int kPoints = kBase * kBase;
  const int64_t weights_plane = args.in_channels * kPanel;
  for (int point = 0; point < kPoints; ++point) {
    int64_t begin, end;
    schedule.tiling.range_of_point(point / kBase, point % kBase, &begin, &end);
    begin = most(begin, first);
    end = least(end, last);
    if (begin >= end) continue;
    const float* rows = v + point * schedule.v_plane + (begin - first) * schedule.v_tile;
    float* to = m + point * schedule.m_plane + (begin - first) * schedule.m_tile;
    const float* u = static_cast<const float*>(args.w) + (panel * kPoints + point) * weights_plane;
    for (int64_t p = panel; p < panel_end; ++p, u += kPoints * weights_plane, to += kPanel) {
      const float* next = p + 1 < panel_end ? u + kPoints * weights_plane : u + (1 - (p - panel) * kPoints) * weights_plane;
      product(rows, schedule.v_tile, end - begin, u, args.in_channels, to, schedule.m_tile, next);
    }
  }
}

// Outputs of tiles [first, last), tile `first` at m, for panels [panel, panel_end).
template <int kBase, typename Element>
void transform_output(const ConvArgs& args, const Schedule<kBase>& schedule, int64_t first, int64_t last, int64_t panel,
                      int64_t panel_end, const float* m) {
  const Epilogue& epilogue = args.epilogue;
  const bool clips = epilogue.activation == Activation::clip;
  Finish<Element> to{};
  to.y_row = args.y_row, to.y_pixel = args.y_pixel;
  to.residual_row = args.residual_row, to.residual_pixel = args.residual_pixel;
  to.low = F32::broadcast(clips ? epilogue.alpha : -__builtin_inff());
  to.high = F32::broadcast(clips ? epilogue.beta : __builtin_inff());
  to.activation = epilogue.activation, to.alpha = epilogue.alpha, to.beta = epilogue.beta;
  const int64_t channel_end = least(panel_end * kPanel, args.out_channels);
  alignas(64) Results results;
  for (int64_t t = first; t < last; ++t) {
    const Strip tile = schedule.tiling.strip_at(t, last, 1);
    Element* y = static_cast<Element*>(args.y) + tile.image * args.y_image + tile.row * args.y_row + tile.column * args.y_pixel;
    const Element* residual = static_cast<const Element*>(epilogue.residual);
    if (residual) residual += tile.image * args.residual_image + tile.row * args.residual_row + tile.column * args.residual_pixel;
    const float* from = m + (t - first) * schedule.m_tile;
    for (int64_t c = panel * kPanel; c < channel_end; c += F32::kWidth, from += F32::kWidth) {
      to.lanes = least(channel_end - c, F32::kWidth);
      to.y = y + c;
      to.residual = residual ? residual + c : nullptr;
      to.bias = epilogue.bias ? F32::load(epilogue.bias + c, to.lanes) : F32::zero();
      OXPLOW_FOR_POINTS(kBase, tile.width + 2, output_across, from, schedule.m_plane, tile.height + 2, results);
      OXPLOW_FOR_POINTS(kBase, tile.height + 2, output_down, results, tile.width, to);
    }
  }
}

template <int kBase>
size_t workspace_bytes(const ConvArgs& args, int threads) {
  const Schedule<kBase> schedule(args, threads);
  const int64_t floats = schedule.by_panels ? schedule.v_floats() + threads * schedule.m_floats()
                                            : threads * (schedule.v_floats() + schedule.m_floats());
  return static_cast<size_t>(floats) * sizeof(float);
}

template <int kBase>
int phases(const ConvArgs& args, int threads) {
  return Schedule<kBase>(args, threads).by_panels ? 2 : 1;
}

template <int kBase>
int tasks(const ConvArgs& args, int threads, int phase) {
  return static_cast<int>(Schedule<kBase>(args, threads).tasks(phase));
}

template <int kBase, typename Element>
void run(const ConvArgs& args, int threads, int phase, int task, int worker, void* workspace) {
  const Schedule<kBase> schedule(args, threads);
  float* v = static_cast<float*>(workspace);
  if (!schedule.by_panels) {
    v += worker * (schedule.v_floats() + schedule.m_floats());
    float* m = v + schedule.v_floats();
    const int64_t first = schedule.begin_of(task, schedule.tile_blocks), last = schedule.begin_of(task + 1, schedule.tile_blocks);
    transform_input<kBase, Element>(args, schedule, first, last, v);
    for (int64_t p = 0; p < schedule.panels; p += schedule.panels_block) {
      const int64_t end = least(p + schedule.panels_block, schedule.panels);
      multiply(args, schedule, first, last, p, end, v, m);
      transform_output<kBase, Element>(args, schedule, first, last, p, end, m);
    }
  } else if (phase == 0) {
    const int64_t first = schedule.begin_of(task, schedule.input_blocks),
                  last = schedule.begin_of(task + 1, schedule.input_blocks);
    transform_input<kBase, Element>(args, schedule, first, last, v + first * schedule.v_tile);
  } else {
    // Consecutive tasks share their panels of weights.
    const int64_t block = task % schedule.tile_blocks;
    const int64_t p = task / schedule.tile_blocks * schedule.panels_block;
    const int64_t end = least(p + schedule.panels_block, schedule.panels);
    const int64_t first = schedule.begin_of(block, schedule.tile_blocks),
                  last = schedule.begin_of(block + 1, schedule.tile_blocks);
    float* m = v + schedule.v_floats() + worker * schedule.m_floats();
    multiply(args, schedule, first, last, p, end, v + first * schedule.v_tile, m);
    transform_output<kBase, Element>(args, schedule, first, last, p, end, m);
  }
}

#define OXPLOW_WINOGRAD(type, Element, tile, base)                                  \
  {"winograd_" #type "_f32_" #type "_" #tile "x" #tile "_" OXPLOW_TEXT(OXPLOW_ISA), \
   DType::type,                                                                     \
   tile,                                                                            \
   kPanel,                                                                          \
   packed_bytes<base>,                                                              \
   pack<base>,                                                                      \
   workspace_bytes<base>,                                                           \
   phases<base>,                                                                    \
   tasks<base>,                                                                     \
   run<base, Element>}

constexpr WinogradKernel kKernels[] = {
    OXPLOW_WINOGRAD(f32, float, 4, 6),
    OXPLOW_WINOGRAD(f32, float, 2, 4),
#if defined(__AVX512F__)
    OXPLOW_WINOGRAD(bf16, Bf16, 4, 6),
#endif
};

}  // namespace

const WinogradKernels winograd_kernels = {kKernels};

}  // namespace oxplow::OXPLOW_ISA
