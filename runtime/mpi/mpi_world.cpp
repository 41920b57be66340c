#include "runtime/mpi/mpi_world.hpp"

#include <fmt/format.h>
#include <mpi.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <filesystem>
#include <limits>
#include <stdexcept>
#include <string>

#include "runtime/executor.hpp"
#include "runtime/mpi/mpi_check.hpp"

#ifdef __SANITIZE_ADDRESS__
// Open MPI keeps memory to the end of the process, some of it for plugins that it has unloaded by then: no suppression can name those.
extern "C" int __lsan_is_turned_off() { return 1; }
#endif

namespace fabricast::runtime {
namespace {

constexpr int ping_tag = 1, gather_tag = 2;
constexpr int ping_pongs = 50;
constexpr unsigned seconds_to_end = 3;   // for MPI_Abort, which has been seen to hang

std::int64_t now() { return Clock::now().time_since_epoch().count(); }

void send(int peer, std::span<const std::byte> bytes) {
  const auto size = static_cast<std::uint64_t>(bytes.size());
  check_mpi(MPI_Send(&size, 1, MPI_UINT64_T, peer, gather_tag, MPI_COMM_WORLD));
  for (std::size_t at = 0; at < bytes.size(); at += largest_message) {
    const auto part = static_cast<int>(std::min(largest_message, bytes.size() - at));
    check_mpi(MPI_Send(bytes.data() + at, part, MPI_BYTE, peer, gather_tag, MPI_COMM_WORLD));
  }
}

std::vector<std::byte> receive(int peer) {
  std::uint64_t size = 0;
  check_mpi(MPI_Recv(&size, 1, MPI_UINT64_T, peer, gather_tag, MPI_COMM_WORLD, MPI_STATUS_IGNORE));
  std::vector<std::byte> bytes(size);
  for (std::size_t at = 0; at < bytes.size(); at += largest_message) {
    const auto part = static_cast<int>(std::min(largest_message, bytes.size() - at));
    check_mpi(MPI_Recv(bytes.data() + at, part, MPI_BYTE, peer, gather_tag, MPI_COMM_WORLD, MPI_STATUS_IGNORE));
  }
  return bytes;
}

/// Rank 0 sends, the peer answers with its clock. Half way between sending and receiving, rank 0's clock was (sent + received) / 2: right but
/// for half the time between. A difference within that is none, as between processes of one machine, whose clock is the same; else a
/// collective could end before its last member came.
std::int64_t ahead_of(int peer) {
  std::int64_t quickest = std::numeric_limits<std::int64_t>::max(), ahead = 0;
  for (int i = 0; i < ping_pongs; ++i) {
    std::int64_t theirs = 0;
    const std::int64_t sent = now();
    check_mpi(MPI_Send(&sent, 1, MPI_INT64_T, peer, ping_tag, MPI_COMM_WORLD));
    check_mpi(MPI_Recv(&theirs, 1, MPI_INT64_T, peer, ping_tag, MPI_COMM_WORLD, MPI_STATUS_IGNORE));
    const std::int64_t received = now();
    if (received - sent >= quickest) continue;
    quickest = received - sent;
    ahead = sent + quickest / 2 - theirs;
  }
  return std::abs(ahead) <= quickest - quickest / 2 ? 0 : ahead;
}

std::int64_t answer() {
  for (int i = 0; i < ping_pongs; ++i) {
    std::int64_t theirs = 0;
    check_mpi(MPI_Recv(&theirs, 1, MPI_INT64_T, 0, ping_tag, MPI_COMM_WORLD, MPI_STATUS_IGNORE));
    const std::int64_t mine = now();
    check_mpi(MPI_Send(&mine, 1, MPI_INT64_T, 0, ping_tag, MPI_COMM_WORLD));
  }
  std::int64_t ahead = 0;
  check_mpi(MPI_Recv(&ahead, 1, MPI_INT64_T, 0, ping_tag, MPI_COMM_WORLD, MPI_STATUS_IGNORE));
  return ahead;
}

}  // namespace

void check_mpi(int status, std::source_location where) {
  if (status == MPI_SUCCESS) return;
  std::array<char, MPI_MAX_ERROR_STRING> text{};
  int length = 0;
  MPI_Error_string(status, text.data(), &length);
  const std::string file = std::filesystem::path(where.file_name()).filename().string();
  throw std::runtime_error(fmt::format("MPI: {} ({}:{})", std::string_view(text.data(), static_cast<std::size_t>(length)), file, where.line()));
}

MpiWorld::MpiWorld() {
  int provided = MPI_THREAD_SINGLE;
  check_mpi(MPI_Init_thread(nullptr, nullptr, MPI_THREAD_SERIALIZED, &provided));
  check_mpi(MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN));
  if (provided < MPI_THREAD_SERIALIZED) throw BackendUnavailable("this MPI was built without support for threads (MPI_THREAD_SERIALIZED)");
  check_mpi(MPI_Comm_rank(MPI_COMM_WORLD, &rank_));
  check_mpi(MPI_Comm_size(MPI_COMM_WORLD, &size_));
  to_common_ = compare_clocks();
}

MpiWorld::~MpiWorld() { MPI_Finalize(); }

std::chrono::nanoseconds MpiWorld::compare_clocks() const {
  if (rank_ > 0) return std::chrono::nanoseconds(answer());
  for (int peer = 1; peer < size_; ++peer) {
    const std::int64_t ahead = ahead_of(peer);
    check_mpi(MPI_Send(&ahead, 1, MPI_INT64_T, peer, ping_tag, MPI_COMM_WORLD));
  }
  return std::chrono::nanoseconds(0);
}

std::vector<std::vector<std::byte>> MpiWorld::all_gather(std::span<const std::byte> own) const {
  std::vector<std::vector<std::byte>> all(static_cast<std::size_t>(size_));
  all[static_cast<std::size_t>(rank_)].assign(own.begin(), own.end());
  if (rank_ > 0) {
    send(0, own);
    for (int r = 0; r < size_; ++r) {
      if (r != rank_) all[static_cast<std::size_t>(r)] = receive(0);
    }
    return all;
  }
  for (int r = 1; r < size_; ++r) all[static_cast<std::size_t>(r)] = receive(r);
  for (int to = 1; to < size_; ++to) {
    for (int r = 0; r < size_; ++r) {
      if (r != to) send(to, all[static_cast<std::size_t>(r)]);
    }
  }
  return all;
}

void MpiWorld::abort(int exit_code) {
  ::alarm(seconds_to_end);
  MPI_Abort(MPI_COMM_WORLD, exit_code);
  ::_exit(exit_code);
}

}  // namespace fabricast::runtime
