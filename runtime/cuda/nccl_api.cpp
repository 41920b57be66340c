#include "runtime/cuda/nccl_api.hpp"

#include <fmt/format.h>

#include <string_view>

namespace fabricast::runtime::cuda {

void check(ncclResult_t result, std::source_location where) {
  if (result == ncclSuccess || result == ncclInProgress) return;
  const std::string_view file = where.file_name();
  std::string_view last = ncclGetLastError(nullptr);
  while (!last.empty() && (last.back() == '\n' || last.back() == ' ')) last.remove_suffix(1);
  throw NcclError(fmt::format("NCCL: {} (at {}:{}){}{}", ncclGetErrorString(result), file.substr(file.rfind('/') + 1), where.line(),
                              last.empty() ? "" : ": ", last));
}

std::string nccl_version_text() {
  int version = 0;
  check(ncclGetVersion(&version));
  return fmt::format("{}.{}.{}", version / 10000, version % 10000 / 100, version % 100);
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
