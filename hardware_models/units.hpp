// Units as types: the vocabulary of quantities that every folder shares. Knows no hardware and no schedule.
//
// Decimal prefixes are powers of ten (GB = 1e9), binary ones powers of two (GiB = 2^30). A bandwidth is per direction; a FLOP/s is
// dense. One multiply-add is 2 FLOP. Simulated time is an integer count of picoseconds.
#pragma once

#include <cmath>
#include <compare>
#include <cstddef>
#include <cstdint>

namespace fabricast {

/// A number with a dimension. Adding needs equal dimensions; the products and quotients that make sense are spelled out below.
template <class Dimension, class Representation>
class Quantity {
 public:
  using representation = Representation;
  constexpr Quantity() = default;
  constexpr explicit Quantity(Representation value) : value_(value) {}
  [[nodiscard]] constexpr Representation value() const { return value_; }

  constexpr Quantity& operator+=(Quantity other) { value_ += other.value_; return *this; }
  constexpr Quantity& operator-=(Quantity other) { value_ -= other.value_; return *this; }
  friend constexpr Quantity operator+(Quantity a, Quantity b) { return Quantity(a.value_ + b.value_); }
  friend constexpr Quantity operator-(Quantity a, Quantity b) { return Quantity(a.value_ - b.value_); }
  friend constexpr Quantity operator*(Quantity a, Representation b) { return Quantity(a.value_ * b); }
  friend constexpr Quantity operator*(Representation a, Quantity b) { return Quantity(a * b.value_); }
  friend constexpr Quantity operator/(Quantity a, Representation b) { return Quantity(a.value_ / b); }
  friend constexpr auto operator<=>(Quantity a, Quantity b) = default;

 private:
  Representation value_{};
};

using Seconds = Quantity<struct SecondsDimension, double>;
using Bytes = Quantity<struct BytesDimension, std::int64_t>;
using Flop = Quantity<struct FlopDimension, double>;
using BytesPerSecond = Quantity<struct BytesPerSecondDimension, double>;
using FlopPerSecond = Quantity<struct FlopPerSecondDimension, double>;
/// A point in, or a span of, simulated time, in picoseconds. 2^63 ps are 106 days.
using SimTime = Quantity<struct SimTimeDimension, std::int64_t>;

constexpr double operator/(Seconds a, Seconds b) { return a.value() / b.value(); }
constexpr double operator/(Flop a, Flop b) { return a.value() / b.value(); }
constexpr Seconds operator/(Bytes bytes, BytesPerSecond bandwidth) { return Seconds(static_cast<double>(bytes.value()) / bandwidth.value()); }
constexpr Seconds operator/(Flop work, FlopPerSecond rate) { return Seconds(work.value() / rate.value()); }
constexpr FlopPerSecond operator/(Flop work, Seconds time) { return FlopPerSecond(work.value() / time.value()); }
constexpr BytesPerSecond operator/(Bytes bytes, Seconds time) { return BytesPerSecond(static_cast<double>(bytes.value()) / time.value()); }

constexpr double picoseconds_per_second = 1e12;

/// Rounds up, so that work never ends before the last of it is done.
inline SimTime to_sim_time(Seconds time) { return SimTime(static_cast<std::int64_t>(std::ceil(time.value() * picoseconds_per_second))); }
constexpr Seconds to_seconds(SimTime time) { return Seconds(static_cast<double>(time.value()) / picoseconds_per_second); }

/// A dense index with a meaning. Compare, order, or take index() into a vector.
template <class Meaning>
struct Id {
  std::int32_t value = 0;
  [[nodiscard]] constexpr std::size_t index() const { return static_cast<std::size_t>(value); }
  friend constexpr auto operator<=>(Id a, Id b) = default;
};

using Rank = Id<struct RankMeaning>;    // a process of the job, 0 … world-1
using GpuId = Id<struct GpuMeaning>;    // a GPU of the cluster: node · gpus_per_node + slot
using NodeId = Id<struct NodeMeaning>;  // a server
using LinkId = Id<struct LinkMeaning>;  // one direction of one cable, bus or switch port

}  // namespace fabricast
