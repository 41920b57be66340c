#include "hardware_models/library_kernels.hpp"

#include <algorithm>
#include <bit>
#include <stdexcept>
#include <vector>

namespace fabricast::hw {
namespace {

bool is_point_to_point(CollectiveKind kind) { return kind == CollectiveKind::all_to_all || kind == CollectiveKind::send; }

bool in_switch(CollectiveAlgorithm algorithm) {
  return algorithm == CollectiveAlgorithm::nvls || algorithm == CollectiveAlgorithm::nvls_tree;
}

/// What one member pays for: dependent steps, and bytes that it sends over its links.
struct Cost {
  double nvlink_steps = 0, network_steps = 0;
  double nvlink_bytes = 0, network_bytes = 0;
};

// Depth of a binary tree over `nodes`.
double tree_depth(std::int64_t nodes) { return static_cast<double>(std::bit_width(static_cast<std::uint64_t>(nodes - 1))); }

// An inner node sends its half to its parent and the other half's sum to two children; with two nodes both are roots once.
double tree_bytes(double shard, std::int64_t nodes) { return nodes > 2 ? 2 * shard : shard; }

Cost all_reduce_cost(CollectiveAlgorithm algorithm, const GroupShape& shape, double size) {
  const auto n = static_cast<double>(shape.members), nodes = static_cast<double>(shape.nodes), g = n / nodes;
  const double ring = 2 * (n - 1) / n * size, depth = tree_depth(shape.nodes);
  switch (algorithm) {
    case CollectiveAlgorithm::nvls: return {2, 0, size * (1 + 1 / g), 0};
    case CollectiveAlgorithm::nvls_tree: return {2, 2 * depth, size * (1 + 1 / g), tree_bytes(size / g, shape.nodes)};
    case CollectiveAlgorithm::sharp: return {2, 1, 2 * (g - 1) / g * size, size / g};
    case CollectiveAlgorithm::tree:
      return {2 * (g - 1), 2 * depth, 2 * (g - 1) / g * size, nodes > 1 ? tree_bytes(size / g, shape.nodes) : 0};
    case CollectiveAlgorithm::two_level: return {2 * (g - 1), 2 * (nodes - 1), 2 * (g - 1) / g * size, 2 * (nodes - 1) / nodes * size / g};
    case CollectiveAlgorithm::rail_ring: return {2 * (n - 1 - nodes), 2 * nodes, g > 1 ? ring : 0, ring / g};
    default: return shape.nodes == 1 ? Cost{2 * (n - 1), 0, ring, 0} : Cost{2 * (n - nodes), 2 * nodes, ring, ring};
  }
}

// All-gather, reduce-scatter, broadcast: half an all-reduce over the same ring.
Cost half_cost(CollectiveAlgorithm algorithm, const GroupShape& shape, double size) {
  const Cost both = all_reduce_cost(algorithm, shape, size);
  return {both.nvlink_steps / 2, both.network_steps / 2, both.nvlink_bytes / 2, both.network_bytes / 2};
}

std::vector<CollectiveAlgorithm> candidates(const CollectiveSpec& spec, CollectiveKind kind, const GroupShape& shape) {
  using A = CollectiveAlgorithm;
  if (shape.nodes == 1) {
    if (kind == CollectiveKind::all_reduce && spec.in_switch_reduction && shape.members > 2) return {A::ring, A::nvls};
    return {A::ring};
  }
  if (!shape.even) return {A::ring};
  if (kind != CollectiveKind::all_reduce) return {A::two_level};
  std::vector<A> result{A::rail_ring, A::tree};
  if (spec.in_switch_reduction && shape.members / shape.nodes > 2) result.push_back(A::nvls_tree);
  if (spec.in_network_reduction) result.push_back(A::sharp);
  return result;
}

const TokenKernel& token_kernel(const LibraryKernels& kernels, const CollectiveChoice& choice) {
  return choice.tokens.combine ? kernels.tokens->combine : kernels.tokens->dispatch;
}

bool runs(CollectiveAlgorithm algorithm, CollectiveProtocol protocol) {
  return protocol == CollectiveProtocol::simple || !(in_switch(algorithm) || algorithm == CollectiveAlgorithm::sharp);
}

Seconds estimate(const CollectiveSpec& spec, CollectiveKind kind, const CollectiveChoice& choice, const GroupShape& shape, Bytes size) {
  const LibraryKernels& kernels = *spec.kernels;
  const TransferMode& mode = mode_of(kernels, kind, choice);
  const auto bytes = static_cast<double>(size.value());
  const Cost cost = kind == CollectiveKind::all_reduce ? all_reduce_cost(choice.algorithm, shape, bytes)
                                                       : half_cost(choice.algorithm, shape, bytes);
  const double nvlink = cost.nvlink_bytes / (kernels.nvlink.value() * nvlink_share(spec, kind, choice, {shape.members, shape.members}));
  const double network = cost.network_bytes > 0 ? cost.network_bytes / (kernels.network.value() * mode.network_share) : 0.0;
  const double piece = spec.pipeline_chunk > Bytes{} ? std::min(1.0, static_cast<double>(spec.pipeline_chunk.value()) / (bytes + 1)) : 1.0;
  return mode.call + cost.nvlink_steps * mode.nvlink_step + cost.network_steps * mode.network_step +
         fill_time(mode, Bytes(static_cast<std::int64_t>(cost.nvlink_bytes))) +
         Seconds(std::max(nvlink, network) + piece * std::min(nvlink, network));
}

}  // namespace

const TransferMode& mode_of(const LibraryKernels& kernels, CollectiveKind kind, const CollectiveChoice& choice) {
  if (kernels.tokens && choice.algorithm == CollectiveAlgorithm::low_latency) return kernels.tokens->low_latency;
  if (kernels.tokens && choice.algorithm == CollectiveAlgorithm::deduplicated) return token_kernel(kernels, choice).mode;
  if (is_point_to_point(kind)) return kernels.point_to_point;
  if (choice.algorithm == CollectiveAlgorithm::nvls) return kernels.nvls;
  if (choice.algorithm == CollectiveAlgorithm::nvls_tree) return kernels.nvls_tree;
  switch (choice.protocol) {
    case CollectiveProtocol::ll: return kernels.ll;
    case CollectiveProtocol::ll128: return kernels.ll128;
    case CollectiveProtocol::simple: return kernels.simple;
  }
  throw std::invalid_argument("unknown protocol");
}

// With f = (n-1)/n, per byte of S:
//   all-gather: reads its own shard and f from the receive buffer, 1; writes its shard to its output, f on to the next, f to its output;
//   reduce-scatter: reads its first shard and two operands for each of the f others, 1 + f; writes f on and its own shard, 1;
//   all-reduce: both, but the sum is written to the output and sent on in one: reads 1 + 2f, writes 1 + 2f;
//   all-to-all: copies its own share, 2/n; sends f (read, write) and takes f out of the receive buffer (read, write);
//   send: read and write at either end, and a pipeline's member is at both; broadcast: read once, written on and to the output.
// Each divided by the bytes sent: f, 2f for the all-reduce, 1 for the last two.
double loads_and_stores(CollectiveKind kind, std::int64_t members) {
  const double f = static_cast<double>(members - 1) / static_cast<double>(members);
  switch (kind) {
    case CollectiveKind::all_gather:
    case CollectiveKind::reduce_scatter: return (2 + f) / f;
    case CollectiveKind::all_reduce: return (2 + 4 * f) / (2 * f);
    case CollectiveKind::all_to_all: return (2 + 2 * f) / f;
    case CollectiveKind::broadcast: return 3;
    case CollectiveKind::send: return 4;
  }
  throw std::invalid_argument("unknown collective kind");
}

double nvlink_share(const CollectiveSpec& spec, CollectiveKind kind, const CollectiveChoice& choice, GroupSize group) {
  const LibraryKernels& kernels = *spec.kernels;
  const double share = mode_of(kernels, kind, choice).nvlink_share;
  if (choice.algorithm == CollectiveAlgorithm::low_latency) return share;
  if (kernels.tokens && choice.algorithm == CollectiveAlgorithm::deduplicated) {
    const TokenKernel& kernel = token_kernel(kernels, choice);
    const BytesPerSecond of_one = choice.tokens.row / (kernel.row + choice.tokens.row / kernel.nvlink_per_sm);
    const double leaves = group.in_node > 1 ? static_cast<double>(group.in_node - 1) / static_cast<double>(group.in_node) : 1.0;
    const double passes = group.members > group.in_node ? kernel.forwarding : 1.0;
    return std::min(share, static_cast<double>(kernels.tokens->sms) * of_one.value() * leaves / passes / kernels.nvlink.value());
  }
  const std::int64_t members = group.members;
  const bool limited = kernels.channel_rate > BytesPerSecond(0) && !in_switch(choice.algorithm) &&
                       (is_point_to_point(kind) || choice.protocol == CollectiveProtocol::simple);
  if (!limited || members < 2) return share;
  const auto channels = static_cast<double>(is_point_to_point(kind) ? spec.channels.point_to_point : spec.channels.ring);
  return std::min(share, channels * kernels.channel_rate.value() / loads_and_stores(kind, members) / kernels.nvlink.value());
}

Seconds fill_time(const TransferMode& mode, Bytes sent) {
  if (sent == Bytes{}) return Seconds(0);
  const auto bytes = static_cast<double>(sent.value());
  return mode.fill * (bytes / (bytes + static_cast<double>(mode.fill_size.value())));
}

CollectiveChoice tune(const CollectiveSpec& spec, CollectiveKind kind, CollectiveAlgorithm wanted, const GroupShape& shape, Bytes size) {
  if (is_point_to_point(kind)) {
    return {wanted == CollectiveAlgorithm::automatic ? CollectiveAlgorithm::flat : wanted, CollectiveProtocol::simple};
  }
  const std::vector<CollectiveAlgorithm> algorithms =
      wanted == CollectiveAlgorithm::automatic ? candidates(spec, kind, shape) : std::vector{wanted};
  std::optional<CollectiveChoice> best;
  Seconds least{};
  for (const CollectiveAlgorithm algorithm : algorithms) {
    for (const CollectiveProtocol protocol : {CollectiveProtocol::ll, CollectiveProtocol::ll128, CollectiveProtocol::simple}) {
      if (!runs(algorithm, protocol)) continue;
      const CollectiveChoice choice{algorithm, protocol};
      const Seconds time = estimate(spec, kind, choice, shape, size);
      if (best && time >= least) continue;
      best = choice;
      least = time;
    }
  }
  return *best;
}

}  // namespace fabricast::hw
