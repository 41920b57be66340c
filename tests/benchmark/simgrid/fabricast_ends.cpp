#include "sim/engine.hpp"
#include "sim/flow_network.hpp"
#include "tests/benchmark/simgrid/transfers.hpp"

namespace fabricast::benchmarks {

namespace {

std::vector<BytesPerSecond> capacities(const hw::Topology& topology) {
  std::vector<BytesPerSecond> result;
  for (const hw::Link& link : topology.links()) result.push_back(link.bandwidth);
  return result;
}

}  // namespace

Ends ends_in_fabricast(const hw::Topology& topology, const Workload& workload, bool exact) {
  sim::Engine engine;
  sim::FlowNetwork network(engine, 0, capacities(topology), {.patience = exact ? sim::exact_completions : sim::patient_completions});
  const auto start = [&](std::size_t transfer) {
    const Transfer& what = workload.transfers[transfer];
    const hw::Route route = topology.route(what.from, what.to);
    const auto owner = workload.outstanding == Outstanding::one ? static_cast<sim::FlowOwner>(transfer) : 0;   // who waits for it
    network.start(network.add_path(route.links()), what.bytes, transfer, owner);
  };
  const auto follows = [&](std::size_t transfer) {
    return transfer > 0 && workload.transfers[transfer].from == workload.transfers[transfer - 1].from;
  };
  for (std::size_t i = 0; i < workload.transfers.size(); ++i) {
    if (workload.outstanding == Outstanding::all || !follows(i)) start(i);
  }
  Ends ends(workload.transfers.size());
  std::vector<sim::FlowTag> ended;
  engine.run([&](const sim::Event& event) {
    const auto now_ended = network.handle(event);
    ended.assign(now_ended.begin(), now_ended.end());
    for (const sim::FlowTag flow : ended) {
      ends[flow] = to_seconds(engine.now()).value();
      if (workload.outstanding == Outstanding::one && flow + 1 < ends.size() && follows(flow + 1)) start(flow + 1);
    }
  });
  return ends;
}

}  // namespace fabricast::benchmarks
