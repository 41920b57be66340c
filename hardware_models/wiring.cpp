#include <fmt/format.h>

#include "hardware_models/topology_parts.hpp"

namespace fabricast::hw {
namespace {

class Wirer {
 public:
  explicit Wirer(const ClusterSpec& cluster) : cluster_(cluster), gpus_(cluster.gpus()) {}

  Wiring build() {
    wiring_.ports.resize(gpus_);
    add_vertices(gpus_, VertexKind::gpu);
    wire_nodes(add_vertices(cluster_.nodes, VertexKind::nvswitch));
    if (cluster_.nodes > 1) wire_network();
    return std::move(wiring_);
  }

 private:
  VertexId add_vertices(std::int64_t count, VertexKind kind) {
    const VertexId first{static_cast<std::int32_t>(wiring_.vertices.size())};
    wiring_.vertices.insert(wiring_.vertices.end(), count, kind);
    return first;
  }

  LinkId add_link(LinkKind kind, BytesPerSecond bandwidth, Seconds latency, VertexId from, VertexId to, std::string name) {
    wiring_.links.push_back({kind, bandwidth, latency, from, to, std::move(name)});
    return LinkId{static_cast<std::int32_t>(wiring_.links.size()) - 1};
  }

  static VertexId nth(VertexId first, std::int64_t index) { return VertexId{first.value + static_cast<std::int32_t>(index)}; }

  std::string gpu_name(std::int64_t gpu, std::string_view what) const {
    return fmt::format("node {} {} {}", gpu / cluster_.node.gpus, what, gpu % cluster_.node.gpus);
  }

  std::string leaf_name(std::int64_t leaf) const {
    if (cluster_.fabric.kind == FabricKind::fat_tree) return fmt::format("leaf {}", leaf);
    return fmt::format("pod {} rail {}", leaf / cluster_.node.gpus, leaf % cluster_.node.gpus);
  }

  void wire_nodes(VertexId first_plane) {
    const BytesPerSecond bandwidth = cluster_.node.nvlink_bandwidth;
    const Seconds hop = cluster_.node.nvlink_latency / 2.0;  // a route goes up and down
    for (std::int64_t gpu = 0; gpu < gpus_; ++gpu) {
      const std::int64_t node = gpu / cluster_.node.gpus;
      const VertexId self = nth(VertexId{}, gpu), plane = nth(first_plane, node);
      const std::string gpu_text = gpu_name(gpu, "gpu");
      GpuPorts& ports = wiring_.ports[gpu];
      ports.node = NodeId{static_cast<std::int32_t>(node)};
      ports.to_nvswitch = add_link(LinkKind::nvlink, bandwidth, hop, self, plane, gpu_text + " -> nvswitch");
      ports.from_nvswitch = add_link(LinkKind::nvlink, bandwidth, hop, plane, self, "nvswitch -> " + gpu_text);
    }
  }

  void wire_network() {
    const LeafPlan plan(cluster_);
    const VertexId first_nic = add_vertices(gpus_, VertexKind::nic);
    const VertexId first_leaf = add_vertices(plan.leaves(), VertexKind::leaf);
    const VertexId first_spine = add_vertices(plan.spines(), VertexKind::spine);
    wire_nics(plan, first_nic, first_leaf);
    wire_switches(plan, first_leaf, first_spine);
  }

  void wire_nics(const LeafPlan& plan, VertexId first_nic, VertexId first_leaf) {
    const BytesPerSecond pcie = cluster_.node.pcie_bandwidth, network = cluster_.fabric.nic_bandwidth;
    const Seconds none{}, hop = cluster_.fabric.nic_latency / 2.0;  // NIC to NIC: up and down, the PCIe parts included
    for (std::int64_t gpu = 0; gpu < gpus_; ++gpu) {
      const VertexId self = nth(VertexId{}, gpu), nic = nth(first_nic, gpu), leaf = nth(first_leaf, plan.leaf_of(gpu));
      const std::string gpu_text = gpu_name(gpu, "gpu"), nic_text = gpu_name(gpu, "nic"), leaf_text = leaf_name(plan.leaf_of(gpu));
      GpuPorts& ports = wiring_.ports[gpu];
      ports.leaf = static_cast<std::int32_t>(plan.leaf_of(gpu));
      ports.to_nic = add_link(LinkKind::pcie, pcie, none, self, nic, gpu_text + " -> nic");
      ports.from_nic = add_link(LinkKind::pcie, pcie, none, nic, self, nic_text + " -> gpu");
      ports.nic_to_leaf = add_link(LinkKind::infiniband, network, hop, nic, leaf, nic_text + " -> " + leaf_text);
      ports.leaf_to_nic = add_link(LinkKind::infiniband, network, hop, leaf, nic, leaf_text + " -> " + nic_text);
    }
  }

  void wire_switches(const LeafPlan& plan, VertexId first_leaf, VertexId first_spine) {
    const std::vector<BytesPerSecond> uplinks = plan.uplink_bandwidth();
    const Seconds hop = cluster_.fabric.switch_latency;
    for (std::int64_t l = 0; l < plan.leaves(); ++l) {
      for (std::int64_t s = 0; s < plan.spines(); ++s) {
        const BytesPerSecond share = uplinks[l] / static_cast<double>(plan.spines());
        const VertexId leaf = nth(first_leaf, l), spine = nth(first_spine, s);
        add_link(LinkKind::fabric, share, hop, leaf, spine, fmt::format("{} -> spine {}", leaf_name(l), s));
        add_link(LinkKind::fabric, share, hop, spine, leaf, fmt::format("spine {} -> {}", s, leaf_name(l)));
      }
    }
  }

  const ClusterSpec& cluster_;
  std::int64_t gpus_;
  Wiring wiring_;
};

}  // namespace

Wiring wire(const ClusterSpec& cluster) { return Wirer(cluster).build(); }

}  // namespace fabricast::hw
