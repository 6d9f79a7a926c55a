#include "oxplow/kernels/tree/tree.h"

#include "oxplow/kernels/tree/leaves.h"
#include "oxplow/kernels/tree/walk.h"

namespace oxplow::OXPLOW_ISA {
namespace {

// The workspace of a block: a column's, the predicate words, the sums.
struct BlockSpace {
  ColumnSpace* column;
  std::byte* words;
  float* sums;  // kBlockRows of each target

  BlockSpace(const TreeArgs& args, std::byte* workspace)
      : column(reinterpret_cast<ColumnSpace*>(workspace)),
        words(workspace + sizeof(ColumnSpace)),
        sums(reinterpret_cast<float*>(words + int64_t{args.predicate_count} * Bits::kBytes)) {}
};

size_t workspace_bytes(const TreeArgs& args) {
  return sizeof(ColumnSpace) + static_cast<size_t>(args.predicate_count) * Bits::kBytes +
         static_cast<size_t>(args.targets) * sizeof(float) * static_cast<size_t>(kBlockRows);
}

void read_column(const float* x, int64_t ldx, int64_t rows, float* column) {
  for (int64_t r = 0; r < rows; ++r) column[r] = x[r * ldx];
  for (int64_t r = rows; r < kBlockRows; ++r) column[r] = 0;
}

void derive(const TreeArgs& args, std::byte* words) {
  for (const int32_t* d = args.derived; d != args.derived_end;) {
    std::byte* to = words + int64_t{d[0]} * Bits::kBytes;
    const int32_t* end = d + 2 + d[1];
    Bits word = Bits::byte(0);
    for (d += 2; d != end; ++d) word = word ^ Bits::load(words + int64_t{*d} * Bits::kBytes);
    word.store(to);
  }
}

void add_step(const TreeArgs& args, const TreeStep& step, const float* x, int64_t ldx, int64_t rows, const BlockSpace& space) {
  switch (step.depth) {
    case 1: return add_tree<1>(args, step, space.words, space.sums);
    case 2: return add_tree<2>(args, step, space.words, space.sums);
    case 3: return add_tree<3>(args, step, space.words, space.sums);
    case 4: return add_tree<4>(args, step, space.words, space.sums);
    case 5: return add_tree<5>(args, step, space.words, space.sums);
    case 6: return add_tree<6>(args, step, space.words, space.sums);
    case 7: return add_tree<7>(args, step, space.words, space.sums);
    case 8: return add_tree<8>(args, step, space.words, space.sums);
    default:
      for (int64_t r = 0; r < rows; ++r) add_walked(args, step, x + r * ldx, space.sums + place_of_row(r), kBlockRows);
  }
}

void block(const TreeArgs& args, const float* x, int64_t ldx, int64_t rows, float* scores, std::byte* workspace) {
  const BlockSpace space(args, workspace);
  Bits::byte(0).store(space.words);
  for (int32_t c = 0; c < args.column_count; ++c) {
    read_column(x + args.columns[c].feature, ldx, rows, space.column->x);
    ask_column(args.columns[c], args.cuts, *space.column, space.words);
  }
  derive(args, space.words);
  for (int64_t i = 0; i < args.targets * kBlockRows; ++i) space.sums[i] = 0;
  for (int32_t s = 0; s < args.step_count; ++s) add_step(args, args.steps[s], x, ldx, rows, space);
  const bool mean = args.aggregate == TreeAggregate::average;
  for (int64_t t = 0; t < args.targets; ++t) {
    for (int64_t r = 0; r < rows; ++r) {
      const float sum = space.sums[t * kBlockRows + place_of_row(r)];
      scores[r * args.targets + t] = mean ? sum / static_cast<float>(args.step_count) : sum;
    }
  }
}

void rows_one_by_one(const TreeArgs& args, const float* x, int64_t ldx, int64_t rows, float* scores, float* slots) {
  for (int64_t r = 0; r < rows; ++r, x += ldx, scores += args.targets) {
    for (int32_t f = 0; f < args.features; ++f) {
      const bool missing = x[f] != x[f];
      slots[2 * f] = missing ? -__builtin_inff() : x[f];
      slots[2 * f + 1] = missing ? __builtin_inff() : x[f];
    }
    for (int32_t t = 0; t < args.targets; ++t) scores[t] = 0;
    for (int32_t s = 0; s < args.step_count;) {
      const int32_t count = alike(args, s);
      if (count == 0) {
        add_walked(args, args.steps[s++], x, scores, 1);
        continue;
      }
      add_together(args, s, count, slots, scores);
      s += count;
    }
    if (args.aggregate == TreeAggregate::average) {
      for (int32_t t = 0; t < args.targets; ++t) scores[t] /= static_cast<float>(args.step_count);
    }
  }
}

}  // namespace

extern const TreeKernels tree_kernels;
const TreeKernels tree_kernels = {kBlockRows, workspace_bytes, block, rows_one_by_one, walk_rows<float>, walk_rows<double>};

}  // namespace oxplow::OXPLOW_ISA
