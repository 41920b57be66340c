#include "hardware_models/quantity.hpp"

#include <doctest/doctest.h>

#include <cstdint>
#include <limits>
#include <string>
#include <string_view>

namespace fabricast::quantity_test {

using namespace fabricast;
using namespace fabricast::hw;

namespace {

template <class Parse>
std::string error_of(Parse parse, std::string_view text) {
  try {
    (void)parse(text);
  } catch (const QuantityError& error) {
    return error.what();
  }
  return "no error";
}

bool contains(const std::string& text, std::string_view part) { return text.find(part) != std::string::npos; }

}  // namespace

// GiB = 2^30, GB = 10^9, and so on
TEST_CASE("sizes are exact in binary and decimal units") {
  CHECK(parse_bytes("80 GiB") == Bytes(std::int64_t{80} << 30));
  CHECK(parse_bytes("80GB") == Bytes(80'000'000'000));
  CHECK(parse_bytes("0.5 GiB") == Bytes(std::int64_t{1} << 29));
  CHECK(parse_bytes("1.5   TiB") == Bytes(std::int64_t{3} << 39));
  CHECK(parse_bytes("0 B") == Bytes(0));
  CHECK(parse_bytes("7 B") == Bytes(7));
  CHECK(parse_bytes("1e3 kB") == Bytes(1'000'000));
  CHECK(parse_bytes("2.50 kB") == Bytes(2500));
  CHECK(parse_bytes("000.25 KiB") == Bytes(256));
}

// 0.1 · 2^30 = 107374182.4, 0.3 · 2^10 = 307.2, 0.7 · 2^10 = 716.8, 1.50048828125 · 2^10 = 1536.5; 0.0005 · 2^10 = 0.512
TEST_CASE("a fraction of a binary unit is rounded to the nearest byte") {
  CHECK(parse_bytes("0.1 GiB") == Bytes(107'374'182));
  CHECK(parse_bytes("0.3 KiB") == Bytes(307));
  CHECK(parse_bytes("0.7 KiB") == Bytes(717));
  CHECK(parse_bytes("1.50048828125 KiB") == Bytes(1537));
  CHECK(contains(error_of(parse_bytes, "0.0005 KiB"), "no whole number of bytes"));
  CHECK(contains(error_of(parse_bytes, "1.5 B"), "no whole number of bytes"));
  CHECK(contains(error_of(parse_bytes, "1.2345 kB"), "no whole number of bytes"));
}

// the largest size is 2^63 - 1 bytes
TEST_CASE("a size that does not fit 63 bits is an error, not a wrapped number") {
  CHECK(parse_bytes("9223372036854775807 B") == Bytes(std::numeric_limits<std::int64_t>::max()));
  CHECK(parse_bytes("8388607 TiB") == Bytes(std::int64_t{8388607} << 40));
  for (const char* text : {"9223372036854775808 B", "8388608 TiB", "18446744073709551616 TiB", "9999999999999999999 GB",
                           "1e19 B", "1e9999 B"}) {
    CAPTURE(text);
    CHECK(error_of(parse_bytes, text) != "no error");
  }
}

TEST_CASE("times, rates and speeds are the double nearest to what is written") {
  CHECK(parse_duration("1.5 us") == Seconds(1.5e-6));
  CHECK(parse_duration("300 ps") == Seconds(300e-12));
  CHECK(parse_duration("0.25ms") == Seconds(0.25e-3));
  CHECK(parse_duration("2 s") == Seconds(2));
  CHECK(parse_duration("1.74 us") == Seconds(1.74e-6));
  CHECK(parse_flop_rate("989.4 TFLOP/s") == FlopPerSecond(989.4e12));
  CHECK(parse_flop_rate("1.979 PFLOP/s") == FlopPerSecond(1.979e15));
}

// 8 bit = 1 B
TEST_CASE("a rate in bits is an eighth of the rate in bytes") {
  CHECK(parse_bandwidth("400 Gbit/s") == BytesPerSecond(50e9));
  CHECK(parse_bandwidth("400 Gbit/s") == parse_bandwidth("50 GB/s"));
  CHECK(parse_bandwidth("8 bit/s") == BytesPerSecond(1));
  CHECK(parse_bandwidth("3.35 TB/s") == BytesPerSecond(3.35e12));
  CHECK(parse_bandwidth("1 GiB/s") == BytesPerSecond(1073741824));
}

TEST_CASE("a missing unit and a missing number say what to write") {
  CHECK(contains(error_of(parse_bytes, "80"), "has no unit; write one, as in \"80 GiB\""));
  CHECK(contains(error_of(parse_bytes, "80 "), "has no unit"));
  CHECK(contains(error_of(parse_duration, "1.5"), "as in \"1.5 us\""));
  for (const char* text : {"", "GiB", " 80 GiB", ".5 GiB", "+5 GiB", "NaN GiB", "inf s", "infinity GB", "0x10 B"}) {
    CAPTURE(text);
    CHECK(error_of(parse_bytes, text) != "no error");
  }
  CHECK(contains(error_of(parse_bytes, "nan GiB"), "must begin with a number"));
}

TEST_CASE("negative values are errors") {
  CHECK(contains(error_of(parse_bytes, "-80 GiB"), "must not be negative"));
  CHECK(contains(error_of(parse_duration, "-0 us"), "must not be negative"));
}

TEST_CASE("an unknown unit brings the nearest known one") {
  CHECK(contains(error_of(parse_bytes, "80 gib"), "did you mean \"GiB\"?"));
  CHECK(contains(error_of(parse_bytes, "80 GIB"), "did you mean \"GiB\"?"));
  CHECK(contains(error_of(parse_duration, "3 µs"), "did you mean \"us\"?"));
  CHECK(contains(error_of(parse_duration, "3 usec"), "did you mean \"us\"?"));
  CHECK(contains(error_of(parse_flop_rate, "989 TFLOPS"), "did you mean \"TFLOP/s\"?"));
  CHECK(contains(error_of(parse_flop_rate, "989 TFLOPs"), "did you mean \"TFLOP/s\"?"));
  CHECK(contains(error_of(parse_bytes, "5 bananas"), "known: B, kB"));
}

TEST_CASE("a rate that says neither bit nor byte clearly is offered both") {
  for (const char* text : {"400 Gb/s", "400 Gbps", "400 GBps"}) {
    CAPTURE(text);
    CHECK(contains(error_of(parse_bandwidth, text), "\"Gbit/s\" for bits or \"GB/s\" for bytes"));
  }
  CHECK(contains(error_of(parse_bandwidth, "1 Kb/s"), "\"kbit/s\" for bits"));
}

TEST_CASE("numbers beyond a double and numbers with too many digits are errors") {
  CHECK(contains(error_of(parse_duration, "1e400 s"), "too large"));
  CHECK(contains(error_of(parse_duration, "1e-400 s"), "too small"));
  CHECK(contains(error_of(parse_bandwidth, "1e308 GiB/s"), "too large"));
  CHECK(contains(error_of(parse_duration, "1e99999999999 s"), "out of range"));
  CHECK(contains(error_of(parse_bytes, "12345678901234567890 B"), "more than 19 digits"));
  CHECK(parse_bytes("1.00000000000000000000000000000 GiB") == Bytes(1 << 30));
}

}  // namespace fabricast::quantity_test
