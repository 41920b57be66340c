#include "validation/link_utilization.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <optional>

namespace fabricast::validation {

namespace {

constexpr std::array kinds{hw::LinkKind::nvlink, hw::LinkKind::infiniband};
constexpr std::size_t series_per_node = 2 * kinds.size();

std::optional<std::size_t> place_of(hw::LinkKind kind) {
  const auto found = std::find(kinds.begin(), kinds.end(), kind);
  if (found == kinds.end()) return std::nullopt;
  return static_cast<std::size_t>(found - kinds.begin());
}

/// Which series each link belongs to, learnt from routes: those between GPUs of a node, and those to and from the next node.
class LinkOwners {
 public:
  LinkOwners(const hw::Topology& topology, const std::function<bool(NodeId)>& wanted)
      : topology_(topology), wanted_(wanted), series_(topology.links().size()) {
    const std::int64_t per_node = topology.gpus_per_node();
    for (std::int64_t g = 0; g < topology.gpus(); ++g) {
      const std::int64_t first = g - g % per_node;
      for (std::int64_t peer = first; peer < first + per_node; ++peer) learn(g, peer);
      learn(g, (g + per_node) % topology.gpus());
    }
  }

  [[nodiscard]] std::optional<std::size_t> of(LinkId link) const { return series_[link.index()]; }

 private:
  /// The first link of a kind leaves the source's node, the last one enters the destination's.
  void learn(std::int64_t source, std::int64_t destination) {
    const GpuId from{static_cast<std::int32_t>(source)}, to{static_cast<std::int32_t>(destination)};
    const hw::Route route = topology_.route(from, to);
    for (const hw::LinkKind kind : kinds) {
      std::vector<LinkId> links;
      for (const LinkId link : route.links()) {
        if (topology_.links()[link.index()].kind == kind) links.push_back(link);
      }
      if (links.size() < 2) continue;
      assign(links.front(), topology_.node_of(from), kind, Direction::out);
      assign(links.back(), topology_.node_of(to), kind, Direction::in);
    }
  }

  void assign(LinkId link, NodeId node, hw::LinkKind kind, Direction direction) {
    if (wanted_ && !wanted_(node)) return;
    series_[link.index()] = node.index() * series_per_node + *place_of(kind) * 2 + static_cast<std::size_t>(direction);
  }

  const hw::Topology& topology_;
  const std::function<bool(NodeId)>& wanted_;
  std::vector<std::optional<std::size_t>> series_;   // by link
};

/// Turns the changes of one series into samples.
class Averager {
 public:
  Averager(UtilizationSeries& series, SimTime resolution) : series_(series), resolution_(resolution) {}

  void change(SimTime time, BytesPerSecond by) {
    pass(time);
    if (time - window_ >= resolution_) close_window(time);
    rate_ += by;
  }

  void finish(SimTime end) {
    pass(end);
    if (end > window_) close_window(end);
  }

 private:
  void pass(SimTime time) {
    carried_ += rate_.value() * to_seconds(time - now_).value();
    now_ = time;
  }

  void close_window(SimTime time) {
    if (time > window_) {
      const double mean = carried_ / to_seconds(time - window_).value() / series_.bandwidth.value();
      if (series_.samples.empty() || series_.samples.back().utilization != mean) series_.samples.push_back({window_, mean});
    }
    window_ = time;
    carried_ = 0;
  }

  UtilizationSeries& series_;
  SimTime resolution_, window_, now_;
  BytesPerSecond rate_;
  double carried_ = 0;   // bytes since the window began
};

std::vector<UtilizationSeries> empty_series(const hw::Topology& topology, const LinkOwners& owners) {
  std::vector<UtilizationSeries> all;
  for (std::int64_t node = 0; node < topology.nodes(); ++node) {
    for (const hw::LinkKind kind : kinds) {
      for (const Direction direction : {Direction::out, Direction::in}) {
        all.push_back({NodeId{static_cast<std::int32_t>(node)}, kind, direction, {}, {}});
      }
    }
  }
  for (std::size_t link = 0; link < topology.links().size(); ++link) {
    const auto series = owners.of(LinkId{static_cast<std::int32_t>(link)});
    if (series) all[*series].bandwidth += topology.links()[link].bandwidth;
  }
  return all;
}

/// By link with rates: those that have them and belong to a node.
std::vector<std::vector<LinkId>> links_rated_as(const hw::Topology& topology, std::span<const LinkId> rated_as, const LinkOwners& owners) {
  std::vector<std::vector<LinkId>> links(topology.links().size());
  for (std::size_t l = 0; l < links.size(); ++l) {
    const LinkId link{static_cast<std::int32_t>(l)};
    if (owners.of(link)) links[(rated_as.empty() ? link : rated_as[l]).index()].push_back(link);
  }
  return links;
}

}  // namespace

std::vector<UtilizationSeries> link_utilization(const hw::Topology& topology, std::span<const sim::LinkRate> rates, SimTime resolution,
                                                SimTime end, std::span<const LinkId> rated_as, const std::function<bool(NodeId)>& wanted) {
  const LinkOwners owners(topology, wanted);
  const std::vector<std::vector<LinkId>> links = links_rated_as(topology, rated_as, owners);
  std::vector<UtilizationSeries> all = empty_series(topology, owners);
  std::vector<Averager> averagers;
  for (UtilizationSeries& series : all) averagers.emplace_back(series, resolution);
  std::vector<BytesPerSecond> now(topology.links().size());
  for (const sim::LinkRate& change : rates) {
    for (const LinkId link : links[change.link.index()]) {
      averagers[*owners.of(link)].change(change.time, change.rate - now[change.link.index()]);
    }
    now[change.link.index()] = change.rate;
  }
  for (Averager& averager : averagers) averager.finish(end);
  std::erase_if(all, [](const UtilizationSeries& series) { return series.bandwidth == BytesPerSecond(0); });
  return all;
}

}  // namespace fabricast::validation
