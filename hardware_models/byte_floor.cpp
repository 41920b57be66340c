#include "hardware_models/byte_floor.hpp"

#include <algorithm>
#include <numeric>
#include <stdexcept>
#include <utility>
#include <vector>

#include "hardware_models/token_exchange.hpp"

namespace fabricast::hw {
namespace {

/// Bytes that one part must send to and receive from the others, at the least.
struct Crossing {
  Bytes out, in;
};

/// A cut level seen by one group: the parts that hold members, in order of the level's own numbers.
struct Parts {
  std::vector<std::int32_t> members;  // those of a part side by side
  std::vector<std::size_t> begin;     // by part, into `members`, one past the last part included
  std::vector<BytesPerSecond> bandwidth;
  std::vector<std::int32_t> part_of;  // by member

  [[nodiscard]] std::size_t size() const { return bandwidth.size(); }
  [[nodiscard]] std::span<const std::int32_t> members_of(std::size_t part) const {
    return std::span(members).subspan(begin[part], begin[part + 1] - begin[part]);
  }
};

/// What a member may use: NVLink only where another member is in its node, the network only where one is elsewhere.
struct Reach {
  std::vector<bool> has_peer_in_node;  // by member
  bool crosses_nodes = false;
};

/// Indices 0 … n-1 ordered by key(index); equal keys keep their order.
template <class Key>
std::vector<std::int32_t> indices_by(std::size_t n, Key key) {
  std::vector<std::int32_t> order(n);
  std::iota(order.begin(), order.end(), 0);
  const auto before = [&](std::int32_t a, std::int32_t b) { return key(a) < key(b); };
  if (!std::is_sorted(order.begin(), order.end(), before)) std::stable_sort(order.begin(), order.end(), before);
  return order;
}

Reach reach_of(std::span<const GpuId> gpu_of, const Topology& topology) {
  const auto node = [&](std::int32_t member) { return topology.node_of(gpu_of[member]); };
  const std::vector<std::int32_t> order = indices_by(gpu_of.size(), node);
  Reach reach{std::vector<bool>(gpu_of.size()), node(order.front()) != node(order.back())};
  for (std::size_t i = 1; i < order.size(); ++i) {
    if (node(order[i]) == node(order[i - 1])) reach.has_peer_in_node[order[i]] = reach.has_peer_in_node[order[i - 1]] = true;
  }
  return reach;
}

BytesPerSecond links_of(std::int32_t member, GpuId gpu, const CutLevel& level, const Reach& reach) {
  BytesPerSecond bandwidth{};
  if (reach.has_peer_in_node[member] && !level.gpu_nvlink.empty()) bandwidth += level.gpu_nvlink[gpu.index()];
  if (reach.crosses_nodes) bandwidth += level.gpu_network[gpu.index()];
  return bandwidth;
}

// b(part) = Σ over its ports of min(Σ members' own links, the port's shared links).
Parts parts_of(const CutLevel& level, std::span<const GpuId> gpu_of, const Reach& reach) {
  const bool shared = !level.port_of.empty();
  const auto part = [&](std::int32_t member) { return level.part_of[gpu_of[member].index()]; };
  const auto port = [&](std::int32_t member) { return shared ? level.port_of[gpu_of[member].index()] : 0; };
  Parts parts;
  parts.part_of.resize(gpu_of.size());
  parts.members = indices_by(gpu_of.size(), [&](std::int32_t member) { return std::pair(part(member), port(member)); });
  for (std::size_t i = 0; i < parts.members.size();) {
    const std::int32_t first = parts.members[i];
    if (i == 0 || part(first) != part(parts.members[i - 1])) {
      parts.begin.push_back(i);
      parts.bandwidth.emplace_back(0.0);
    }
    BytesPerSecond own{};
    for (; i < parts.members.size() && part(parts.members[i]) == part(first) && port(parts.members[i]) == port(first); ++i) {
      parts.part_of[parts.members[i]] = static_cast<std::int32_t>(parts.size()) - 1;
      own += links_of(parts.members[i], gpu_of[parts.members[i]], level, reach);
    }
    parts.bandwidth.back() += shared ? std::min(own, level.port_bandwidth[port(first)]) : own;
  }
  parts.begin.push_back(parts.members.size());
  return parts;
}

// As cross_all_to_all by all counts: what stays in a part is as many pieces of each pair of kinds as its members make.
std::vector<Crossing> cross_all_to_all(const Parts& parts, const PieceTable& table) {
  const std::vector<Bytes> sent = sent_by(table), received = received_by(table);
  std::vector<Crossing> crossings(parts.size());
  for (std::size_t part = 0; part < parts.size(); ++part) {
    std::vector<std::int64_t> send(sent.size()), receive(received.size());
    for (const std::int32_t member : parts.members_of(part)) {
      ++send[table.sends_as[member]];
      ++receive[table.receives_as[member]];
    }
    Bytes stays{};
    for (std::int32_t s = 0; s < table.senders; ++s) {
      if (send[s] == 0) continue;
      crossings[part].out += sent[s] * send[s];
      for (std::int32_t r = 0; r < table.receivers; ++r) stays += table.between(s, r) * (send[s] * receive[r]);
    }
    for (std::int32_t r = 0; r < table.receivers; ++r) crossings[part].in += received[r] * receive[r];
    crossings[part].out -= stays;
    crossings[part].in -= stays;
  }
  return crossings;
}

// Out of a part: the rows of its members less what stays among them; into it: their columns less the same.
std::vector<Crossing> cross_all_to_all(const Parts& parts, CollectiveCounts counts) {
  const std::size_t n = parts.members.size();
  std::vector<Crossing> totals(n);  // by member, what it keeps included
  for (std::size_t source = 0; source < n; ++source) {
    const CollectiveCounts row = counts.subspan(source * n, n);
    totals[source].out = std::accumulate(row.begin(), row.end(), Bytes{});
    for (std::size_t destination = 0; destination < n; ++destination) totals[destination].in += row[destination];
  }
  std::vector<Crossing> crossings(parts.size());
  for (std::size_t part = 0; part < parts.size(); ++part) {
    Bytes stays{};
    for (const std::int32_t member : parts.members_of(part)) {
      crossings[part].out += totals[member].out;
      crossings[part].in += totals[member].in;
      for (const std::int32_t other : parts.members_of(part)) stays += counts[static_cast<std::size_t>(member) * n + other];
    }
    crossings[part].out -= stays;
    crossings[part].in -= stays;
  }
  return crossings;
}

// Into a part: every shard that it lacks. Out of it: its own shards, once.
std::vector<Crossing> cross_all_gather(const Parts& parts, CollectiveCounts counts) {
  std::vector<Crossing> crossings(parts.size());
  for (std::size_t member = 0; member < counts.size(); ++member) crossings[parts.part_of[member]].out += counts[member];
  const Bytes size = std::accumulate(counts.begin(), counts.end(), Bytes{});
  for (Crossing& part : crossings) part.in = size - part.out;
  return crossings;
}

// Out of a part: a partial sum of every shard that others own. Into it: at least one of each of its own.
std::vector<Crossing> cross_reduce_scatter(const Parts& parts, CollectiveCounts counts) {
  std::vector<Crossing> crossings = cross_all_gather(parts, counts);
  for (Crossing& part : crossings) std::swap(part.in, part.out);
  return crossings;
}

std::vector<Crossing> cross_broadcast(const Parts& parts, Bytes size) {
  std::vector<Crossing> crossings(parts.size(), {Bytes{}, size});
  crossings[parts.part_of.front()] = {size, Bytes{}};
  return crossings;
}

std::vector<Crossing> cross_send(const Parts& parts, Bytes message) {
  std::vector<Crossing> crossings(parts.size());
  crossings[parts.part_of[0]].out = message;
  crossings[parts.part_of[1]].in = message;
  return crossings;
}

std::vector<Crossing> crossings_of(CollectiveKind kind, const Parts& parts, CollectiveCounts counts) {
  switch (kind) {
    case CollectiveKind::all_reduce: return std::vector<Crossing>(parts.size(), {counts[0], counts[0]});
    case CollectiveKind::all_gather: return cross_all_gather(parts, counts);
    case CollectiveKind::reduce_scatter: return cross_reduce_scatter(parts, counts);
    case CollectiveKind::broadcast: return cross_broadcast(parts, counts[0]);
    case CollectiveKind::all_to_all: return cross_all_to_all(parts, counts);
    case CollectiveKind::send: return cross_send(parts, counts[0]);
  }
  throw std::invalid_argument("unknown collective kind");
}

// Each of S's bytes is summed over N parts in N-1 crossings at least, and its sum reaches the others in N-1 more: 2(N-1)·S in all.
Seconds average_all_reduce_floor(const Parts& parts, Bytes size) {
  const BytesPerSecond bandwidth = std::accumulate(parts.bandwidth.begin(), parts.bandwidth.end(), BytesPerSecond{});
  return 2.0 * static_cast<double>(parts.size() - 1) * (size / bandwidth);
}

Seconds slowest(const Parts& parts, std::span<const Crossing> crossings) {
  Seconds floor{};
  for (std::size_t part = 0; part < crossings.size(); ++part) {
    floor = std::max(floor, std::max(crossings[part].out, crossings[part].in) / parts.bandwidth[part]);
  }
  return floor;
}

Seconds floor_of_level(CollectiveKind kind, const Parts& parts, CollectiveCounts counts, bool switches_reduce) {
  Seconds floor = slowest(parts, crossings_of(kind, parts, counts));
  if (kind == CollectiveKind::all_reduce && !switches_reduce) floor = std::max(floor, average_all_reduce_floor(parts, counts[0]));
  return floor;
}

/// The largest floor of any level that has several parts.
template <class FloorOf>
Seconds largest_floor(std::span<const GpuId> gpu_of, const Topology& topology, FloorOf floor_of) {
  Seconds floor{};
  if (gpu_of.size() < 2) return floor;
  const Reach reach = reach_of(gpu_of, topology);
  for (const CutLevel& level : topology.cut_levels()) {
    const Parts parts = parts_of(level, gpu_of, reach);
    if (parts.size() > 1) floor = std::max(floor, floor_of(level, parts));
  }
  return floor;
}

/// The nodes of the layout that lie in a part as a whole, by part.
std::vector<std::vector<std::size_t>> whole_nodes(const Parts& parts, const GroupLayout& layout) {
  std::vector<std::vector<std::size_t>> nodes(parts.size());
  for (std::size_t node = 0; node < layout.nodes(); ++node) {
    const auto members = layout.members_of(node);
    const std::int32_t part = parts.part_of[static_cast<std::size_t>(members.front())];
    const auto is_there = [&](std::int32_t member) { return parts.part_of[static_cast<std::size_t>(member)] == part; };
    if (std::all_of(members.begin(), members.end(), is_there)) nodes[static_cast<std::size_t>(part)].push_back(node);
  }
  return nodes;
}

// A part needs those tokens of an owner elsewhere that have a choice there: at the least those of one of its members, or of one whole node.
// Each leaves its owner's part once at the least.
std::vector<Crossing> cross_tokens(const Parts& parts, const TokenExchange& exchange, const GroupLayout& layout) {
  const std::size_t n = layout.members().size();
  const std::vector<std::vector<std::size_t>> nodes_in = whole_nodes(parts, layout);
  std::vector<Crossing> crossings(parts.size());
  for (std::size_t owner = 0; owner < n; ++owner) {
    const auto home = static_cast<std::size_t>(parts.part_of[owner]);
    Bytes most{};
    for (std::size_t part = 0; part < parts.size(); ++part) {
      if (part == home) continue;
      Bytes needed{};
      for (const std::int32_t member : parts.members_of(part)) {
        needed = std::max(needed, exchange.to_member[owner * n + static_cast<std::size_t>(member)]);
      }
      for (const std::size_t node : nodes_in[part]) needed = std::max(needed, exchange.to_node[owner * layout.nodes() + node]);
      crossings[part].in += needed;
      most = std::max(most, needed);
    }
    crossings[home].out += most;
  }
  return crossings;
}

}  // namespace

Seconds token_exchange_floor(std::span<const GpuId> gpu_of, CollectiveCounts counts, const Topology& topology, const TokenRouting& tokens) {
  if (gpu_of.size() < 2) return Seconds(0);
  std::vector<NodeId> node_of;
  for (const GpuId gpu : gpu_of) node_of.push_back(topology.node_of(gpu));
  const GroupLayout layout(node_of);
  const TokenExchange exchange = token_exchange(layout, counts, tokens);
  return largest_floor(gpu_of, topology, [&](const CutLevel&, const Parts& parts) {
    return slowest(parts, cross_tokens(parts, exchange, layout));  // of a combine: out and in change places
  });
}

Seconds byte_floor(CollectiveKind kind, std::span<const GpuId> gpu_of, CollectiveCounts counts, const Topology& topology) {
  return largest_floor(gpu_of, topology, [&](const CutLevel& level, const Parts& parts) {
    return floor_of_level(kind, parts, counts, level.switches_reduce);
  });
}

Seconds byte_floor(std::span<const GpuId> gpu_of, const PieceTable& table, const Topology& topology) {
  return largest_floor(gpu_of, topology, [&](const CutLevel&, const Parts& parts) { return slowest(parts, cross_all_to_all(parts, table)); });
}

}  // namespace fabricast::hw
