#include "oxplow/formats/byte_reader.h"

namespace oxplow {

std::string in_quotes(std::string_view text) {
  constexpr size_t kShown = 80;
  constexpr char kDigits[] = "0123456789abcdef";
  std::string out = "'";
  for (char c : text.substr(0, kShown)) {
    const auto u = static_cast<unsigned char>(c);
    if (u >= 0x20 && u < 0x7f && c != '\'' && c != '\\') {
      out += c;
    } else {
      out += "\\x";
      out += kDigits[u >> 4];
      out += kDigits[u & 15];
    }
  }
  return out + (text.size() > kShown ? "'..." : "'");
}

}  // namespace oxplow
