// Conv: two-dimensional convolution, NHWC, weights [M][C/group][kernel_h][kernel_w], with bias, residual and activation.
//   inputs: x [N, H, W, C], w, bias [M] (optional), residual [N, OH, OW, M] (optional)

#include <algorithm>

#include "oxplow/kernels/conv/conv.h"
#include "oxplow/kernels/depthwise/depthwise.h"
#include "oxplow/kernels/winograd/winograd.h"
#include "oxplow/ops/conv_geometry.h"
#include "oxplow/ops/conv_nd.h"
#include "oxplow/ops/plain_conv.h"

namespace oxplow {
namespace {

struct ConvShape {
  Window window;
  int64_t batch, channels, filters, groups;
};

Result<ConvShape> conv_shape(const Attributes& attributes, const Shape& x, const Shape& w) {
  if (x.rank() != 4 || w.rank() != 4)
    return Error{ErrorCode::unsupported,
                 "convolution over " + std::to_string(x.rank() - 2) + " axes; only images (2 axes) and signals (1) can be"};
  const int64_t groups = attributes.integer("group", 1);
  if (groups < 1 || w[0] % groups != 0 || x[3] != w[1] * groups) {
    return Error{ErrorCode::invalid_model, "weights " + to_string(w) + " in " + std::to_string(groups) + " groups do not fit " +
                                               std::to_string(x[3]) + " channels"};
  }
  OXPLOW_ASSIGN(const Window window, window_of(attributes, x, w[2], w[3]));
  return ConvShape{window, x[0], x[3], w[0], groups};
}

Result<TensorTypes> infer_conv(const InferContext& c) {
  OXPLOW_ASSIGN(const ConvShape s, conv_shape(c.attributes, c.shape(0), c.shape(1)));
  if (c.has(2) && c.type(2) != TensorType{c.type(1).dtype, Shape{s.filters}}) {
    return Error{ErrorCode::invalid_model,
                 "a bias of " + to_string(c.type(2)) + " for " + std::to_string(s.filters) + " filters"};
  }
  const Border border = s.window.border();
  const Shape bordered{s.batch, s.window.in_h + border.top + border.bottom, s.window.in_w + border.left + border.right,
                       s.channels};
  if (!is_possible({c.type(0).dtype, bordered}))
    return Error{ErrorCode::invalid_model, "an input with its padding of " + to_string(bordered) + " is impossible"};
  const TensorType y{c.type(0).dtype, Shape{s.batch, s.window.out_h, s.window.out_w, s.filters}};
  if (c.has(3) && c.type(3) != y)
    return Error{ErrorCode::invalid_model, "a residual of " + to_string(c.type(3)) + " for a result of " + to_string(y)};
  return TensorTypes{y};
}

ConvShape known_shape(const PrepareContext& c) { return *conv_shape(c.attributes, c.in(0).type.shape, c.in(1).type.shape); }

// Geometry of one group, pointers unset.
ConvArgs conv_args(const PrepareContext& c, const ConvShape& s) {
  const Window& window = s.window;
  ConvArgs args;
  args.batch = s.batch;
  args.out_h = window.out_h;
  args.out_w = window.out_w;
  args.in_channels = s.channels / s.groups;
  args.out_channels = s.filters / s.groups;
  args.kernel_h = window.kernel_h;
  args.kernel_w = window.kernel_w;
  args.stride_h = window.stride_h;
  args.stride_w = window.stride_w;
  args.dilation_h = window.dilation_h;
  args.dilation_w = window.dilation_w;
  const Dims& x = c.in(0).strides;
  const Dims& y = c.out().strides;
  args.x_image = x[0], args.x_row = x[1], args.x_pixel = x[2];
  args.y_image = y[0], args.y_row = y[1], args.y_pixel = y[2];
  if (c.has(3)) {
    const Dims& r = c.in(3).strides;
    args.residual_image = r[0], args.residual_row = r[1], args.residual_pixel = r[2];
  }
  args.epilogue = epilogue_of(c.attributes);
  return args;
}

// Where this run's tensors are.
struct Bound {
  const std::byte* x;
  std::byte* y;
  const float* bias;
  const std::byte* residual;
};

// What all algorithms share: the operands' places and element size.
class ConvStep : public Step {
 public:
  ConvStep(const PrepareContext& c, const ConvShape& s)
      : element_(bits_of(c.in(0).type.dtype) / 8),
        first_tap_((s.window.pad_top * c.in(0).strides[1] + s.window.pad_left * c.in(0).strides[2]) * element_) {}

 protected:
  Bound bind(const Buffers& b) const {
    const auto at = [&](size_t i) { return b.inputs[i]; };
    return {b.in<std::byte>(0) - first_tap_, b.out<std::byte>(0), has_bias_ ? static_cast<const float*>(at(2)) : nullptr,
            has_residual_ ? static_cast<const std::byte*>(at(3)) : nullptr};
  }
  void note_operands(const PrepareContext& c) {
    has_bias_ = c.has(2);
    has_residual_ = c.has(3);
  }

  int64_t element_;
  int64_t first_tap_;  // bytes from pixel (0, 0) back to the pixel under tap (0, 0)
  bool has_bias_ = false, has_residual_ = false;
};

// Weights packed ahead, or (weights computed by the graph) packed at the start of each run into the workspace.
template <typename Pack>
Result<std::shared_ptr<const Buffer>> packed_ahead(const PrepareContext& c, const std::string& key, size_t bytes, int64_t parts,
                                                   Pack pack) {
  const Tensor& w = *c.in(1).constant;
  return c.packs.get(w, key, bytes, [&](void* packed) {
    c.pool.run(static_cast<int>(parts), [&](int part, int) { pack(static_cast<const float*>(w.data()), part, packed); });
  });
}

class DirectConv final : public ConvStep {
 public:
  DirectConv(const PrepareContext& c, const ConvShape& s, const ConvKernel& k)
      : ConvStep(c, s),
        args_(conv_args(c, s)),
        kernel_(k),
        groups_(s.groups),
        group_bytes_(round_up(k.packed_bytes(args_), kCacheLine)) {
    note_operands(c);
    panels_ = (args_.out_channels + k.panel_channels - 1) / k.panel_channels;
    pixels_ = args_.batch * args_.out_h * args_.out_w;
    split(c.threads());
    kernel = k.name;
  }

  Status pack(const PrepareContext& c) {
    if (c.in(1).constant == nullptr) {
      workspace_bytes = group_bytes_ * static_cast<size_t>(groups_);
      phase_tasks = {static_cast<int>(groups_ * panels_), tasks_};
      return {};
    }
    const std::string key = std::string(kernel_.name) + "/" + std::to_string(groups_) + (merged_taps() ? "/merged" : "");
    OXPLOW_ASSIGN(packed_, packed_ahead(c, key, group_bytes_ * static_cast<size_t>(groups_), groups_ * panels_,
                                        [&](const float* w, int64_t part, void* packed) { pack_part(w, part, packed); }));
    phase_tasks = {tasks_};
    return {};
  }

  void run(const Buffers& b, int phase, int task, int) const override {
    if (!packed_ && phase == 0) {
      pack_part(b.in<float>(1), task, b.workspace);
      return;
    }
    const Bound bound = bind(b);
    const std::byte* packed = packed_ ? packed_->data() : b.workspace;
    const int group_tasks = pixel_parts_ * panel_parts_;
    const int64_t group = task / group_tasks;
    const int part = task % group_tasks;
    const Range pixels = pixel_range(part / panel_parts_);
    const Range panels = task_range(panels_, panel_parts_, part % panel_parts_);
    ConvArgs args = args_;
    args.x = bound.x + group * args.in_channels * element_;
    args.y = bound.y + group * args.out_channels * element_;
    args.w = packed + static_cast<size_t>(group) * group_bytes_;
    args.epilogue.bias = bound.bias ? bound.bias + group * args.out_channels : nullptr;
    args.epilogue.residual = bound.residual ? bound.residual + group * args.out_channels * element_ : nullptr;
    kernel_.run(args, pixels.begin, pixels.end, panels.begin, panels.end);
  }

 private:
  // The kernel may pack differently where the taps of a row lie next to each other in memory (see conv.h).
  bool merged_taps() const { return args_.x_pixel == args_.in_channels; }

  // Tasks are pixel_parts x panel_parts, the panels of one part of the pixels next to each other. Cuts by pixels while a thread
  // has enough of them to multiply longer by a panel of weights than the panel takes to arrive: so a thread finds what it reads
  // in its own cache, having written it in the layer before. Else by panels, so that no weight is read twice, if they share out
  // evenly.
  void split(int threads) {
    constexpr int64_t kEnoughPixels = 48;
    constexpr int64_t kManyPixels = 192;          // enough to read all weights once for them
    constexpr int64_t kSmallWeights = 512 << 10;  // bytes that stay in L2 from one part of the pixels to the next
    const int64_t weights = args_.kernel_h * args_.kernel_w * args_.in_channels * args_.out_channels;
    const double flops = 2.0 * static_cast<double>(pixels_ * weights);
    const double weight_ns = static_cast<double>(weights * element_) / 20;
    const int tasks = groups_ > 1 ? 1 : task_count(1 << 20, std::max(flops / 200, weight_ns) / (1 << 20), threads);
    const int64_t tiles = std::max<int64_t>(1, pixels_ / kernel_.tile_pixels);
    int64_t pixel_parts = 1;
    if (tasks >= threads && pixels_ >= kEnoughPixels * threads) {
      const bool small = weights * element_ <= kSmallWeights;
      pixel_parts = small ? tasks : std::clamp<int64_t>(pixels_ / kManyPixels / threads * threads, threads, tasks);
    } else if (tasks >= threads && panels_ < 4 * threads && tiles >= threads) {
      pixel_parts = threads;
    }
    pixel_parts_ = static_cast<int>(std::min<int64_t>(tiles, pixel_parts));
    panel_parts_ =
        static_cast<int>(std::clamp<int64_t>((tasks + pixel_parts_ - 1) / pixel_parts_, 1, std::max<int64_t>(panels_, 1)));
    pixel_parts_ = static_cast<int>(std::min<int64_t>(tiles, (tasks + panel_parts_ - 1) / panel_parts_));
    tasks_ = static_cast<int>(groups_) * pixel_parts_ * panel_parts_;
  }

  // Whole rows where there are enough, else as the pixels share out: tiles are balanced inside.
  Range pixel_range(int part) const {
    const int64_t rows = args_.batch * args_.out_h;
    const bool whole_rows = rows >= 2 * pixel_parts_ && rows % pixel_parts_ == 0;
    const int64_t unit = whole_rows ? args_.out_w : 1;
    const Range units = task_range(pixels_ / std::max<int64_t>(unit, 1), pixel_parts_, part);
    return {units.begin * unit, units.end * unit};
  }

  void pack_part(const float* w, int64_t part, void* packed) const {
    const int64_t group = part / panels_, panel = part % panels_;
    const int64_t taps = args_.kernel_h * args_.kernel_w;
    kernel_.pack(w + group * args_.out_channels * args_.in_channels * taps, args_.in_channels * taps, taps, args_.kernel_w, 1,
                 args_.in_channels, args_, panel, panel + 1,
                 static_cast<std::byte*>(packed) + static_cast<size_t>(group) * group_bytes_);
  }

  ConvArgs args_;
  const ConvKernel& kernel_;
  int64_t groups_, panels_ = 0, pixels_ = 0;
  size_t group_bytes_;
  int pixel_parts_ = 1, panel_parts_ = 1, tasks_ = 1;
  std::shared_ptr<const Buffer> packed_;
};

class WinogradConv final : public ConvStep {
 public:
  WinogradConv(const PrepareContext& c, const ConvShape& s, const WinogradKernel& k)
      : ConvStep(c, s), args_(conv_args(c, s)), kernel_(k), threads_(c.threads()) {
    note_operands(c);
    kernel = k.name;
    workspace_bytes = k.workspace_bytes(args_, threads_);
    for (int phase = 0; phase < k.phases(args_, threads_); ++phase) phase_tasks.push_back(k.tasks(args_, threads_, phase));
  }

  Status pack(const PrepareContext& c) {
    const int64_t panels = (args_.out_channels + kernel_.panel_channels - 1) / kernel_.panel_channels;
    OXPLOW_ASSIGN(
        packed_,
        packed_ahead(c, kernel_.name, kernel_.packed_bytes(args_), panels, [&](const float* w, int64_t panel, void* packed) {
          kernel_.pack(w, args_.in_channels * 9, 9, 3, 1, args_.in_channels, args_, panel, panel + 1, packed);
        }));
    return {};
  }

  void run(const Buffers& b, int phase, int task, int worker) const override {
    const Bound bound = bind(b);
    ConvArgs args = args_;
    args.x = bound.x;
    args.y = bound.y;
    args.w = packed_->data();
    args.epilogue.bias = bound.bias;
    args.epilogue.residual = bound.residual;
    kernel_.run(args, threads_, phase, task, worker, b.workspace);
  }

 private:
  ConvArgs args_;
  const WinogradKernel& kernel_;
  int threads_;
  std::shared_ptr<const Buffer> packed_;
};

class DepthwiseConv final : public ConvStep {
 public:
  DepthwiseConv(const PrepareContext& c, const ConvShape& s, const DepthwiseKernel& k) : ConvStep(c, s), kernel_(k) {
    note_operands(c);
    const ConvArgs conv = conv_args(c, s);
    args_ = {.batch = conv.batch,
             .out_h = conv.out_h,
             .out_w = conv.out_w,
             .channels = s.channels,
             .kernel_h = conv.kernel_h,
             .kernel_w = conv.kernel_w,
             .stride_h = conv.stride_h,
             .stride_w = conv.stride_w,
             .dilation_h = conv.dilation_h,
             .dilation_w = conv.dilation_w,
             .x_image = conv.x_image,
             .x_row = conv.x_row,
             .x_pixel = conv.x_pixel,
             .y_image = conv.y_image,
             .y_row = conv.y_row,
             .y_pixel = conv.y_pixel,
             .residual_image = conv.residual_image,
             .residual_row = conv.residual_row,
             .residual_pixel = conv.residual_pixel,
             .epilogue = conv.epilogue};
    rows_ = args_.batch * args_.out_h;
    blocks_ = (args_.channels + k.channel_block - 1) / k.channel_block;
    const double row_ns = static_cast<double>(args_.out_w * args_.channels * args_.kernel_h * args_.kernel_w) / 20;
    const int64_t tasks = task_count(rows_ * blocks_, row_ns / static_cast<double>(blocks_), c.threads());
    // By rows as the layers around, but by channels where most rows of the input would be read by two threads.
    if (rows_ * args_.stride_h >= args_.kernel_h * c.threads()) {
      row_parts_ = part_count(tasks, rows_);
      block_parts_ = part_count((tasks + row_parts_ - 1) / row_parts_, blocks_);
    } else {
      block_parts_ = part_count(tasks, blocks_);
      row_parts_ = part_count((tasks + block_parts_ - 1) / block_parts_, rows_);
    }
    phase_tasks = {row_parts_ * block_parts_};
    kernel = k.name;
  }

  Status pack(const PrepareContext& c) {
    const int64_t taps = args_.kernel_h * args_.kernel_w;
    OXPLOW_ASSIGN(packed_, packed_ahead(c, "depthwise", static_cast<size_t>(taps * args_.channels) * sizeof(float), 1,
                                        [&](const float* w, int64_t, void* packed) {
                                          pack_depthwise(w, taps, args_.kernel_w, 1, args_.kernel_h, args_.kernel_w,
                                                         args_.channels, static_cast<float*>(packed));
                                        }));
    return {};
  }

  void run(const Buffers& b, int, int task, int) const override {
    const Bound bound = bind(b);
    DepthwiseArgs args = args_;
    args.x = bound.x;
    args.y = bound.y;
    args.w = reinterpret_cast<const float*>(packed_->data());
    args.epilogue.bias = bound.bias;
    args.epilogue.residual = bound.residual;
    const Range rows = task_range(rows_, row_parts_, task / block_parts_);
    const Range blocks = task_range(blocks_, block_parts_, task % block_parts_);
    kernel_.run(args, rows.begin, rows.end, blocks.begin * kernel_.channel_block,
                std::min(blocks.end * kernel_.channel_block, args.channels));
  }

 private:
  DepthwiseArgs args_;
  const DepthwiseKernel& kernel_;
  int64_t rows_ = 0, blocks_ = 0;
  int row_parts_ = 1, block_parts_ = 1;
  std::shared_ptr<const Buffer> packed_;
};

template <typename Kind>
Result<std::unique_ptr<Step>> packed_step(const PrepareContext& c, std::unique_ptr<Kind> step, std::string why) {
  OXPLOW_TRY(step->pack(c));
  step->why = std::move(why);
  return std::unique_ptr<Step>(std::move(step));
}

Result<std::unique_ptr<Step>> prepare_conv(const PrepareContext& c) {
  const ConvShape s = known_shape(c);
  const DType dtype = c.in(0).type.dtype;
  if (c.in(1).type.dtype == dtype && dtype != DType::f32 && !c.has(3) && !c.attributes.has("activation")) {
    const Shape &x = c.in(0).type.shape, &w = c.in(1).type.shape;
    OXPLOW_ASSIGN(const Windows windows, windows_of(c.attributes, Shape{x[1], x[2]}, Shape{w[2], w[3]}));
    return plain_conv_nd(c, windows, 3);
  }
  if (c.in(1).type.dtype != DType::f32)
    return Error{ErrorCode::unsupported, "convolution weights of type " + std::string(name_of(c.in(1).type.dtype))};
  const std::string wanted = c.attributes.text("algorithm", "");
  if (wanted.starts_with("plain") && dtype == DType::f32 && !c.has(3) && !c.attributes.has("activation"))
    return plain_conv(conv_args(c, s), c, wanted == "plain_channels_last");
  const bool constant = c.in(1).constant != nullptr;
  if (constant && s.groups == s.channels && s.groups == s.filters && s.groups > 1) {
    if (const DepthwiseKernel* k = find_depthwise(c.isa, dtype)) {
      return packed_step(c, std::make_unique<DepthwiseConv>(c, s, *k), "one filter a channel");
    }
  }
  const ConvArgs args = conv_args(c, s);
  if (constant && s.groups == 1 && wanted != "direct") {
    if (const WinogradKernel* k = find_winograd(c.isa, dtype, args)) {
      return packed_step(c, std::make_unique<WinogradConv>(c, s, *k), "3x3 stride 1: fewer multiplications by Winograd");
    }
  }
  if (const ConvKernel* k = find_conv(c.isa, dtype, c.out().type.dtype, args.in_channels, args.out_channels)) {
    return packed_step(
        c, std::make_unique<DirectConv>(c, s, *k),
        s.window.kernel_h * s.window.kernel_w == 1 ? "1x1: a matrix product over pixels" : "implicit matrix product");
  }
  return Error{ErrorCode::unsupported,
               "no convolution kernel for " + std::string(name_of(dtype)) + " on " + std::string(name_of(c.isa))};
}

bool channels_contiguous(const Operand& o) { return o.type.shape.back() == 1 || o.strides.back() == 1; }
bool conv_accepts_input(const PrepareContext& c, int i) { return (i == 0 || i == 3) && channels_contiguous(c.in(i)); }
bool conv_accepts_output(const PrepareContext& c, int i) { return channels_contiguous(c.out(i)); }
Border conv_border(const PrepareContext& c) { return known_shape(c).window.border(); }

bool conv_by_sample(const InferContext& c) { return c.constant(1) && (!c.has(2) || c.constant(2)) && !c.constant(3); }

Cost conv_cost(const PrepareContext& c) {
  const Shape& y = c.out().type.shape;
  const Shape& w = c.in(1).type.shape;
  Cost cost;
  cost.flops = 2.0 * static_cast<double>(elements_of(y) * product(w, 1, 4));
  cost.bytes = static_cast<double>(c.in(0).type.bytes() + c.out().type.bytes()) +
               static_cast<double>(bytes_of(c.in(0).type.dtype, static_cast<size_t>(elements_of(w)))) +
               (c.has(3) ? static_cast<double>(c.in(3).type.bytes()) : 0.0);
  return cost;
}

}  // namespace

namespace ops {
constinit const OpSpec Conv{.name = "Conv",
                            .infer = infer_conv,
                            .prepare = prepare_conv,
                            .accepts_input = conv_accepts_input,
                            .accepts_output = conv_accepts_output,
                            .wants_border = conv_border,
                            .cost = conv_cost,
                            .required_inputs = 2,
                            .by_sample = conv_by_sample};
}  // namespace ops
}  // namespace oxplow
