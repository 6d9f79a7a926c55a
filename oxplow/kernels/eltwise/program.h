#pragma once
// A chain made ready to run: which loop each step takes, and where its result goes.

#include "oxplow/kernels/eltwise/steps.h"

namespace oxplow::OXPLOW_ISA {
namespace {

constexpr int kMaxValues = kMaxChainInputs + kMaxChainSteps;

struct Instruction {
  StepFunction run;
  const ChainStep* step;
  const ChainStep* clip;  // that the loop applies too, or null
  uint8_t value;
  uint8_t slot;
  int8_t output;  // written straight to this one, or -1: to the slot
};

// Slots are strips of f32: those of the inputs first, those of constants, then those that the results of steps share.
struct Program {
  Instruction instructions[kMaxChainSteps];
  int count;
  bool written[kMaxChainOutputs];  // by an instruction; the others are stored when the tile is done
  uint8_t slot_of[kMaxValues];     // of constants
  int slots;                       // in use
};

// The last step that reads each value; num_steps for outputs, -1 for never.
inline void find_last_uses(const ChainArgs& args, int* last_use) {
  for (int v = 0; v < args.num_inputs + args.num_steps; ++v) last_use[v] = -1;
  for (int s = 0; s < args.num_steps; ++s) {
    const ChainStep& step = args.steps[s];
    const int arity = kArity[static_cast<int>(step.op)];
    if (arity > 0) last_use[step.a] = s;
    if (arity > 1) last_use[step.b] = s;
    if (arity > 2) last_use[step.c] = s;
  }
  for (int o = 0; o < args.num_outputs; ++o) last_use[args.outputs[o].value] = args.num_steps;
}

// Whether every tile of whole rows, and every piece of a row, is one run of memory.
inline bool has_dense_rows(const int64_t* strides, const ChainArgs& args) {
  const int last = args.dims - 1;
  if (strides[last] != 1) return false;
  return last == 0 || args.extents[last - 1] == 1 || strides[last - 1] == args.extents[last];
}

// The output that step s may write itself, or -1. Not before the last read of an input: an output may be in an input's place.
inline int direct_output(const ChainArgs& args, const int* last_use, int s) {
  for (int i = 0; i < args.num_inputs; ++i) {
    if (last_use[i] > s) return -1;
  }
  for (int o = 0; o < args.num_outputs; ++o) {
    const ChainOutput& output = args.outputs[o];
    if (output.value == args.num_inputs + s && output.type == DType::f32 && has_dense_rows(output.strides, args)) return o;
  }
  return -1;
}

// Whether the step after s is a clip of its result and its only reader, and one loop can do both.
inline bool is_clipped(const ChainArgs& args, const int* last_use, int s) {
  if (s + 1 >= args.num_steps || kClippedSteps[static_cast<int>(args.steps[s].op)] == nullptr) return false;
  const int value = args.num_inputs + s;
  return args.steps[s + 1].op == EltwiseOp::clip && args.steps[s + 1].a == value && last_use[value] == s + 1;
}

class SlotList {
 public:
  explicit SlotList(int first) : next_(first) {}
  uint8_t take() { return free_count_ > 0 ? free_[--free_count_] : static_cast<uint8_t>(next_++); }
  void give(uint8_t slot) { free_[free_count_++] = slot; }
  int taken() const { return next_; }

 private:
  uint8_t free_[kMaxValues];
  int free_count_ = 0;
  int next_;
};

inline void make_program(const ChainArgs& args, Program& program) {
  constexpr uint8_t kNone = 255;
  int last_use[kMaxValues];
  find_last_uses(args, last_use);
  SlotList slots(args.num_inputs);
  program.count = 0;
  for (bool& written : program.written) written = false;
  for (int i = 0; i < args.num_inputs; ++i) program.slot_of[i] = kNone;
  for (int s = 0; s < args.num_steps; ++s) {
    if (args.steps[s].op == EltwiseOp::constant) program.slot_of[args.num_inputs + s] = slots.take();
  }
  for (int s = 0; s < args.num_steps; ++s) {
    const ChainStep& step = args.steps[s];
    if (step.op == EltwiseOp::constant) continue;
    const bool clipped = is_clipped(args, last_use, s);
    const int value = args.num_inputs + s + clipped;
    const int output = direct_output(args, last_use, s + clipped);
    const uint8_t slot = output < 0 ? slots.take() : kNone;
    if (output >= 0) program.written[output] = true;
    program.instructions[program.count++] = {(clipped ? kClippedSteps : kSteps)[static_cast<int>(step.op)],
                                             &step,
                                             clipped ? &step + 1 : nullptr,
                                             static_cast<uint8_t>(value),
                                             slot,
                                             static_cast<int8_t>(output)};
    program.slot_of[value] = slot;
    // Slots whose value nobody reads from here on are free for later results.
    const uint8_t operands[] = {step.a, step.b, step.c, static_cast<uint8_t>(value)};
    for (int k = 0; k < 4; ++k) {
      const int v = operands[k];
      if (k < 3 && k >= kArity[static_cast<int>(step.op)]) continue;
      if (last_use[v] > s + clipped || program.slot_of[v] == kNone) continue;
      if (v < value && args.steps[v - args.num_inputs].op == EltwiseOp::constant) continue;
      slots.give(program.slot_of[v]);
      program.slot_of[v] = kNone;
    }
    s += clipped;
  }
  program.slots = slots.taken();
}

}  // namespace
}  // namespace oxplow::OXPLOW_ISA
