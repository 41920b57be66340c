// The CUDA backend as the rest of the program sees it: a shared library opened at run time, so that the program starts at once, and starts
// at all where CUDA is absent. Knows no CUDA header. The library (runtime/cuda/) exports one function, fabricast_cuda_backend.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "hardware_models/collectives.hpp"
#include "hardware_models/kernels.hpp"
#include "hardware_models/units.hpp"
#include "runtime/executor.hpp"
#include "runtime/rendezvous.hpp"

namespace fabricast::runtime {

/// distributed: one process a rank, one GPU each, NCCL between them; a job of one rank needs no other process.
/// slice: what one rank computes, at full shapes, on one GPU. Communication is omitted: its output is filled with random numbers, which is
///   the time that such an op then shows; or replaced by traffic. Numbers mean nothing (no logits are kept), times of computation do.
/// virtual_ranks: all ranks on one GPU, copies between their memories in place of a network. Numbers mean everything, times do not.
enum class CudaMode : std::uint8_t { distributed, slice, virtual_ranks };

/// Stands in for one communication op of a slice: `ctas` thread blocks that hold their SMs for `duration` and meanwhile write `bytes` of
/// device memory at an even pace. 0 CTAs: omitted.
struct Traffic {
  std::int32_t ctas = 0;
  Bytes bytes;
  Seconds duration;
};

struct CudaOptions {
  CudaMode mode = CudaMode::virtual_ranks;
  Rank rank;                               // distributed: of this process; slice: whose computation
  std::int32_t device = 0;                 // as CUDA counts the GPUs that this process may see
  Rendezvous* rendezvous = nullptr;        // distributed: how the ranks meet; may be null in a job of one rank
  std::int32_t communication_ctas = 16;    // at most so many thread blocks (hence SMs) for each communicator; 0: as NCCL likes
  std::int32_t compute_sms = 0;            // SMs that matrix products plan for; 0: all
  std::int32_t expert_streams = 4;         // side by side, where a rank hosts several experts
  bool tune_gemms = true;                  // time cublasLt's candidates for each shape before the timed steps (not with virtual ranks)
  std::vector<Traffic> traffic;            // slice: by op of the rank's program; empty: communication is omitted
};

struct CudaDevice {
  std::string name;                        // "NVIDIA H100 80GB HBM3"
  std::string driver, runtime;             // "13.0": the highest CUDA version that the driver supports, and the version built with
  std::int32_t sms = 0;
  double clock_mhz = 0;                    // of the SMs, at most
  Bytes memory, free;
};

/// A kernel alone and beside traffic.
struct Interference {
  Spread alone, beside;
};

/// Times single kernels and collectives on random data.
class CudaBench {
 public:
  virtual ~CudaBench() = default;
  /// Throws BackendUnavailable where memory does not suffice.
  [[nodiscard]] virtual Spread kernel(const hw::Kernel& kernel, std::int32_t repetitions) = 0;
  /// Of `bytes` within device memory.
  [[nodiscard]] virtual Spread copy(Bytes bytes, std::int32_t repetitions) = 0;
  /// From one empty kernel's end to the next one's, on one stream.
  [[nodiscard]] virtual Spread launch(std::int32_t repetitions) = 0;
  /// Over all ranks of the job, `bytes` as physics conventions have it (hardware_models/collectives.hpp); every rank calls it alike.
  [[nodiscard]] virtual Spread collective(hw::CollectiveKind kind, Bytes bytes, hw::Precision precision, std::int32_t repetitions) = 0;
  /// `traffic` holds its CTAs for as long as the kernel runs; its duration is taken as the time in which it writes its bytes once.
  [[nodiscard]] virtual Interference beside(const hw::Kernel& kernel, const Traffic& traffic, std::int32_t repetitions) = 0;
};

class CudaBackend {
 public:
  virtual ~CudaBackend() = default;
  /// At least one.
  [[nodiscard]] virtual std::vector<CudaDevice> devices() = 0;
  /// "2.28.9"
  [[nodiscard]] virtual std::string nccl_version() = 0;
  /// Options are copied; the rendezvous must outlive what is made here. Throws BackendUnavailable where there is no such device, and
  /// std::invalid_argument where options contradict each other.
  [[nodiscard]] virtual std::unique_ptr<Executor> executor(const CudaOptions& options) = 0;
  /// Only device, rendezvous and communication_ctas count.
  [[nodiscard]] virtual std::unique_ptr<CudaBench> bench(const CudaOptions& options) = 0;
};

/// What the shared library exports, with C linkage. Null, and the reason in `why`, where there is no driver or no GPU.
using CudaBackendFactory = CudaBackend* (*)(std::string* why);
constexpr const char* cuda_backend_factory = "fabricast_cuda_backend";
constexpr const char* cuda_library_name = "libfabricast_cuda.so";

/// Opens the library: `library` itself if given, else from beside the running program or from its ../lib. The library stays open until the
/// process ends. Throws BackendUnavailable, in one line with the cause: built without CUDA, a library that it needs is missing, no CUDA
/// driver, no GPU.
[[nodiscard]] std::unique_ptr<CudaBackend> open_cuda(const std::filesystem::path& library = {});

}  // namespace fabricast::runtime
