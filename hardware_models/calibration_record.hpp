// What a fit left behind beside its constants: how far the model was from measurements that it had not seen, and where those lay. Plain
// data of a profile; validation/intervals.hpp reads error bars from it. Knows no fit.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "hardware_models/units.hpp"

namespace fabricast::hw {

/// Kernels of a kind by rows (collectives: by bytes): what measured / predicted lies between in four of five cases.
struct CalibratedRegion {
  double least = 0, most = 0;     // rows or bytes, both included
  std::int64_t count = 0;
  double low = 1.0, high = 1.0;   // between which four in five of unseen families' measured / predicted lie; validation/residual_record.hpp
};

struct CalibratedKind {
  std::string kind;               // "gemm bf16", "all_reduce"
  std::int64_t count = 0, families = 0;
  bool held_out = true;           // residuals of families that the fit had not seen; false: there was one family only
  double median_error = 0, p90_error = 0, worst_error = 0;   // |predicted / measured - 1|
  double bias = 0;                // median of predicted / measured - 1
  double coverage = 0;            // share of held-out rows inside intervals made from the other rows
  std::map<std::string, std::pair<double, double>> domain;   // least and most of each dimension: "n", "k", "rows", …
  std::vector<CalibratedRegion> regions;                     // ascending, not empty
  std::optional<std::string> measured_on;                    // another chip, from whose profile this one took the constants
};

/// Empty in a profile that nothing was fitted to.
struct CalibrationRecord {
  std::vector<CalibratedKind> kinds;
  std::map<std::string, Seconds> constants;   // what a source's times hold besides its kernels, by name
};

}  // namespace fabricast::hw
