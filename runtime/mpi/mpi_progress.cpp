#include "runtime/mpi/mpi_progress.hpp"

#include <fmt/format.h>
#include <mpi.h>
#include <sys/prctl.h>

#include <algorithm>
#include <chrono>
#include <stdexcept>

#include "runtime/mpi/mpi_check.hpp"

namespace fabricast::runtime {
namespace {

using std::chrono::milliseconds;

constexpr int life_tag = 0;                                       // on a communicator of its own
constexpr std::chrono::microseconds between_tests{20};
constexpr milliseconds between_signs{250}, longest_silence{5000};

constexpr std::int64_t nobody = -1;

/// A sign of life. still: for how long nothing in the process has moved, by its own account; from rank 0: the least of all processes. silent:
/// the rank that rank 0 has not heard of for too long, or nobody.
struct Sign {
  std::int64_t still_ms, silent = nobody;
};

}  // namespace

/// What lives in the progress thread.
class MpiProgress::Loop {
 public:
  explicit Loop(MpiProgress& owner) : owner_(owner), rank_(owner.world_.rank()), size_(owner.world_.size()) {
    ::prctl(PR_SET_TIMERSLACK, 1000UL);                           // ns: sleep for what was asked, not 50 us more
    check_mpi(MPI_Comm_dup(MPI_COMM_WORLD, &messages_));
    check_mpi(MPI_Comm_dup(MPI_COMM_WORLD, &life_));
    check_mpi(MPI_Comm_set_errhandler(messages_, MPI_ERRORS_RETURN));
    check_mpi(MPI_Comm_set_errhandler(life_, MPI_ERRORS_RETURN));
    heard_.assign(static_cast<std::size_t>(size_), Clock::now());
    still_.assign(static_cast<std::size_t>(size_), 0);
    signs_.assign(static_cast<std::size_t>(size_), Sign{0, nobody});
    sending_.assign(static_cast<std::size_t>(size_), MPI_REQUEST_NULL);
  }

  void run() {
    while (!owner_.quit_) {
      const bool moved = take_submissions() | test_batches() | test_step();
      exchange_signs();
      if (!moved) rest();
    }
    leave();
  }

  void release_all() {
    for (Active& a : active_) {
      if (a.batch->bell) a.batch->bell->ring();
    }
  }

 private:
  struct Active {
    MpiBatch* batch;
    std::vector<MPI_Request> requests;
  };

  bool take_submissions() {
    std::vector<MpiBatch*> taken;
    bool wants_step = false;
    {
      const std::lock_guard lock(owner_.mutex_);
      taken.swap(owner_.submitted_);
      std::swap(wants_step, owner_.wants_step_);
    }
    for (MpiBatch* batch : taken) post(*batch);
    if (wants_step) {
      ready_ = (Clock::now().time_since_epoch() + owner_.world_.to_common_clock()).count();
      check_mpi(MPI_Iallreduce(&ready_, &opened_, 1, MPI_INT64_T, MPI_MAX, messages_, &step_));
    }
    return !taken.empty() || wants_step;
  }

  void post(MpiBatch& batch) {
    Active active{&batch, {}};
    for (const MpiMessage& m : batch.messages) {
      for (std::size_t at = 0; at < m.bytes; at += largest_message) {
        const auto part = static_cast<int>(std::min(largest_message, m.bytes - at));
        MPI_Request& request = active.requests.emplace_back();
        check_mpi(m.sends ? MPI_Isend(m.data + at, part, MPI_BYTE, m.peer, m.tag, messages_, &request)
                          : MPI_Irecv(m.data + at, part, MPI_BYTE, m.peer, m.tag, messages_, &request));
      }
    }
    active_.push_back(std::move(active));
  }

  bool test_batches() {
    bool moved = false;
    for (std::size_t i = 0; i < active_.size();) {
      Active& a = active_[i];
      int all = 0;
      check_mpi(MPI_Testall(static_cast<int>(a.requests.size()), a.requests.data(), &all, MPI_STATUSES_IGNORE));
      if (!all) {
        ++i;
        continue;
      }
      Doorbell* const bell = a.batch->bell;
      a.batch->done.store(true, std::memory_order_release);       // from here on the batch is its owner's
      if (bell) bell->ring();
      std::swap(a, active_.back());
      active_.pop_back();
      moved = true;
    }
    return moved;
  }

  bool test_step() {
    if (step_ == MPI_REQUEST_NULL) return false;
    int open = 0;
    check_mpi(MPI_Test(&step_, &open, MPI_STATUS_IGNORE));
    if (!open) return false;
    const std::lock_guard lock(owner_.mutex_);
    owner_.step_opened_ = opened_;
    owner_.changed_.notify_all();
    return true;
  }

  void rest() {
    if (!active_.empty() || step_ != MPI_REQUEST_NULL) {
      std::this_thread::sleep_for(between_tests);
      return;
    }
    std::unique_lock lock(owner_.mutex_);
    owner_.changed_.wait_for(lock, between_signs / 2, [&] { return owner_.quit_ || !owner_.submitted_.empty() || owner_.wants_step_; });
  }

  void exchange_signs() {
    const auto now = Clock::now();
    if (size_ == 1 || now < next_sign_) return;
    next_sign_ = now + between_signs;
    hear(now);
    still_[static_cast<std::size_t>(rank_)] = owner_.still_ms_;
    const std::int64_t silent = silent_since(now - longest_silence);
    if (rank_ > 0) {
      tell(0, {owner_.still_ms_, nobody});
    } else {
      const std::int64_t least = *std::min_element(still_.begin(), still_.end());
      for (int peer = 1; peer < size_; ++peer) tell(peer, {least, silent});
      judge(least);
    }
    if (silent != nobody) mourn(silent);
  }

  /// Rank 0 listens to all, the others to rank 0.
  [[nodiscard]] std::int64_t silent_since(Clock::time_point time) const {
    for (int peer = 0; peer < (rank_ > 0 ? 1 : size_); ++peer) {
      if (peer != rank_ && heard_[static_cast<std::size_t>(peer)] < time) return peer;
    }
    return nobody;
  }

  void mourn(std::int64_t rank) {
    owner_.fail(fmt::format("rank {} has given no sign of life for {} s: its process has died or its machine is out of reach", rank,
                            longest_silence / std::chrono::seconds(1)));
  }

  void hear(Clock::time_point now) {
    while (true) {
      int there = 0;
      MPI_Status status;
      check_mpi(MPI_Iprobe(MPI_ANY_SOURCE, life_tag, life_, &there, &status));
      if (!there) return;
      Sign sign{};
      check_mpi(MPI_Recv(&sign, sizeof sign, MPI_BYTE, status.MPI_SOURCE, life_tag, life_, MPI_STATUS_IGNORE));
      heard_[static_cast<std::size_t>(status.MPI_SOURCE)] = now;
      still_[static_cast<std::size_t>(status.MPI_SOURCE)] = sign.still_ms;
      if (rank_ > 0) judge(sign.still_ms);
      if (rank_ > 0 && sign.silent != nobody) mourn(sign.silent);
    }
  }

  void judge(std::int64_t least_still_ms) {
    if (static_cast<double>(least_still_ms) < owner_.stall_timeout_.value() * 1e3) return;
    owner_.fail(fmt::format("no op of any rank ended for {} s and none can", owner_.stall_timeout_.value()));
  }

  /// Unless the last sign is still on its way.
  void tell(int peer, Sign sign) {
    const auto p = static_cast<std::size_t>(peer);
    int sent = 1;
    if (sending_[p] != MPI_REQUEST_NULL) check_mpi(MPI_Test(&sending_[p], &sent, MPI_STATUS_IGNORE));
    if (!sent) return;
    signs_[p] = sign;
    check_mpi(MPI_Isend(&signs_[p], sizeof(Sign), MPI_BYTE, peer, life_tag, life_, &sending_[p]));
  }

  /// In good order only: after trouble nobody waits for anybody. Signs on their way are taken, so that MPI can be left.
  void leave() {
    if (owner_.in_trouble_ || !owner_.leaves_in_good_order_) return;
    const auto begun = Clock::now();
    MPI_Request all_here = MPI_REQUEST_NULL;
    check_mpi(MPI_Ibarrier(messages_, &all_here));
    for (int done = 0; !done;) {
      hear(Clock::now());
      check_mpi(MPI_Test(&all_here, &done, MPI_STATUS_IGNORE));
      if (!done) std::this_thread::sleep_for(between_tests);
      if (!done && Clock::now() - begun > longest_silence) return owner_.fail("a process did not come to the end of the run");
    }
    for (int idle = 0; idle < 2;) {                               // a sign posted before the barrier may still arrive
      hear(Clock::now());
      int sent = 0;
      check_mpi(MPI_Testall(size_, sending_.data(), &sent, MPI_STATUSES_IGNORE));
      idle = sent ? idle + 1 : 0;
      if (!sent) std::this_thread::sleep_for(between_tests);
    }
    MPI_Comm_free(&messages_);
    MPI_Comm_free(&life_);
  }

  MpiProgress& owner_;
  int rank_, size_;
  MPI_Comm messages_ = MPI_COMM_NULL, life_ = MPI_COMM_NULL;
  std::vector<Active> active_;
  MPI_Request step_ = MPI_REQUEST_NULL;
  std::int64_t ready_ = 0, opened_ = 0;
  Clock::time_point next_sign_ = Clock::now();
  std::vector<Clock::time_point> heard_;                          // by rank
  std::vector<std::int64_t> still_;                               // by rank, ms
  std::vector<Sign> signs_;                                       // by rank: under way to it
  std::vector<MPI_Request> sending_;                              // by rank
};

MpiProgress::MpiProgress(const MpiWorld& world, Seconds stall_timeout) : world_(world), stall_timeout_(stall_timeout) {
  thread_ = std::jthread([this] {
    std::optional<Loop> loop;
    try {
      loop.emplace(*this);
      loop->run();
    } catch (const std::exception& error) {
      fail(error.what());
      if (loop) loop->release_all();
    }
  });
}

MpiProgress::~MpiProgress() { stop(false); }

void MpiProgress::stop(bool in_good_order) {
  if (!thread_.joinable()) return;
  {
    const std::lock_guard lock(mutex_);
    leaves_in_good_order_ = in_good_order;
    quit_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

void MpiProgress::submit(MpiBatch& batch) {
  check();
  batch.done.store(false, std::memory_order_relaxed);
  {
    const std::lock_guard lock(mutex_);
    submitted_.push_back(&batch);
  }
  changed_.notify_all();
}

void MpiProgress::check() const {
  if (!in_trouble_) return;
  const std::lock_guard lock(mutex_);
  throw std::runtime_error(why_);
}

Clock::time_point MpiProgress::open_step() {
  std::unique_lock lock(mutex_);
  wants_step_ = true;
  step_opened_.reset();
  changed_.notify_all();
  changed_.wait(lock, [&] { return step_opened_ || in_trouble_; });
  if (!step_opened_) throw std::runtime_error(fmt::format("{}: rank {}, between two steps, waits for the other processes", why_, world_.rank()));
  return Clock::time_point(std::chrono::nanoseconds(*step_opened_) - world_.to_common_clock());
}

std::optional<std::string> MpiProgress::trouble(Seconds still) {
  still_ms_ = static_cast<std::int64_t>(still.value() * 1e3);
  if (!in_trouble_) return std::nullopt;
  const std::lock_guard lock(mutex_);
  return why_;
}

void MpiProgress::fail(const std::string& why) {
  const std::lock_guard lock(mutex_);
  if (in_trouble_) return;
  why_ = why;
  in_trouble_ = true;
  changed_.notify_all();
}

}  // namespace fabricast::runtime
