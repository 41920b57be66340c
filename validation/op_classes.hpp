// The classes by which a report groups ops: label and kind, for communication also the axis. Knows no time.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "strategies/ir/instances.hpp"
#include "strategies/ir/schedule.hpp"

namespace fabricast::validation {

struct OpClass {
  std::string label, kind;
  std::optional<ir::Axis> axis;   // of communication
  friend bool operator==(const OpClass&, const OpClass&) = default;
};

/// The axis that a communication op runs on; nothing for computation.
[[nodiscard]] std::optional<ir::Axis> axis_of(const ir::Work& work);

/// Classes are numbered in order of first appearance: program by program, op by op. A receive belongs to its send's class.
class OpClasses {
 public:
  OpClasses(const ir::Schedule& schedule, const ir::Instances& instances);

  [[nodiscard]] const std::vector<OpClass>& computation() const { return computation_; }
  [[nodiscard]] const std::vector<OpClass>& communication() const { return communication_; }

  /// Index into computation() or communication(), as the op is one or the other.
  [[nodiscard]] std::size_t of(Rank rank, ir::OpIndex op) const;

 private:
  const ir::Schedule& schedule_;
  const ir::Instances& instances_;
  std::vector<OpClass> computation_, communication_;
  std::vector<std::vector<std::optional<std::size_t>>> class_of_;   // by program and op; nothing for receives
};

}  // namespace fabricast::validation
