// Measured times: what calibrate fits, validate judges and import writes. Knows no model of hardware; readers of file formats are
// read_measurements.hpp and those it calls.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "hardware_models/collectives.hpp"
#include "hardware_models/gpu_cost.hpp"
#include "hardware_models/kernels.hpp"
#include "hardware_models/units.hpp"
#include "runtime/machine.hpp"

namespace fabricast::validation {

/// Where a row stands, for messages: "file:line".
struct Place {
  std::string file;
  int line = 0;
};

/// A kernel, and how often its time counts: a fifth where the source gives the mean over five draws of a routing.
struct Term {
  hw::Kernel kernel;
  double times = 1.0;
};

/// What a source's own kernels add: so many units of a cost that has one name in all its rows, and is fitted.
struct SourceCost {
  std::string name;
  double units = 1.0;
};

/// What ran on the GPU beside a kernel, and what the kernel takes without.
struct Beside {
  hw::GpuLoad load;
  Seconds alone;
};

/// One measured time of one or more kernels that ran one after another. A source may time more than the kernels: a pass over memory of
/// its own (`streamed`, at `streamed_share` of the memory's bandwidth) and `costs` of its own.
struct KernelMeasurement {
  std::string kind;               // what summaries and fits group by: "gemm bf16", "attention prefill bf16", "moe layer bf16 balanced"
  std::string family;             // rows of one family are held out together: "n=4096 k=7168"
  std::vector<Term> terms;
  Bytes streamed{};
  double streamed_share = 1.0;
  std::vector<SourceCost> costs;
  Seconds seconds;
  Place place;
  std::optional<Beside> beside = {};
  std::int64_t concurrent = 1;    // ranks that ran it at once on one machine; `seconds` is what it cost each
};

/// Ends the kind of fused layers whose library may have run a kernel that was tuned for another layer.
inline constexpr const char* shared_tuning = ", shared tuning";

struct CollectiveMeasurement {
  hw::CollectiveKind kind = hw::CollectiveKind::all_reduce;
  Bytes bytes;                    // S of collectives.hpp
  std::int64_t nodes = 1, gpus_per_node = 1;
  hw::CollectiveAlgorithm algorithm = hw::CollectiveAlgorithm::automatic;
  hw::Precision precision = hw::Precision::fp32;
  Seconds seconds, p10, p90;      // p10 and p90: the median where the source gives no spread
  std::int64_t repetitions = 0;   // 0: unknown
  Place place;
  std::string caller;             // what called the library, where its times are not those of nccl-tests: "torch"
};

/// A dispatch of tokens to experts, or the combine back, as a library of such kernels runs it.
struct ExchangeMeasurement {
  std::string kind, family;       // "dispatch 2 nodes from 512 tokens"; rows of one shape
  hw::CollectiveAlgorithm algorithm = hw::CollectiveAlgorithm::deduplicated;   // or low_latency
  bool combine = false;
  std::int64_t nodes = 1, gpus_per_node = 1;
  std::int64_t tokens = 0, top_k = 1, experts = 1;   // tokens of each rank, choices of each token, experts in all
  Bytes row;                      // of one token
  double reach = 1.0;             // share of the experts that one token may choose from
  std::int64_t sms = 0;           // that the kernel held; 0: those of the profile
  Seconds seconds;
  Place place;
};

/// A kernel alone and beside a communication kernel that holds SMs and draws memory bandwidth.
struct InterferenceMeasurement {
  hw::Kernel compute;
  std::int64_t communication_sms = 0;
  BytesPerSecond communication;                // received by the GPU
  Seconds alone, beside;
  Place place;
  std::optional<BytesPerSecond> memory = {};   // drawn from device memory; absent: what an all-gather's kernel draws for that
};

/// A whole step of an experiment.
struct StepMeasurement {
  std::string experiment;         // its file, from the folder of the file that names it
  std::vector<std::string> sets;  // "path.to.key=value", applied to it
  std::string family;
  Seconds seconds;
  Place place;
};

/// The measurements of one machine or, in published tables, of one system.
struct Measurements {
  std::string system;             // "h100_sxm", "h100_sxm_roce": GPU and, unless InfiniBand, network; empty for files of one machine
  std::string source, date;
  runtime::Machine machine;
  std::vector<KernelMeasurement> kernels;
  std::vector<CollectiveMeasurement> collectives;
  std::vector<ExchangeMeasurement> exchanges;
  std::vector<StepMeasurement> steps;
  std::optional<Seconds> launch;
  std::vector<InterferenceMeasurement> interference;
  std::map<std::string, std::int64_t> left_out;   // rows of the source that nothing above stands for, by reason
};

/// "gemm", "attention prefill", … and the precision.
[[nodiscard]] std::string kind_of(const hw::Kernel& kernel);

/// What stays equal within one weight matrix or one model: the dimensions other than rows.
[[nodiscard]] std::string family_of(const hw::Kernel& kernel);

/// Rows (tokens) that a kernel works on: queries · sequences for attention.
[[nodiscard]] double rows_of(const hw::Kernel& kernel);

/// The dimensions that a domain is given in, rows among them: {"rows", 4096}, {"n", 8192}, {"k", 7168}.
[[nodiscard]] std::map<std::string, double> dimensions_of(const hw::Kernel& kernel);

/// A single kernel as a measurement.
[[nodiscard]] KernelMeasurement single(hw::Kernel kernel, Seconds seconds, Place place);

}  // namespace fabricast::validation
