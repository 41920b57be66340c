#include "sim/least_step.hpp"

#include <doctest/doctest.h>

#include <algorithm>

#include "sim/simulate.hpp"
#include "tests/sim/random_schedule.hpp"
#include "tests/sim/replays.hpp"

namespace fabricast::least_step_test {

using namespace fabricast;
using sim::Fidelity;

namespace {

SimTime step_at(const ir::Schedule& schedule, const hw::ClusterSpec& cluster, Fidelity fidelity) {
  sim::SimulateOptions options;
  options.fidelity = fidelity;
  const ir::Instances instances = ir::match_instances(schedule);
  const auto result = sim::simulate(schedule, instances, hw::Topology(cluster), sim::cost_model(cluster), options);
  SimTime end;
  for (const auto& row : result.trace.ops) {
    for (const ir::OpInterval& op : row) end = std::max(end, op.end);
  }
  return end;
}

SimTime least(const ir::Schedule& schedule, const hw::ClusterSpec& cluster, sim::LeastStepOptions options = {}) {
  return sim::least_step(schedule, ir::match_instances(schedule), ir::classes_by_size(schedule), hw::Topology(cluster), sim::cost_model(cluster),
                         options);
}

}  // namespace

TEST_CASE("no simulation of any schedule on any cluster is shorter than its least step") {
  int near = 0;
  for (std::uint64_t seed = 0; seed < 400; ++seed) {
    CAPTURE(seed);
    tests::Random random(seed);
    const hw::ClusterSpec cluster = tests::random_cluster(random);
    tests::RandomSchedule made(random, cluster.gpus());
    const ir::Schedule& schedule = made.schedule();
    const SimTime bound = least(schedule, cluster), flow = step_at(schedule, cluster, Fidelity::flow);
    CHECK(bound <= flow);
    CHECK(bound <= step_at(schedule, cluster, Fidelity::flow_exact));
    // What leaves something out is never longer.
    CHECK(least(schedule, cluster, {true, false}) >= bound);
    CHECK(least(schedule, cluster, {false, true}) <= bound);
    near += to_seconds(bound) / to_seconds(flow) > 0.5 ? 1 : 0;
  }
  CHECK(near > 50);   // and it says something
}

}  // namespace fabricast::least_step_test
