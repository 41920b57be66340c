// Enqueues the computation of one op on its rank's compute stream. Knows no step and no other rank.
#pragma once

#include "runtime/cuda/device_rank.hpp"
#include "runtime/cuda/gemm.hpp"

namespace fabricast::runtime::cuda {

/// Checks once that ops' buffers are as large as their shapes say, and chooses kernels for their matrix products, so that no step does.
/// Throws std::logic_error or BackendUnavailable, the op's name before the message.
void prepare_computation(const ir::Schedule& schedule, const DeviceRank& rank, Gemms& gemms);
/// Times candidates for every matrix product on the op's own memory, whatever it holds.
void tune_computation(const DeviceRank& rank, Gemms& gemms);
/// Runs every computation once, on whatever memory holds, and waits: a kernel that is loaded on first use may wait for all of the device, and
/// so for ever for a kernel that waits for peers.
void load_kernels(const DeviceRank& rank, Gemms& gemms);

/// Does not wait for the device.
void compute(const BoundOp& op, const DeviceRank& rank, Gemms& gemms);

}  // namespace fabricast::runtime::cuda
