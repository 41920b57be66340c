// What an experiment would run, and where: ranks, groups, placement, ops, bytes per axis, memory. Nothing is simulated.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "validation/forecast.hpp"
#include "validation/report.hpp"
#include "validation/text.hpp"

namespace fabricast::validation {

struct AxisDescription {
  ir::Axis axis;
  std::int64_t groups = 0, least_members = 0, most_members = 0;
  std::int64_t most_nodes = 0;            // that one group lies on
  std::vector<Rank> example;              // the first group
  std::int64_t instances = 0;             // collectives and messages per step, over all groups
  double bytes_sent = 0;                  // per rank (mean) and step, as the chosen algorithms send them
  double bytes_leaving_node = 0;          // part of it
};

struct ProgramDescription {
  std::string name;
  std::int64_t ranks = 0;
  std::map<std::string, std::int64_t> ops_by_kind;
};

/// A model coordinate of a rank and its name.
struct NamedCoordinate {
  const char* name;
  std::int32_t ir::Coordinates::* value;
};
constexpr std::array<NamedCoordinate, 7> coordinates{{{"stage", &ir::Coordinates::stage},
                                                      {"tensor", &ir::Coordinates::tensor},
                                                      {"context", &ir::Coordinates::context},
                                                      {"data", &ir::Coordinates::data},
                                                      {"expert", &ir::Coordinates::expert},
                                                      {"expert_tensor", &ir::Coordinates::expert_tensor},
                                                      {"expert_data", &ir::Coordinates::expert_data}}};

struct RankDescription {
  Rank rank;
  NodeId node;
  std::int64_t slot = 0;
  std::string program;
  ir::Coordinates at;
};

/// GPUs of one kind that are equally slow.
struct GpuDescription {
  std::string name;
  double slowdown = 1.0;                  // of stragglers
  std::int64_t gpus = 0;
};

/// What the cluster is made of, and what is wrong with it.
struct ClusterDescription {
  std::string name, fabric, spine_choice;
  std::int64_t nodes = 0, gpus_per_node = 0, leaves = 0, spines = 0;
  double oversubscription = 1.0;
  std::vector<GpuDescription> gpus;       // by class
  std::int64_t other_nodes = 0;           // that differ from the rest
  std::int64_t slow_gpus = 0, faulty_nics = 0, faulty_nvlinks = 0, faulty_uplinks = 0;
};

struct Description {
  std::string experiment;
  std::int64_t ranks = 0, nodes = 0, tokens_per_step = 0;
  ClusterDescription cluster;
  std::vector<AxisDescription> axes;      // those with more than one member
  std::vector<ProgramDescription> programs;
  std::vector<RankDescription> placement; // by rank
  MemorySummary memory;
  ExpertLoad expert_load;
};

[[nodiscard]] ClusterDescription describe_cluster(const hw::ClusterSpec& cluster, const hw::Topology& topology);
[[nodiscard]] Description describe(const Experiment& experiment, const Plan& plan);

[[nodiscard]] std::string summary(const Description& description, TextStyle style);

/// The JSON of schema "fabricast.description/1", ending in a newline.
[[nodiscard]] std::string to_json(const Description& description);

}  // namespace fabricast::validation
