#include "hardware_models/edit_distance.hpp"

#include <doctest/doctest.h>

#include <string>
#include <vector>

namespace fabricast::edit_distance_test {

using fabricast::hw::nearest;

namespace {
const std::vector<std::string> keys = {"layers", "d_model", "n_heads", "n_kv_heads", "experts_per_layer", "top_k", "d_ff"};
}

TEST_CASE("a slip of one letter, a swap and a wrong case find their word") {
  CHECK(nearest("layer", keys) == "layers");
  CHECK(nearest("lyaers", keys) == "layers");
  CHECK(nearest("D_Model", keys) == "d_model");
  CHECK(nearest("topk", keys) == "top_k");
}

TEST_CASE("the nearest of several is taken, and the right case wins a tie") {
  CHECK(nearest("n_head", keys) == "n_heads");
  CHECK(nearest("gib", {"GB", "GiB", "MiB"}) == "GiB");
  CHECK(nearest("ab", {"AB", "Ab"}) == "Ab");
}

TEST_CASE("the beginning of exactly one word completes to it") {
  CHECK(nearest("experts", keys) == "experts_per_layer");
  CHECK(nearest("exp", {"expert", "expert_tensor"}) == std::nullopt);
  CHECK(nearest("ex", keys) == std::nullopt);
}

TEST_CASE("a word unlike all others has no neighbour") {
  CHECK(nearest("banana", keys) == std::nullopt);
  CHECK(nearest("", keys) == std::nullopt);
  CHECK(nearest("x", {"y"}) == std::nullopt);
  CHECK(nearest(std::string(100000, 'l'), keys) == std::nullopt);
}

}  // namespace fabricast::edit_distance_test
