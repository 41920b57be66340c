#include "hardware_models/cluster_spec.hpp"

#include <stdexcept>

namespace fabricast::hw {

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
