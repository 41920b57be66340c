#include "runtime/tcp_rendezvous.hpp"

#include <fmt/format.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <limits>
#include <memory>
#include <thread>
#include <utility>

#include "runtime/executor.hpp"

namespace fabricast::runtime {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::uint64_t greeting = 0x66616272'69636101;      // "fabrica", version 1
constexpr std::uint64_t most_bytes = std::uint64_t{1} << 34U;  // of one message: more is not ours
constexpr int pings = 16;
constexpr std::chrono::milliseconds retry_interval{50};

/// Why a socket did not do what it should: said to the user after who is at its other end.
class SocketError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

class Deadline {
 public:
  explicit Deadline(Seconds patience) : end_(Clock::now() + std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(patience.value()))) {}
  [[nodiscard]] bool passed() const { return Clock::now() >= end_; }
  [[nodiscard]] int milliseconds_left() const {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(end_ - Clock::now()).count();
    return left < 0 ? 0 : static_cast<int>(std::min<std::int64_t>(left + 1, std::numeric_limits<int>::max()));
  }

 private:
  Clock::time_point end_;
};

void wait_for(const Socket& socket, short event, const Deadline& deadline) {
  pollfd entry{socket.descriptor(), event, 0};
  int ready = 0;
  do {
    ready = poll(&entry, 1, deadline.milliseconds_left());
  } while (ready < 0 && errno == EINTR);
  if (ready == 0) throw SocketError("did not answer in time");
}

void send_all(const Socket& socket, std::span<const std::byte> bytes, const Deadline& deadline) {
  while (!bytes.empty()) {
    wait_for(socket, POLLOUT, deadline);
    const ssize_t sent = send(socket.descriptor(), bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent < 0 && (errno == EINTR || errno == EAGAIN)) continue;
    if (sent < 0) throw SocketError("left");
    bytes = bytes.subspan(static_cast<std::size_t>(sent));
  }
}

void receive_all(const Socket& socket, std::span<std::byte> bytes, const Deadline& deadline) {
  while (!bytes.empty()) {
    wait_for(socket, POLLIN, deadline);
    const ssize_t got = recv(socket.descriptor(), bytes.data(), bytes.size(), MSG_DONTWAIT);
    if (got < 0 && (errno == EINTR || errno == EAGAIN)) continue;
    if (got <= 0) throw SocketError("left");
    bytes = bytes.subspan(static_cast<std::size_t>(got));
  }
}

/// Numbers travel in the order of x86-64 and aarch64, lowest byte first.
template <class Number>
void send_number(const Socket& socket, Number number, const Deadline& deadline) {
  send_all(socket, std::as_bytes(std::span(&number, 1)), deadline);
}
template <class Number>
Number receive_number(const Socket& socket, const Deadline& deadline) {
  Number number{};
  receive_all(socket, std::as_writable_bytes(std::span(&number, 1)), deadline);
  return number;
}

void send_message(const Socket& socket, std::span<const std::byte> bytes, const Deadline& deadline) {
  send_number(socket, static_cast<std::uint64_t>(bytes.size()), deadline);
  send_all(socket, bytes, deadline);
}
Message receive_message(const Socket& socket, const Deadline& deadline) {
  const auto size = receive_number<std::uint64_t>(socket, deadline);
  if (size > most_bytes) throw SocketError("does not speak this protocol");
  Message message(size);
  receive_all(socket, message, deadline);
  return message;
}

void send_at_once(const Socket& socket) {
  const int on = 1;
  (void)setsockopt(socket.descriptor(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

using Addresses = std::unique_ptr<addrinfo, decltype(&freeaddrinfo)>;

Addresses addresses_of(const char* host, std::uint16_t port, int flags) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = flags;
  addrinfo* found = nullptr;
  const int status = getaddrinfo(host, std::to_string(port).c_str(), &hints, &found);
  if (status != 0) throw ExecutionError(fmt::format("no address of {}: {}", host ? host : "this host", gai_strerror(status)));
  return {found, &freeaddrinfo};
}

/// On all interfaces. IPv6 sockets take IPv4, too, where there is IPv6.
Socket listen_at(std::uint16_t port, std::int32_t ranks) {
  std::string why = "no address";
  for (const int family : {AF_INET6, AF_INET}) {
    const Addresses all = addresses_of(nullptr, port, AI_PASSIVE);
    for (const addrinfo* a = all.get(); a; a = a->ai_next) {
      if (a->ai_family != family) continue;
      Socket socket(::socket(a->ai_family, a->ai_socktype | SOCK_CLOEXEC, a->ai_protocol));
      const int on = 1, off = 0;
      (void)setsockopt(socket.descriptor(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
      if (family == AF_INET6) (void)setsockopt(socket.descriptor(), IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off);
      if (bind(socket.descriptor(), a->ai_addr, a->ai_addrlen) == 0 && listen(socket.descriptor(), ranks) == 0) return socket;
      why = std::strerror(errno);
    }
  }
  throw ExecutionError(fmt::format("rank 0 cannot listen on port {}: {}; choose another one", port, why));
}

/// Linux bounds a connect by the time for sending (socket(7)); without it one address that does not answer takes two minutes.
void connect_within(const Socket& socket, int milliseconds) {
  const timeval time{milliseconds / 1000, milliseconds % 1000 * 1000 + 1};   // 0 would be no bound
  (void)setsockopt(socket.descriptor(), SOL_SOCKET, SO_SNDTIMEO, &time, sizeof time);
}

Socket connect_to(const TcpMeeting& meeting, const Deadline& deadline) {
  constexpr int milliseconds_of_an_attempt = 3000;
  const Addresses all = addresses_of(meeting.host.c_str(), meeting.port, 0);
  std::string why = "no address";
  do {
    for (const addrinfo* a = all.get(); a; a = a->ai_next) {
      Socket socket(::socket(a->ai_family, a->ai_socktype | SOCK_CLOEXEC, a->ai_protocol));
      connect_within(socket, std::min(milliseconds_of_an_attempt, deadline.milliseconds_left()));
      if (socket.descriptor() >= 0 && connect(socket.descriptor(), a->ai_addr, a->ai_addrlen) == 0) return socket;
      why = errno == EINPROGRESS ? "no answer" : std::strerror(errno);
    }
    std::this_thread::sleep_for(retry_interval);
  } while (!deadline.passed());
  throw ExecutionError(fmt::format("rank {} does not reach rank 0 at {}:{}: {}", meeting.rank.value, meeting.host, meeting.port, why));
}

/// What rank 0 sends to who waits for so many bytes. Any other number of them is its reason to give up, as text.
Message receive_or_reason(const Socket& socket, std::size_t bytes, const Deadline& deadline) {
  Message message = receive_message(socket, deadline);
  if (message.size() != bytes) throw ExecutionError(std::string(reinterpret_cast<const char*>(message.data()), message.size()));
  return message;
}

double now() { return std::chrono::duration<double>(Clock::now().time_since_epoch()).count(); }

}  // namespace

Socket::Socket(Socket&& other) noexcept : descriptor_(std::exchange(other.descriptor_, -1)) {}

Socket& Socket::operator=(Socket&& other) noexcept {
  std::swap(descriptor_, other.descriptor_);
  return *this;
}

Socket::~Socket() {
  if (descriptor_ >= 0) close(descriptor_);
}

TcpRendezvous::TcpRendezvous(TcpMeeting meeting) : meeting_(std::move(meeting)) {
  if (meeting_.ranks < 1 || meeting_.rank.value < 0 || meeting_.rank.value >= meeting_.ranks) {
    throw std::invalid_argument(fmt::format("rank {} is none of {} ranks", meeting_.rank.value, meeting_.ranks));
  }
  if (meeting_.rank.value == 0) {
    serve();
  } else {
    join();
  }
  compare_clocks();
}

void TcpRendezvous::serve() {
  peers_.resize(static_cast<std::size_t>(meeting_.ranks));
  const Deadline deadline(meeting_.patience);
  const Socket door = listen_at(meeting_.port, meeting_.ranks);
  for (std::int32_t missing = meeting_.ranks - 1; missing > 0;) {
    try {
      wait_for(door, POLLIN, deadline);
    } catch (const SocketError&) {
      std::string absent;
      for (std::size_t r = 1; r < peers_.size(); ++r) {
        if (peers_[r].descriptor() < 0) absent += fmt::format("{}{}", absent.empty() ? "" : ", ", r);
      }
      give_up(fmt::format("after {} s these ranks have not come: {}", meeting_.patience.value(), absent));
    }
    Socket guest(accept4(door.descriptor(), nullptr, nullptr, SOCK_CLOEXEC));
    if (guest.descriptor() < 0) continue;
    try {
      if (receive_number<std::uint64_t>(guest, deadline) != greeting) continue;  // not one of ours
      const auto rank = receive_number<std::int32_t>(guest, deadline), ranks = receive_number<std::int32_t>(guest, deadline);
      if (ranks != meeting_.ranks) give_up(fmt::format("rank {} is of a job of {} ranks, rank 0 of {}", rank, ranks, meeting_.ranks));
      if (rank <= 0 || rank >= ranks || peers_[static_cast<std::size_t>(rank)].descriptor() >= 0) {
        give_up(fmt::format("two processes say that they are rank {}", rank));
      }
      send_at_once(guest);
      peers_[static_cast<std::size_t>(rank)] = std::move(guest);
      --missing;
    } catch (const SocketError&) {  // someone who knocked and left
    }
  }
}

void TcpRendezvous::join() {
  const Deadline deadline(meeting_.patience);
  peers_.push_back(connect_to(meeting_, deadline));
  send_at_once(peers_[0]);
  try {
    send_number(peers_[0], greeting, deadline);
    send_number(peers_[0], meeting_.rank.value, deadline);
    send_number(peers_[0], meeting_.ranks, deadline);
  } catch (const SocketError& error) {
    throw ExecutionError(fmt::format("rank {}: rank 0 {}", meeting_.rank.value, error.what()));
  }
}

/// Rank 0 asks each for its time; of the quickest answer, the asker's time halfway is what the other's clock said.
void TcpRendezvous::compare_clocks() {
  const Deadline deadline(meeting_.patience);
  Rank other{0};
  try {
    if (meeting_.rank.value > 0) {
      for (int i = 0; i < pings; ++i) {
        (void)receive_or_reason(peers_[0], sizeof(double), deadline);
        send_number(peers_[0], now(), deadline);
      }
      double offset = 0;
      std::memcpy(&offset, receive_or_reason(peers_[0], sizeof offset, deadline).data(), sizeof offset);
      offset_ = Seconds(offset);
      return;
    }
    for (other.value = 1; other.value < meeting_.ranks; ++other.value) {
      const Socket& peer = peers_[other.index()];
      double quickest = std::numeric_limits<double>::infinity(), offset = 0;
      for (int i = 0; i < pings; ++i) {
        const double asked = now();
        send_message(peer, std::as_bytes(std::span(&asked, 1)), deadline);
        const auto theirs = receive_number<double>(peer, deadline);
        const double answered = now();
        if (answered - asked >= quickest) continue;
        quickest = answered - asked;
        offset = theirs - (asked + answered) / 2;
      }
      send_message(peer, std::as_bytes(std::span(&offset, 1)), deadline);
    }
  } catch (const SocketError& error) {
    give_up(fmt::format("rank {} {}", other.value, error.what()));
  }
}

std::vector<Message> TcpRendezvous::all_gather(std::span<const std::byte> own) {
  if (peers_.empty()) throw ExecutionError("the ranks no longer meet: one of them left before");
  if (meeting_.rank.value == 0) return collect(own);
  const Deadline deadline(meeting_.patience + Seconds(1));  // rank 0 says first who is late
  try {
    send_message(peers_[0], own, deadline);
    const Message why = receive_message(peers_[0], deadline);
    if (!why.empty()) throw ExecutionError(std::string(reinterpret_cast<const char*>(why.data()), why.size()));
    std::vector<Message> all(static_cast<std::size_t>(meeting_.ranks));
    for (Message& message : all) message = receive_message(peers_[0], deadline);
    return all;
  } catch (const SocketError& error) {
    throw ExecutionError(fmt::format("rank {}: rank 0 {}", meeting_.rank.value, error.what()));
  }
}

std::vector<Message> TcpRendezvous::collect(std::span<const std::byte> own) {
  const Deadline deadline(meeting_.patience);
  std::vector<Message> all(static_cast<std::size_t>(meeting_.ranks));
  all[0].assign(own.begin(), own.end());
  std::vector<pollfd> waiting;
  for (std::size_t r = 1; r < peers_.size(); ++r) waiting.push_back({peers_[r].descriptor(), POLLIN, 0});
  std::size_t speaking = 0;
  try {
    for (std::size_t missing = waiting.size(); missing > 0;) {
      const int ready = poll(waiting.data(), waiting.size(), deadline.milliseconds_left());
      for (std::size_t i = 0; i < waiting.size(); ++i) {
        if (ready <= 0 || waiting[i].fd < 0 || waiting[i].revents == 0) continue;
        speaking = i + 1;
        all[speaking] = receive_message(peers_[speaking], deadline);
        waiting[i].fd = -1;  // poll passes over it
        --missing;
      }
      if (ready <= 0 && deadline.passed()) {
        speaking = 1;
        while (waiting[speaking - 1].fd < 0) ++speaking;
        throw SocketError("did not answer in time");
      }
    }
    for (speaking = 1; speaking < peers_.size(); ++speaking) {
      send_message(peers_[speaking], {}, deadline);
      for (const Message& message : all) send_message(peers_[speaking], message, deadline);
    }
  } catch (const SocketError& error) {
    give_up(fmt::format("rank {} {}", speaking, error.what()));
  }
  return all;
}

/// Tells those who are here, who then do not wait in vain. Those who wait read it as a reason; a closed socket tells the rest.
void TcpRendezvous::give_up(const std::string& why) {
  for (const Socket& peer : peers_) {
    if (peer.descriptor() < 0) continue;
    try {
      send_message(peer, std::as_bytes(std::span(why)), Deadline(Seconds(0.1)));
    } catch (const SocketError&) {  // gone, too
    }
  }
  peers_.clear();
  throw ExecutionError(why);
}

}  // namespace fabricast::runtime
