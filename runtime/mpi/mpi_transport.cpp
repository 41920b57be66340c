#include "runtime/mpi/mpi_transport.hpp"

#include <algorithm>
#include <cassert>
#include <cstring>
#include <numeric>
#include <utility>

#include "runtime/exchange_data.hpp"
#include "runtime/mpi/mpi_progress.hpp"
#include "runtime/relay.hpp"

namespace fabricast::runtime {

using hw::CollectiveKind;

namespace {

constexpr int first_tag = 16;

std::size_t size_of(Bytes bytes) { return static_cast<std::size_t>(bytes.value()); }

}  // namespace

/// This process's part in one instance, step after step.
class MpiTransport::Part {
 public:
  Part(ExchangeShape shape, std::size_t member, std::vector<int> peers, int tag, std::chrono::nanoseconds to_common)
      : shape_(std::move(shape)), member_(member), peers_(std::move(peers)), tag_(tag), to_common_(to_common), stamps_(peers_.size(), 0) {
    if (!shape_.route.empty()) relay_.emplace(shape_, member_);
    rounds_ = relay_ ? static_cast<std::uint32_t>(relay_->phases()) : rounds_of(shape_.kind);
  }

  void arrive(const Exchange& exchange, Doorbell& bell, MpiProgress& progress) {
    require_sizes(shape_, exchange);
    exchange_ = &exchange;
    batch_.bell = &bell;
    round_ = 0;
    std::fill(stamps_.begin(), stamps_.end(), 0);
    own_stamp_ = (Clock::now().time_since_epoch() + to_common_).count();
    stamps_[member_] = own_stamp_;
    if (relay_) relay_->begin(exchange);
    batch_.messages.clear();
    for (std::size_t i = 0; i < peers_.size(); ++i) {
      if (i == member_) continue;
      send(i, &own_stamp_, sizeof own_stamp_, tag_);
      receive(i, &stamps_[i], sizeof own_stamp_, tag_);
    }
    begin_round();
    progress.submit(batch_);
  }

  std::optional<Clock::time_point> advance(MpiProgress& progress) {
    if (!batch_.done.load(std::memory_order_acquire)) {
      progress.check();
      return std::nullopt;
    }
    end_round();
    if (++round_ < rounds_) {
      batch_.messages.clear();
      begin_round();
      progress.submit(batch_);
      return std::nullopt;
    }
    return Clock::time_point(std::chrono::nanoseconds(*std::max_element(stamps_.begin(), stamps_.end())) - to_common_);
  }

  [[nodiscard]] bool has_arrived(std::size_t member) const { return stamps_[member] != 0; }
  [[nodiscard]] Bytes moved() const { return moved_; }

 private:
  void send(std::size_t member, const void* data, std::size_t bytes, int tag) {
    if (bytes > 0) batch_.messages.push_back({peers_[member], tag, static_cast<std::byte*>(const_cast<void*>(data)), bytes, true});
  }
  void receive(std::size_t member, void* data, std::size_t bytes, int tag) {
    if (bytes > 0) batch_.messages.push_back({peers_[member], tag, static_cast<std::byte*>(data), bytes, false});
  }
  /// The same, of data: those received count as moved.
  void give(std::size_t member, std::span<const std::byte> data) { send(member, data.data(), data.size(), tag_ + 1); }
  void take(std::size_t member, std::span<std::byte> place) {
    receive(member, place.data(), place.size(), tag_ + 1);
    moved_ += Bytes(static_cast<std::int64_t>(place.size()));
  }

  template <class Visit>
  void for_others(Visit visit) const {
    for (std::size_t i = 0; i < peers_.size(); ++i) {
      if (i != member_) visit(i);
    }
  }

  void begin_round() {
    if (relay_) return begin_phase();
    switch (shape_.kind) {
      case CollectiveKind::all_gather: return begin_all_gather();
      case CollectiveKind::reduce_scatter: return begin_sum(shards());
      case CollectiveKind::all_reduce: return round_ == 0 ? begin_sum(slices()) : begin_gather_of_slices();
      case CollectiveKind::broadcast: return begin_broadcast();
      case CollectiveKind::all_to_all: return begin_all_to_all();
      case CollectiveKind::send: return begin_send();
    }
  }

  void end_round() {
    if (relay_) return end_phase();
    switch (shape_.kind) {
      case CollectiveKind::all_gather: return copy(exchange_->input, exchange_->output.subspan(own_at_));
      case CollectiveKind::reduce_scatter: return end_sum(exchange_->output);
      case CollectiveKind::all_reduce: {
        if (round_ > 0) return;
        const auto [first, bytes] = slices()[member_];
        return end_sum(exchange_->output.subspan(first, bytes));
      }
      case CollectiveKind::broadcast:
        if (member_ == 0) copy(exchange_->input, exchange_->output);
        return;
      case CollectiveKind::all_to_all: {
        const auto [first, bytes] = shards_to()[member_];
        return copy(exchange_->input.subspan(first, bytes), exchange_->output.subspan(own_at_, bytes));
      }
      case CollectiveKind::send: return;
    }
  }

  static void copy(std::span<const std::byte> from, std::span<std::byte> to) {
    if (!from.empty() && from.data() != to.data()) std::memcpy(to.data(), from.data(), from.size());
  }

  /// Parts of a buffer, by member: where each begins, and its bytes.
  using Places = std::vector<std::pair<std::size_t, std::size_t>>;

  static Places one_after_the_other(std::span<const Bytes> counts, std::size_t stride = 1) {
    Places places;
    std::size_t at = 0;
    for (std::size_t i = 0; i < counts.size(); i += stride) {
      places.emplace_back(at, size_of(counts[i]));
      at += size_of(counts[i]);
    }
    return places;
  }
  [[nodiscard]] Places shards() const { return one_after_the_other(shape_.counts); }
  [[nodiscard]] Places shards_to() const { return one_after_the_other(std::span(shape_.counts).subspan(member_ * shape_.members, shape_.members)); }
  [[nodiscard]] Places shards_from() const { return one_after_the_other(std::span(shape_.counts).subspan(member_), shape_.members); }
  [[nodiscard]] Places slices() const {
    const auto element = static_cast<std::size_t>(hw::element_bytes(shape_.precision));
    const std::size_t elements = size_of(shape_.counts[0]) / element;
    Places places;
    for (std::size_t i = 0; i < shape_.members; ++i) {
      const Slice slice = even_slice(elements, shape_.members, i);
      places.emplace_back(slice.first * element, slice.size() * element);
    }
    return places;
  }

  void begin_all_gather() {
    const Places places = shards();
    own_at_ = places[member_].first;
    for_others([&](std::size_t i) {
      give(i, exchange_->input);
      take(i, exchange_->output.subspan(places[i].first, places[i].second));
    });
  }

  /// Each member gets everybody's part of what it sums.
  void begin_sum(const Places& places) {
    staging_.resize(shape_.members);
    const auto [own_first, own_bytes] = places[member_];
    staging_[member_].assign(exchange_->input.begin() + static_cast<std::ptrdiff_t>(own_first),
                             exchange_->input.begin() + static_cast<std::ptrdiff_t>(own_first + own_bytes));
    const std::size_t bytes = own_bytes;
    for_others([&](std::size_t i) {
      staging_[i].resize(bytes);
      give(i, exchange_->input.subspan(places[i].first, places[i].second));
      take(i, staging_[i]);
    });
  }

  /// Adds as members of one process do: a reduce-scatter in which this member's shard is all there is.
  void end_sum(std::span<std::byte> out) {
    ExchangeShape shape{CollectiveKind::reduce_scatter, shape_.members, std::vector<Bytes>(shape_.members), shape_.precision, {}};
    shape.counts[member_] = Bytes(static_cast<std::int64_t>(out.size()));
    std::vector<Exchange> parts;
    for (std::size_t i = 0; i < shape_.members; ++i) parts.push_back({exchange_->instance, i, staging_[i], i == member_ ? out : std::span<std::byte>{}});
    std::vector<const Exchange*> pointers;
    for (const Exchange& part : parts) pointers.push_back(&part);
    (void)take_part(shape, pointers, member_, 0);
  }

  void begin_gather_of_slices() {
    const Places places = slices();
    const auto own = exchange_->output.subspan(places[member_].first, places[member_].second);
    for_others([&](std::size_t i) {
      give(i, own);
      take(i, exchange_->output.subspan(places[i].first, places[i].second));
    });
  }

  void begin_broadcast() {
    if (member_ > 0) return take(0, exchange_->output);
    for_others([&](std::size_t i) { give(i, exchange_->input); });
  }

  void begin_all_to_all() {
    const Places to = shards_to(), from = shards_from();
    own_at_ = from[member_].first;
    for_others([&](std::size_t i) {
      give(i, exchange_->input.subspan(to[i].first, to[i].second));
      take(i, exchange_->output.subspan(from[i].first, from[i].second));
    });
  }

  void begin_send() {
    if (member_ == 0) return give(1, exchange_->input);
    take(0, exchange_->output);
  }

  /// One message a transfer: its pieces one after the other.
  void begin_phase() {
    incoming_ = relay_->incoming(round_);
    const auto outgoing = relay_->outgoing(round_);
    staging_.assign(incoming_.size() + outgoing.size(), {});
    for (std::size_t t = 0; t < incoming_.size(); ++t) {
      std::size_t bytes = 0;
      for (const hw::Piece piece : incoming_[t]->pieces) bytes += relay_->place_for(piece).size();
      staging_[t].resize(bytes);
      take(static_cast<std::size_t>(incoming_[t]->source), staging_[t]);
    }
    for (std::size_t t = 0; t < outgoing.size(); ++t) {
      auto& packed = staging_[incoming_.size() + t];
      for (const hw::Piece piece : outgoing[t]->pieces) {
        const auto bytes = relay_->piece(piece);
        packed.insert(packed.end(), bytes.begin(), bytes.end());
      }
      give(static_cast<std::size_t>(outgoing[t]->destination), packed);
    }
  }

  void end_phase() {
    for (std::size_t t = 0; t < incoming_.size(); ++t) {
      std::span<const std::byte> packed = staging_[t];
      for (const hw::Piece piece : incoming_[t]->pieces) {
        const auto place = relay_->place_for(piece);
        copy(packed.first(place.size()), place);
        packed = packed.subspan(place.size());
      }
    }
  }

  ExchangeShape shape_;
  std::size_t member_;
  std::vector<int> peers_;                      // by member: rank of its process
  int tag_;                                     // of arrivals; data have the next one
  std::chrono::nanoseconds to_common_;
  std::vector<std::int64_t> stamps_;            // by member: when it arrived, ns on the common clock; 0: not yet
  std::int64_t own_stamp_ = 0;
  std::optional<Relay> relay_;
  std::uint32_t rounds_ = 1, round_ = 0;
  const Exchange* exchange_ = nullptr;
  std::size_t own_at_ = 0;                      // of the member's own share in its output
  std::vector<std::vector<std::byte>> staging_;
  std::vector<const hw::RoutedTransfer*> incoming_;
  MpiBatch batch_;
  Bytes moved_;
};

MpiTransport::MpiTransport(MpiProgress& progress, const MpiWorld& world, std::vector<ExchangeShape> shapes, const ir::Instances& instances)
    : progress_(progress), parts_(shapes.size()) {
  for (std::size_t i = 0; i < shapes.size(); ++i) {
    const auto& members = instances.all[i].members;
    const auto own = std::find_if(members.begin(), members.end(), [&](const ir::InstanceMember& m) { return m.rank.value == world.rank(); });
    if (own == members.end()) continue;
    std::vector<int> peers;
    for (const ir::InstanceMember& m : members) peers.push_back(m.rank.value);
    parts_[i] = std::make_unique<Part>(std::move(shapes[i]), static_cast<std::size_t>(own - members.begin()), std::move(peers),
                                       first_tag + 2 * static_cast<int>(i), world.to_common_clock());
  }
}

MpiTransport::~MpiTransport() = default;

void MpiTransport::arrive(const Exchange& part, Doorbell& bell) { parts_[part.instance.index()]->arrive(part, bell, progress_); }

std::optional<Clock::time_point> MpiTransport::advance(const Exchange& part) { return parts_[part.instance.index()]->advance(progress_); }

bool MpiTransport::has_arrived(ir::InstanceId instance, std::size_t member) const {
  return parts_[instance.index()] && parts_[instance.index()]->has_arrived(member);
}

Bytes MpiTransport::moved(ir::InstanceId instance) const {
  return parts_[instance.index()] ? parts_[instance.index()]->moved() : Bytes{};
}

MpiPeers::MpiPeers(const MpiWorld& world, Seconds stall_timeout, const std::atomic<bool>* stop)
    : progress_(std::make_unique<MpiProgress>(world, stall_timeout)), stop_(stop) {}

MpiPeers::~MpiPeers() = default;

Clock::time_point MpiPeers::open_step() { return progress_->open_step(); }

std::optional<std::string> MpiPeers::trouble(Seconds still) {
  if (stop_ && *stop_) progress_->fail("stopped from outside, as mpirun does when another process of the job has died");
  return progress_->trouble(still);
}

}  // namespace fabricast::runtime
