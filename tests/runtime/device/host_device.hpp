// A device that is none: CUDA's runtime for one GPU, as far as the backend calls it, played by the host. Streams are queues whose work runs
// when somebody asks whether it has: always the head of some stream whose waits are over, of which one is drawn. So an edge that is missing
// shows as a wrong number, whatever the order of calls.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>

struct CUstream_st;

namespace fabricast::tests {

/// Behind what the stream already has.
void enqueue(CUstream_st* stream, std::function<void()> work);

/// The same, but not before `is_ready`, which is asked whenever a stream is looked for that can go on. Both run one at a time with all other
/// work.
void enqueue_when(CUstream_st* stream, std::function<bool()> is_ready, std::function<void()> work);

/// Which stream goes first.
void draw_streams_by(std::uint64_t seed);

/// What is left to whoever asks; allocations beyond it fail. Returns what was left before.
std::size_t set_free_memory(std::size_t bytes);

/// Allocated and not freed, streams and events included.
[[nodiscard]] std::size_t things_alive();

/// How often one communicator was aborted while others of its rank had something under way, which on a GPU may never come back.
[[nodiscard]] std::size_t hanging_aborts();

/// How often a communicator first reached a peer while others of its rank had something under way, which on a GPU may never come back.
[[nodiscard]] std::size_t hanging_connections();

/// From now on no abort comes back, until `false`.
void hold_aborts(bool are_held);

/// From now on everything fails with cudaErrorIllegalAddress, as after a kernel that went astray. Until `false`.
void set_broken(bool is_broken);

}  // namespace fabricast::tests
