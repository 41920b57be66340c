// The equations of LibraryKernels: what NCCL's kernels reach, and what its tuner would choose by them. Knows no topology and no profile by
// kind; collective_model.cpp chooses between the two.
#pragma once

#include <span>

#include "hardware_models/cluster_spec.hpp"
#include "hardware_models/collective_model.hpp"

namespace fabricast::hw {

/// The mode in which a choice moves its bytes.
[[nodiscard]] const TransferMode& mode_of(const LibraryKernels& kernels, CollectiveKind kind, const CollectiveChoice& choice);

/// Bytes that the SMs of a member load and store per byte that it sends, among n members (n > 1).
[[nodiscard]] double loads_and_stores(CollectiveKind kind, std::int64_t members);

/// Of the link's rate: the mode's share, or channels · channel_rate / loads_and_stores where that is less. LL and LL128 have SMs to spare.
/// Those of a token kernel copy sms · b / (row + b / nvlink_per_sm) bytes a second in rows of b, those that stay included; on several nodes
/// `forwarding` times fewer.
[[nodiscard]] double nvlink_share(const CollectiveSpec& spec, CollectiveKind kind, const CollectiveChoice& choice, GroupSize group);

/// fill · sent / (sent + fill_size)
[[nodiscard]] Seconds fill_time(const TransferMode& mode, Bytes sent);

/// How the members lie: as many on each of the nodes, or not.
struct GroupShape {
  std::int64_t members = 1, nodes = 1;
  bool even = true;
};

/// Of the algorithms and protocols that the tuner may use (choose() says which), the one with the least estimated time:
///   call + steps · step + fill + max over levels of bytes/rate + (the other levels' bytes/rate) · min(1, chunk / S).
/// `wanted` narrows the algorithms to one.
[[nodiscard]] CollectiveChoice tune(const CollectiveSpec& spec, CollectiveKind kind, CollectiveAlgorithm wanted, const GroupShape& shape,
                                    Bytes size);

}  // namespace fabricast::hw
