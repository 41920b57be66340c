// The pieces of a report, each a pure function of a schedule and what was observed of it. report.cpp puts them together.
#pragma once

#include <span>
#include <vector>

#include "hardware_models/topology.hpp"
#include "sim/simulate.hpp"
#include "strategies/ir/instances.hpp"
#include "strategies/ir/rank_classes.hpp"
#include "strategies/ir/trace.hpp"
#include "validation/kernel_facts.hpp"
#include "validation/op_classes.hpp"
#include "validation/rank_time.hpp"
#include "validation/report.hpp"

namespace fabricast::validation {

/// Ranks of a class have the same sizes and the same row of the trace, so that one of them is accounted for all. Sums over ranks are
/// taken rank by rank, so that they come out the same to the last bit whether ranks share a class or not.
[[nodiscard]] ir::RankClasses alike_ranks(const ir::RankClasses& by_size, const ir::Trace& trace);

/// From the first op's start to the last one's end, over all ranks.
[[nodiscard]] TimeSpan step_of(const ir::Trace& trace);

struct TimeAccount {
  TimeSummary total;
  std::vector<Seconds> busy, exposed;   // by communication class; means over ranks
};
[[nodiscard]] TimeAccount account_time(const ir::Schedule& schedule, const ir::Trace& trace, const OpClasses& classes,
                                       const ir::RankClasses& ranks);

struct ComputationAccount {
  std::vector<OpSummary> ops;           // by computation class
  Flop model_flop;                      // over all ranks
  Seconds at_peak, roofline;            // of the rank with most
};
[[nodiscard]] ComputationAccount account_computation(const ir::Schedule& schedule, const ir::Trace& trace, const OpClasses& classes,
                                                     const ScheduleFacts& facts, const ir::RankClasses& ranks);

[[nodiscard]] std::vector<CollectiveSummary> summarize_collectives(const ir::Schedule& schedule, const ir::Instances& instances,
                                                                   const sim::SimulationResult& result, const OpClasses& classes,
                                                                   const TimeAccount& time, const ir::RankClasses& ranks);

struct LinkAccount {
  std::map<std::string, LinkSummary> by_kind;   // "nvlink" and "infiniband" always
  std::vector<HotLink> hottest;
  Seconds floor;
};
/// `carried` by LinkId.
[[nodiscard]] LinkAccount account_links(std::span<const hw::Link> links, std::span<const Bytes> carried, Seconds step);

/// The largest sum, over ranks and streams, of the byte floors of what runs on one stream: no step at `bound` fidelity is shorter. It knows
/// cuts only, so that routes which share a link may ask for more than this.
[[nodiscard]] Seconds longest_floors(const ir::Schedule& schedule, const ir::Instances& instances, const sim::SimulationResult& result,
                                     const ir::RankClasses& ranks);

/// Of the rank whose plan peaks highest. `by_size`: ir::classes_by_size.
[[nodiscard]] MemorySummary summarize_memory(const ir::Schedule& schedule, const ir::RankClasses& by_size, Bytes reserve, Bytes capacity);

[[nodiscard]] ExpertLoad summarize_expert_load(const ir::Schedule& schedule, const ir::RankClasses& by_size);

[[nodiscard]] CriticalPathSummary summarize_critical_path(const ir::Schedule& schedule, const ir::Instances& instances, const ir::Trace& trace,
                                                          const OpClasses& classes);

}  // namespace fabricast::validation
