// From the schedule's symbolic sizes to numbers for one rank. Looked up, never stored. Knows no time.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "hardware_models/kernels.hpp"
#include "hardware_models/piece_table.hpp"
#include "strategies/ir/schedule.hpp"

namespace fabricast::ir {

[[nodiscard]] std::int64_t evaluate(const Extent& extent, const Schedule& schedule, Rank rank);
[[nodiscard]] hw::ExpertRowCounts evaluate(const ExpertRows& rows, const Schedule& schedule, Rank rank);

/// Does the size depend on the rank (through the routing plan)?
[[nodiscard]] bool depends_on_rank(const Work& work);

/// The op's kernel with its rows filled in; nothing for communication.
[[nodiscard]] std::optional<hw::Kernel> resolve_kernel(const Work& work, const Schedule& schedule, Rank rank);

[[nodiscard]] Bytes bytes_of(const BufferSpec& buffer, const Schedule& schedule, Rank rank);

/// One collective instance with sizes filled in, in the conventions of hardware_models/collectives.hpp.
struct ResolvedCollective {
  hw::CollectiveKind kind;
  hw::CollectiveAlgorithm algorithm;
  Axis axis;
  std::vector<Rank> members;      // send: {source, destination}
  std::vector<Bytes> counts;
  Bytes size;                     // S of the convention; all-to-all: mean send buffer over members
  hw::TokenRouting tokens = {};   // of an all-to-all
  std::optional<hw::PieceTable> table = {};   // in place of counts, where asked for briefly
};

/// `op` is the op of the first member (for send/recv, the sender).
[[nodiscard]] ResolvedCollective resolve_collective(const Schedule& schedule, Rank member, const Op& op);
/// The same, but an all-to-all whose members are of few kinds (one, or at most one for each eight of them, as senders and as receivers) has
/// a table instead of n·n counts: wherever tokens are dealt evenly or by rows that repeat.
[[nodiscard]] ResolvedCollective resolve_briefly(const Schedule& schedule, Rank member, const Op& op);

}  // namespace fabricast::ir
