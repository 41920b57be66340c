#include "runtime/machine.hpp"

#include <sched.h>
#include <unistd.h>

#include <array>
#include <fstream>
#include <sstream>

namespace fabricast::runtime {
namespace {

std::string host_name() {
  std::array<char, 256> name{};
  return ::gethostname(name.data(), name.size() - 1) == 0 ? std::string(name.data()) : std::string();
}

/// The first value of a key of /proc/cpuinfo ("model name\t: AMD EPYC …"); empty where there is none.
std::string cpu_info(const std::string& key) {
  std::ifstream file("/proc/cpuinfo");
  for (std::string line; std::getline(file, line);) {
    if (line.rfind(key, 0) != 0) continue;
    const std::size_t colon = line.find(": ");
    if (colon != std::string::npos) return line.substr(colon + 2);
  }
  return {};
}

std::int32_t processors() {
  cpu_set_t set;
  CPU_ZERO(&set);
  if (::sched_getaffinity(0, sizeof set, &set) == 0) return CPU_COUNT(&set);
  return static_cast<std::int32_t>(::sysconf(_SC_NPROCESSORS_ONLN));
}

}  // namespace

Machine this_host() {
  Machine machine;
  machine.host = host_name();
  machine.device = cpu_info("model name");
  machine.devices = processors();
  std::istringstream(cpu_info("cpu MHz")) >> machine.clock_mhz;
  machine.memory = Bytes(std::int64_t{::sysconf(_SC_PHYS_PAGES)} * ::sysconf(_SC_PAGESIZE));
  return machine;
}

}  // namespace fabricast::runtime
