#include "runtime/random_values.hpp"

#include <cassert>
#include <cmath>

namespace fabricast::runtime {
namespace {

/// FNV-1a, 64 bit (Fowler, Noll, Vo).
std::uint64_t hash_of(std::string_view text) {
  std::uint64_t hash = 0xcbf29ce484222325U;
  for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3U;
  return hash;
}

std::uint64_t key(std::int64_t value) { return static_cast<std::uint64_t>(value); }

/// Half the width of a uniform distribution around 0 with this variance: w²/3.
float half_width(double variance) { return static_cast<float>(std::sqrt(3.0 * variance)); }

constexpr float norm_spread = 0.1F;
constexpr std::uint64_t token_stream = 0x746f6b656e;  // keeps tokens apart from weights of the same seed

}  // namespace

RandomWeights::RandomWeights(std::uint64_t seed, const WeightMatrix& matrix, WeightLaw law)
    : generator_(ir::SplitMix64(seed).fork(hash_of(matrix.label)).fork(key(matrix.layer)).fork(key(matrix.expert))),
      columns_(matrix.columns),
      centre_(law == WeightLaw::norm ? 1.0F : 0.0F),
      half_width_(law == WeightLaw::norm    ? norm_spread
                  : law == WeightLaw::table ? half_width(1.0)
                                            : half_width(1.0 / static_cast<double>(matrix.rows))) {
  assert(matrix.rows > 0 && matrix.columns > 0 && "a weight matrix has a size");
}

std::int32_t random_token(std::uint64_t seed, std::int64_t micro_batch, std::int64_t replica, std::int64_t position,
                          std::int64_t vocabulary) {
  auto generator = ir::SplitMix64(seed).fork(token_stream).fork(key(micro_batch)).fork(key(replica)).fork(key(position));
  return static_cast<std::int32_t>(generator.next() % key(vocabulary));
}

}  // namespace fabricast::runtime
