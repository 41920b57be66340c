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
/// A ring's member handles steps + 1 chunks of S / n while it sends `steps` of them, the last one taken out and not sent on: under LL and LL128,
/// which wait for each, it reaches share · steps / (steps + 1). LL between peers: share · (n - 1), no more than point_to_point's.
/// nvls in loops of c = channels.nvls · n · chunk of S, (1 + 1/n) c over the link: 1 / (1/share + loop · link / ((1 + 1/n) c)).
/// The SMs of a token kernel copy sms · b / (row + b / nvlink_per_sm) bytes a second in rows of b, those that stay included; on several nodes
/// `forwarding` times fewer.
[[nodiscard]] double nvlink_share(const CollectiveSpec& spec, CollectiveKind kind, const CollectiveChoice& choice, GroupSize group);

/// Of the NIC's rate: the mode's share, or chunk / message where that is less. A chunk is what tune() says a message holds.
[[nodiscard]] double network_share(const CollectiveSpec& spec, CollectiveKind kind, const CollectiveChoice& choice);

/// Bytes of S that levels pass to each other at once: a loop, a token kernel's piece, or the profile's pipeline_chunk.
[[nodiscard]] Bytes pipeline_chunk(const CollectiveSpec& spec, const CollectiveChoice& choice, GroupSize group);

/// fill · sent / (sent + fill_size), where a member sends so much over NVLink; in loops the time of `stages` loops, or of what is sent if that is
/// less. Nothing for a token kernel on several nodes, whose pieces say it.
[[nodiscard]] Seconds fill_time(const CollectiveSpec& spec, CollectiveKind kind, const CollectiveChoice& choice, GroupSize group, Bytes sent);

/// How the members lie: as many on each of the nodes, or not.
struct GroupShape {
  std::int64_t members = 1, nodes = 1;
  bool even = true;
};

/// Of the algorithms and protocols that the tuner may use (choose() says which), the one with the least estimated time:
///   call + steps · step + fill + max over levels of bytes/rate + (the other levels' bytes/rate) · min(1, chunk / S);
/// in one node by the profile's Tuner, if it has one. All-to-alls of up to 16 KiB for each peer take LL where the profile has it.
/// `wanted` narrows the algorithms to one.
[[nodiscard]] CollectiveChoice tune(const CollectiveSpec& spec, CollectiveKind kind, CollectiveAlgorithm wanted, const GroupShape& shape,
                                    Bytes size);

}  // namespace fabricast::hw
