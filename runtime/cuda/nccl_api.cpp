#include "runtime/cuda/nccl_api.hpp"

#include <fmt/format.h>

#include <string_view>

#include "runtime/cuda/device_transport.hpp"
#include "runtime/executor.hpp"

namespace fabricast::runtime::cuda {

void check(ncclResult_t result, std::source_location where) {
  if (result == ncclSuccess || result == ncclInProgress) return;
  const std::string_view file = where.file_name();
  std::string_view last = ncclGetLastError(nullptr);
  while (!last.empty() && (last.back() == '\n' || last.back() == ' ')) last.remove_suffix(1);
  throw NcclError(fmt::format("NCCL: {} (at {}:{}){}{}", ncclGetErrorString(result), file.substr(file.rfind('/') + 1), where.line(),
                              last.empty() ? "" : ": ", last));
}

namespace {

constexpr int oldest = 21700;   // the first whose communicators take a limit of CTAs (NCCL 2.17 release notes)

std::string text_of(int version) { return fmt::format("{}.{}.{}", version / 10000, version % 10000 / 100, version % 100); }

int found_version() {
  int version = 0;
  check(ncclGetVersion(&version));
  return version;
}

}  // namespace

std::string nccl_version_text() { return text_of(found_version()); }

void require_nccl() {
  const int found = found_version();
  if (found >= oldest && found / 10000 == NCCL_VERSION_CODE / 10000) return;
  throw BackendUnavailable(fmt::format("wrong NCCL: version {} was found at run time; the CUDA backend was built with {} and needs {} or newer, of "
                                       "the same major version (is LD_LIBRARY_PATH right?)",
                                       text_of(found), text_of(NCCL_VERSION_CODE), text_of(oldest)));
}

UniqueId new_unique_id() {
  UniqueId id;
  check(ncclGetUniqueId(&id));
  return id;
}

Communicator connect(const UniqueId& id, int members, int member, int most_ctas) {
  ncclConfig_t config = NCCL_CONFIG_INITIALIZER;
  if (most_ctas > 0) config.maxCTAs = most_ctas;
  ncclComm_t communicator = nullptr;
  check(ncclCommInitRankConfig(&communicator, members, id, member, &config));
  return Communicator(communicator);
}

}  // namespace fabricast::runtime::cuda
