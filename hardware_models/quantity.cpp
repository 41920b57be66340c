#include "hardware_models/quantity.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdint>
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "hardware_models/config_error.hpp"
#include "hardware_models/edit_distance.hpp"

namespace fabricast::hw {
namespace {

/// A unit is 10^decimal · 2^binary of the base unit. Kept apart, so that a value is rounded once.
struct Unit {
  std::string_view name;
  int decimal, binary;
};

constexpr Unit byte_units[] = {{"B", 0, 0},     {"kB", 3, 0},    {"MB", 6, 0},    {"GB", 9, 0},   {"TB", 12, 0},
                               {"KiB", 0, 10},  {"MiB", 0, 20},  {"GiB", 0, 30},  {"TiB", 0, 40}};
constexpr Unit time_units[] = {{"ps", -12, 0}, {"ns", -9, 0}, {"us", -6, 0}, {"ms", -3, 0}, {"s", 0, 0}};
constexpr Unit bandwidth_units[] = {{"B/s", 0, 0},      {"kB/s", 3, 0},     {"MB/s", 6, 0},     {"GB/s", 9, 0},     {"TB/s", 12, 0},
                                    {"KiB/s", 0, 10},   {"MiB/s", 0, 20},   {"GiB/s", 0, 30},   {"TiB/s", 0, 40},   {"bit/s", 0, -3},
                                    {"kbit/s", 3, -3},  {"Mbit/s", 6, -3},  {"Gbit/s", 9, -3},  {"Tbit/s", 12, -3}};
constexpr Unit flop_units[] = {{"FLOP/s", 0, 0}, {"GFLOP/s", 9, 0}, {"TFLOP/s", 12, 0}, {"PFLOP/s", 15, 0}};

struct Kind {
  std::span<const Unit> units;
  const char* example;
};
constexpr Kind byte_kind{byte_units, "80 GiB"};
constexpr Kind time_kind{time_units, "1.5 us"};
constexpr Kind bandwidth_kind{bandwidth_units, "400 Gbit/s"};
constexpr Kind flop_kind{flop_units, "989.4 TFLOP/s"};

constexpr std::size_t most_digits = 19;  // 10^19 < 2^64

/// mantissa · 10^decimal · 2^binary
struct Exact {
  std::uint64_t mantissa;
  int decimal, binary;
};

bool is_digit(char character) { return character >= '0' && character <= '9'; }

/// Removes and returns the digits that `text` begins with.
std::string_view take_digits(std::string_view& text) {
  std::size_t length = 0;
  while (length < text.size() && is_digit(text[length])) ++length;
  const std::string_view digits = text.substr(0, length);
  text.remove_prefix(length);
  return digits;
}

[[noreturn]] void reject_number(std::string_view text, const Kind& kind) {
  if (text.starts_with('-')) throw QuantityError(fmt::format("must not be negative; write it as in \"{}\"", kind.example));
  throw QuantityError(fmt::format("must begin with a number in decimal digits, as in \"{}\"", kind.example));
}

/// Removes and returns a power of ten ("e-3") if `text` begins with one.
int take_exponent(std::string_view& text) {
  std::string_view rest = text;
  if (!rest.starts_with('e') && !rest.starts_with('E')) return 0;
  rest.remove_prefix(1);
  const bool negative = rest.starts_with('-');
  if (negative || rest.starts_with('+')) rest.remove_prefix(1);
  const std::string_view digits = take_digits(rest);
  if (digits.empty()) return 0;
  if (digits.size() > 4) throw QuantityError("the exponent is out of range; use a larger or smaller unit instead");
  int exponent = 0;
  std::from_chars(digits.data(), digits.data() + digits.size(), exponent);
  text = rest;
  return negative ? -exponent : exponent;
}

/// Removes and returns the number that `text` begins with; binary is 0.
Exact take_number(std::string_view& text, const Kind& kind) {
  const std::string_view whole = take_digits(text);
  if (whole.empty()) reject_number(text, kind);
  std::string digits(whole);
  int decimal = 0;
  if (text.size() > 1 && text[0] == '.' && is_digit(text[1])) {
    text.remove_prefix(1);
    std::string_view fraction = take_digits(text);
    while (fraction.ends_with('0')) fraction.remove_suffix(1);
    digits += fraction;
    decimal = -static_cast<int>(fraction.size());
  }
  digits.erase(0, std::min(digits.find_first_not_of('0'), digits.size() - 1));
  if (digits.size() > most_digits) throw QuantityError(fmt::format("has more than {} digits; round it or use another unit", most_digits));
  Exact number{0, decimal, 0};
  std::from_chars(digits.data(), digits.data() + digits.size(), number.mantissa);
  number.decimal += take_exponent(text);
  return number;
}

std::string list_of(const Kind& kind) {
  std::string list;
  for (const Unit& unit : kind.units) {
    if (!list.empty()) list += ", ";
    list += unit.name;
  }
  return list;
}

/// "Gb/s" and "Gbps" say neither bit nor byte clearly: both are offered.
std::optional<std::string> bit_or_byte(std::string_view unit) {
  std::string_view prefix = unit;
  if (!prefix.empty() && std::string_view("kKMGT").find(prefix.front()) != std::string_view::npos) prefix.remove_prefix(1);
  if (prefix != "b/s" && prefix != "bps" && prefix != "Bps") return std::nullopt;
  std::string letter(unit.substr(0, unit.size() - prefix.size()));
  if (letter == "K") letter = "k";
  return fmt::format("\"{0}bit/s\" for bits or \"{0}B/s\" for bytes", letter);
}

/// Undoes two habits of writing that edit distance does not see through: "µs" and "usec" for "us".
std::string plain_spelling(std::string_view unit) {
  std::string plain(unit);
  for (const std::string_view micro : {"\u00b5", "\u03bc"}) {
    if (plain.starts_with(micro)) plain.replace(0, micro.size(), "u");
  }
  if (plain.ends_with("sec")) plain.resize(plain.size() - 2);
  return plain;
}

[[noreturn]] void reject_unit(std::string_view unit, const Kind& kind) {
  if (unit.empty()) throw QuantityError(fmt::format("has no unit; write one, as in \"{}\" (known: {})", kind.example, list_of(kind)));
  std::string remedy;
  if (const auto both = &kind == &bandwidth_kind ? bit_or_byte(unit) : std::nullopt) {
    remedy = "write " + *both;
  } else {
    std::vector<std::string> names;
    for (const Unit& known : kind.units) names.emplace_back(known.name);
    if (const auto near = nearest(plain_spelling(unit), names)) remedy = fmt::format("did you mean \"{}\"?", *near);
  }
  if (remedy.empty()) remedy = fmt::format("write it as in \"{}\"", kind.example);
  throw QuantityError(fmt::format("unknown unit {}; {} (known: {})", shown(unit, 20), remedy, list_of(kind)));
}

Exact parse(std::string_view text, const Kind& kind) {
  Exact number = take_number(text, kind);
  while (text.starts_with(' ')) text.remove_prefix(1);
  for (const Unit& unit : kind.units) {
    if (text != unit.name) continue;
    number.decimal += unit.decimal;
    number.binary = unit.binary;
    return number;
  }
  reject_unit(text, kind);
}

[[noreturn]] void reject_size(const char* what, const Kind& kind) {
  throw QuantityError(fmt::format("is too {}; write a {} one, as in \"{}\"", what, what == std::string_view("large") ? "smaller" : "larger",
                                  kind.example));
}

double to_double(const Exact& number, const Kind& kind) {
  const std::string text = fmt::format("{}e{}", number.mantissa, number.decimal);
  double value = 0;
  const auto status = std::from_chars(text.data(), text.data() + text.size(), value).ec;
  if (status != std::errc()) reject_size(number.decimal > 0 ? "large" : "small", kind);
  value = std::ldexp(value, number.binary);
  if (!std::isfinite(value)) reject_size("large", kind);
  return value;
}

constexpr std::int64_t most_bytes = std::numeric_limits<std::int64_t>::max();

/// mantissa · 10^decimal · 2^binary with decimal >= 0.
std::int64_t scale_up(const Exact& number) {
  unsigned __int128 value = number.mantissa;
  for (int i = 0; i < number.decimal && value != 0; ++i) {
    value *= 10;
    if (value > most_bytes) reject_size("large", byte_kind);
  }
  value <<= number.binary;  // at most 2^64 · 2^40
  if (value > most_bytes) reject_size("large", byte_kind);
  return static_cast<std::int64_t>(value);
}

/// The whole number nearest to mantissa · 2^binary / 10^-decimal, with decimal < 0.
std::int64_t scale_down(const Exact& number) {
  constexpr int most_decimal = 38;  // 10^38 < 2^127
  unsigned __int128 divisor = 1;
  for (int i = 0; i < std::min(-number.decimal, most_decimal); ++i) divisor *= 10;
  const unsigned __int128 numerator = static_cast<unsigned __int128>(number.mantissa) << number.binary;
  unsigned __int128 value = numerator / divisor;
  const unsigned __int128 rest = numerator % divisor;
  if (rest != 0 && (value == 0 || number.binary == 0)) throw QuantityError("is no whole number of bytes; write one, as in \"80 GiB\"");
  if (rest >= divisor - rest) ++value;
  if (value > most_bytes) reject_size("large", byte_kind);
  return static_cast<std::int64_t>(value);
}

}  // namespace

Bytes parse_bytes(std::string_view text) {
  const Exact number = parse(text, byte_kind);
  return Bytes(number.decimal >= 0 ? scale_up(number) : scale_down(number));
}

Seconds parse_duration(std::string_view text) { return Seconds(to_double(parse(text, time_kind), time_kind)); }
BytesPerSecond parse_bandwidth(std::string_view text) { return BytesPerSecond(to_double(parse(text, bandwidth_kind), bandwidth_kind)); }
FlopPerSecond parse_flop_rate(std::string_view text) { return FlopPerSecond(to_double(parse(text, flop_kind), flop_kind)); }

}  // namespace fabricast::hw
