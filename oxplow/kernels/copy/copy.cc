#include "oxplow/kernels/copy/copy.h"

#include <algorithm>
#include <cstdlib>

namespace oxplow {

#define OXPLOW_KERNEL(tier) OXPLOW_ON_##tier(namespace tier { extern const CopyKernels copy_kernels; })
#include "oxplow/kernels/copy/kernels.inc"
#undef OXPLOW_KERNEL

namespace {
constexpr Tiered<CopyKernels> kTiers[] = {
#define OXPLOW_KERNEL(tier) OXPLOW_ON_##tier({Isa::tier, &tier::copy_kernels}, )
#include "oxplow/kernels/copy/kernels.inc"
#undef OXPLOW_KERNEL
};

// A unit's share of the destination: large enough to make the walk from unit to unit cheap, small enough for L1 and for splitting.
constexpr int64_t kUnitBytes = 16384;
// Transposition reads and writes in squares of this side: both sides' lines are used whole while they are in L1.
constexpr int64_t kSquare = 64;
// With fewer elements than this to a transposition, element by element is as fast.
constexpr int64_t kSmallestTransposition = 32;

struct Dimension {
  int64_t extent, src, dst;
};

struct Dimensions {
  Dimension d[kMaxRank];
  int rank = 0;

  Dimension take(int at) {
    const Dimension taken = d[at];
    for (int i = at; i + 1 < rank; ++i) d[i] = d[i + 1];
    --rank;
    return taken;
  }
};

// The dimensions with more than one index, outermost of the destination first, neighbours merged where both sides go on evenly.
Dimensions collapse(const Dims& extents, const Dims& src, const Dims& dst) {
  Dimensions sorted;
  for (int i = 0; i < extents.rank(); ++i) {
    if (extents[i] == 1) continue;
    int at = sorted.rank++;
    for (; at > 0 && std::abs(sorted.d[at - 1].dst) < std::abs(dst[i]); --at) sorted.d[at] = sorted.d[at - 1];
    sorted.d[at] = {extents[i], src[i], dst[i]};
  }
  Dimensions merged;
  for (int i = 0; i < sorted.rank; ++i) {
    const Dimension& inner = sorted.d[i];
    Dimension* outer = merged.rank > 0 ? &merged.d[merged.rank - 1] : nullptr;
    if (outer && outer->src == inner.src * inner.extent && outer->dst == inner.dst * inner.extent) {
      *outer = {outer->extent * inner.extent, inner.src, inner.dst};
    } else {
      merged.d[merged.rank++] = inner;
    }
  }
  return merged;
}

int find_dimension_with_unit_source(const Dimensions& dims) {
  for (int i = 0; i < dims.rank; ++i) {
    if (dims.d[i].src == 1) return i;
  }
  return -1;
}

// Takes the columns and the rows out of `dims` and names the form.
CopyForm choose_grid(Dimensions& dims, Dimension& rows, Dimension& columns) {
  rows = {1, 0, 0};
  columns = {1, 1, 1};
  if (dims.rank == 0) return CopyForm::rows;
  const Dimension& last = dims.d[dims.rank - 1];
  if (last.dst == 1 && (last.src == 1 || last.src == 0)) {
    columns = dims.take(dims.rank - 1);
    if (dims.rank > 0) rows = dims.take(dims.rank - 1);
    return columns.src == 1 ? CopyForm::rows : CopyForm::spread;
  }
  const int unit = find_dimension_with_unit_source(dims);
  if (last.dst == 1 && unit >= 0 && last.extent * dims.d[unit].extent >= kSmallestTransposition) {
    columns = dims.take(dims.rank - 1);
    rows = dims.take(unit);
    return CopyForm::transpose;
  }
  int longest = dims.rank - 1;
  for (int i = dims.rank - 1; i >= 0; --i) {
    if (dims.d[i].extent > dims.d[longest].extent) longest = i;
  }
  columns = dims.take(longest);
  if (dims.rank > 0) rows = dims.take(dims.rank - 1);
  return CopyForm::strided;
}

void choose_blocks(CopyPlan& plan) {
  const int64_t unit_elements = kUnitBytes / (plan.element_bits / 8);
  if (plan.form == CopyForm::transpose) {
    const int64_t side = kSquare;
    plan.block_columns = std::min(plan.columns, std::max(side, unit_elements / 4 / plan.rows));
    plan.block_rows = std::min(plan.rows, std::max(side, unit_elements / 4 / plan.columns));
  } else {
    // Whole rows, or runs of a long one.
    plan.block_columns = std::min(plan.columns, 4 * unit_elements);
    plan.block_rows = std::min(plan.rows, std::max<int64_t>(1, unit_elements / plan.block_columns));
  }
}

}  // namespace

const CopyKernels& copy_kernels(Isa isa) { return best_of<CopyKernels>(kTiers, isa); }

CopyPlan plan_copy(DType src_type, DType dst_type, const Dims& extents, const Dims& src_strides, const Dims& dst_strides) {
  const auto converts = [](DType type) { return type == DType::f32 || type == DType::bf16 || type == DType::f16; };
  OXPLOW_CHECK(bits_of(src_type) >= 8 && bits_of(dst_type) >= 8);
  OXPLOW_CHECK(src_type == dst_type || (converts(src_type) && converts(dst_type)));
  OXPLOW_CHECK(extents.rank() == src_strides.rank() && extents.rank() == dst_strides.rank());
  CopyPlan plan;
  plan.src_type = src_type;
  plan.dst_type = dst_type;
  plan.element_bits = bits_of(dst_type);
  if (std::any_of(extents.begin(), extents.end(), [](int64_t extent) { return extent == 0; })) return plan;

  Dimensions dims = collapse(extents, src_strides, dst_strides);
  Dimension rows, columns;
  plan.form = choose_grid(dims, rows, columns);
  plan.rows = rows.extent, plan.row_src = rows.src, plan.row_dst = rows.dst;
  plan.columns = columns.extent, plan.column_src = columns.src, plan.column_dst = columns.dst;
  plan.outer_rank = dims.rank;
  choose_blocks(plan);
  plan.units =
      ((plan.rows + plan.block_rows - 1) / plan.block_rows) * ((plan.columns + plan.block_columns - 1) / plan.block_columns);
  for (int i = 0; i < dims.rank; ++i) {
    plan.outer_extent[i] = dims.d[i].extent;
    plan.outer_src[i] = dims.d[i].src;
    plan.outer_dst[i] = dims.d[i].dst;
    plan.units *= dims.d[i].extent;
  }
  plan.unit_bytes = plan.block_rows * plan.block_columns * (plan.element_bits / 8);
  return plan;
}

}  // namespace oxplow
