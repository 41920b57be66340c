#include "runtime/measure.hpp"

#include <algorithm>
#include <cassert>
#include <numeric>

namespace fabricast::runtime {
namespace {

Seconds nearest_rank(const std::vector<Seconds>& sorted, std::size_t percent) {
  const std::size_t rank = (sorted.size() * percent + 99) / 100;  // rounded up, counted from 1
  return sorted[std::max<std::size_t>(rank, 1) - 1];
}

std::size_t index_of_median(const std::vector<Seconds>& samples) {
  std::vector<std::size_t> order(samples.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return samples[a] < samples[b]; });
  return order[(order.size() - 1) / 2];
}

}  // namespace

Spread spread_of(std::vector<Seconds> samples) {
  assert(!samples.empty() && "a spread needs samples");
  std::sort(samples.begin(), samples.end());
  return {nearest_rank(samples, 10), nearest_rank(samples, 50), nearest_rank(samples, 90)};
}

Seconds length_of(const ir::Trace& step) {
  SimTime end;
  for (const auto& rank : step.ops) {
    for (const ir::OpInterval& op : rank) end = std::max(end, op.end);
  }
  return to_seconds(end);
}

std::vector<std::vector<Spread>> op_spreads(const std::vector<ir::Trace>& steps) {
  std::vector<std::vector<Spread>> spreads(steps.front().ops.size());
  for (std::size_t rank = 0; rank < spreads.size(); ++rank) {
    for (std::size_t op = 0; op < steps.front().ops[rank].size(); ++op) {
      std::vector<Seconds> samples;
      for (const ir::Trace& step : steps) samples.push_back(to_seconds(step.ops[rank][op].end - step.ops[rank][op].start));
      spreads[rank].push_back(spread_of(std::move(samples)));
    }
  }
  return spreads;
}

const ir::Trace& MeasuredRun::median_step() const {
  std::vector<Seconds> lengths;
  for (const ir::Trace& step : steps) lengths.push_back(length_of(step));
  return steps[index_of_median(lengths)];
}

}  // namespace fabricast::runtime
