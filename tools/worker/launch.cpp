#include "tools/worker/launch.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <vector>

namespace fabricast::tools {

namespace {

using Environment = std::map<std::string, std::string>;

/// The variables of one who starts processes. Any of the first `telling` says that it did; then all but the optional one must be there.
struct Launcher {
  std::string name, rank, size, local_rank;
  bool local_rank_is_optional = false;
  std::string master_address, master_port;   // empty: it says none
  std::string listens;                       // "True": the launcher itself listens on that port
};

constexpr const char* slurm_local_rank = "SLURM_LOCALID";

const std::vector<Launcher>& launchers() {
  static const std::vector<Launcher> all{
      {"torchrun", "RANK", "WORLD_SIZE", "LOCAL_RANK", false, "MASTER_ADDR", "MASTER_PORT", "TORCHELASTIC_USE_AGENT_STORE"},
      {"Open MPI", "OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_LOCAL_RANK", false, "", "", ""},
      {"PMI", "PMI_RANK", "PMI_SIZE", "MPI_LOCALRANKID", true, "", "", ""},
      {"Slurm", "SLURM_PROCID", "SLURM_NTASKS", slurm_local_rank, false, "", "", ""},
  };
  return all;
}

/// Slurm leaves SLURM_NTASKS in shells where it started no process: the size alone tells nothing there.
bool tells(const Launcher& launcher, const Environment& environment) {
  const auto there = [&](const std::string& name) { return environment.count(name) > 0; };
  if (there(launcher.rank)) return true;
  if (launcher.name == "Slurm") return false;
  return there(launcher.size) || (!launcher.local_rank_is_optional && there(launcher.local_rank));
}

std::int32_t number(const std::string& name, const std::string& text, std::int32_t least) {
  std::int32_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || value < least) {
    throw LaunchError(fmt::format("{}={} is no number from {}", name, text, least));
  }
  return value;
}

class Reader {
 public:
  Reader(const Launcher& launcher, const Environment& environment) : launcher_(launcher), environment_(environment) {}

  [[nodiscard]] std::string text(const std::string& name) const {
    const auto found = environment_.find(name);
    if (found != environment_.end()) return found->second;
    throw LaunchError(fmt::format("{} started this process, it seems, but the variable {} is missing", launcher_.name, name));
  }
  [[nodiscard]] std::int32_t integer(const std::string& name, std::int32_t least) const { return number(name, text(name), least); }

  [[nodiscard]] Launch launch() const {
    Launch launch;
    launch.rank = integer(launcher_.rank, 0);
    launch.size = integer(launcher_.size, 1);
    launch.local_rank = local_rank(launch.rank);
    if (!launcher_.master_address.empty()) {
      launch.master_address = text(launcher_.master_address);
      launch.master_port = integer(launcher_.master_port, 1);
      const auto listens = environment_.find(launcher_.listens);
      if (listens != environment_.end() && listens->second == "True") ++launch.master_port;   // its own is taken
    }
    launch.source = launcher_.name;
    return launch;
  }

 private:
  /// Who started by way of Slurm's PMI is told it by Slurm.
  [[nodiscard]] std::int32_t local_rank(std::int32_t rank) const {
    if (!launcher_.local_rank_is_optional || environment_.count(launcher_.local_rank) > 0) return integer(launcher_.local_rank, 0);
    return environment_.count(slurm_local_rank) > 0 ? integer(slurm_local_rank, 0) : rank;
  }

  const Launcher& launcher_;
  const Environment& environment_;
};

std::optional<Launch> from_flags(const LaunchFlags& flags) {
  if (!flags.rank && !flags.world_size && !flags.local_rank) return std::nullopt;
  if (!flags.rank) throw LaunchError(fmt::format("{} is given, but --rank is missing", flags.world_size ? "--world-size" : "--local-rank"));
  if (!flags.world_size) throw LaunchError("--rank is given, but --world-size is missing");
  Launch launch;
  launch.rank = *flags.rank;
  launch.size = *flags.world_size;
  launch.local_rank = flags.local_rank.value_or(*flags.rank);
  launch.source = "flags";
  return launch;
}

Launch from_environment(const Environment& environment) {
  for (const Launcher& launcher : launchers()) {
    if (tells(launcher, environment)) return Reader(launcher, environment).launch();
  }
  return {};
}

}  // namespace

Launch resolve_launch(const LaunchFlags& flags, const Environment& environment) {
  const std::optional<Launch> flagged = from_flags(flags);
  Launch launch = flagged ? *flagged : from_environment(environment);
  if (flags.master_address.has_value() != flags.master_port.has_value()) {
    throw LaunchError(flags.master_address ? "--master-addr is given, but --master-port is missing"
                                           : "--master-port is given, but --master-addr is missing");
  }
  if (flags.master_address) launch.master_address = *flags.master_address;
  if (flags.master_port) launch.master_port = *flags.master_port;
  if (launch.size < 1 || launch.rank < 0 || launch.rank >= launch.size || launch.local_rank < 0) {
    throw LaunchError(fmt::format("rank {} (local rank {}) of {} processes cannot be ({})", launch.rank, launch.local_rank, launch.size,
                                  launch.source));
  }
  if (launch.master_port < 0 || launch.master_port > 65535) throw LaunchError(fmt::format("port {} is not 1 to 65535", launch.master_port));
  return launch;
}

bool is_launch_variable(const std::string& name) {
  return !name.empty() && std::any_of(launchers().begin(), launchers().end(), [&](const Launcher& l) {
    return name == l.rank || name == l.size || name == l.local_rank || name == l.master_address || name == l.master_port || name == l.listens;
  });
}

}  // namespace fabricast::tools
