#pragma once

#include <string>

#include "oxplow/formats/onnx.h"
#include "oxplow/formats/onnx_fields.h"

namespace oxplow::onnx {

// Completes a tensor whose fields have been read, `counts` saying how often each occurred: checks that its data are complete, of
// one kind and fit the extents, and finds them in place where they are. External data are the caller's matter: their size is
// bytes_in_place(). "" when all is well, otherwise what is wrong.
std::string settle_data(TensorProto& tensor, const FieldCounts& counts);

// Bytes that the elements take in raw form; nothing on overflow. The type is known and the extents are sound.
std::optional<uint64_t> bytes_in_place(ElementType type, uint64_t elements);

// Checks that every entry of `indices` (INT64) lies in [0, limit of its column): the columns are the extents of `dims`, or, for a
// list of linear indices (rank 1), one column of all elements.
bool indices_within(const TensorProto& indices, const Shape& dims);

}  // namespace oxplow::onnx
