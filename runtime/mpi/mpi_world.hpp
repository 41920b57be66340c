// The processes that mpirun or srun started together: who they are, how their clocks differ, and what they send each other between steps.
// Wraps MPI, which appears in runtime/mpi/*.cpp only.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "hardware_models/units.hpp"
#include "runtime/transport.hpp"

namespace fabricast::runtime {

/// One for the life of a process. Calls are collective unless they say otherwise.
class MpiWorld {
 public:
  /// Throws BackendUnavailable where this MPI does not let a thread of ours call it.
  MpiWorld();
  ~MpiWorld();
  MpiWorld(const MpiWorld&) = delete;
  MpiWorld& operator=(const MpiWorld&) = delete;

  [[nodiscard]] std::int32_t rank() const { return rank_; }
  [[nodiscard]] std::int32_t size() const { return size_; }

  /// Rank 0's steady clock minus this process's when they met, from the quickest of many ping-pongs; the error is at most half that one's time.
  [[nodiscard]] std::chrono::nanoseconds to_common_clock() const { return to_common_; }
  /// The same, of now.
  [[nodiscard]] std::chrono::nanoseconds compare_clocks() const;

  /// On every process: everybody's bytes, by rank.
  [[nodiscard]] std::vector<std::vector<std::byte>> all_gather(std::span<const std::byte> own) const;

  /// Ends all processes of the job, this one within seconds whatever MPI does. Not collective.
  [[noreturn]] static void abort(int exit_code);

 private:
  std::int32_t rank_ = 0, size_ = 1;
  std::chrono::nanoseconds to_common_{0};
};

}  // namespace fabricast::runtime
