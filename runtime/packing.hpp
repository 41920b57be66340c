// Plain values one after the other, as processes of the same program send them to each other. Knows no library that carries them.
#pragma once

#include <cstddef>
#include <cstring>
#include <span>
#include <stdexcept>
#include <type_traits>
#include <vector>

#include "runtime/executor.hpp"

namespace fabricast::runtime {

class Packer {
 public:
  template <class Value>
  void put(const Value& value) {
    static_assert(std::is_trivially_copyable_v<Value>);
    const auto* const bytes = reinterpret_cast<const std::byte*>(&value);
    bytes_.insert(bytes_.end(), bytes, bytes + sizeof value);
  }
  template <class Value>
  void put_all(const std::vector<Value>& values) {
    static_assert(std::is_trivially_copyable_v<Value>);
    put(values.size());
    const auto bytes = std::as_bytes(std::span(values));
    bytes_.insert(bytes_.end(), bytes.begin(), bytes.end());
  }
  [[nodiscard]] std::span<const std::byte> bytes() const { return bytes_; }

 private:
  std::vector<std::byte> bytes_;
};

class Unpacker {
 public:
  explicit Unpacker(std::span<const std::byte> bytes) : bytes_(bytes) {}
  /// Throws std::runtime_error where fewer bytes are left.
  template <class Value>
  Value get() {
    Value value{};
    std::memcpy(&value, take(sizeof value).data(), sizeof value);
    return value;
  }
  template <class Value>
  std::vector<Value> get_all() {
    const auto count = get<std::size_t>();
    const auto bytes = take(count > bytes_.size() / sizeof(Value) ? bytes_.size() + 1 : count * sizeof(Value));
    std::vector<Value> values(count);
    if (!bytes.empty()) std::memcpy(values.data(), bytes.data(), bytes.size());
    return values;
  }

 private:
  std::span<const std::byte> take(std::size_t size) {
    if (size > bytes_.size()) throw std::runtime_error("a process sent less of its measurements than it should");
    const auto taken = bytes_.first(size);
    bytes_ = bytes_.subspan(size);
    return taken;
  }
  std::span<const std::byte> bytes_;
};

/// A rank's logits, and back.
inline void pack_logits(const std::vector<LogitsShard>& logits, Packer& out) {
  out.put(logits.size());
  for (const LogitsShard& shard : logits) {
    out.put(shard.micro_batch);
    out.put(shard.rows);
    out.put(shard.columns);
    out.put_all(shard.values);
  }
}

inline void unpack_logits(Unpacker& in, Rank rank, std::vector<LogitsShard>& logits) {
  for (auto shards = in.get<std::size_t>(); shards > 0; --shards) {
    LogitsShard& shard = logits.emplace_back();
    shard.rank = rank;
    shard.micro_batch = in.get<std::int32_t>();
    shard.rows = in.get<std::int64_t>();
    shard.columns = in.get<std::int64_t>();
    shard.values = in.get_all<float>();
  }
}

}  // namespace fabricast::runtime
