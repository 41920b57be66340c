// A kernel of each kind, of sizes that anything runs at once.
#pragma once

#include <cstdint>
#include <vector>

#include "hardware_models/kernels.hpp"

namespace fabricast::tests {

inline std::vector<hw::Kernel> one_of_each(hw::Precision p) {
  return {hw::Gemm<std::int64_t>{12, 8, 16, p},
          hw::GroupedGemm<hw::ExpertRowCounts>{{3, 0, 5}, 8, 16, p},
          hw::Attention<std::int64_t>{2, 6, 6, 4, 2, 8, true, p},
          hw::Embedding<std::int64_t>{7, 8, 20, p},
          hw::RmsNorm<std::int64_t>{5, 8, p},
          hw::Rope<std::int64_t>{6, 16, p, 8, 3},
          hw::ResidualAdd<std::int64_t>{5, 8, p},
          hw::Activation<std::int64_t>{5, 8, true, p},
          hw::Activation<std::int64_t>{5, 8, false, p},
          hw::Router<std::int64_t>{5, 8, 4, 2, p},
          hw::Permute<std::int64_t>{9, 8, p},
          hw::WeightedSum<std::int64_t>{5, 9, 8, p}};
}

}  // namespace fabricast::tests
