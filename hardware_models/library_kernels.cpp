#include "hardware_models/library_kernels.hpp"

#include <algorithm>
#include <bit>
#include <initializer_list>
#include <limits>
#include <stdexcept>
#include <utility>
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

// A pipeline from member to member: each passes all of S on. Two levels: so in the root's node, S/g a member across, an all-gather elsewhere.
Cost broadcast_cost(CollectiveAlgorithm algorithm, const GroupShape& shape, double size) {
  const auto n = static_cast<double>(shape.members), nodes = static_cast<double>(shape.nodes), g = n / nodes;
  if (algorithm != CollectiveAlgorithm::two_level) return {n - nodes, nodes - 1, n > nodes ? size : 0, nodes > 1 ? size : 0};
  return {2 * (g - 1), nodes - 1, g > 1 ? size : 0, size / g};
}

// All-gather, reduce-scatter: half an all-reduce over the same ring.
Cost half_cost(CollectiveAlgorithm algorithm, const GroupShape& shape, double size) {
  const Cost both = all_reduce_cost(algorithm, shape, size);
  return {both.nvlink_steps / 2, both.network_steps / 2, both.nvlink_bytes / 2, both.network_bytes / 2};
}

Cost cost_of(CollectiveKind kind, CollectiveAlgorithm algorithm, const GroupShape& shape, double size) {
  switch (kind) {
    case CollectiveKind::all_reduce: return all_reduce_cost(algorithm, shape, size);
    case CollectiveKind::broadcast: return broadcast_cost(algorithm, shape, size);
    default: return half_cost(algorithm, shape, size);
  }
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

bool is_ring_protocol(CollectiveKind kind, const CollectiveChoice& choice) {
  return !is_point_to_point(kind) && !in_switch(choice.algorithm) && choice.protocol != CollectiveProtocol::simple;
}

/// The last of `limits` {loops, chunk} that S does not fill with so many loops of the chunk so far.
Bytes least_chunk(Bytes chunk, Bytes size, std::int64_t in_flight, std::initializer_list<std::pair<std::int64_t, Bytes>> limits) {
  for (const auto& [loops, smaller] : limits) {
    if (size < chunk * (loops * in_flight) && chunk > smaller) chunk = smaller;
  }
  return chunk;
}

// NCCL, src/enqueue.cc: calcCollChunking. With trees among four nodes or more no chunk is larger than 64 KiB (init.cc, nvlsTreeMaxChunkSize).
Bytes switch_chunk(const CollectiveSpec& spec, CollectiveAlgorithm algorithm, const GroupShape& shape, Bytes size) {
  constexpr Bytes kib(1024);
  if (!spec.kernels->switch_loops || !in_switch(algorithm)) return Bytes{};
  const SwitchLoops& loops = *spec.kernels->switch_loops;
  const std::int64_t in_flight = spec.channels.nvls * (shape.members / shape.nodes);
  if (algorithm == CollectiveAlgorithm::nvls) {
    return least_chunk(loops.in_node, size, in_flight, {{64, kib * 64}, {8, kib * 32}, {2, kib * 16}});
  }
  const Bytes largest = shape.nodes >= 4 ? std::min(loops.across, kib * 64) : loops.across;
  return least_chunk(largest, size, in_flight, {{32, kib * 256}, {16, kib * 128}, {4, kib * 64}, {1, kib * 32}});
}

// NCCL, src/enqueue.cc and src/include: slices of a ring's chunks, two to a chunk, of at most a quarter of a buffer of 4 MiB; a tree's chunks,
// so many that they fill its levels; messages of at most 128 KiB to a peer (NCCL_P2P_NET_CHUNKSIZE).
Bytes message_bytes(const CollectiveSpec& spec, CollectiveKind kind, CollectiveAlgorithm algorithm, const GroupShape& shape, Bytes size) {
  constexpr Bytes kib(1024);
  if (in_switch(algorithm)) return switch_chunk(spec, algorithm, shape, size);
  if (shape.nodes == 1 || spec.kernels->message == Seconds(0)) return Bytes{};
  if (is_point_to_point(kind)) return std::clamp(kind == CollectiveKind::all_to_all ? size / shape.members : size, Bytes(1), kib * 128);
  if (algorithm != CollectiveAlgorithm::tree) return std::clamp(size / (shape.members * spec.channels.ring * 2), Bytes(1), kib * 1024);
  const std::int64_t levels = shape.members / shape.nodes - 1 + static_cast<std::int64_t>(tree_depth(shape.nodes));
  Bytes chunk = kib * 512;
  for (const auto& [filled, least] : {std::pair{8, kib * 128}, {4, kib * 64}, {1, kib * 32}}) {
    while (size / (spec.channels.ring * chunk.value()) < Bytes(levels * filled) && chunk > least) chunk = chunk / 2;
  }
  return chunk;
}

Bytes loop_bytes(const CollectiveSpec& spec, const CollectiveChoice& choice, std::int64_t in_node) {
  return choice.chunk * (spec.channels.nvls * in_node);
}

Seconds tuner_estimate(const Tuner& tuner, CollectiveKind kind, const CollectiveChoice& choice, const GroupShape& shape, Bytes size) {
  if (choice.algorithm == CollectiveAlgorithm::nvls && !tuner.nvls) return Seconds(std::numeric_limits<double>::max());
  const TunerEstimate& of = choice.algorithm == CollectiveAlgorithm::nvls      ? *tuner.nvls
                            : choice.protocol == CollectiveProtocol::ll        ? tuner.ll
                            : choice.protocol == CollectiveProtocol::ll128     ? tuner.ll128
                                                                               : tuner.simple;
  const auto bytes = static_cast<double>(size.value());
  const Cost ring = cost_of(kind, CollectiveAlgorithm::ring, shape, bytes);
  return of.call + of.step * ring.nvlink_steps + Seconds(ring.nvlink_bytes / of.rate.value());
}

// NCCL's tuner knows nothing of what messages cost.
Seconds estimate(const CollectiveSpec& spec, CollectiveKind kind, const CollectiveChoice& choice, const GroupShape& shape, Bytes size) {
  const LibraryKernels& kernels = *spec.kernels;
  if (kernels.tuner && shape.nodes == 1) return tuner_estimate(*kernels.tuner, kind, choice, shape, size);
  const TransferMode& mode = mode_of(kernels, kind, choice);
  const auto bytes = static_cast<double>(size.value());
  const Cost cost = cost_of(kind, choice.algorithm, shape, bytes);
  const GroupSize group{shape.members, shape.members / shape.nodes};
  const double nvlink = cost.nvlink_bytes / (kernels.nvlink.value() * nvlink_share(spec, kind, choice, {shape.members, shape.members}));
  const double network = cost.network_bytes > 0 ? cost.network_bytes / (kernels.network.value() * mode.network_share) : 0.0;
  const Bytes chunk = pipeline_chunk(spec, choice, group);
  const double piece = chunk > Bytes{} ? std::min(1.0, static_cast<double>(chunk.value()) / (bytes + 1)) : 1.0;
  return mode.call + cost.nvlink_steps * mode.nvlink_step + cost.network_steps * mode.network_step +
         fill_time(spec, kind, choice, group, Bytes(static_cast<std::int64_t>(cost.nvlink_bytes))) +
         Seconds(std::max(nvlink, network) + piece * std::min(nvlink, network));
}

}  // namespace

const TransferMode& mode_of(const LibraryKernels& kernels, CollectiveKind kind, const CollectiveChoice& choice) {
  if (kernels.tokens && choice.algorithm == CollectiveAlgorithm::low_latency) return kernels.tokens->low_latency;
  if (kernels.tokens && choice.algorithm == CollectiveAlgorithm::deduplicated) return token_kernel(kernels, choice).mode;
  if (is_point_to_point(kind)) {
    return choice.protocol == CollectiveProtocol::ll && kernels.point_to_point_ll ? *kernels.point_to_point_ll : kernels.point_to_point;
  }
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
  if (is_point_to_point(kind) && choice.protocol == CollectiveProtocol::ll) {
    return std::min(kernels.point_to_point.nvlink_share, share * static_cast<double>(std::max<std::int64_t>(1, members - 1)));
  }
  if (is_ring_protocol(kind, choice) && members > 1) {
    const double steps = (kind == CollectiveKind::all_reduce ? 2.0 : 1.0) * static_cast<double>(members - 1);
    return share * steps / (steps + 1);
  }
  if (choice.algorithm == CollectiveAlgorithm::nvls && choice.chunk > Bytes{}) {
    const double per_loop = static_cast<double>(loop_bytes(spec, choice, members).value()) * (1 + 1 / static_cast<double>(members));
    return 1 / (1 / share + kernels.switch_loops->loop.value() * kernels.nvlink.value() / per_loop);
  }
  const bool limited = kernels.channel_rate > BytesPerSecond(0) && !in_switch(choice.algorithm) &&
                       (is_point_to_point(kind) || choice.protocol == CollectiveProtocol::simple);
  if (!limited || members < 2) return share;
  const auto channels = static_cast<double>(is_point_to_point(kind) ? spec.channels.point_to_point : spec.channels.ring);
  return std::min(share, channels * kernels.channel_rate.value() / loads_and_stores(kind, members) / kernels.nvlink.value());
}

double network_share(const CollectiveSpec& spec, CollectiveKind kind, const CollectiveChoice& choice) {
  const LibraryKernels& kernels = *spec.kernels;
  const double share = mode_of(kernels, kind, choice).network_share;
  if (choice.chunk == Bytes{} || kernels.message == Seconds(0)) return share;
  return std::min(share, static_cast<double>(choice.chunk.value()) / (kernels.message.value() * kernels.network.value()));
}

Bytes pipeline_chunk(const CollectiveSpec& spec, const CollectiveChoice& choice, GroupSize group) {
  if (choice.chunk > Bytes{} && in_switch(choice.algorithm)) return loop_bytes(spec, choice, group.in_node);
  if (spec.kernels && spec.kernels->tokens && choice.algorithm == CollectiveAlgorithm::deduplicated) {
    const std::int64_t tokens = token_kernel(*spec.kernels, choice).piece;
    if (tokens > 0) return choice.tokens.row * (tokens * choice.tokens.top_k);
  }
  return spec.pipeline_chunk;
}

Seconds fill_time(const CollectiveSpec& spec, CollectiveKind kind, const CollectiveChoice& choice, GroupSize group, Bytes sent) {
  if (sent == Bytes{}) return Seconds(0);
  const TransferMode& mode = mode_of(*spec.kernels, kind, choice);
  const auto bytes = static_cast<double>(sent.value());
  if (choice.algorithm == CollectiveAlgorithm::deduplicated && group.members > group.in_node) return Seconds(0);
  if (choice.chunk > Bytes{} && in_switch(choice.algorithm)) {
    const double loop = static_cast<double>(loop_bytes(spec, choice, group.in_node).value()) * (1 + 1 / static_cast<double>(group.in_node));
    const SwitchLoops& loops = *spec.kernels->switch_loops;
    const double stages = choice.algorithm == CollectiveAlgorithm::nvls ? loops.stages : loops.stages_across;
    return Seconds(stages * std::min(loop, bytes) / (nvlink_share(spec, kind, choice, group) * spec.kernels->nvlink.value()));
  }
  return mode.fill * (bytes / (bytes + static_cast<double>(mode.fill_size.value())));
}

CollectiveChoice tune(const CollectiveSpec& spec, CollectiveKind kind, CollectiveAlgorithm wanted, const GroupShape& shape, Bytes size) {
  if (is_point_to_point(kind)) {
    constexpr std::int64_t most_to_a_peer = 16 << 10;   // NCCL_P2P_LL_THRESHOLD
    const CollectiveAlgorithm algorithm = wanted == CollectiveAlgorithm::automatic ? CollectiveAlgorithm::flat : wanted;
    const Bytes to_a_peer = kind == CollectiveKind::all_to_all ? size / shape.members : size;
    const bool small = spec.kernels->point_to_point_ll && shape.nodes == 1 && to_a_peer <= Bytes(most_to_a_peer);
    return {algorithm, small && algorithm == CollectiveAlgorithm::flat ? CollectiveProtocol::ll : CollectiveProtocol::simple, {},
            message_bytes(spec, kind, algorithm, shape, size)};
  }
  const std::vector<CollectiveAlgorithm> algorithms =
      wanted == CollectiveAlgorithm::automatic ? candidates(spec, kind, shape) : std::vector{wanted};
  std::optional<CollectiveChoice> best;
  Seconds least{};
  for (const CollectiveAlgorithm algorithm : algorithms) {
    for (const CollectiveProtocol protocol : {CollectiveProtocol::ll, CollectiveProtocol::ll128, CollectiveProtocol::simple}) {
      if (!runs(algorithm, protocol)) continue;
      const CollectiveChoice choice{algorithm, protocol, {}, message_bytes(spec, kind, algorithm, shape, size)};
      const Seconds time = estimate(spec, kind, choice, shape, size);
      if (best && time >= least) continue;
      best = choice;
      least = time;
    }
  }
  return *best;
}

}  // namespace fabricast::hw
