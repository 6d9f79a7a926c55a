#pragma once
// How an output plane is cut into tiles, and in which order tiles and points lie in memory. For *.isa.cc only.
//
// A tile of m' outputs (a side) needs m' + 2 points. The points of a smaller tile are the first ones of a larger tile's, in the
// order 0, a, infinity, -a, b, -b, so the last tiles of a plane whose size is no multiple of m take part in the products of their
// own points only, with the same transformed weights. Tiles are ordered by class, so that each point's tiles are one range:
//
//   full height x ragged width | full x full | ragged height x full width | ragged x ragged

#include <cstdint>

#include "oxplow/kernels/conv/conv.h"
#include "oxplow/kernels/simd/simd.h"

namespace oxplow::OXPLOW_ISA {

// A run of tiles side by side in one row of one image.
struct Strip {
  int64_t image, row, column;  // of the first tile's first output
  int64_t tiles;
  int height, width;  // outputs of one tile
};

struct Tiling {
  int64_t tile;                // m
  int64_t full_h, full_w;      // whole tiles of an image
  int64_t ragged_h, ragged_w;  // outputs of its last row and column of tiles, 0 if there is none
  int64_t begin[5];            // first tile of each class, and the end

  OXPLOW_INLINE Tiling(const ConvArgs& args, int64_t m)
      : tile(m), full_h(args.out_h / m), full_w(args.out_w / m), ragged_h(args.out_h % m), ragged_w(args.out_w % m) {
    const int64_t per_image[4] = {ragged_w ? full_h : 0, full_h * full_w, ragged_h ? full_w : 0, ragged_h && ragged_w ? 1 : 0};
    begin[0] = 0;
    for (int i = 0; i < 4; ++i) begin[i + 1] = begin[i] + args.batch * per_image[i];
  }
  OXPLOW_INLINE int64_t tiles() const { return begin[4]; }

  // The tiles that have point (i, j).
  OXPLOW_INLINE void range_of_point(int i, int j, int64_t* first, int64_t* last) const {
    const bool in_ragged_h = i < ragged_h + 2;
    const bool in_ragged_w = j < ragged_w + 2;
    *first = in_ragged_w ? 0 : begin[1];
    *last = !in_ragged_h ? begin[2] : in_ragged_w ? begin[4] : begin[3];
  }

  // The strip that starts with tile `t` and ends at the latest before tile `end`.
  OXPLOW_INLINE Strip strip_at(int64_t t, int64_t end, int64_t longest) const {
    int k = 0;
    while (t >= begin[k + 1]) ++k;
    const bool is_ragged_w = k == 0 || k == 3;
    const bool is_ragged_h = k >= 2;
    const int64_t columns = is_ragged_w ? 1 : full_w;
    const int64_t per_image = is_ragged_h ? columns : columns * full_h;
    const int64_t index = t - begin[k];
    const int64_t within = index % per_image;
    const int64_t column = is_ragged_w ? full_w : within % columns;
    Strip strip{};
    strip.image = index / per_image;
    strip.row = (is_ragged_h ? full_h : within / columns) * tile;
    strip.column = column * tile;
    strip.tiles = is_ragged_w ? 1 : full_w - column;
    if (strip.tiles > end - t) strip.tiles = end - t;
    if (strip.tiles > longest) strip.tiles = longest;
    strip.height = static_cast<int>(is_ragged_h ? ragged_h : tile);
    strip.width = static_cast<int>(is_ragged_w ? ragged_w : tile);
    return strip;
  }
};

}  // namespace oxplow::OXPLOW_ISA
