// What the driver that is none (played_driver.cpp) was handed.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace fabricast::tests {

struct PlayedKernel {
  bool is_for_gpu = false;
  int compute_capability = 0;                // 90 for 9.0
  std::string name;
  std::vector<unsigned char> image;
};

/// By this name the driver has a function without arguments that returns its std::vector<PlayedKernel>*, in the order in which they came.
constexpr const char* played_kernels = "fabricast_played_kernels";

}  // namespace fabricast::tests
