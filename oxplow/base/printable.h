#pragma once

#include <string>

namespace oxplow {

// One line of valid UTF-8, whatever names a model's file put into `text`: other bytes and control characters become \xNN.
std::string printable(const std::string& text);

}  // namespace oxplow
