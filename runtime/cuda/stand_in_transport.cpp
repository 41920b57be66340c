// A slice: what a rank would receive is random, and takes as long as the caller says.
#include <cmath>

#include "runtime/cuda/device_transport.hpp"
#include "runtime/cuda/kernels.hpp"
#include "runtime/cuda/launch_shape.hpp"

namespace fabricast::runtime::cuda {
namespace {

/// Whole packs of the output: rows that are no multiple of 16 bytes lose up to 15 at either end.
Rows packs_of(std::span<std::byte> output, bool is_bf16) {
  const auto address = reinterpret_cast<std::uintptr_t>(output.data());
  const std::size_t skipped = (pack_bytes - address % pack_bytes) % pack_bytes;
  const std::size_t left = output.size() < skipped ? 0 : (output.size() - skipped) / pack_bytes * pack_bytes;
  return {output.data() + (left == 0 ? 0 : skipped), 1, static_cast<std::int64_t>(left) / (is_bf16 ? 2 : 4), is_bf16};
}

class StandInTransport final : public DeviceTransport {
 public:
  StandInTransport(const std::optional<Traffic>& traffic, bool is_bf16, std::uint64_t seed)
      : traffic_(traffic), is_bf16_(is_bf16), seed_(seed) {}

  void exchange(std::span<const DeviceMember> members) override {
    const DeviceMember& member = members.front();
    const Rows output = packs_of(member.op->exchange->output, is_bf16_);
    if (!traffic_) {
      launch_fill_random(seed_, output, member.stream);
      return;
    }
    const Bytes bytes(static_cast<std::int64_t>(member.op->exchange->output.size()));
    if (bytes == Bytes{}) return;
    const auto nanoseconds = static_cast<std::int64_t>(std::llround((bytes / traffic_->rate).value() * 1e9));
    launch_traffic(seed_, output, bytes.value(), traffic_->ctas, nanoseconds, member.stream);
  }

  [[nodiscard]] Bytes moved(ir::InstanceId) const override { return Bytes{}; }

 private:
  std::optional<Traffic> traffic_;
  bool is_bf16_;
  std::uint64_t seed_;
};

}  // namespace

std::unique_ptr<DeviceTransport> make_stand_in_transport(const std::optional<Traffic>& traffic, bool is_bf16, std::uint64_t seed) {
  return std::make_unique<StandInTransport>(traffic, is_bf16, seed);
}

}  // namespace fabricast::runtime::cuda
