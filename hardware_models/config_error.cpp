#include "hardware_models/config_error.hpp"

#include <cstdint>

namespace fabricast::hw {
namespace {

/// Bytes of the well-formed UTF-8 sequence at the start of `text`, 0 if there is none. Code points beyond Unicode and surrogates pass:
/// they do no harm in a message.
std::size_t sequence_length(std::string_view text) {
  const auto lead = static_cast<unsigned char>(text.front());
  const std::size_t length = lead < 0x80 ? 1 : (lead >> 5U) == 0x6 ? 2 : (lead >> 4U) == 0xE ? 3 : (lead >> 3U) == 0x1E ? 4 : 0;
  if (length == 0 || length > text.size()) return 0;
  for (std::size_t i = 1; i < length; ++i) {
    if ((static_cast<unsigned char>(text[i]) & 0xC0U) != 0x80U) return 0;
  }
  return length;
}

/// C0 and C1 controls, DEL, and the separators that some viewers break lines at.
bool is_control(std::string_view sequence) {
  const auto first = static_cast<unsigned char>(sequence[0]);
  if (sequence.size() == 1) return first < 0x20 || first == 0x7F;
  if (sequence.size() == 2) return first == 0xC2 && static_cast<unsigned char>(sequence[1]) < 0xA0;
  return sequence == "\u2028" || sequence == "\u2029";
}

void append_hex(std::string& out, std::string_view bytes) {
  constexpr std::string_view digits = "0123456789abcdef";
  for (const char byte : bytes) {
    const auto value = static_cast<unsigned char>(byte);
    out += "\\x";
    out += digits[value >> 4U];
    out += digits[value & 15U];
  }
}

void append_control(std::string& out, std::string_view sequence) {
  if (sequence == "\n") {
    out += "\\n";
  } else if (sequence == "\r") {
    out += "\\r";
  } else if (sequence == "\t") {
    out += "\\t";
  } else {
    append_hex(out, sequence);
  }
}

}  // namespace

std::string one_line(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  while (!text.empty()) {
    const std::size_t length = sequence_length(text);
    const std::string_view sequence = text.substr(0, length == 0 ? 1 : length);
    if (length == 0) {
      append_hex(out, sequence);
    } else if (is_control(sequence)) {
      append_control(out, sequence);
    } else {
      out += sequence;
    }
    text.remove_prefix(sequence.size());
  }
  return out;
}

std::string shown(std::string_view text, std::size_t limit) {
  std::string out = "\"";
  std::size_t taken = 0;
  while (taken < text.size() && taken < limit) {
    const std::size_t length = sequence_length(text.substr(taken));
    const std::string_view sequence = text.substr(taken, length == 0 ? 1 : length);
    if (sequence == "\"" || sequence == "\\") out += '\\';
    out += one_line(sequence);
    taken += sequence.size();
  }
  out += '"';
  if (taken < text.size()) out += "... (" + std::to_string(text.size()) + " bytes)";
  return out;
}

}  // namespace fabricast::hw
