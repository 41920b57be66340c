#include "runtime/exchange_data.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <numeric>
#include <stdexcept>
#include <string>

#include "runtime/bf16.hpp"

namespace fabricast::runtime {
namespace {

using hw::CollectiveKind;

std::size_t size_of(Bytes bytes) { return static_cast<std::size_t>(bytes.value()); }

Bytes sum(std::span<const Bytes> counts) { return std::accumulate(counts.begin(), counts.end(), Bytes{}); }

Bytes count(const ExchangeShape& shape, std::size_t source, std::size_t destination) {
  return shape.counts[source * shape.members + destination];
}

/// out[i] = Σ over members of in_member[first + i], in member order, in fp32, rounded once.
template <class Element>
void sum_members(std::span<const Exchange* const> parts, std::size_t first, std::size_t elements, Element* out) {
  constexpr std::size_t block = 256;
  std::array<float, block> sums;
  for (std::size_t begin = 0; begin < elements; begin += block) {
    const std::size_t width = std::min(block, elements - begin);
    sums.fill(0.0F);
    for (const Exchange* part : parts) {
      const auto* in = reinterpret_cast<const Element*>(part->input.data()) + first + begin;
      for (std::size_t i = 0; i < width; ++i) sums[i] += to_float(in[i]);
    }
    for (std::size_t i = 0; i < width; ++i) store(sums[i], out[begin + i]);
  }
}

class Part {
 public:
  Part(const ExchangeShape& shape, std::span<const Exchange* const> parts, std::size_t member)
      : shape_(shape), parts_(parts), member_(member), own_(*parts[member]) {}

  Bytes all_gather() {
    std::size_t offset = 0;
    for (std::size_t i = 0; i < parts_.size(); ++i) {
      copy_from(i, parts_[i]->input.data(), offset, shape_.counts[i]);
      offset += size_of(shape_.counts[i]);
    }
    return taken_;
  }

  template <class Element>
  Bytes reduce_scatter() {
    const Bytes offset = sum(std::span(shape_.counts).first(member_));
    const Bytes shard = shape_.counts[member_];
    sum_members(parts_, size_of(offset) / sizeof(Element), size_of(shard) / sizeof(Element),
                reinterpret_cast<Element*>(own_.output.data()));
    return shard * static_cast<std::int64_t>(parts_.size() - 1);
  }

  /// Round 0 sums this member's slice into its own output, round 1 fetches the others' slices: right in place, too, since a member's slice
  /// is read by nobody but that member until it is summed.
  template <class Element>
  Bytes all_reduce(std::uint32_t round) {
    const std::size_t elements = own_.output.size() / sizeof(Element);
    if (round == 0) {
      const Slice slice = even_slice(elements, parts_.size(), member_);
      sum_members(parts_, slice.first, slice.size(), reinterpret_cast<Element*>(own_.output.data()) + slice.first);
      return Bytes(static_cast<std::int64_t>(slice.size() * sizeof(Element) * (parts_.size() - 1)));
    }
    for (std::size_t i = 0; i < parts_.size(); ++i) {
      if (i == member_) continue;
      const Slice slice = even_slice(elements, parts_.size(), i);
      const std::size_t offset = slice.first * sizeof(Element);
      copy_from(i, parts_[i]->output.data() + offset, offset, Bytes(static_cast<std::int64_t>(slice.size() * sizeof(Element))));
    }
    return taken_;
  }

  /// Member 0 is the root.
  Bytes broadcast() {
    copy_from(0, parts_[0]->input.data(), 0, shape_.counts[0]);
    return taken_;
  }

  Bytes all_to_all() {
    std::size_t offset = 0;
    for (std::size_t source = 0; source < parts_.size(); ++source) {
      const Bytes before = sum(std::span(shape_.counts).subspan(source * shape_.members, member_));
      copy_from(source, parts_[source]->input.data() + before.value(), offset, count(shape_, source, member_));
      offset += size_of(count(shape_, source, member_));
    }
    return taken_;
  }

  Bytes send() {
    if (member_ == 1) copy_from(0, parts_[0]->input.data(), 0, shape_.counts[0]);
    return taken_;
  }

 private:
  void copy_from(std::size_t source, const std::byte* from, std::size_t offset, Bytes bytes) {
    std::byte* const to = own_.output.data() + offset;
    if (bytes > Bytes{} && to != from) std::memcpy(to, from, size_of(bytes));
    if (source != member_) taken_ += bytes;
  }

  const ExchangeShape& shape_;
  std::span<const Exchange* const> parts_;
  std::size_t member_;
  const Exchange& own_;
  Bytes taken_;
};

template <class Element>
Bytes take_part_of(const ExchangeShape& shape, std::span<const Exchange* const> parts, std::size_t member, std::uint32_t round) {
  Part part(shape, parts, member);
  switch (shape.kind) {
    case CollectiveKind::all_gather: return part.all_gather();
    case CollectiveKind::reduce_scatter: return part.reduce_scatter<Element>();
    case CollectiveKind::all_reduce: return part.all_reduce<Element>(round);
    case CollectiveKind::broadcast: return part.broadcast();
    case CollectiveKind::all_to_all: return part.all_to_all();
    case CollectiveKind::send: return part.send();
  }
  throw std::logic_error("unknown collective kind");
}

}  // namespace

Bytes expected_input(const ExchangeShape& shape, std::size_t member) {
  switch (shape.kind) {
    case CollectiveKind::all_gather: return shape.counts[member];
    case CollectiveKind::reduce_scatter: return sum(shape.counts);
    case CollectiveKind::all_reduce:
    case CollectiveKind::broadcast: return shape.counts[0];
    case CollectiveKind::all_to_all: return sum(std::span(shape.counts).subspan(member * shape.members, shape.members));
    case CollectiveKind::send: return member == 0 ? shape.counts[0] : Bytes{};
  }
  throw std::logic_error("unknown collective kind");
}

Bytes expected_output(const ExchangeShape& shape, std::size_t member) {
  switch (shape.kind) {
    case CollectiveKind::all_gather: return sum(shape.counts);
    case CollectiveKind::reduce_scatter: return shape.counts[member];
    case CollectiveKind::all_reduce:
    case CollectiveKind::broadcast: return shape.counts[0];
    case CollectiveKind::all_to_all: {
      Bytes received;
      for (std::size_t source = 0; source < shape.members; ++source) received += count(shape, source, member);
      return received;
    }
    case CollectiveKind::send: return member == 1 ? shape.counts[0] : Bytes{};
  }
  throw std::logic_error("unknown collective kind");
}

void require_sizes(const ExchangeShape& shape, const Exchange& part) {
  const auto require = [&](std::size_t size, Bytes expected, const char* what) {
    if (Bytes(static_cast<std::int64_t>(size)) == expected) return;
    throw std::runtime_error(fmt::format("{} mismatch: member {} of {} brings an {} of {} B where {} B were agreed", hw::name_of(shape.kind),
                                         part.member, shape.members, what, size, expected.value()));
  };
  require(part.input.size(), expected_input(shape, part.member), "input");
  require(part.output.size(), expected_output(shape, part.member), "output");
}

Slice even_slice(std::size_t elements, std::size_t members, std::size_t index) {
  return {elements * index / members, elements * (index + 1) / members};
}

std::uint32_t rounds_of(CollectiveKind kind) { return kind == CollectiveKind::all_reduce ? 2 : 1; }

Bytes take_part(const ExchangeShape& shape, std::span<const Exchange* const> parts, std::size_t member, std::uint32_t round) {
  switch (shape.precision) {
    case hw::Precision::fp32: return take_part_of<float>(shape, parts, member, round);
    case hw::Precision::bf16: return take_part_of<Bf16>(shape, parts, member, round);
    case hw::Precision::fp16:
    case hw::Precision::fp8: break;
  }
  throw std::invalid_argument("cannot sum elements of precision " + std::string(hw::name_of(shape.precision)) + " on the host");
}

}  // namespace fabricast::runtime
