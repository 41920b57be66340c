#include <numeric>
#include <stdexcept>

#include "hardware_models/collective_lowering.hpp"

namespace fabricast::hw {
namespace {

Bytes sum(std::span<const Bytes> values) { return std::accumulate(values.begin(), values.end(), Bytes{}); }

void append(std::vector<Transfer>& transfers, std::int32_t source, std::int32_t destination, Bytes bytes) {
  if (bytes > Bytes{}) transfers.push_back({source, destination, bytes});
}

}  // namespace

std::vector<Bytes> even_shards(Bytes size, std::size_t parts) {
  const auto count = static_cast<std::int64_t>(parts);
  std::vector<Bytes> shards(parts, Bytes(size.value() / count));
  for (std::int64_t i = 0; i < size.value() % count; ++i) shards[i] += Bytes(1);
  return shards;
}

std::vector<Bytes> shards_along(std::span<const std::int32_t> ring, CollectiveCounts counts) {
  std::vector<Bytes> shards;
  shards.reserve(ring.size());
  for (const std::int32_t member : ring) shards.push_back(counts[member]);
  return shards;
}

// n-1 steps; the link p -> p+1 carries every shard but the one that starts at its far end: S - shard(p+1).
void append_ring_all_gather(std::span<const std::int32_t> ring, std::span<const Bytes> shards, std::vector<Transfer>& transfers) {
  const Bytes size = sum(shards);
  for (std::size_t p = 0; p < ring.size(); ++p) {
    const std::size_t next = p + 1 < ring.size() ? p + 1 : 0;
    if (next != p) append(transfers, ring[p], ring[next], size - shards[next]);
  }
}

// n-1 steps; partial sums of shard p travel from p+1 round to p, so the link p -> p+1 carries every shard but its own: S - shard(p).
void append_ring_reduce_scatter(std::span<const std::int32_t> ring, std::span<const Bytes> shards, std::vector<Transfer>& transfers) {
  const Bytes size = sum(shards);
  for (std::size_t p = 0; p < ring.size(); ++p) {
    const std::size_t next = p + 1 < ring.size() ? p + 1 : 0;
    if (next != p) append(transfers, ring[p], ring[next], size - shards[p]);
  }
}

// Reduce-scatter, then all-gather: 2(n-1) steps of S/n, 2S - shard(p) - shard(p+1) on the link p -> p+1.
void append_ring_all_reduce(std::span<const std::int32_t> ring, Bytes size, std::vector<Transfer>& transfers) {
  const std::vector<Bytes> shards = even_shards(size, ring.size());
  for (std::size_t p = 0; p < ring.size(); ++p) {
    const std::size_t next = p + 1 < ring.size() ? p + 1 : 0;
    if (next != p) append(transfers, ring[p], ring[next], 2 * size - shards[p] - shards[next]);
  }
}

void append_chain_broadcast(std::span<const std::int32_t> ring, Bytes size, std::vector<Transfer>& transfers) {
  for (std::size_t p = 0; p + 1 < ring.size(); ++p) append(transfers, ring[p], ring[p + 1], size);
}

void append_phase(std::vector<Phase>& phases, std::vector<Transfer> transfers, std::size_t steps) {
  if (!transfers.empty()) phases.push_back({std::move(transfers), static_cast<std::int32_t>(steps)});
}

std::vector<Phase> lower_ring(CollectiveKind kind, const GroupLayout& layout, CollectiveCounts counts) {
  const auto ring = layout.members();
  std::vector<Transfer> transfers;
  transfers.reserve(ring.size());
  std::size_t steps = ring.size() - 1;
  switch (kind) {
    case CollectiveKind::all_gather: append_ring_all_gather(ring, shards_along(ring, counts), transfers); break;
    case CollectiveKind::reduce_scatter: append_ring_reduce_scatter(ring, shards_along(ring, counts), transfers); break;
    case CollectiveKind::broadcast: append_chain_broadcast(layout.rooted_at_first_member().members(), counts[0], transfers); break;
    case CollectiveKind::all_reduce:
      append_ring_all_reduce(ring, counts[0], transfers);
      steps *= 2;
      break;
    case CollectiveKind::all_to_all:
    case CollectiveKind::send: throw std::logic_error("a ring runs no all-to-all and no send");
  }
  std::vector<Phase> phases;
  append_phase(phases, std::move(transfers), steps);
  return phases;
}

}  // namespace fabricast::hw
