#include "oxplow/base/result.h"

namespace oxplow {

const char* error_code_name(ErrorCode code) {
  switch (code) {
    case ErrorCode::invalid_argument: return "INVALID_ARGUMENT";
    case ErrorCode::invalid_model: return "INVALID_MODEL";
    case ErrorCode::unsupported: return "UNSUPPORTED";
    case ErrorCode::not_found: return "NOT_FOUND";
    case ErrorCode::out_of_memory: return "OUT_OF_MEMORY";
    case ErrorCode::io: return "IO";
    case ErrorCode::internal: return "INTERNAL";
    case ErrorCode::needs_values: return "NEEDS_VALUES";
  }
  return "INTERNAL";
}

Error in_context(const std::string& context, Error error) {
  error.message = context + ": " + error.message;
  return error;
}

}  // namespace oxplow
