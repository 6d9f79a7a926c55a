#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace oxplow {

// The small text files by which Linux tells about itself (/proc, /sys). Whatever is missing or malformed counts as not there.

// The whole file; empty when it cannot be read.
std::string read_text(const std::string& path);
// The decimal number that `text` is, up to spaces or a newline behind it.
std::optional<int64_t> parse_integer(std::string_view text);
// The kernel's list format, "0-3,8,10-11".
std::vector<int> parse_cpu_list(const std::string& text);
// What follows "key:" on a line of `text` ("VmHWM:  1234 kB"), without leading white space; empty when there is none.
std::string value_of(const std::string& text, const std::string& key);

}  // namespace oxplow
