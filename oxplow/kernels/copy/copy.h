#pragma once

#include <cstddef>
#include <cstdint>

#include "oxplow/base/dtype.h"
#include "oxplow/base/shape.h"
#include "oxplow/kernels/dispatch.h"

namespace oxplow {

// Moves elements between two strided views of up to kMaxRank dimensions: dst[i0][i1]... = src[i0][i1]... This is Transpose,
// Concat, Split, Slice, Expand, the inside of Pad, NCHW <-> NHWC, space to depth, head permutations, and (with source strides all
// zero) filling with one value. A plan is made once for types, extents and strides; it holds no pointers and may be run by many
// threads.
//
// Types: the same on both sides (any of 1, 2, 4, 8 bytes: only the size matters), or any pair of f32, bf16 and f16 (rounded to
// nearest even). Other conversions are eltwise's casts. Types of 4 bits are not for this family.

enum class CopyForm : uint8_t {
  rows,       // both sides contiguous along the columns
  spread,     // one source value along the columns (source stride 0), destination contiguous
  transpose,  // the source is contiguous along the rows, the destination along the columns
  strided,    // element by element
};

// The destination's elements as outer dimensions x a grid of rows x columns; strides in elements. Made by plan_copy().
struct CopyPlan {
  DType src_type = DType::f32, dst_type = DType::f32;
  int element_bits = 32;  // of the destination
  CopyForm form = CopyForm::rows;
  int outer_rank = 0;
  int64_t outer_extent[kMaxRank] = {}, outer_src[kMaxRank] = {}, outer_dst[kMaxRank] = {};
  int64_t rows = 0, row_src = 0, row_dst = 0;
  int64_t columns = 0, column_src = 0, column_dst = 0;
  int64_t block_rows = 0, block_columns = 0;  // of one unit of work
  // Units of work: tasks are ranges of them, and each writes about unit_bytes. 0 when there is nothing to copy.
  int64_t units = 0;
  int64_t unit_bytes = 0;
};

// Strides are in elements, one an extent; the source's may be zero or negative, the destination's must not make two indices meet.
CopyPlan plan_copy(DType src_type, DType dst_type, const Dims& extents, const Dims& src_strides, const Dims& dst_strides);

// The zero border around the inside of NHWC images that a convolution's producer has to write.
struct BorderArgs {
  int element_bytes = 4;
  int64_t batch = 0, inside_h = 0, inside_w = 0, channels = 0;
  int64_t top = 0, left = 0, bottom = 0, right = 0;
  void* inside = nullptr;                 // inside pixel (0, 0) of image 0
  int64_t image = 0, row = 0, pixel = 0;  // strides in elements
};

struct CopyKernels {
  const char* isa;
  // Units [begin, end) of the plan; src and dst point at index (0, 0, ...). The views must not overlap.
  void (*run)(const CopyPlan& plan, const void* src, void* dst, int64_t begin, int64_t end);
  // Sets the border pixels of images [image_begin, image_end) to zero: `channels` elements each.
  void (*clear_border)(const BorderArgs& args, int64_t image_begin, int64_t image_end);
};

const CopyKernels& copy_kernels(Isa isa);

}  // namespace oxplow
