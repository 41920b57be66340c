// One member's part of one collective, as calls of NCCL. What NCCL has no call for (unequal shards, variable all-to-all, two hops) is grouped
// calls of what it has. Knows no schedule and no ranks.
#pragma once

#include <vector>

#include "runtime/cuda/cuda_api.hpp"
#include "runtime/cuda/nccl_api.hpp"
#include "runtime/pieces.hpp"

namespace fabricast::runtime::cuda {

struct NcclPart {
  std::int32_t member = 0;
  std::vector<std::vector<Piece>> hops;   // what this member sends and receives, in the order in which all members list it
  Bytes scratch;                          // device memory that it passes on from
};

[[nodiscard]] NcclPart nccl_part(const ExchangeShape& shape, std::int32_t member);

/// Enqueues; does not wait. `scratch` is the part's. Throws NcclError, CudaError.
void enqueue_exchange(const ExchangeShape& shape, const NcclPart& part, const runtime::Exchange& data, std::byte* scratch, ncclComm_t communicator,
                      cudaStream_t stream);

}  // namespace fabricast::runtime::cuda
