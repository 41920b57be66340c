// The other processes of a run, as the threads of this one see them: they begin each step together, and one that dies or hangs ends the run
// for all. Knows no schedule and no library that connects processes.
#pragma once

#include <optional>
#include <string>

#include "hardware_models/units.hpp"
#include "runtime/transport.hpp"

namespace fabricast::runtime {

class Peers {
 public:
  virtual ~Peers() = default;

  /// Once every process is ready for the next step: when that was, on this process's clock. Throws std::runtime_error.
  [[nodiscard]] virtual Clock::time_point open_step() = 0;

  /// Asked every 50 ms while the run goes on; `still` is for how long nothing in this process has moved. The reason to give the run up, if
  /// there is one.
  [[nodiscard]] virtual std::optional<std::string> trouble(Seconds still) = 0;
};

/// No other process: a run whose threads all sleep for `stall_timeout` is given up.
class NoPeers final : public Peers {
 public:
  explicit NoPeers(Seconds stall_timeout) : stall_timeout_(stall_timeout) {}
  [[nodiscard]] Clock::time_point open_step() override { return Clock::now(); }
  [[nodiscard]] std::optional<std::string> trouble(Seconds still) override;

 private:
  Seconds stall_timeout_;
};

}  // namespace fabricast::runtime
