// Which pieces of an all-to-all each transfer of its lowering carries: what someone needs who moves real data along it. Knows no data.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "hardware_models/collectives.hpp"

namespace fabricast::hw {

/// What `source` has for `destination`.
struct Piece {
  std::int32_t source, destination;
};

struct RoutedTransfer {
  std::int32_t source, destination;      // of the transfer
  std::vector<Piece> pieces;             // ascending by source, then destination; empty ones are left out
};

/// lower(all_to_all, algorithm, node_of, counts) phase by phase, with what each transfer carries: the bytes of its pieces sum to the
/// transfer's, and after the last phase every piece is where it belongs. Throws std::invalid_argument as lower() does, std::logic_error
/// where the lowering's transfers cannot carry the pieces so.
[[nodiscard]] std::vector<std::vector<RoutedTransfer>> route_all_to_all(CollectiveAlgorithm algorithm, std::span<const NodeId> node_of,
                                                                        CollectiveCounts counts);

}  // namespace fabricast::hw
