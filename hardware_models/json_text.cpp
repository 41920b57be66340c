#include "hardware_models/json_text.hpp"

#include <array>
#include <charconv>
#include <cmath>
#include <stdexcept>

namespace fabricast::hw {

namespace {

void append_control(std::string& out, unsigned char character) {
  constexpr std::string_view digits = "0123456789abcdef";
  out += "\\u00";
  out += digits[character >> 4U];
  out += digits[character & 15U];
}

void append_escaped(std::string& out, char character) {
  switch (character) {
    case '"': out += "\\\""; return;
    case '\\': out += "\\\\"; return;
    case '\n': out += "\\n"; return;
    case '\r': out += "\\r"; return;
    case '\t': out += "\\t"; return;
    default: break;
  }
  const auto byte = static_cast<unsigned char>(character);
  if (byte < 0x20) {
    append_control(out, byte);
  } else {
    out += character;
  }
}

}  // namespace

std::string json_quote(std::string_view text) {
  std::string out;
  out.reserve(text.size() + 2);
  out += '"';
  for (const char character : text) append_escaped(out, character);
  out += '"';
  return out;
}

std::string json_number(double value) {
  if (!std::isfinite(value)) throw std::invalid_argument("JSON cannot hold a number that is not finite");
  std::array<char, 32> text{};  // shortest form of a double: at most 24 characters
  const auto end = std::to_chars(text.data(), text.data() + text.size(), value).ptr;
  return {text.data(), end};
}

}  // namespace fabricast::hw
