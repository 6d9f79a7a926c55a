#pragma once

#include <filesystem>
#include <memory>

#include "oxplow/formats/onnx.h"
#include "oxplow/graph/graph.h"

namespace oxplow {

// An ONNX model as a graph of our ops, in their newest form: images NHWC with transpositions where ONNX has NCHW, axes as inputs, Clip's
// limits as attributes. Opsets 7 to 28 of the default domain. Errors: invalid_model (names twice written or never, missing
// attributes), unsupported (one message that lists every op that is not known).
Result<Graph> import_onnx(std::shared_ptr<const OnnxModel> model);
Result<Graph> import_onnx(const std::filesystem::path& path);

}  // namespace oxplow
