#include "oxplow/kernels/eltwise/eltwise.h"

#include "oxplow/kernels/eltwise/program.h"

// How a chain runs. The iteration space is walked in tiles of at most kStrip points: a piece of a row, or several whole rows.
// Inputs that lie in memory as the tile does are read in place; the others are gathered into a slot, a strip of f32 in L1, and
// stay there while their address does not change: a bias is gathered once. Every step then is one loop over the tile, from its
// operands to a slot, or straight to the output where that is possible.
namespace oxplow::OXPLOW_ISA {
namespace {

constexpr int64_t kStrip = 1024;
// Slots are not a power of two apart: loads would wait for stores to the same address modulo 4096.
constexpr int64_t kSlot = kStrip + 32;
// Where no slot is touched there is no reason to stop at the size of L1.
constexpr int64_t kLongStrip = 1 << 16;

struct Tile {
  int64_t index[kMaxChainDims];  // of its first point
  int64_t rows, columns;
};

// What an input's slot holds: columns = 0 means copies of one number.
struct Gathered {
  const void* from;
  int64_t rows, columns;
};

struct ChainRun {
  const ChainArgs& args;
  const Program& program;
  float (*slots)[kSlot];
  Operand values[kMaxValues];
  Gathered gathered[kMaxChainInputs];
};

int64_t offset_of(const int64_t* strides, const Tile& tile, int dims) {
  int64_t offset = 0;
  for (int d = 0; d < dims; ++d) offset += tile.index[d] * strides[d];
  return offset;
}

void fill_splat(float* slot, float value) {
  for (int64_t i = 0; i < kSplat; i += kWidth) F32::broadcast(value).store(slot + i);
}

// One row of an input with any stride.
void gather_row(const void* x, DType type, int64_t stride, float* y, int64_t n) {
  if (stride == 1) return load_any(x, type, y, n);
  for (int64_t i = 0; i < n; ++i) y[i] = load_one(advance(x, type, i * stride), type);
}

void bind_input(ChainRun& run, int i, const Tile& tile) {
  const ChainInput& input = run.args.inputs[i];
  const int last = run.args.dims - 1;
  const int64_t column_stride = input.strides[last];
  const int64_t row_stride = tile.rows > 1 ? input.strides[last - 1] : column_stride * tile.columns;
  const void* from = advance(input.data, input.type, offset_of(input.strides, tile, run.args.dims));
  float* slot = run.slots[i];
  Gathered& gathered = run.gathered[i];
  Operand& value = run.values[i];
  const bool dense = column_stride == 1 && row_stride == tile.columns;
  const bool splat = column_stride == 0 && row_stride == 0;
  if (dense && input.type == DType::f32) {
    value = {static_cast<const float*>(from), 1};
    return;
  }
  value = {slot, splat ? 0 : 1};
  const Gathered wanted = {from, tile.rows, splat ? 0 : tile.columns};
  if (gathered.from == from && gathered.columns == wanted.columns && gathered.rows >= wanted.rows) return;
  gathered = wanted;
  if (splat) {
    fill_splat(slot, load_one(from, input.type));
  } else if (dense) {
    load_any(from, input.type, slot, tile.rows * tile.columns);
  } else {
    for (int64_t r = 0; r < tile.rows; ++r) {
      gather_row(advance(from, input.type, r * row_stride), input.type, column_stride, slot + r * tile.columns, tile.columns);
    }
  }
}

void run_instruction(ChainRun& run, const Instruction& instruction, const Tile& tile) {
  const ChainStep& step = *instruction.step;
  const int arity = kArity[static_cast<int>(step.op)];
  StepArgs s = {};
  if (arity > 0) s.a = run.values[step.a];
  if (arity > 1) s.b = run.values[step.b];
  if (arity > 2) s.c = run.values[step.c];
  s.n = tile.rows * tile.columns;
  s.alpha = step.alpha;
  s.beta = step.beta;
  if (instruction.clip != nullptr) {
    s.low = instruction.clip->alpha;
    s.high = instruction.clip->beta;
  }
  int64_t result_step = 1;
  if (instruction.output >= 0) {
    const ChainOutput& output = run.args.outputs[instruction.output];
    s.y = static_cast<float*>(output.data) + offset_of(output.strides, tile, run.args.dims);
  } else {
    s.y = run.slots[instruction.slot];
    if (s.a.step + s.b.step + s.c.step == 0) {  // the same number everywhere
      s.n = kSplat;
      result_step = 0;
    }
  }
  instruction.run(s);
  run.values[instruction.value] = {s.y, result_step};
}

void store_output(const ChainRun& run, const ChainOutput& output, const Tile& tile) {
  const int last = run.args.dims - 1;
  const Operand value = run.values[output.value];
  void* to = advance(output.data, output.type, offset_of(output.strides, tile, run.args.dims));
  const int64_t column_stride = output.strides[last];
  const int64_t row_stride = tile.rows > 1 ? output.strides[last - 1] : tile.columns;
  if (column_stride == 1 && row_stride == tile.columns) return store_any(value, to, output.type, tile.rows * tile.columns);
  for (int64_t r = 0; r < tile.rows; ++r) {
    const Operand row = {value.p + r * tile.columns * value.step, value.step};
    void* y = advance(to, output.type, r * row_stride);
    if (column_stride == 1) {
      store_any(row, y, output.type, tile.columns);
      continue;
    }
    for (int64_t c = 0; c < tile.columns; ++c) {
      store_any({row.p + c * row.step, 1}, advance(y, output.type, c * column_stride), output.type, 1);
    }
  }
}

void run_tile(ChainRun& run, const Tile& tile) {
  for (int i = 0; i < run.args.num_inputs; ++i) bind_input(run, i, tile);
  for (int k = 0; k < run.program.count; ++k) run_instruction(run, run.program.instructions[k], tile);
  for (int o = 0; o < run.args.num_outputs; ++o) {
    if (!run.program.written[o]) store_output(run, run.args.outputs[o], tile);
  }
}

// Points of a piece of a row: equal pieces, as few as the slots allow.
int64_t piece_of_row(const ChainArgs& args, const Program& program, int64_t inner) {
  bool in_place = program.count == 1 && program.written[0] && args.num_outputs == 1;
  for (int i = 0; i < args.num_inputs; ++i) {
    const int64_t stride = args.inputs[i].strides[args.dims - 1];
    in_place = in_place && ((stride == 1 && args.inputs[i].type == DType::f32) || stride == 0);
  }
  const int64_t most = in_place ? kLongStrip : kStrip;
  const int64_t pieces = (inner + most - 1) / most;
  return (((inner + pieces - 1) / pieces) + 15) / 16 * 16;
}

// Sets the extent of the tile at tile.index, with `left` points to go.
void size_tile(const ChainArgs& args, int64_t piece, int64_t left, Tile& tile) {
  const int last = args.dims - 1;
  const int64_t inner = args.extents[last];
  const int64_t column = tile.index[last];
  tile.rows = 1;
  tile.columns = piece;
  if (inner - column < tile.columns) tile.columns = inner - column;
  if (left < tile.columns) tile.columns = left;
  if (last == 0 || tile.columns < inner || inner > kStrip) return;
  tile.rows = kStrip / inner;
  if (args.extents[last - 1] - tile.index[last - 1] < tile.rows) tile.rows = args.extents[last - 1] - tile.index[last - 1];
  if (left / inner < tile.rows) tile.rows = left / inner;
}

void advance_tile(const ChainArgs& args, Tile& tile) {
  int d = args.dims - 1;
  tile.index[d] += tile.columns;
  if (tile.index[d] < args.extents[d]) return;
  tile.index[d] = 0;
  if (d == 0) return;
  for (tile.index[--d] += tile.rows; d > 0 && tile.index[d] >= args.extents[d]; ++tile.index[--d]) tile.index[d] = 0;
}

template <int kSlots>
void run_chain(const ChainArgs& args, const Program& program, int64_t begin, int64_t end) {
  alignas(64) float slots[kSlots][kSlot];
  ChainRun run = {args, program, slots, {}, {}};
  for (int s = 0; s < args.num_steps; ++s) {
    if (args.steps[s].op != EltwiseOp::constant) continue;
    const int value = args.num_inputs + s;
    fill_splat(slots[program.slot_of[value]], args.steps[s].alpha);
    run.values[value] = {slots[program.slot_of[value]], 0};
  }
  Tile tile;
  int64_t rest = begin;
  for (int d = args.dims - 1; d >= 0; --d) {
    tile.index[d] = rest % args.extents[d];
    rest /= args.extents[d];
  }
  const int64_t piece = piece_of_row(args, program, args.extents[args.dims - 1]);
  while (begin < end) {
    size_tile(args, piece, end - begin, tile);
    run_tile(run, tile);
    advance_tile(args, tile);
    begin += tile.rows * tile.columns;
  }
}

void chain(const ChainArgs& args, int64_t begin, int64_t end) {
  if (begin >= end) return;
  Program program;
  make_program(args, program);
  // A large frame costs a probe of each of its pages.
  if (program.slots <= 4) return run_chain<4>(args, program, begin, end);
  run_chain<kMaxValues>(args, program, begin, end);
}

void convert(const void* x, DType x_type, void* y, DType y_type, int64_t n) {
  alignas(64) float strip[kStrip];
  for (int64_t i = 0; i < n; i += kStrip) {
    const int64_t count = n - i < kStrip ? n - i : kStrip;
    const void* from = advance(x, x_type, i);
    void* to = advance(y, y_type, i);
    if (y_type == DType::f32) {
      load_any(from, x_type, static_cast<float*>(to), count);
    } else if (x_type == DType::f32) {
      store_any({static_cast<const float*>(from), 1}, to, y_type, count);
    } else {
      load_any(from, x_type, strip, count);
      store_any({strip, 1}, to, y_type, count);
    }
  }
}

}  // namespace

extern const EltwiseKernels eltwise_kernels;
const EltwiseKernels eltwise_kernels = {chain, convert};

}  // namespace oxplow::OXPLOW_ISA
