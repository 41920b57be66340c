#include <fmt/format.h>

#include <optional>

#include "hardware_models/topology_parts.hpp"

namespace fabricast::hw {
namespace {

class Wirer {
 public:
  Wirer(const ClusterSpec& cluster, const Equipment& equipment, const LeafPlan& plan)
      : cluster_(cluster), equipment_(equipment), plan_(plan), gpus_(cluster.gpus()) {}

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

  std::string gpu_name(std::int64_t gpu) const {
    return fmt::format("node {} gpu {}", gpu / cluster_.node.gpus, gpu % cluster_.node.gpus);
  }

  static std::string nic_name(const NicPort& port) {
    if (port.nics == 1) return fmt::format("node {} nic {}", port.node, port.first_nic);
    return fmt::format("node {} nics {}-{}", port.node, port.first_nic, port.first_nic + port.nics - 1);
  }

  std::string leaf_name(std::int64_t leaf) const {
    if (cluster_.fabric.kind == FabricKind::fat_tree) return fmt::format("leaf {}", leaf);
    return fmt::format("pod {} rail {}", leaf / plan_.leaves_per_pod(), leaf % plan_.leaves_per_pod());
  }

  std::string spine_name(std::int64_t spine) const {
    return cluster_.fabric.spine_choice == SpineChoice::adaptive ? "spines" : fmt::format("spine {}", spine);
  }

  void wire_nodes(VertexId first_plane) {
    const Seconds hop = cluster_.node.nvlink_latency / 2.0;  // a route goes up and down
    for (std::int64_t gpu = 0; gpu < gpus_; ++gpu) {
      const std::int64_t node = gpu / cluster_.node.gpus;
      const VertexId self = nth(VertexId{}, gpu), plane = nth(first_plane, node);
      const std::string gpu_text = gpu_name(gpu);
      GpuPorts& ports = wiring_.ports[gpu];
      ports.node = NodeId{static_cast<std::int32_t>(node)};
      ports.to_nvswitch = add_link(LinkKind::nvlink, equipment_.nvlink[gpu], hop, self, plane, gpu_text + " -> nvswitch");
      ports.from_nvswitch = add_link(LinkKind::nvlink, equipment_.nvlink[gpu], hop, plane, self, "nvswitch -> " + gpu_text);
    }
  }

  void wire_network() {
    const VertexId first_nic = add_vertices(static_cast<std::int64_t>(equipment_.ports.size()), VertexKind::nic);
    const VertexId first_leaf = add_vertices(plan_.leaves(), VertexKind::leaf);
    const VertexId first_spine = add_vertices(plan_.spines(), VertexKind::spine);
    wire_nics(first_nic, first_leaf);
    wire_switches(first_leaf, first_spine);
  }

  /// GPU by GPU, so that the links of a GPU with a NIC of its own stand together. GPUs that share a port share its links to the leaf.
  void wire_nics(VertexId first_nic, VertexId first_leaf) {
    struct Cable { LinkId up, down; };
    std::vector<std::optional<Cable>> cables(equipment_.ports.size());
    const Seconds none{}, hop = cluster_.fabric.nic_latency / 2.0;  // NIC to NIC: up and down, the PCIe parts included
    for (std::int64_t gpu = 0; gpu < gpus_; ++gpu) {
      const std::int32_t place = equipment_.port_of[gpu];
      const NicPort& port = equipment_.ports[place];
      const VertexId self = nth(VertexId{}, gpu), nic = nth(first_nic, place), leaf = nth(first_leaf, plan_.leaf_of(port));
      const std::string gpu_text = gpu_name(gpu), nic_text = nic_name(port), leaf_text = leaf_name(plan_.leaf_of(port));
      GpuPorts& ports = wiring_.ports[gpu];
      ports.leaf = static_cast<std::int32_t>(plan_.leaf_of(port));
      ports.to_nic = add_link(LinkKind::pcie, equipment_.pcie[gpu], none, self, nic, gpu_text + " -> nic");
      ports.from_nic = add_link(LinkKind::pcie, equipment_.pcie[gpu], none, nic, self, nic_text + " -> gpu");
      if (!cables[place]) {
        cables[place] = {add_link(LinkKind::infiniband, port.bandwidth, hop, nic, leaf, nic_text + " -> " + leaf_text),
                         add_link(LinkKind::infiniband, port.bandwidth, hop, leaf, nic, leaf_text + " -> " + nic_text)};
      }
      ports.nic_to_leaf = cables[place]->up;
      ports.leaf_to_nic = cables[place]->down;
    }
  }

  void wire_switches(VertexId first_leaf, VertexId first_spine) {
    const Seconds hop = cluster_.fabric.switch_latency;
    for (std::int64_t l = 0; l < plan_.leaves(); ++l) {
      for (std::int64_t s = 0; s < plan_.spines(); ++s) {
        const BytesPerSecond uplink = plan_.uplinks()[l * plan_.spines() + s];
        if (uplink == BytesPerSecond(0)) continue;
        const VertexId leaf = nth(first_leaf, l), spine = nth(first_spine, s);
        add_link(LinkKind::fabric, uplink, hop, leaf, spine, fmt::format("{} -> {}", leaf_name(l), spine_name(s)));
        add_link(LinkKind::fabric, uplink, hop, spine, leaf, fmt::format("{} -> {}", spine_name(s), leaf_name(l)));
      }
    }
  }

  const ClusterSpec& cluster_;
  const Equipment& equipment_;
  const LeafPlan& plan_;
  std::int64_t gpus_;
  Wiring wiring_;
};

}  // namespace

Wiring wire(const ClusterSpec& cluster, const Equipment& equipment, const LeafPlan& plan) {
  return Wirer(cluster, equipment, plan).build();
}

}  // namespace fabricast::hw
