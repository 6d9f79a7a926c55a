#include "oxplow/base/random_numbers.h"

#include <cmath>

namespace oxplow {
namespace {

double fraction(uint32_t high, uint32_t low) { return static_cast<double>((uint64_t{high} << 32 | low) >> 11) * 0x1p-53; }

}  // namespace

std::array<uint32_t, 4> philox(uint64_t key, uint64_t sequence, uint64_t index) {
  std::array<uint32_t, 4> c{static_cast<uint32_t>(index), static_cast<uint32_t>(index >> 32), static_cast<uint32_t>(sequence),
                            static_cast<uint32_t>(sequence >> 32)};
  auto k0 = static_cast<uint32_t>(key), k1 = static_cast<uint32_t>(key >> 32);
  for (int round = 0; round < 10; ++round) {
    const uint64_t p = uint64_t{0xd2511f53} * c[0], q = uint64_t{0xcd9e8d57} * c[2];
    c = {static_cast<uint32_t>(q >> 32) ^ c[1] ^ k0, static_cast<uint32_t>(q), static_cast<uint32_t>(p >> 32) ^ c[3] ^ k1,
         static_cast<uint32_t>(p)};
    k0 += 0x9e3779b9;
    k1 += 0xbb67ae85;
  }
  return c;
}

double uniform_number(uint64_t key, uint64_t sequence, uint64_t index) {
  const auto words = philox(key, sequence, index);
  return fraction(words[0], words[1]);
}

// By Box and Muller.
double normal_number(uint64_t key, uint64_t sequence, uint64_t index) {
  const auto words = philox(key, sequence, index);
  const double radius = std::sqrt(-2 * std::log(1 - fraction(words[0], words[1])));
  return radius * std::cos(2 * 3.14159265358979323846 * fraction(words[2], words[3]));
}

}  // namespace oxplow
