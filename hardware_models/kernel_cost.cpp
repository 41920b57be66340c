#include "hardware_models/kernel_cost.hpp"

#include <algorithm>
#include <cmath>
#include <string>

#include "hardware_models/config_error.hpp"

namespace fabricast::hw {

namespace {

/// (1 - y / 1024)^1024, which is e^-y within y^2 / 2048 of it: products only, since libraries round exp differently.
double decay(double y) {
  double power = std::max(0.0, 1.0 - y / 1024.0);
  for (int i = 0; i < 10; ++i) power *= power;
  return power;
}

}  // namespace

FlopPerSecond peak_of(const GpuSpec& gpu, Precision precision) {
  const FlopPerSecond peak = gpu.peak[static_cast<std::size_t>(precision)];
  if (peak <= FlopPerSecond(0)) {
    throw ConfigError(gpu.name + " has no arithmetic unit for " + std::string(name_of(precision)) + "; choose another precision or GPU");
  }
  return peak;
}

Chip what_is_left(const GpuSpec& gpu, const GpuLoad& load) {
  const double held_sms = static_cast<double>(load.streaming_multiprocessors) * gpu.interference.sms;
  const std::int64_t free_sms = std::max<std::int64_t>(gpu.streaming_multiprocessors - std::llround(held_sms), 1);
  return {gpu, free_sms, std::max(gpu.memory_bandwidth - load.memory_bandwidth * gpu.interference.memory, gpu.memory_bandwidth / 2.0)};
}

FlopPerSecond sm_rate(const GpuSpec& gpu, Precision precision, double share) {
  return peak_of(gpu, precision) * (share / static_cast<double>(gpu.streaming_multiprocessors));
}

double hit_share(Bytes traffic, Bytes size) {
  if (traffic <= size) return 1.0;
  const double times = static_cast<double>(traffic.value()) / static_cast<double>(size.value());
  double low = 0.0, high = 1.0 / times;   // there e^-(times - 1) <= 1 / times, as e^x >= 1 + x
  for (int i = 0; i < 40; ++i) {
    const double middle = (low + high) / 2;
    (decay((1.0 - middle) * times) > middle ? low : high) = middle;
  }
  return low;
}

/// What lies in the cache at its rate, the rest at the memory's; never less than the block of one row takes for it.
Seconds pass_time(PassKind kind, Bytes traffic, Bytes row, const Chip& chip) {
  const PassEfficiency& pass = chip.gpu.pass;
  Seconds time = stream(traffic, chip, pass[kind]);
  if (pass.cache) {
    const double hits = hit_share(traffic, pass.cache->size);
    const double share = std::max(pass.cache->share[kind].value_or(0.0), pass[kind]);   // no slower than from memory
    time = time * (1.0 - hits) + stream(traffic, chip, share) * hits;
  }
  return pass.row[kind] ? std::max(time, row / *pass.row[kind]) : time;
}

Seconds join(Seconds arithmetic, Seconds memory, double contention) {
  const auto [shorter, longer] = std::minmax(arithmetic, memory);
  if (longer <= Seconds(0)) return longer;
  const double ratio = shorter / longer;
  return longer * (1.0 + contention * ratio * ratio * ratio);
}

}  // namespace fabricast::hw
