// The pieces of a report, each a pure function of a schedule and what was observed of it. report.cpp puts them together.
#pragma once

#include <span>
#include <vector>

#include "hardware_models/topology.hpp"
#include "sim/simulate.hpp"
#include "strategies/ir/instances.hpp"
#include "strategies/ir/trace.hpp"
#include "validation/kernel_facts.hpp"
#include "validation/op_classes.hpp"
#include "validation/rank_time.hpp"
#include "validation/report.hpp"

namespace fabricast::validation {

/// From the first op's start to the last one's end, over all ranks.
[[nodiscard]] TimeSpan step_of(const ir::Trace& trace);

struct TimeAccount {
  TimeSummary total;
  std::vector<Seconds> busy, exposed;   // by communication class; means over ranks
};
[[nodiscard]] TimeAccount account_time(const ir::Schedule& schedule, const ir::Trace& trace, const OpClasses& classes);

struct ComputationAccount {
  std::vector<OpSummary> ops;           // by computation class
  Flop model_flop;                      // over all ranks
  Seconds at_peak, roofline;            // of the rank with most
};
[[nodiscard]] ComputationAccount account_computation(const ir::Schedule& schedule, const ir::Trace& trace, const OpClasses& classes,
                                                     const ScheduleFacts& facts);

/// `instances_ran` by InstanceId.
[[nodiscard]] std::vector<CollectiveSummary> summarize_collectives(const ir::Schedule& schedule, const ir::Instances& instances,
                                                                   std::span<const sim::InstanceInterval> instances_ran,
                                                                   const OpClasses& classes, const TimeAccount& time);

struct LinkAccount {
  std::map<std::string, LinkSummary> by_kind;   // "nvlink" and "infiniband" always
  std::vector<HotLink> hottest;
  Seconds floor;
};
/// `carried` by LinkId.
[[nodiscard]] LinkAccount account_links(std::span<const hw::Link> links, std::span<const Bytes> carried, Seconds step);

/// Of the rank whose plan peaks highest.
[[nodiscard]] MemorySummary summarize_memory(const ir::Schedule& schedule, Bytes reserve, Bytes capacity);

[[nodiscard]] ExpertLoad summarize_expert_load(const ir::Schedule& schedule);

[[nodiscard]] CriticalPathSummary summarize_critical_path(const ir::Schedule& schedule, const ir::Instances& instances, const ir::Trace& trace,
                                                          const OpClasses& classes);

}  // namespace fabricast::validation
