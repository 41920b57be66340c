#include "hardware_models/cluster_spec.hpp"

#include <stdexcept>

namespace fabricast::hw {

std::string_view name_of(PassKind pass) {
  switch (pass) {
    case PassKind::embedding: return "embedding";
    case PassKind::rms_norm: return "rms_norm";
    case PassKind::rope: return "rope";
    case PassKind::residual_add: return "residual_add";
    case PassKind::activation: return "activation";
    case PassKind::router: return "router";
    case PassKind::permute: return "permute";
    case PassKind::weighted_sum: return "weighted_sum";
  }
  throw std::invalid_argument("no such pass");
}

std::string_view name_of(FabricKind kind) {
  switch (kind) {
    case FabricKind::rail_optimized: return "rail_optimized";
    case FabricKind::fat_tree: return "fat_tree";
  }
  throw std::invalid_argument("unknown kind of fabric");
}

std::string_view name_of(SpineChoice choice) {
  switch (choice) {
    case SpineChoice::by_destination: return "by_destination";
    case SpineChoice::ecmp: return "ecmp";
    case SpineChoice::adaptive: return "adaptive";
  }
  throw std::invalid_argument("unknown choice of spine");
}

}  // namespace fabricast::hw
