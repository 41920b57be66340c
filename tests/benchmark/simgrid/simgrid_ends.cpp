// SimGrid asked the same. CM02 without its window limit and its cross traffic: the plain max-min fair model, on the routes of the Topology.
#include <simgrid/s4u.hpp>

#include <string>

#include "tests/benchmark/simgrid/transfers.hpp"

namespace fabricast::benchmarks {

namespace {

namespace sg4 = simgrid::s4u;

std::vector<sg4::Host*> build(const hw::Topology& topology) {
  sg4::NetZone* zone = sg4::create_full_zone("cluster");
  std::vector<sg4::Link*> links;
  for (std::size_t i = 0; i < topology.links().size(); ++i) {
    links.push_back(zone->create_link("link " + std::to_string(i), topology.links()[i].bandwidth.value())->seal());
  }
  std::vector<sg4::Host*> hosts;
  for (std::int64_t gpu = 0; gpu < topology.gpus(); ++gpu) hosts.push_back(zone->create_host("gpu " + std::to_string(gpu), 1e9)->seal());
  for (std::size_t from = 0; from < hosts.size(); ++from) {
    for (std::size_t to = 0; to < hosts.size(); ++to) {
      if (from == to) continue;
      const hw::Route route = topology.route(GpuId{static_cast<std::int32_t>(from)}, GpuId{static_cast<std::int32_t>(to)});
      std::vector<sg4::LinkInRoute> crossed;
      for (const LinkId link : route.links()) crossed.emplace_back(links[link.index()]);
      zone->add_route(hosts[from]->get_netpoint(), hosts[to]->get_netpoint(), nullptr, nullptr, crossed, false);
    }
  }
  zone->seal();
  return hosts;
}

}  // namespace

Ends ends_in_simgrid(const hw::Topology& topology, const Workload& workload) {
  std::string name = "simgrid", quiet = "--log=root.threshold:critical";
  char* arguments[] = {name.data(), quiet.data(), nullptr};
  int count = 2;
  sg4::Engine engine(&count, arguments);
  sg4::Engine::set_config("network/model:CM02");
  sg4::Engine::set_config("network/TCP-gamma:0");
  sg4::Engine::set_config("network/crosstraffic:0");
  const std::vector<sg4::Host*> hosts = build(topology);
  const auto begin = [&](const Transfer& what) {
    return sg4::Comm::sendto_async(hosts[what.from.index()], hosts[what.to.index()], static_cast<std::uint64_t>(what.bytes.value()));
  };
  Ends ends(workload.transfers.size());
  for (std::size_t first = 0; first < workload.transfers.size();) {
    std::size_t last = first;
    while (last < workload.transfers.size() && workload.transfers[last].from == workload.transfers[first].from) ++last;
    sg4::Actor::create("sender", hosts[workload.transfers[first].from.index()], [&workload, &ends, begin, first, last] {
      std::vector<sg4::CommPtr> under_way;
      for (std::size_t i = first; i < last; ++i) {
        under_way.push_back(begin(workload.transfers[i]));
        if (workload.outstanding == Outstanding::one) under_way.back()->wait();
      }
      for (std::size_t i = first; i < last; ++i) {
        if (workload.outstanding == Outstanding::all) under_way[i - first]->wait();
        ends[i] = under_way[i - first]->get_finish_time();
      }
    });
    first = last;
  }
  engine.run();
  return ends;
}

}  // namespace fabricast::benchmarks
