#include "validation/rank_time.hpp"

#include <algorithm>

namespace fabricast::validation {

namespace {

/// An activity begins (change 1) or ends (change -1).
struct Edge {
  SimTime time;
  Activity::Kind kind;
  std::size_t communication_class;
  std::int32_t change;
};

std::vector<Edge> sorted_edges(std::span<const Activity> activities) {
  std::vector<Edge> edges;
  edges.reserve(2 * activities.size());
  for (const Activity& activity : activities) {
    if (activity.end <= activity.start) continue;
    edges.push_back({activity.start, activity.kind, activity.communication_class, 1});
    edges.push_back({activity.end, activity.kind, activity.communication_class, -1});
  }
  // Edges at one time may come in any order: no time passes between them.
  std::sort(edges.begin(), edges.end(), [](const Edge& a, const Edge& b) { return a.time < b.time; });
  return edges;
}

class ActivitySweep {
 public:
  ActivitySweep(SimTime start, std::size_t classes) : now_(start), running_(classes, 0) {
    result_.class_busy.resize(classes);
    result_.class_exposed.resize(classes);
  }

  void advance(SimTime to) {
    const SimTime passed = to - now_;
    now_ = to;
    if (passed == SimTime(0)) return;
    if (computing_ > 0) result_.computation += passed;
    if (communicating_ > 0) charge_communication(passed);
    if (computing_ == 0 && communicating_ == 0) charge_idle(passed);
  }

  void apply(const Edge& edge) {
    switch (edge.kind) {
      case Activity::Kind::computation: computing_ += edge.change; break;
      case Activity::Kind::waiting: waiting_ += edge.change; break;
      case Activity::Kind::communication:
        communicating_ += edge.change;
        running_[edge.communication_class] += edge.change;
        break;
    }
  }

  [[nodiscard]] RankTime result() && { return std::move(result_); }

 private:
  void charge_communication(SimTime passed) {
    result_.communication += passed;
    const bool exposed = computing_ == 0;
    if (exposed) result_.exposed += passed;
    const auto active = std::count_if(running_.begin(), running_.end(), [](std::int32_t n) { return n > 0; });
    for (std::size_t i = 0; i < running_.size(); ++i) {
      if (running_[i] == 0) continue;
      result_.class_busy[i] += passed;
      if (exposed) result_.class_exposed[i] += to_seconds(passed) / static_cast<double>(active);
    }
  }

  void charge_idle(SimTime passed) {
    result_.idle += passed;
    if (waiting_ > 0) result_.waiting += passed;
  }

  RankTime result_;
  SimTime now_;
  std::int32_t computing_ = 0, communicating_ = 0, waiting_ = 0;
  std::vector<std::int32_t> running_;  // by communication class
};

}  // namespace

RankTime account(std::span<const Activity> activities, TimeSpan span, std::size_t communication_classes) {
  ActivitySweep sweep(span.start, communication_classes);
  for (const Edge& edge : sorted_edges(activities)) {
    sweep.advance(edge.time);
    sweep.apply(edge);
  }
  sweep.advance(span.end);
  return std::move(sweep).result();
}

}  // namespace fabricast::validation
