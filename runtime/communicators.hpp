// Which communicators a library needs that matches calls by their order on a communicator. Knows no library.
#pragma once

#include <cstdint>
#include <vector>

#include "strategies/ir/instances.hpp"
#include "strategies/ir/schedule.hpp"

namespace fabricast::runtime {

struct Communicators {
  std::vector<std::vector<Rank>> members;     // by communicator, in group order; of point to point: the sender, then the receiver
  std::vector<std::int32_t> of;               // by InstanceId
};

/// One for each (group, stream), and for each (sender, receiver, tag): ops of several streams would wait for each other on one. The same on
/// every rank. Throws BackendUnavailable where members have the instances of a communicator in different orders.
[[nodiscard]] Communicators plan_communicators(const ir::Schedule& schedule, const ir::Instances& instances);

}  // namespace fabricast::runtime
