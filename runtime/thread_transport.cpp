#include "runtime/thread_transport.hpp"

#include <algorithm>
#include <atomic>
#include <cstring>

#include "runtime/exchange_data.hpp"
#include "runtime/relay.hpp"

namespace fabricast::runtime {

/// Where the members of one instance meet, step after step. Counters run on over the steps: in its e-th step a member waits for e times the
/// members. Nobody can be a step ahead, since the end of a part waits for all.
class Meeting {
 public:
  explicit Meeting(ExchangeShape shape)
      : shape_(std::move(shape)),
        rounds_(shape_.route.empty() ? rounds_of(shape_.kind) : static_cast<std::uint32_t>(shape_.route.size())),
        parts_(shape_.members),
        bells_(shape_.members),
        places_(shape_.members),
        ended_(rounds_) {
    if (shape_.route.empty()) return;
    for (std::size_t member = 0; member < shape_.members; ++member) relays_.emplace_back(shape_, member);
  }

  void arrive(const Exchange& part, Doorbell& bell) {
    require_sizes(shape_, part);
    parts_[part.member] = &part;
    bells_[part.member] = &bell;
    if (!relays_.empty()) relays_[part.member].begin(part);
    Place& place = places_[part.member];
    ++place.step;
    place.round = 0;
    if (arrived_.fetch_add(1, std::memory_order_acq_rel) + 1 != all(place)) return;
    opened_at_ = Clock::now();
    opened_.store(place.step, std::memory_order_release);
    ring_all();
  }

  std::optional<Clock::time_point> advance(const Exchange& part) {
    Place& place = places_[part.member];
    if (opened_.load(std::memory_order_acquire) < place.step) return std::nullopt;
    while (place.round == 0 || ended_[place.round - 1].load(std::memory_order_acquire) >= all(place)) {
      if (place.round == rounds_) return opened_at_;
      const Bytes taken = relays_.empty() ? take_part(shape_, parts_, part.member, place.round) : take_pieces(part.member, place.round);
      moved_.fetch_add(taken.value(), std::memory_order_relaxed);
      if (ended_[place.round++].fetch_add(1, std::memory_order_acq_rel) + 1 == all(place)) ring_all();
    }
    return std::nullopt;
  }

  [[nodiscard]] bool has_arrived(std::size_t member) const {
    const auto earlier = [](const Place& a, const Place& b) { return a.step < b.step; };
    return places_[member].step == std::max_element(places_.begin(), places_.end(), earlier)->step;
  }

  [[nodiscard]] Bytes moved() const { return Bytes(moved_.load(std::memory_order_relaxed)); }

 private:
  struct Place {
    std::uint32_t step = 0, round = 0;
  };

  [[nodiscard]] std::uint32_t all(const Place& place) const { return place.step * static_cast<std::uint32_t>(shape_.members); }

  Bytes take_pieces(std::size_t member, std::size_t phase) {
    Bytes taken;
    for (const hw::RoutedTransfer* transfer : relays_[member].incoming(phase)) {
      for (const hw::Piece piece : transfer->pieces) {
        const auto from = relays_[static_cast<std::size_t>(transfer->source)].piece(piece);
        std::memcpy(relays_[member].place_for(piece).data(), from.data(), from.size());
        taken += Bytes(static_cast<std::int64_t>(from.size()));
      }
    }
    return taken;
  }

  void ring_all() {
    for (Doorbell* bell : bells_) bell->ring();
  }

  ExchangeShape shape_;
  std::uint32_t rounds_;
  std::vector<const Exchange*> parts_;   // by member
  std::vector<Doorbell*> bells_;         // by member
  std::vector<Place> places_;            // by member; each touches its own only
  std::atomic<std::uint32_t> arrived_{0}, opened_{0};
  std::vector<std::atomic<std::uint32_t>> ended_;   // by round
  std::vector<Relay> relays_;            // by member; empty where pieces go to their destinations at once
  Clock::time_point opened_at_;
  std::atomic<std::int64_t> moved_{0};
};

ThreadTransport::ThreadTransport(std::vector<ExchangeShape> shapes) {
  meetings_.reserve(shapes.size());
  for (ExchangeShape& shape : shapes) meetings_.push_back(std::make_unique<Meeting>(std::move(shape)));
}

ThreadTransport::~ThreadTransport() = default;

void ThreadTransport::arrive(const Exchange& part, Doorbell& bell) { meetings_[part.instance.index()]->arrive(part, bell); }

std::optional<Clock::time_point> ThreadTransport::advance(const Exchange& part) { return meetings_[part.instance.index()]->advance(part); }

bool ThreadTransport::has_arrived(ir::InstanceId instance, std::size_t member) const {
  return meetings_[instance.index()]->has_arrived(member);
}

Bytes ThreadTransport::moved(ir::InstanceId instance) const { return meetings_[instance.index()]->moved(); }

}  // namespace fabricast::runtime
