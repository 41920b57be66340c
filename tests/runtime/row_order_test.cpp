#include "runtime/row_order.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <map>
#include <set>
#include <tuple>

#include "strategies/ir/resolve.hpp"
#include "tests/runtime/tiny.hpp"

namespace fabricast::row_order_test {

using namespace fabricast;
using namespace fabricast::tests;

namespace {

/// A row by what it is: token of a source, and the expert it is for.
using Identity = std::tuple<std::int32_t, std::int64_t, std::int32_t>;

Rank rank_of(std::size_t index) { return Rank{static_cast<std::int32_t>(index)}; }

std::vector<Identity> sent_by(const ir::Schedule& schedule, Rank rank, ir::RoutingStep step) {
  const ir::RankBinding& binding = schedule.ranks[rank.index()];
  const auto range = schedule.routing.tokens_of(step.chunk);
  const std::int64_t tokens = range.last - range.first;
  std::vector<Identity> rows;
  for (const runtime::SentRow& row : runtime::sent_rows(schedule, rank, step)) {
    const std::int32_t source = binding.source + static_cast<std::int32_t>(row.token / tokens);
    const std::int64_t token = row.token % tokens;
    const auto experts = schedule.routing.experts_of(step, source);
    rows.emplace_back(source, token, experts[static_cast<std::size_t>(token * schedule.routing.shape().top_k + row.choice)]);
  }
  return rows;
}

/// What a rank receives when every sender's rows are cut by the counts of the all-to-all.
std::vector<Identity> arrived_at(const ir::Schedule& schedule, Rank rank, ir::RoutingStep step) {
  const ir::Op dispatch{{}, ir::AllToAll{ir::AllToAll::Direction::dispatch, step, 1}, {}, {}, {}, {}, {}, step};
  const auto resolved = ir::resolve_collective(schedule, rank, dispatch);
  const std::size_t n = resolved.members.size(), own = static_cast<std::size_t>(schedule.member_of(rank, ir::Axis::expert));
  std::vector<Identity> rows;
  for (std::size_t s = 0; s < n; ++s) {
    const auto sent = sent_by(schedule, resolved.members[s], step);
    std::int64_t first = 0;
    for (std::size_t d = 0; d < own; ++d) first += resolved.counts[s * n + d].value();
    const auto begin = sent.begin() + first;
    rows.insert(rows.end(), begin, begin + resolved.counts[s * n + own].value());
  }
  return rows;
}

std::vector<Job> jobs() {
  std::vector<Job> result;
  Job ep4_tp2;
  ep4_tp2.gpus = 8;
  ep4_tp2.strategy.tensor = 2;
  ep4_tp2.strategy.expert = 4;
  ep4_tp2.strategy.overlap_chunks = 3;
  result.push_back(ep4_tp2);
  ep4_tp2.routing.distribution = strategy::RoutingDistribution::zipf;
  result.push_back(ep4_tp2);
  Job replicated_input = ep4_tp2;
  replicated_input.strategy.overlap_chunks = 1;
  replicated_input.strategy.expert_input = strategy::ExpertInput::replicated;
  result.push_back(replicated_input);
  Job copies;
  copies.gpus = 8;
  copies.model.moe->experts_per_layer = 4;
  copies.strategy.expert = 8;
  copies.strategy.expert_placement = strategy::ExpertPlacement::replicated;
  result.push_back(copies);
  return result;
}

template <class Check>
void for_each_step(const ir::Schedule& schedule, Check&& check) {
  for (std::int32_t chunk = 0; chunk < schedule.routing.shape().chunks; ++chunk) {
    for (std::size_t r = 0; r < schedule.ranks.size(); ++r) check(rank_of(r), ir::RoutingStep{1, 0, chunk});
  }
}

}  // namespace

TEST_CASE("a rank sends every choice of its tokens once") {
  for (const Job& job : jobs()) {
    const auto schedule = schedule_of(job);
    for_each_step(schedule, [&](Rank rank, ir::RoutingStep step) {
      const auto rows = sent_by(schedule, rank, step);
      CHECK(std::set<Identity>(rows.begin(), rows.end()).size() == rows.size());
      CHECK(std::ssize(rows) == ir::evaluate(ir::Extent{ir::Extent::Of::rows_sent, 1, step}, schedule, rank));
    });
  }
}

TEST_CASE("rows cut by the plan's counts arrive where their expert lives, by expert, source and token") {
  for (const Job& job : jobs()) {
    const auto schedule = schedule_of(job);
    for_each_step(schedule, [&](Rank rank, ir::RoutingStep step) {
      const auto& hosted = schedule.routing.hosted(step.layer, schedule.member_of(rank, ir::Axis::expert));
      const auto rows = arrived_at(schedule, rank, step);
      for (const auto& [source, token, expert] : rows) CHECK(std::binary_search(hosted.begin(), hosted.end(), expert));
      const auto by_sender = [&](const Identity& a, const Identity& b) {
        const auto key = [&](const Identity& row) {
          const std::int32_t sender = std::get<0>(row) / schedule.ranks[0].sources_dispatched;
          return std::tuple(sender, std::get<2>(row), std::get<0>(row), std::get<1>(row));
        };
        return key(a) < key(b);
      };
      CHECK(std::is_sorted(rows.begin(), rows.end(), by_sender));
    });
  }
}

TEST_CASE("by expert: gathered rows sorted stably, as many for each expert as the grouped product expects") {
  for (const Job& job : jobs()) {
    const auto schedule = schedule_of(job);
    for_each_step(schedule, [&](Rank rank, ir::RoutingStep step) {
      std::vector<Identity> gathered;
      if (schedule.ranks[rank.index()].sources_dispatched > 1) {
        gathered = arrived_at(schedule, rank, step);
      } else {
        for (const Rank member : schedule.group_of(rank, ir::Axis::expert_tensor).members) {
          const auto rows = arrived_at(schedule, member, step);
          gathered.insert(gathered.end(), rows.begin(), rows.end());
        }
      }
      auto expected = gathered;
      std::stable_sort(expected.begin(), expected.end(),
                       [](const Identity& a, const Identity& b) { return std::get<2>(a) < std::get<2>(b); });
      std::vector<Identity> sorted;
      for (const std::int32_t row : runtime::rows_by_expert(schedule, rank, step))
        sorted.push_back(gathered.at(static_cast<std::size_t>(row)));
      CHECK(sorted == expected);

      std::vector<Identity> back;
      for (const std::int32_t row : runtime::rows_by_arrival(schedule, rank, step))
        back.push_back(sorted.at(static_cast<std::size_t>(row)));
      CHECK(back == gathered);

      std::map<std::int32_t, std::int64_t> counts;
      for (const auto& [source, token, expert] : sorted) ++counts[expert];
      const auto expert_rows = ir::evaluate(ir::ExpertRows{step}, schedule, rank);
      const auto& hosted = schedule.routing.hosted(step.layer, schedule.member_of(rank, ir::Axis::expert));
      for (std::size_t e = 0; e < hosted.size(); ++e) CHECK(counts[hosted[e]] == expert_rows[e]);
    });
  }
}

TEST_CASE("a choice's place points back at its row, and a dropped one has none") {
  const std::vector<runtime::SentRow> rows{{1, 0}, {0, 1}, {1, 1}};
  CHECK(runtime::places_of_choices(rows, 2, 2) == std::vector<std::int32_t>{-1, 1, 0, 2});
}

TEST_CASE("the experts of a shard are those of its own source, whoever dispatches it") {
  for (const Job& job : jobs()) {
    const auto schedule = schedule_of(job);
    for (std::size_t r = 0; r < schedule.ranks.size(); ++r) {
      std::vector<std::int32_t> expected;
      for (std::int32_t chunk = 0; chunk < schedule.routing.shape().chunks; ++chunk) {
        const auto experts = schedule.routing.experts_of({1, 0, chunk}, static_cast<std::int32_t>(r));  // one stage: source = rank
        expected.insert(expected.end(), experts.begin(), experts.end());
      }
      CHECK(runtime::experts_of_shard(schedule, rank_of(r), {1, 0, 0}) == expected);
    }
  }
}

}  // namespace fabricast::row_order_test
