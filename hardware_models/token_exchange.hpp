// What a dispatch to experts, and the combine back, must move where equal tokens are not sent twice. Knows no time and no topology.
#pragma once

#include <span>
#include <vector>

#include "hardware_models/collective_lowering.hpp"
#include "hardware_models/collectives.hpp"

namespace fabricast::hw {

/// How many of `tokens` tokens have at least one of their top_k choices in a set of experts that gets `rows` choices in all, on average: with
/// q = rows / (tokens · top_k) and E experts, tokens · (1 - Π_{i<k} (E(1-q) - i) / (E - i)): k draws without replacement that miss a set of
/// qE experts. Where a share r of the experts, in whole groups chosen by chance, is all that a token may choose from, a set within one group
/// is there for r of the tokens: r · tokens of which draw from rE experts, qE of them in the set. Never more than rows or tokens. k <= rE.
[[nodiscard]] double distinct_tokens(double tokens, double rows, const TokenRouting& routing);

/// By the member that owns the tokens: the sender of a dispatch, the receiver of a combine.
struct TokenExchange {
  std::vector<Bytes> to_member;  // [owner · n + member]: tokens that have a choice there
  std::vector<Bytes> to_node;    // [owner · N + node of the layout]: tokens that have a choice on that node
};

/// counts: an all-to-all's, with a row per choice.
[[nodiscard]] TokenExchange token_exchange(const GroupLayout& layout, CollectiveCounts counts, const TokenRouting& routing);

}  // namespace fabricast::hw
