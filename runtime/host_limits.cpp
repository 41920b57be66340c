#include "runtime/host_limits.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <optional>

namespace fabricast::runtime {
namespace {

using ir::Extent;

constexpr std::size_t most_ranks = 4096;  // two threads each; Linux allows 32,768 to a process group by default

struct PrecisionOf {
  using Result = std::optional<hw::Precision>;
  template <class Computation>
  Result operator()(const Computation& work) const { return work.precision; }
  Result operator()(const ir::Collective&) const { return {}; }
  Result operator()(const ir::AllToAll&) const { return {}; }
  Result operator()(const ir::Send&) const { return {}; }
  Result operator()(const ir::Recv&) const { return {}; }
};

double gigabytes(Bytes bytes) { return static_cast<double>(bytes.value()) * 1e-9; }

Bytes physical_memory() { return Bytes(std::int64_t{sysconf(_SC_PHYS_PAGES)} * sysconf(_SC_PAGESIZE)); }

}  // namespace

hw::Precision require_one_precision(const ir::Schedule& schedule, std::string_view backend) {
  std::optional<hw::Precision> found;
  for (const ir::Program& program : schedule.programs) {
    for (const ir::Op& op : program.ops) {
      const auto precision = std::visit(PrecisionOf{}, op.work);
      if (!precision) continue;
      if (found && *found != *precision) throw BackendUnavailable(fmt::format("{} needs one precision for all ops of a schedule; leave out model.gemm_precision and dispatch_precision", backend));
      found = precision;
    }
  }
  if (!found) throw BackendUnavailable("the schedule computes nothing");
  if (*found != hw::Precision::fp32 && *found != hw::Precision::bf16) {
    throw BackendUnavailable(fmt::format("{} computes in fp32 and bf16, not in {}; set model.precision to one of them", backend,
                                         hw::name_of(*found)));
  }
  return *found;
}

hw::Precision require_host_precision(const ir::Schedule& schedule) { return require_one_precision(schedule, "the host backend"); }

void require_host_capacity(const ir::Schedule& schedule, Bytes needed) {
  if (schedule.ranks.size() > most_ranks) {
    throw BackendUnavailable(fmt::format("{} ranks are too many threads for one process; the host backend runs up to {}",
                                         schedule.ranks.size(), most_ranks));
  }
  if (needed > physical_memory()) {
    throw BackendUnavailable(
        fmt::format("the {} ranks need {:.1f} GB together and this machine has {:.1f} GB; reduce the model's widths or the tokens",
                    schedule.ranks.size(), gigabytes(needed), gigabytes(physical_memory())));
  }
}

}  // namespace fabricast::runtime
