// Enqueues the computation of one op. Knows no step and no other rank.
#pragma once

#include "runtime/cuda/attention.hpp"
#include "runtime/cuda/device_rank.hpp"
#include "runtime/cuda/gemm.hpp"

namespace fabricast::runtime::cuda {

/// What chose kernels by shape.
struct Libraries {
  Gemms& gemms;
  Attentions& attentions;
};

/// Checks that the op's buffers are as large as its shape says, and chooses kernels for its matrix products and attention, so that no run does.
/// Throws std::logic_error, BackendUnavailable, or std::runtime_error where cublasLt has no kernel.
void prepare(const BoundOp& op, const ComputeSpace& space, const Libraries& libraries);
/// Times candidates for the op's matrix products on its own memory, whatever it holds. Waits for the device.
void tune(const BoundOp& op, const ComputeSpace& space, Gemms& gemms);
/// Enqueues the op. Does not wait for the device.
void compute(const BoundOp& op, const OpTables& tables, const ComputeSpace& space, const Libraries& libraries);
/// Its matrix products alone, one after the other on the first stream. Does not wait for the device.
void multiply_in_turn(const BoundOp& op, const ComputeSpace& space, Gemms& gemms);
[[nodiscard]] std::size_t count_products(const BoundOp& op, const ComputeSpace& space);

/// The same for all computation of a rank. What prepare throws has the op's name before the message.
void prepare_computation(const ir::Schedule& schedule, const DeviceRank& rank, const Libraries& libraries);
void tune_computation(const DeviceRank& rank, Gemms& gemms);
/// Runs every computation once, on whatever memory holds, and waits: a kernel that is loaded on first use may wait for all of the device, and
/// so for ever for a kernel that waits for peers.
void load_kernels(const DeviceRank& rank, const Libraries& libraries);
void compute(const BoundOp& op, const DeviceRank& rank, const Libraries& libraries);

}  // namespace fabricast::runtime::cuda
