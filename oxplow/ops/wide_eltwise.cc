#include "oxplow/ops/wide_eltwise.h"

namespace oxplow {

EltwiseSpace::EltwiseSpace(const PrepareContext& context) : extents(context.out().type.shape) {
  for (const Operand& input : context.inputs) strides.push_back(broadcast_strides(input, extents));
  strides.push_back(context.out().strides);
  if (extents.empty()) {
    extents.push_back(1);
    for (Dims& s : strides) s.push_back(0);
  }
  merge_axes(extents, strides);
}

}  // namespace oxplow
