// Fits a GPU's profile to measured kernels, and finds how far the fit is from families of shapes that it had not seen. Knows no files:
// profile_writer.hpp makes the profile, read_measurements.hpp reads the rows.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "hardware_models/cluster_spec.hpp"
#include "validation/agreement.hpp"
#include "validation/gpu_parameters.hpp"
#include "validation/measurements.hpp"

namespace fabricast::validation {

/// A constant after the fit.
struct FittedConstant {
  std::string pointer, stage;
  GpuParameter::Form form;
  double before, value, standard_error;   // seconds, a share or a count
  bool determined = true;                 // false: the rows say next to nothing of it, or push it out of its bounds, and it stayed where it was
};

struct StageSummary {
  std::string stage;                      // "gemm", "attention prefill", …
  std::vector<std::string> kinds;         // of the rows fitted
  std::size_t rows = 0, families = 0, folds = 0;
  int iterations = 0;
};

struct GpuCalibration {
  hw::GpuSpec gpu;                        // with its calibration record
  std::vector<FittedConstant> constants;
  std::vector<StageSummary> stages;
  std::vector<AgreementRow> held_out;     // each row predicted by a fit without its family
};

/// Stages, each with the constants of the ones before: launch (taken as measured), GEMM and grouped GEMM together, fp8 apart, attention
/// (prefill, then decoding), each pass over memory, MoE layers, interference (of slowdowns, "beside communication: gemm bf16"). Kinds that no
/// stage fits (another kernel's attention, say) are judged only, and so is interference on a host.
/// Rows are residuals log(predicted / measured). Families are dealt to at most five folds by a hash of their name.
/// Throws hw::ConfigError where rows cannot be what they say: times far below the chip's peak or far above its roofline throughout.
/// `name` of the chip measured (default: the base's): where it is another, kinds that only the base's record has are marked as the base's.
[[nodiscard]] GpuCalibration calibrate_gpu(const hw::GpuSpec& base, const Measurements& measurements,
                                           const std::optional<std::string>& name = std::nullopt);

}  // namespace fabricast::validation
