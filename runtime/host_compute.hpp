// Every kind of computation on the host. Knows no streams and no other rank.
#pragma once

#include "runtime/compute.hpp"

namespace fabricast::runtime {

class HostCompute final : public Compute {
 public:
  void run(const BoundOp& op) override;
};

}  // namespace fabricast::runtime
