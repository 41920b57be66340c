#include "runtime/bench_plan.hpp"

#include <algorithm>
#include <array>
#include <map>
#include <optional>
#include <set>
#include <tuple>
#include <utility>

#include "runtime/host_limits.hpp"
#include "strategies/ir/instances.hpp"
#include "strategies/ir/resolve.hpp"
#include "strategies/ir/work_json.hpp"

namespace fabricast::runtime {
namespace {

using Rows = std::int64_t;

constexpr std::int64_t kibi = 1024, mebi = kibi * kibi;

void add_products(BenchPlan& plan, hw::Precision p) {
  for (const auto& [n, k] : {std::pair{512, 512}, {2048, 512}, {512, 2048}, {1024, 1024}}) {
    for (const Rows m : {16, 64, 256}) plan.kernels.push_back(hw::Gemm<Rows>{m, n, k, p});
  }
  for (const auto& [n, k] : {std::pair{1024, 512}, {512, 1024}}) {
    for (const hw::ExpertRowCounts& rows : {hw::ExpertRowCounts{16, 16, 16, 16}, {64, 64, 64, 64}, {8, 24, 56, 168}}) {
      plan.kernels.push_back(hw::GroupedGemm<hw::ExpertRowCounts>{rows, n, k, p});
    }
  }
}

void add_attention(BenchPlan& plan, hw::Precision p) {
  for (const auto& [heads, kv_heads] : {std::pair{4, 4}, {8, 2}}) {
    for (const std::int64_t length : {64, 256, 512}) plan.kernels.push_back(hw::Attention<Rows>{1, length, length, heads, kv_heads, 64, true, p});
  }
}

void add_passes(BenchPlan& plan, hw::Precision p) {
  for (const std::int64_t width : {256, 1024}) {
    for (const Rows rows : {32, 128, 512}) {
      plan.kernels.push_back(hw::RmsNorm<Rows>{rows, width, p});
      plan.kernels.push_back(hw::Rope<Rows>{rows, width, p, 64, 64});
      plan.kernels.push_back(hw::ResidualAdd<Rows>{rows, width, p});
      plan.kernels.push_back(hw::Activation<Rows>{rows, width, true, p});
      plan.kernels.push_back(hw::Permute<Rows>{rows, width, p});
      plan.kernels.push_back(hw::WeightedSum<Rows>{rows, 2 * rows, width, p});
      plan.kernels.push_back(hw::Embedding<Rows>{rows, width, 4096, p});
      plan.kernels.push_back(hw::Router<Rows>{rows, width, 16, 2, p});
    }
  }
}

void add_collectives(BenchPlan& plan, hw::Precision p) {
  using hw::CollectiveKind;
  for (const std::int32_t members : std::set<std::int32_t>{2, plan.ranks}) {
    if (members < 2) continue;
    for (const CollectiveKind kind : {CollectiveKind::all_reduce, CollectiveKind::all_gather, CollectiveKind::reduce_scatter,
                                      CollectiveKind::all_to_all, CollectiveKind::broadcast, CollectiveKind::send}) {
      if (kind == CollectiveKind::send && members > 2) continue;
      for (const std::int64_t size : {16 * kibi, 64 * kibi, 256 * kibi, mebi, 4 * mebi}) {
        plan.collectives.push_back({kind, Bytes(size), members, plan.ranks / members, p});
      }
    }
  }
}

/// The kernel with half its rows (of attention: queries and keys), rounded down; nothing where none would be left.
struct HalfOf {
  using Result = std::optional<hw::Kernel>;
  template <class Work>
  static Result halved(Work work, Rows Work::*rows) {
    work.*rows /= 2;
    return work.*rows > 0 ? Result(work) : std::nullopt;
  }

  Result operator()(const hw::Gemm<Rows>& w) const { return halved(w, &hw::Gemm<Rows>::m); }
  Result operator()(hw::GroupedGemm<hw::ExpertRowCounts> w) const {
    for (Rows& rows : w.rows) rows /= 2;
    return std::any_of(w.rows.begin(), w.rows.end(), [](Rows rows) { return rows > 0; }) ? Result(w) : std::nullopt;
  }
  Result operator()(hw::Attention<Rows> w) const {
    w.kv_length /= 2;
    return halved(w, &hw::Attention<Rows>::query_length);
  }
  Result operator()(const hw::Embedding<Rows>& w) const { return halved(w, &hw::Embedding<Rows>::tokens); }
  Result operator()(hw::WeightedSum<Rows> w) const {
    w.rows /= 2;
    return halved(w, &hw::WeightedSum<Rows>::tokens);
  }
  template <class Pass>
  Result operator()(const Pass& w) const { return halved(w, &Pass::rows); }
};

/// What stays equal whatever the rows: all sizes but those that HalfOf changes.
struct FamilyOf {
  hw::Kernel operator()(hw::Gemm<Rows> w) const { return w.m = 0, w; }
  hw::Kernel operator()(hw::GroupedGemm<hw::ExpertRowCounts> w) const { return std::fill(w.rows.begin(), w.rows.end(), 0), w; }
  hw::Kernel operator()(hw::Attention<Rows> w) const { return w.sequences = w.query_length = w.kv_length = 0, w; }
  hw::Kernel operator()(hw::Embedding<Rows> w) const { return w.tokens = 0, w; }
  hw::Kernel operator()(hw::WeightedSum<Rows> w) const { return w.tokens = w.rows = 0, w; }
  template <class Pass>
  hw::Kernel operator()(Pass w) const { return w.rows = 0, w; }
};

std::string family_of(const hw::Kernel& kernel) { return ir::kernel_json(std::visit(FamilyOf{}, kernel)); }

/// Kernels by family in order of first use, in each by bytes: every one once.
class KernelSet {
 public:
  void add(const hw::Kernel& kernel) {
    if (hw::memory_traffic(kernel) == Bytes(0) || !known_.insert(ir::kernel_json(kernel)).second) return;
    const auto [place, is_new] = family_at_.emplace(family_of(kernel), families_.size());
    if (is_new) families_.emplace_back();
    families_[place->second].push_back(kernel);
  }

  /// Of each family the smallest, the largest and some between.
  [[nodiscard]] std::vector<hw::Kernel> spread(std::size_t most) const {
    std::vector<hw::Kernel> chosen;
    for (std::vector<hw::Kernel> family : families_) {
      std::stable_sort(family.begin(), family.end(),
                       [](const hw::Kernel& a, const hw::Kernel& b) { return hw::memory_traffic(a) < hw::memory_traffic(b); });
      const std::size_t count = std::min(most, family.size());
      for (std::size_t i = 0; i < count; ++i) chosen.push_back(family[count == 1 ? family.size() - 1 : i * (family.size() - 1) / (count - 1)]);
    }
    return chosen;
  }

 private:
  std::set<std::string> known_;
  std::map<std::string, std::size_t> family_at_;
  std::vector<std::vector<hw::Kernel>> families_;
};

std::vector<hw::Kernel> kernels_of(const ir::Schedule& schedule, std::size_t most) {
  KernelSet whole;
  for (std::size_t r = 0; r < schedule.ranks.size(); ++r) {
    const Rank rank{static_cast<std::int32_t>(r)};
    for (const ir::Op& op : schedule.program_of(rank).ops) {
      if (const auto kernel = ir::resolve_kernel(op.work, schedule, rank)) whole.add(*kernel);
    }
  }
  KernelSet all;
  for (const hw::Kernel& kernel : whole.spread(std::max<std::size_t>(1, most / 2))) {
    std::optional<hw::Kernel> part = kernel;
    for (int halvings = 0; part && halvings < 3; ++halvings, part = std::visit(HalfOf{}, *part)) all.add(*part);
  }
  return all.spread(most);
}

/// A latency and a rate need several sizes, and a schedule often has one.
constexpr std::array<std::int64_t, 3> parts_of_a_size{1, 4, 16};

/// Of threads it does not matter which of them form a group.
enum class Ranks : std::uint8_t { threads, processes };

/// How far apart the members of groups are that cover all ranks as CollectiveBench::group_of deals them; 1 of others.
std::int32_t stride_of(const std::vector<Rank>& members, std::size_t ranks) {
  const std::int32_t stride = members[1].value - members[0].value, count = static_cast<std::int32_t>(members.size());
  if (stride < 1 || static_cast<std::int32_t>(ranks) % (stride * count) != 0) return 1;
  for (std::int32_t i = 1; i < count; ++i) {
    if (members[static_cast<std::size_t>(i)].value - members[0].value != i * stride) return 1;
  }
  return stride;
}

/// By kind, members and stride, those sizes and parts of them: the smallest, the largest and some between.
std::vector<CollectiveBench> collectives_of(const ir::Schedule& schedule, hw::Precision precision, std::size_t most, Ranks ranks) {
  std::map<std::tuple<hw::CollectiveKind, std::int32_t, std::int32_t>, std::set<Bytes>> sizes;
  for (const ir::Instance& instance : ir::match_instances(schedule).all) {
    const ir::InstanceMember& first = instance.members.front();
    const auto c = ir::resolve_collective(schedule, first.rank, schedule.program_of(first.rank).ops[first.op.index()]);
    if (c.members.size() < 2) continue;
    for (const std::int64_t parts : parts_of_a_size) {
      if (c.size / parts <= Bytes(0)) continue;
      const std::int32_t stride = ranks == Ranks::processes ? stride_of(c.members, schedule.ranks.size()) : 1;
      sizes[{c.kind, static_cast<std::int32_t>(c.members.size()), stride}].insert(c.size / parts);
    }
  }
  std::vector<CollectiveBench> benches;
  for (const auto& [key, all] : sizes) {
    const std::vector<Bytes> sorted(all.begin(), all.end());
    const std::size_t count = std::min(most, sorted.size());
    const auto& [kind, members, stride] = key;
    const auto groups = static_cast<std::int32_t>(schedule.ranks.size()) / members;
    for (std::size_t i = 0; i < count; ++i) {
      benches.push_back({kind, sorted[count == 1 ? sorted.size() - 1 : i * (sorted.size() - 1) / (count - 1)], members, std::max(groups, 1),
                         precision, stride});
    }
  }
  return benches;
}

BenchPlan shapes_of(const ir::Schedule& schedule, hw::Precision precision, std::size_t most, Ranks ranks) {
  BenchPlan plan;
  plan.ranks = static_cast<std::int32_t>(schedule.ranks.size());
  plan.kernels = kernels_of(schedule, most);
  plan.collectives = collectives_of(schedule, precision, most, ranks);
  return plan;
}

/// The matrix product of most FLOP.
std::vector<hw::Kernel> heaviest(const std::vector<hw::Kernel>& kernels) {
  const auto found = std::max_element(kernels.begin(), kernels.end(), [](const auto& a, const auto& b) { return hw::flop(a) < hw::flop(b); });
  return found == kernels.end() ? std::vector<hw::Kernel>{} : std::vector<hw::Kernel>{*found};
}

/// Of each class the kernel that takes longest: products, attention, passes over memory.
std::vector<hw::Kernel> longest_of_each_class(const std::vector<hw::Kernel>& kernels) {
  const auto class_of = [](const hw::Kernel& kernel) {
    if (std::holds_alternative<hw::Attention<Rows>>(kernel)) return 1;
    return hw::flop(kernel) > Flop(0) ? 0 : 2;
  };
  const auto is_less = [](const hw::Kernel& a, const hw::Kernel& b) {
    return std::pair(hw::flop(a), hw::memory_traffic(a)) < std::pair(hw::flop(b), hw::memory_traffic(b));
  };
  std::vector<hw::Kernel> longest;
  for (const int wanted : {0, 1, 2}) {
    const hw::Kernel* most = nullptr;
    for (const hw::Kernel& kernel : kernels) {
      if (class_of(kernel) == wanted && (!most || is_less(*most, kernel))) most = &kernel;
    }
    if (most) longest.push_back(*most);
  }
  return longest;
}

std::vector<Bytes> device_copies() { return {Bytes(mebi), Bytes(16 * mebi), Bytes(256 * mebi), Bytes(1024 * mebi)}; }

void add_device_products(BenchPlan& plan, hw::Precision p) {
  for (const auto& [n, k] : {std::pair{4096, 4096}, {16384, 4096}, {4096, 8192}, {28672, 8192}, {8192, 28672}, {2560, 2048}}) {
    for (const Rows m : {16, 256, 2048, 8192, 20000}) plan.kernels.push_back(hw::Gemm<Rows>{m, n, k, p});
  }
  for (const auto& [n, k] : {std::pair{16384, 4096}, {4096, 8192}, {4096, 2048}}) {
    plan.kernels.push_back(hw::GroupedGemm<hw::ExpertRowCounts>{{40000}, n, k, p});
    for (const Rows m : {64, 512, 4096}) plan.kernels.push_back(hw::GroupedGemm<hw::ExpertRowCounts>{hw::ExpertRowCounts(8, m), n, k, p});
    plan.kernels.push_back(hw::GroupedGemm<hw::ExpertRowCounts>{{64, 256, 512, 1024, 1536, 2048, 4096, 6848}, n, k, p});
  }
}

void add_device_attention(BenchPlan& plan, hw::Precision p) {
  for (const auto& [heads, kv_heads, head_dim] : {std::tuple{16, 16, 128}, {32, 8, 128}, {16, 16, 64}}) {
    for (const auto& [sequences, length] : {std::pair{16, 512}, {4, 2048}, {1, 10000}}) {
      plan.kernels.push_back(hw::Attention<Rows>{sequences, length, length, heads, kv_heads, head_dim, true, p});
    }
  }
}

void add_device_passes(BenchPlan& plan, hw::Precision p) {
  for (const std::int64_t width : {2048, 4096, 8192}) {
    for (const Rows rows : {256, 4096, 20000}) {
      plan.kernels.push_back(hw::RmsNorm<Rows>{rows, width, p});
      plan.kernels.push_back(hw::Rope<Rows>{rows, width, p, 128, 10000});
      plan.kernels.push_back(hw::ResidualAdd<Rows>{rows, width, p});
      plan.kernels.push_back(hw::Activation<Rows>{rows, width, true, p});
      plan.kernels.push_back(hw::Permute<Rows>{rows, width, p});
      plan.kernels.push_back(hw::WeightedSum<Rows>{rows, 2 * rows, width, p});
      plan.kernels.push_back(hw::Embedding<Rows>{rows, width, 51200, p});
      plan.kernels.push_back(hw::Router<Rows>{rows, width, 64, 2, p});
    }
  }
}

void add_device_collectives(BenchPlan& plan, hw::Precision p) {
  using hw::CollectiveKind;
  std::set<std::int32_t> groups{plan.ranks};
  for (std::int32_t members = 2; members <= plan.ranks; members *= 2) {
    if (plan.ranks % members == 0) groups.insert(members);
  }
  for (const std::int32_t members : groups) {
    for (const CollectiveKind kind : hw::all_collective_kinds) {
      if (members < 2 || (kind == CollectiveKind::send && members > 2)) continue;
      for (Bytes size(64 * kibi); size <= Bytes(1024 * mebi); size = 4 * size) {
        plan.collectives.push_back({kind, size, members, plan.ranks / members, p});
      }
    }
  }
}

Bytes share(Bytes size, std::int64_t parts, std::int64_t element) { return Bytes(size.value() / parts / element * element); }

}  // namespace

ExchangeShape shape_of(const CollectiveBench& bench) {
  const auto n = static_cast<std::size_t>(bench.members);
  const std::int64_t element = hw::element_bytes(bench.precision);
  ExchangeShape shape{bench.kind, n, {}, bench.precision, {}};
  switch (bench.kind) {
    case hw::CollectiveKind::all_gather:
    case hw::CollectiveKind::reduce_scatter: shape.counts.assign(n, share(bench.size, bench.members, element)); break;
    case hw::CollectiveKind::all_to_all: shape.counts.assign(n * n, share(bench.size, bench.members, element)); break;
    case hw::CollectiveKind::all_reduce:
    case hw::CollectiveKind::broadcast:
    case hw::CollectiveKind::send: shape.counts = {share(bench.size, 1, element)}; break;
  }
  return shape;
}

std::vector<Seconds> slowest_members(const CollectiveBench& bench, const std::vector<std::vector<Seconds>>& by_rank) {
  const std::size_t samples = by_rank.front().size();
  std::vector<Seconds> slowest(by_rank.size() / static_cast<std::size_t>(bench.members) * samples);
  for (std::size_t r = 0; r < by_rank.size(); ++r) {
    const auto group = static_cast<std::size_t>(bench.group_of(Rank{static_cast<std::int32_t>(r)}));
    for (std::size_t i = 0; i < samples; ++i) slowest[group * samples + i] = std::max(slowest[group * samples + i], by_rank[r][i]);
  }
  return slowest;
}

BenchPlan host_bench_plan(std::int32_t ranks, hw::Precision precision) {
  BenchPlan plan;
  plan.ranks = ranks;
  add_products(plan, precision);
  add_attention(plan, precision);
  add_passes(plan, precision);
  plan.copies = {Bytes(64 * kibi), Bytes(mebi), Bytes(16 * mebi)};
  add_collectives(plan, precision);
  if (ranks > 1) plan.beside = {hw::Gemm<Rows>{256, 1024, 1024, precision}, hw::ResidualAdd<Rows>{512, 1024, precision}};
  plan.beside_size = Bytes(mebi);
  return plan;
}

BenchPlan bench_plan_of(const ir::Schedule& schedule, std::size_t most) {
  BenchPlan plan = shapes_of(schedule, require_host_precision(schedule), most, Ranks::threads);
  plan.copies = {Bytes(64 * kibi), Bytes(mebi)};
  if (plan.ranks > 1) plan.beside = heaviest(plan.kernels);
  plan.beside_size = Bytes(mebi);
  return plan;
}

BenchPlan device_bench_plan(std::int32_t ranks, hw::Precision precision) {
  BenchPlan plan;
  plan.ranks = ranks;
  add_device_products(plan, precision);
  add_device_attention(plan, precision);
  add_device_passes(plan, precision);
  plan.copies = device_copies();
  add_device_collectives(plan, precision);
  plan.beside = longest_of_each_class(plan.kernels);
  return plan;
}

BenchPlan device_bench_plan_of(const ir::Schedule& schedule, std::size_t most) {
  BenchPlan plan = shapes_of(schedule, require_one_precision(schedule, "the CUDA backend"), most, Ranks::processes);
  plan.copies = device_copies();
  plan.beside = longest_of_each_class(plan.kernels);
  return plan;
}

}  // namespace fabricast::runtime
