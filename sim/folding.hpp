// Which ranks are alike, so that one of them can be simulated for all. Knows the schedule, the topology and what collectives are lowered to;
// no simulated time.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "hardware_models/collective_model.hpp"
#include "hardware_models/topology.hpp"
#include "sim/compute_times.hpp"
#include "sim/meetings.hpp"
#include "strategies/ir/instances.hpp"
#include "strategies/ir/schedule.hpp"

namespace fabricast::sim {

/// Ranks and links in classes. Each rank of a class runs the same program with the same computation times on a GPU of the same class
/// (hw::Topology::gpu_class), takes part in the same transfers with ranks of the same classes over links of the same classes, for which its
/// kernels hold as much of its GPU, and each link of a class carries as many transfers of each kind. So what happens to one happens to all
/// at the same time, and a link's rates can be shared out by counting.
struct Folding {
  struct LinkClass {
    LinkId representative;
    std::int64_t size = 0;
  };
  std::vector<std::int32_t> class_of_rank;      // by Rank
  std::vector<Rank> representatives;            // by class: its first rank; ascending
  std::vector<std::int64_t> sizes;              // by class
  std::vector<std::int32_t> class_of_link;      // by LinkId
  std::vector<LinkClass> link_classes;

  [[nodiscard]] Rank representative(Rank rank) const { return representatives[static_cast<std::size_t>(class_of_rank[rank.index()])]; }
};

/// The coarsest classes, by refinement: ranks start as alike if they run the same program on alike GPUs and compute for the same times, links
/// if they are equally fast; then whoever sees different classes around itself is told apart, until nobody is. Classes are told apart by 64-bit hashes.
///
/// Nothing where that gains nothing: every rank is a class of its own, or sizes follow measured or drawn routing counts (all differ). Looking
/// takes each distinct collective of each group once, its transfers in blocks (block_exchange.hpp) or one by one, and a pass over them for
/// every refinement: less than replaying them would.
[[nodiscard]] std::optional<Folding> fold(const ir::Schedule& schedule, const hw::Topology& topology, const hw::CollectiveModel& model,
                                          const ComputeTimes& times);

/// One instance for all that are alike: its members are one (representative, op) of each class that takes part, by class; of a message the
/// sender, then the receiver. `of` is filled for representatives only.
[[nodiscard]] Meetings fold_instances(const ir::Schedule& schedule, const ir::Instances& instances, const Folding& folding);

}  // namespace fabricast::sim
