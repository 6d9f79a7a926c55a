#pragma once
// How the work of one convolution is cut into phases and tasks. For *.isa.cc only.

#include <cstdint>

#include "oxplow/kernels/winograd/product.h"
#include "oxplow/kernels/winograd/tiling.h"

namespace oxplow::OXPLOW_ISA {

OXPLOW_INLINE int64_t up_to_multiple(int64_t value, int64_t multiple) { return (value + multiple - 1) / multiple * multiple; }
OXPLOW_INLINE int64_t quotient_up(int64_t value, int64_t by) { return (value + by - 1) / by; }
OXPLOW_INLINE int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }
OXPLOW_INLINE int64_t most(int64_t a, int64_t b) { return a > b ? a : b; }

// Two schedules:
//   by tiles   one phase; a task takes a block of tiles through all steps in its worker's own scratch memory, for all channels
//   by panels  phase 0 transforms the input of all tiles into one shared V (tasks: blocks of tiles), phase 1 multiplies and
//              transforms back (tasks: blocks of output panels x blocks of tiles)
// The first needs no barrier and keeps V near its core, but reads all weights once a block of tiles. The second reads each
// weight on one core only, once for many tiles: right when the weights are larger than the activations.
template <int kBase>
struct Schedule {
  static constexpr int kPoints = kBase * kBase;
  // Weights up to this size are read again for each block of 14 tiles at less cost than sharing V between cores has; larger ones
  // want blocks of 28, and by panels when there are too few of these (measured, 2 cores: by tiles 128 channels at 28x28 run 1.3
  // times as fast as by panels, 256 at 14x14 0.75 times at batch 1 and 1.1 times at batch 8).
  static constexpr int64_t kWeightsReadAgain = 3 << 20;
  Tiling tiling;
  bool by_panels;
  int64_t panels;        // of output channels
  int64_t panels_block;  // of these multiplied before the transform back
  int64_t tile_blocks;   // of a task
  int64_t input_blocks;  // tasks of phase 0
  int64_t v_tile, v_plane, m_tile, m_plane;

  OXPLOW_INLINE Schedule(const ConvArgs& args, int threads) : tiling(args, kBase - 2) {
    const int64_t tiles = tiling.tiles();
    panels = quotient_up(args.out_channels, kPanel);
    const int64_t weights = 4 * kPoints * args.in_channels * panels * kPanel;
    const bool is_large = weights > kWeightsReadAgain;
    by_panels = tiles < 2 * threads * (is_large ? 28 : 4);
    const int64_t block = by_panels ? 56 : is_large ? 28 : 14;
    panels_block = weights > (1 << 20) ? 1 : 2;
    panels_block = least(panels_block, panels);
    tile_blocks = quotient_up(tiles, block);
    if (!by_panels) tile_blocks = least(up_to_multiple(tile_blocks, threads), most(tiles, 1));
    input_blocks = by_panels ? least(quotient_up(tiles, 2), 4 * threads) : 0;
    // 16 floats more than the channels, and an odd number of cache lines a plane: rows and planes spread over the cache's sets.
    v_tile = up_to_multiple(args.in_channels, 16) + 16;
    v_plane = odd_lines((by_panels ? tiles : block_tiles()) * v_tile);
    m_tile = panels_block * kPanel;
    m_plane = odd_lines(block_tiles() * m_tile);
  }
  static OXPLOW_INLINE int64_t odd_lines(int64_t floats) { return (quotient_up(floats, 16) | 1) * 16; }

  // Of `blocks` nearly equal blocks of tiles, where block i begins.
  OXPLOW_INLINE int64_t begin_of(int64_t i, int64_t blocks) const { return tiling.tiles() * i / blocks; }
  // Tiles of the largest block.
  OXPLOW_INLINE int64_t block_tiles() const { return quotient_up(tiling.tiles(), most(tile_blocks, 1)); }
  OXPLOW_INLINE int64_t panel_blocks() const { return quotient_up(panels, panels_block); }
  OXPLOW_INLINE int64_t tasks(int phase) const {
    if (!by_panels) return tile_blocks;
    return phase == 0 ? input_blocks : tile_blocks * panel_blocks();
  }
  OXPLOW_INLINE int64_t v_floats() const { return kPoints * v_plane; }
  OXPLOW_INLINE int64_t m_floats() const { return kPoints * m_plane; }
};

}  // namespace oxplow::OXPLOW_ISA
