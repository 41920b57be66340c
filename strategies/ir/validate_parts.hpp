// The steps of validate(), in the order in which they may rely on one another. Internal to validation.
#pragma once

#include "strategies/ir/instances.hpp"
#include "strategies/ir/schedule.hpp"

namespace fabricast::ir {

// Each throws ScheduleError. `rank` is one that runs the program, for messages and sizes that name one.

/// Streams, buffers, labels, edges and routing steps of the rank's program exist; edges point backwards; computation runs on stream 0.
void check_program(const Schedule& schedule, Rank rank);

/// Buffers are written before they are read, and accesses to shared rows are ordered. Needs check_program.
void check_accesses(const Schedule& schedule, Rank rank);

/// Every group and the bindings of its members agree.
void check_groups(const Schedule& schedule);

/// Every rank has what its program asks for: groups on the axes it uses, peers, sources and expert positions of the routing plan. Needs
/// check_program and check_groups.
void check_bindings(const Schedule& schedule);

/// Members of one instance mean the same bytes. Needs all of the above and match_instances.
void check_sizes_agree(const Schedule& schedule, const Instances& instances);

}  // namespace fabricast::ir
