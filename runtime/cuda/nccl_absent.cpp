// What a backend built without NCCL has to say.
#include "runtime/cuda/collective_bench.hpp"
#include "runtime/cuda/device_transport.hpp"

namespace fabricast::runtime::cuda {

std::string nccl_version_text() { return {}; }

std::unique_ptr<DeviceTransport> make_nccl_transport(const ir::Schedule&, const ir::Instances&, Rank, std::span<const NodeId>, Rendezvous*,
                                                     std::int32_t) {
  throw BackendUnavailable("the CUDA backend was built without NCCL, which runs ranks on several GPUs; build it where NCCL is installed, or use "
                           "--virtual-ranks or --slice");
}

void bench_collectives(const BenchPlan&, const CudaBenchOptions&, BenchResults&) {
  throw BackendUnavailable("the CUDA backend was built without NCCL, over which collectives are timed; build it where NCCL is installed, or start "
                           "one process, which times kernels");
}

}  // namespace fabricast::runtime::cuda
