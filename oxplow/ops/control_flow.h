#pragma once

#include <span>
#include <string_view>
#include <vector>

#include "oxplow/ops/op.h"

namespace oxplow {

// A graph in an attribute of the node, with what it captures from around the node.
class Body {
 public:
  // Errors: invalid_model (there is none of this name), needs_values (nobody runs bodies here).
  static Result<Body> of(const ComputeContext& context, std::string_view name);

  // `inputs` are the formal ones. Errors: invalid_model (not so many inputs, or not `outputs` outputs), those of its nodes.
  Result<std::vector<Datum>> run(std::vector<Datum> inputs, size_t outputs) const;

 private:
  const Graph* graph_ = nullptr;
  BodyRunner* runner_ = nullptr;
  std::vector<Datum> captured_;
  int64_t formal_ = 0;
};

// How many inputs are the op's own: captured values follow them.
size_t formal_inputs(const ComputeContext& context);

// Outputs that are collected over iterations. `output` is the body's, for the case that there was no iteration.
Status append_scanned(std::vector<Tensor>& scanned, const Datum& value);
Result<Tensor> stack_scanned(const ComputeContext& context, size_t output, std::span<const Tensor> scanned, int axis);

}  // namespace oxplow
