#include "hardware_models/token_exchange.hpp"

#include <algorithm>
#include <cmath>

namespace fabricast::hw {
namespace {

double as_double(Bytes bytes) { return static_cast<double>(bytes.value()); }

/// The rows that an owner exchanges, in bytes, by the other member.
std::vector<Bytes> rows_of(std::size_t owner, std::size_t n, CollectiveCounts counts, bool combine) {
  std::vector<Bytes> rows(n);
  for (std::size_t member = 0; member < n; ++member) rows[member] = counts[combine ? member * n + owner : owner * n + member];
  return rows;
}

Bytes merged(Bytes owned, Bytes rows, const TokenRouting& routing) {
  const double row = as_double(routing.row);
  const double tokens = as_double(owned) / row / static_cast<double>(routing.top_k);
  return std::min(rows, Bytes(std::llround(distinct_tokens(tokens, as_double(rows) / row, routing) * row)));
}

/// From (to, where combined) the owner.
void add(std::vector<Transfer>& transfers, std::int32_t owner_side, std::int32_t other, Bytes bytes, bool combine) {
  if (bytes > Bytes{}) transfers.push_back({combine ? other : owner_side, combine ? owner_side : other, bytes});
}

}  // namespace

double distinct_tokens(double tokens, double rows, const TokenRouting& routing) {
  if (tokens <= 0 || rows <= 0) return 0;
  const double experts = static_cast<double>(routing.experts) * routing.reach, reached = tokens * routing.reach;
  const double elsewhere = experts * (1 - rows / (reached * static_cast<double>(routing.top_k)));
  double miss = 1;
  for (std::int64_t i = 0; i < routing.top_k; ++i) {
    miss *= std::max(0.0, (elsewhere - static_cast<double>(i)) / (experts - static_cast<double>(i)));
  }
  return std::min(rows, reached * (1 - miss));
}

TokenExchange token_exchange(const GroupLayout& layout, CollectiveCounts counts, const TokenRouting& routing) {
  const std::size_t n = layout.members().size();
  TokenExchange exchange;
  exchange.to_member.reserve(n * n);
  exchange.to_node.reserve(n * layout.nodes());
  for (std::size_t owner = 0; owner < n; ++owner) {
    const std::vector<Bytes> rows = rows_of(owner, n, counts, routing.combine);
    Bytes owned{};
    for (const Bytes bytes : rows) owned += bytes;
    for (std::size_t member = 0; member < n; ++member) exchange.to_member.push_back(merged(owned, rows[member], routing));
    for (std::size_t node = 0; node < layout.nodes(); ++node) {
      Bytes of_node{};
      for (const std::int32_t member : layout.members_of(node)) of_node += rows[static_cast<std::size_t>(member)];
      exchange.to_node.push_back(merged(owned, of_node, routing));
    }
  }
  return exchange;
}

// A token crosses to the member of a node that has its owner's local index, once for all its choices there, and goes on over NVLink; in the
// owner's node it goes straight to the members. A combine is a dispatch backwards: partial sums are added up where the dispatch fanned out.
std::vector<Phase> lower_token_exchange(const GroupLayout& layout, CollectiveCounts counts, const TokenRouting& routing) {
  const std::size_t n = layout.members().size(), g = layout.members_of(0).size();
  const TokenExchange exchange = token_exchange(layout, counts, routing);
  std::vector<Transfer> across, within;
  for (std::size_t node = 0; node < layout.nodes(); ++node) {
    const auto members = layout.members_of(node);
    for (std::size_t local = 0; local < g; ++local) {
      std::vector<Bytes> passed_on(g);  // to each member of the node, from all owners on this rail
      for (std::size_t home = 0; home < layout.nodes(); ++home) {
        const std::int32_t owner = layout.members_of(home)[local];
        const auto row = static_cast<std::size_t>(owner) * n;
        for (std::size_t to = 0; to < g; ++to) passed_on[to] += exchange.to_member[row + static_cast<std::size_t>(members[to])];
        if (home == node) continue;
        add(across, owner, members[local], exchange.to_node[static_cast<std::size_t>(owner) * layout.nodes() + node], routing.combine);
      }
      for (std::size_t to = 0; to < g; ++to) {
        if (to != local) add(within, members[local], members[to], passed_on[to], routing.combine);
      }
    }
  }
  std::vector<Phase> phases;
  append_phase(phases, std::move(routing.combine ? within : across), 1);
  append_phase(phases, std::move(routing.combine ? across : within), 1);
  pipeline(phases);
  return phases;
}

}  // namespace fabricast::hw
