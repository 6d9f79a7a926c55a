#pragma once

#include "oxplow/ops/op.h"

namespace oxplow {

// What elementwise ops do with strings, broadcast. Errors: invalid_model (not strings, or shapes that do not fit).
Result<std::vector<Datum>> equal_strings(const ComputeContext& context);
Result<std::vector<Datum>> select_strings(const ComputeContext& context);  // condition ? a : b

// Cast: strings to numbers ("1e3", "-inf", "nan", "true") and numbers to strings, the shortest that read back as the same.
Result<std::vector<Datum>> cast_strings(const ComputeContext& context);

}  // namespace oxplow
