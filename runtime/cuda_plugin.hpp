// The CUDA backend as the rest of the program sees it: a shared library opened at run time, so that the program starts at once, and starts
// at all where CUDA is absent. Knows no CUDA header. The library (runtime/cuda/) exports one function, fabricast_cuda_backend.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "hardware_models/units.hpp"
#include "runtime/bench_plan.hpp"
#include "runtime/executor.hpp"
#include "runtime/rendezvous.hpp"

namespace fabricast::runtime {

/// distributed: one process a rank, one GPU each, NCCL between them; a job of one rank needs no other process.
/// slice: what one rank computes, at full shapes, on one GPU. Communication is omitted: its output is filled with random numbers, which is
///   the time that such an op then shows; or replaced by traffic. Numbers mean nothing (no logits are kept), times of computation do.
/// virtual_ranks: all ranks on one GPU, copies between their memories in place of a network. Numbers mean everything, times do not.
enum class CudaMode : std::uint8_t { distributed, slice, virtual_ranks };

/// Stands in for the communication of a slice: for each op `ctas` thread blocks hold their SMs and meanwhile write what the op would receive
/// to device memory, evenly, at `rate`; an op that receives nothing takes no time.
struct Traffic {
  std::int32_t ctas = 1;
  BytesPerSecond rate;
};

/// best: cuDNN's attention where it is there and takes the shape, else our own. cudnn: its, or none.
enum class AttentionKernels : std::uint8_t { best, own, cudnn };

struct CudaOptions {
  CudaMode mode = CudaMode::virtual_ranks;
  Rank rank;                               // distributed: of this process; slice: whose computation
  std::int32_t device = 0;                 // as CUDA counts the GPUs that this process may see
  Rendezvous* rendezvous = nullptr;        // distributed: how the ranks meet; may be null in a job of one rank
  std::int32_t communication_ctas = 16;    // at most so many thread blocks (hence SMs) for each communicator; 0: as NCCL likes
  std::int32_t compute_sms = 0;            // SMs that matrix products plan for; 0: all
  std::int32_t expert_streams = 4;         // side by side, where a rank hosts several experts
  AttentionKernels attention = AttentionKernels::best;
  bool tune_gemms = true;                  // time cublasLt's candidates for each shape before the timed steps (not with virtual ranks)
  std::optional<Traffic> traffic;          // slice: what stands in for communication; absent: communication is omitted
  std::function<void(const std::string&)> warn;      // one line that the user should read; may be null
  // A run that was given up and does not end all the same, since a library or the device does not come back: called from another thread with
  // the reason, to end the process. Null: nobody does.
  std::function<void(const std::string&)> give_up;
};

/// Micro-benchmarks. One process times kernels on one GPU; a job of several, one GPU each, times collectives over NCCL.
struct CudaBenchOptions {
  std::int32_t device = 0;                 // as CUDA counts the GPUs that this process may see
  std::int32_t repetitions = 20;
  std::int32_t communication_ctas = 16;    // as in CudaOptions
  std::int32_t compute_sms = 0;
  std::int32_t expert_streams = 4;
  AttentionKernels attention = AttentionKernels::best;
  std::uint64_t seed = 1;
  std::vector<Traffic> traffic;            // what goes on beside the plan's `beside` kernels, one after the other
  Rendezvous* rendezvous = nullptr;        // of a job of several processes; null: one process
  Seconds patience{8};                     // for one sample of a collective; then the run is given up
  std::function<void(const std::string&)> say;       // what comes next; may be null
  std::function<void(const std::string&)> warn;      // as in CudaOptions
  std::function<void(const std::string&)> give_up;   // as in CudaOptions
};

class CudaBackend {
 public:
  virtual ~CudaBackend() = default;
  /// GPUs that this process may see, at least one. Counted, not opened: eight processes that opened all eight GPUs of a node would take half a
  /// gigabyte of each GPU eight times.
  [[nodiscard]] virtual std::int32_t device_count() = 0;
  /// "2.28.9"; empty where the backend was built without NCCL.
  [[nodiscard]] virtual std::string nccl_version() = 0;
  /// Options are copied; the rendezvous must outlive what is made here. Throws BackendUnavailable where there is no such device, and
  /// std::invalid_argument where options contradict each other.
  [[nodiscard]] virtual std::unique_ptr<Executor> executor(const CudaOptions& options) = 0;
  /// Of the plan, what one process can time (all but collectives), or what a job of several can (collectives; every process returns all that
  /// was measured). What the device cannot do, or has no memory for, is left out and named. Throws BackendUnavailable where nothing is left, or
  /// the job has another number of processes than the plan has ranks; ExecutionError naming the shape where the device fails.
  [[nodiscard]] virtual BenchResults microbench(const BenchPlan& plan, const CudaBenchOptions& options) = 0;
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
