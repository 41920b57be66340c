#include <algorithm>
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

void pipeline(std::vector<Phase>& phases) {
  for (std::size_t i = 1; i < phases.size(); ++i) phases[i].pipelined = true;
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

namespace {

// The ring of rail l: in every node from local index l round to l - 1, then back to l by NVLink, since that is where the rail leaves (PXN).
void append_rail_ring(const GroupLayout& layout, std::size_t local, Bytes bytes, std::vector<Transfer>& transfers) {
  for (std::size_t node = 0; node < layout.nodes(); ++node) {
    const auto members = layout.members_of(node);
    const auto next_node = layout.members_of((node + 1) % layout.nodes());
    for (std::size_t i = 0; i < members.size() && members.size() > 1; ++i) {
      append(transfers, members[(local + i) % members.size()], members[(local + i + 1) % members.size()], bytes);
    }
    append(transfers, members[local], next_node[local], bytes);
  }
}

}  // namespace

// A ring over n members on each of g rails, for S/g: 2(n-1) steps, of which 2N cross nodes. Every link of a ring carries 2(n-1)/n of what
// the ring reduces, rounded up to whole shards.
std::vector<Phase> lower_rail_ring_all_reduce(const GroupLayout& layout, Bytes size) {
  const auto n = static_cast<std::int64_t>(layout.members().size());
  const std::vector<Bytes> channels = even_shards(size, layout.members_of(0).size());
  std::vector<Transfer> transfers;
  transfers.reserve(layout.members().size() * (channels.size() + 1));
  for (std::size_t local = 0; local < channels.size(); ++local) {
    const Bytes shard((channels[local].value() + n - 1) / n);
    append_rail_ring(layout, local, 2 * (n - 1) * shard, transfers);
  }
  std::vector<Phase> phases;
  append_phase(phases, std::move(transfers), static_cast<std::size_t>(2 * (n - 1)));
  if (!phases.empty()) phases.front().crossings = static_cast<std::int32_t>(std::min<std::size_t>(2 * layout.nodes(), 2 * (n - 1)));
  return phases;
}

}  // namespace fabricast::hw
