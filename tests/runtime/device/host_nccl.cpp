// NCCL's calls as the backend makes them, played on the host's device: ranks are threads of one process. Calls of a communicator match by
// their order, sends and receives first-in first-out by pair, and all wait in their streams for their peers, as NCCL's do. What a member has
// under way when it aborts ends, without a result; its peers wait for ever.
#include <nccl.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstring>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <thread>
#include <tuple>
#include <vector>

#include "runtime/bf16.hpp"
#include "tests/runtime/device/host_device.hpp"

namespace {

using fabricast::runtime::Bf16;
using fabricast::tests::enqueue;
using fabricast::tests::enqueue_when;

enum class Kind { all_reduce, all_gather, reduce_scatter, broadcast, reduce };

std::size_t width_of(ncclDataType_t type) { return type == ncclUint8 ? 1 : type == ncclBfloat16 ? 2 : 4; }

struct Member {
  const char* in = nullptr;
  char* out = nullptr;
  bool has_come = false;
};

/// One call of all members.
struct Collective {
  Kind kind;
  std::size_t count;                         // elements, as each member gives them
  ncclDataType_t type;
  int root;
  std::vector<Member> members;
  bool is_done = false;

  [[nodiscard]] bool all_here() const {
    for (const Member& m : members) {
      if (!m.has_come) return false;
    }
    return true;
  }

  /// Σ over members of elements [first, first + n), in fp32.
  template <class Element>
  [[nodiscard]] std::vector<char> sum(std::size_t first, std::size_t n) const {
    std::vector<Element> sums(n);
    for (std::size_t i = 0; i < n; ++i) {
      float all = 0.0F;
      for (const Member& m : members) all += fabricast::runtime::to_float(reinterpret_cast<const Element*>(m.in)[first + i]);
      fabricast::runtime::store(all, sums[i]);
    }
    const auto* const bytes = reinterpret_cast<const char*>(sums.data());
    return {bytes, bytes + n * sizeof(Element)};
  }
  [[nodiscard]] std::vector<char> summed(std::size_t first, std::size_t n) const {
    return type == ncclBfloat16 ? sum<Bf16>(first, n) : sum<float>(first, n);
  }

  /// All outputs before any is written: they may lie in the inputs.
  void run() {
    const std::size_t bytes = count * width_of(type);
    std::vector<std::vector<char>> outputs;
    std::vector<char> gathered;
    for (const Member& m : members) {
      if (kind == Kind::all_gather) gathered.insert(gathered.end(), m.in, m.in + bytes);
    }
    for (std::size_t m = 0; m < members.size(); ++m) {
      const char* const from_root = members[static_cast<std::size_t>(root)].in;
      switch (kind) {
        case Kind::all_reduce: outputs.push_back(summed(0, count)); break;
        case Kind::all_gather: outputs.push_back(gathered); break;
        case Kind::reduce_scatter: outputs.push_back(summed(m * count, count)); break;
        case Kind::broadcast: outputs.emplace_back(from_root, from_root + bytes); break;
        case Kind::reduce: outputs.push_back(static_cast<int>(m) == root ? summed(0, count) : std::vector<char>()); break;
      }
    }
    for (std::size_t m = 0; m < members.size(); ++m) {
      if (!outputs[m].empty()) std::memcpy(members[m].out, outputs[m].data(), outputs[m].size());
    }
    is_done = true;
  }
};

struct Message {
  const char* from;
  char* to;
  std::size_t bytes;
  bool is_done = false;
};

/// What the members of a communicator share.
struct Meeting {
  explicit Meeting(int members) : has_aborted(static_cast<std::size_t>(members)) {}

  std::vector<std::atomic<bool>> has_aborted;   // by member
  std::vector<std::shared_ptr<Collective>> calls;
  std::map<std::pair<int, int>, std::deque<std::shared_ptr<Message>>> sent, awaited;   // by (source, destination)

  [[nodiscard]] bool aborted(int member) const { return has_aborted[static_cast<std::size_t>(member)]; }
  [[nodiscard]] bool any_aborted() const {
    return std::any_of(has_aborted.begin(), has_aborted.end(), [](const std::atomic<bool>& one) { return one.load(); });
  }

  void match(std::pair<int, int> pair) {
    if (aborted(pair.first) || aborted(pair.second)) return;
    auto &from = sent[pair], &to = awaited[pair];
    while (!from.empty() && !to.empty()) {
      Message &source = *from.front(), &destination = *to.front();
      if (source.bytes != destination.bytes) throw std::logic_error("NCCL: a message of another size than the one awaited");
      std::memcpy(destination.to, source.from, source.bytes);
      source.is_done = destination.is_done = true;
      from.pop_front();
      to.pop_front();
    }
  }
};

struct World {
  std::mutex mutex;
  std::map<std::string, std::shared_ptr<Meeting>> meetings;   // by id
  std::set<ncclComm_t> communicators;
  int ids = 0;
  std::size_t hanging_aborts = 0, hanging_connections = 0;
};

World& world() {
  static World the_world;
  return the_world;
}

void end_all(const std::vector<ncclComm_t>& together);

/// Calls between ncclGroupStart and ncclGroupEnd: all come at once, and end when all have.
struct Group {
  int depth = 0;
  cudaStream_t stream = nullptr;
  std::vector<std::function<void()>> arrivals;
  std::vector<std::function<bool()>> ready;
  std::vector<std::function<void()>> ends;
  std::vector<ncclComm_t> aborted;

  void close() {
    end_all(aborted);
    if (stream && !arrivals.empty()) {
      enqueue(stream, [all = std::move(arrivals)] {
        for (const auto& arrive : all) arrive();
      });
      enqueue_when(
          stream,
          [all = std::move(ready)] {
            for (const auto& is_ready : all) {
              if (!is_ready()) return false;
            }
            return true;
          },
          [all = std::move(ends)] {
            for (const auto& end : all) end();
          });
    }
    *this = {};
  }
};

thread_local Group group;

}  // namespace

struct ncclComm {
  std::shared_ptr<Meeting> meeting;
  int members, member;
  std::thread::id owner = std::this_thread::get_id();          // each rank is a thread
  std::size_t calls = 0;
  std::set<int> connected = {};                                // peers, and every_member
  std::shared_ptr<std::atomic<int>> under_way = std::make_shared<std::atomic<int>>(0);
};

namespace {

std::atomic<bool> aborts_are_held{false};
constexpr int every_member = -1;

/// Has another communicator of the same rank something under way?
bool others_under_way(ncclComm_t comm) {
  const auto& all = world().communicators;
  return std::any_of(all.begin(), all.end(), [&](ncclComm_t o) { return o != comm && o->owner == comm->owner && *o->under_way > 0; });
}

/// NCCL connects peers when they are first used: it allocates memory, for which CUDA may wait for the whole device, and waits for them.
void connect(ncclComm_t comm, int peer) {
  const std::lock_guard lock(world().mutex);
  if (comm->connected.insert(peer).second && others_under_way(comm)) ++world().hanging_connections;
}

/// Each frees memory, for which CUDA waits for the whole device: for ever, where another communicator of the rank has something under way.
void end_all(const std::vector<ncclComm_t>& together) {
  while (aborts_are_held && !together.empty()) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  const std::lock_guard lock(world().mutex);
  for (const ncclComm_t comm : together) comm->meeting->has_aborted[static_cast<std::size_t>(comm->member)] = true;
  for (const ncclComm_t comm : together) world().communicators.erase(comm);
  for (const ncclComm_t comm : together) {
    world().hanging_aborts += others_under_way(comm) ? 1 : 0;
    delete comm;
  }
}

ncclResult_t call(Kind kind, const void* in, void* out, std::size_t count, ncclDataType_t type, int root, ncclComm_t comm, cudaStream_t stream) {
  connect(comm, every_member);
  std::shared_ptr<Collective> shared;
  {
    const std::lock_guard lock(world().mutex);
    auto& calls = comm->meeting->calls;
    if (calls.size() == comm->calls) {
      calls.push_back(std::make_shared<Collective>(
          Collective{kind, count, type, root, std::vector<Member>(static_cast<std::size_t>(comm->members)), false}));
    }
    shared = calls[comm->calls++];
  }
  if (shared->kind != kind || shared->count != count || shared->type != type || shared->root != root) return ncclInvalidUsage;
  const auto member = static_cast<std::size_t>(comm->member);
  group.stream = stream;
  const auto meeting = comm->meeting;
  const int self = comm->member;
  group.arrivals.push_back([=] { shared->members[member] = {static_cast<const char*>(in), static_cast<char*>(out), true}; });
  group.ready.push_back([=] { return meeting->aborted(self) || shared->is_done || (!meeting->any_aborted() && shared->all_here()); });
  ++*comm->under_way;
  group.ends.push_back([=, under_way = comm->under_way] {
    if (!shared->is_done && !meeting->aborted(self)) shared->run();
    --*under_way;
  });
  if (group.depth == 0) group.close();
  return ncclSuccess;
}

ncclResult_t post(bool sends, const void* from, void* to, std::size_t count, ncclDataType_t type, int peer, ncclComm_t comm, cudaStream_t stream) {
  connect(comm, peer);
  const auto message = std::make_shared<Message>(Message{static_cast<const char*>(from), static_cast<char*>(to), count * width_of(type)});
  const std::pair<int, int> pair = sends ? std::pair(comm->member, peer) : std::pair(peer, comm->member);
  group.stream = stream;
  group.arrivals.push_back([=, meeting = comm->meeting] {
    (sends ? meeting->sent : meeting->awaited)[pair].push_back(message);
    meeting->match(pair);
  });
  group.ready.push_back([=, meeting = comm->meeting, self = comm->member] { return message->is_done || meeting->aborted(self); });
  ++*comm->under_way;
  group.ends.push_back([under_way = comm->under_way] { --*under_way; });
  if (group.depth == 0) group.close();
  return ncclSuccess;
}

}  // namespace

std::size_t fabricast::tests::hanging_aborts() { return world().hanging_aborts; }
std::size_t fabricast::tests::hanging_connections() { return world().hanging_connections; }
void fabricast::tests::hold_aborts(bool are_held) { aborts_are_held = are_held; }

extern "C" {

ncclResult_t ncclGetVersion(int* version) { return *version = NCCL_VERSION_CODE, ncclSuccess; }
const char* ncclGetErrorString(ncclResult_t) { return "invalid usage"; }
const char* ncclGetLastError(ncclComm_t) { return ""; }
ncclResult_t ncclGetUniqueId(ncclUniqueId* id) {
  const std::lock_guard lock(world().mutex);
  std::memset(id, 0, sizeof *id);
  std::memcpy(id->internal, &++world().ids, sizeof(int));
  return ncclSuccess;
}
ncclResult_t ncclCommInitRankConfig(ncclComm_t* comm, int members, ncclUniqueId id, int member, ncclConfig_t*) {
  const std::lock_guard lock(world().mutex);
  auto& meeting = world().meetings[std::string(id.internal, sizeof id.internal)];
  if (!meeting) meeting = std::make_shared<Meeting>(members);
  *comm = new ncclComm{meeting, members, member};
  world().communicators.insert(*comm);
  return ncclSuccess;
}
ncclResult_t ncclCommAbort(ncclComm_t comm) {
  if (group.depth > 0) return group.aborted.push_back(comm), ncclSuccess;
  return end_all({comm}), ncclSuccess;
}
ncclResult_t ncclCommGetAsyncError(ncclComm_t, ncclResult_t* error) { return *error = ncclSuccess, ncclSuccess; }
ncclResult_t ncclGroupStart() { return ++group.depth, ncclSuccess; }
ncclResult_t ncclGroupEnd() {
  if (--group.depth == 0) group.close();
  return ncclSuccess;
}
ncclResult_t ncclAllReduce(const void* in, void* out, size_t count, ncclDataType_t type, ncclRedOp_t, ncclComm_t comm, cudaStream_t stream) {
  return call(Kind::all_reduce, in, out, count, type, 0, comm, stream);
}
ncclResult_t ncclAllGather(const void* in, void* out, size_t count, ncclDataType_t type, ncclComm_t comm, cudaStream_t stream) {
  return call(Kind::all_gather, in, out, count, type, 0, comm, stream);
}
ncclResult_t ncclReduceScatter(const void* in, void* out, size_t count, ncclDataType_t type, ncclRedOp_t, ncclComm_t comm, cudaStream_t stream) {
  return call(Kind::reduce_scatter, in, out, count, type, 0, comm, stream);
}
ncclResult_t ncclBroadcast(const void* in, void* out, size_t count, ncclDataType_t type, int root, ncclComm_t comm, cudaStream_t stream) {
  return call(Kind::broadcast, in, out, count, type, root, comm, stream);
}
ncclResult_t ncclReduce(const void* in, void* out, size_t count, ncclDataType_t type, ncclRedOp_t, int root, ncclComm_t comm, cudaStream_t stream) {
  return call(Kind::reduce, in, out, count, type, root, comm, stream);
}
ncclResult_t ncclSend(const void* from, size_t count, ncclDataType_t type, int peer, ncclComm_t comm, cudaStream_t stream) {
  return post(true, from, nullptr, count, type, peer, comm, stream);
}
ncclResult_t ncclRecv(void* to, size_t count, ncclDataType_t type, int peer, ncclComm_t comm, cudaStream_t stream) {
  return post(false, nullptr, to, count, type, peer, comm, stream);
}

}  // extern "C"
