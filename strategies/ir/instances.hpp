// Which ops meet: the k-th collective on a group in every member's program is one instance; send and receive match first-in first-out by
// (source, destination, tag). Pure; used by validation, the simulator and the reports alike. Collectives are not listed but counted:
// O(programs · ops + ranks + groups), whatever the number of ranks that run a program. Messages are listed.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "strategies/ir/schedule.hpp"

namespace fabricast::ir {

using InstanceId = Id<struct InstanceMeaning>;

struct InstanceMember {
  Rank rank;
  OpIndex op;
};

/// Sender, then receiver.
using MessageEnds = std::array<InstanceMember, 2>;

/// Walks over something that gives its items by value, by index.
template <class Items>
class ItemIterator {
 public:
  using iterator_category = std::input_iterator_tag;
  using value_type = decltype(std::declval<const Items&>()[0]);
  using difference_type = std::ptrdiff_t;
  using pointer = void;
  using reference = value_type;

  ItemIterator(const Items& items, std::size_t place) : items_(&items), place_(place) {}
  value_type operator*() const { return (*items_)[place_]; }
  ItemIterator& operator++() { return ++place_, *this; }
  difference_type operator-(const ItemIterator& other) const { return static_cast<difference_type>(place_ - other.place_); }
  bool operator==(const ItemIterator& other) const { return place_ == other.place_; }

 private:
  const Items* items_;
  std::size_t place_;
};

class InstanceList;

/// InstanceMembers in group order; for send/recv: the sender, then the receiver. A view of the list that it comes from.
class InstanceMembers {
 public:
  InstanceMembers(const InstanceList& list, std::span<const Rank> group, Axis axis, std::size_t ordinal)
      : list_(&list), group_(group), axis_(axis), ordinal_(ordinal) {}
  explicit InstanceMembers(const MessageEnds& ends) : ends_(ends) {}

  [[nodiscard]] std::size_t size() const { return group_.size() + ends_.size(); }
  [[nodiscard]] InstanceMember operator[](std::size_t member) const;
  [[nodiscard]] InstanceMember front() const { return (*this)[0]; }
  [[nodiscard]] InstanceMember back() const { return (*this)[size() - 1]; }
  [[nodiscard]] auto begin() const { return ItemIterator(*this, 0); }
  [[nodiscard]] auto end() const { return ItemIterator(*this, size()); }

 private:
  const InstanceList* list_ = nullptr;
  std::span<const Rank> group_;             // of a collective
  std::span<const InstanceMember> ends_;    // of a message
  Axis axis_{};
  std::size_t ordinal_ = 0;                 // among the collectives of the axis in each member's program
};

struct Instance {
  InstanceMembers members;
};

/// Instances by InstanceId. Collectives come first, in the order in which the lowest rank of each group issues them, rank by rank; then the
/// messages by source, destination and tag.
class InstanceList {
 public:
  InstanceList() = default;
  /// `messages` in the order of their ids. InstanceMembers of collectives must agree, as match_instances checks.
  InstanceList(const Schedule& schedule, std::vector<MessageEnds> messages);

  [[nodiscard]] std::size_t size() const { return collectives_ + messages_.size(); }
  [[nodiscard]] Instance operator[](std::size_t id) const;
  [[nodiscard]] auto begin() const { return ItemIterator(*this, 0); }
  [[nodiscard]] auto end() const { return ItemIterator(*this, size()); }

  /// -1 where the op is computation.
  [[nodiscard]] InstanceId of(Rank rank, OpIndex op) const;
  /// The op by which the rank takes part in the ordinal-th collective of its group on the axis.
  [[nodiscard]] OpIndex collective_op(Rank rank, Axis axis, std::size_t ordinal) const {
    return programs_[program_of_[rank.index()].index()].collectives[static_cast<std::size_t>(axis)][ordinal];
  }

 private:
  enum class Role : std::uint8_t { computation, collective, message };
  /// What an op is, and how many of its kind (collectives of the axis, messages) come before it in its program.
  struct Place {
    Role role = Role::computation;
    Axis axis{};
    std::int32_t ordinal = 0;
  };
  struct ProgramOps {
    std::vector<Place> places;                                 // by op
    std::array<std::vector<OpIndex>, axis_count> collectives;  // [axis][ordinal]
    std::int32_t messages = 0;
  };
  /// The collectives that ranks of one program number: those of the groups whose lowest rank they are.
  struct Numbered {
    ProgramId program;
    std::array<bool, axis_count> axes{};
    std::vector<OpIndex> ops;                                  // ascending
    std::vector<std::int32_t> place_of;                        // by op: its place in `ops`, if it is there
    [[nodiscard]] bool covers(ProgramId p, const std::array<bool, axis_count>& a) const { return program == p && axes == a; }
  };

  static ProgramOps ops_of(const Program& program);
  void copy_groups(const Schedule& schedule);
  void number_collectives(const Schedule& schedule);
  [[nodiscard]] std::int32_t numbered_by(ProgramId program, const std::array<bool, axis_count>& axes);
  void number_messages(const Schedule& schedule);
  [[nodiscard]] std::span<const Rank> group_of(Rank rank, Axis axis) const;

  std::vector<ProgramOps> programs_;
  std::vector<ProgramId> program_of_;                          // by Rank
  std::vector<std::array<GroupId, axis_count>> groups_of_;     // by Rank
  std::vector<std::vector<Rank>> groups_;                      // by GroupId: members in axis order
  std::vector<Rank> lowest_;                                   // by GroupId
  std::vector<Numbered> numbered_;
  std::vector<std::int32_t> numbered_of_;                      // by Rank: place in numbered_
  std::vector<std::size_t> first_collective_;                  // by Rank: how many collectives lower ranks number
  std::size_t collectives_ = 0;
  std::vector<MessageEnds> messages_;
  std::vector<std::size_t> first_message_;                     // by Rank: how many sends and receives lower ranks have
  std::vector<InstanceId> message_of_;                         // [first_message_ + ordinal]
};

inline InstanceMember InstanceMembers::operator[](std::size_t member) const {
  if (group_.empty()) return ends_[member];
  return {group_[member], list_->collective_op(group_[member], axis_, ordinal_)};
}

struct Instances {
  InstanceList all;

  [[nodiscard]] InstanceId at(Rank rank, OpIndex op) const { return all.of(rank, op); }
};

/// The axis on whose group an op is a collective or an all-to-all; nothing for computation and messages.
[[nodiscard]] std::optional<Axis> collective_axis(const Work& work);

/// Throws ScheduleError (validate.hpp) naming rank and op where members disagree or an op stays unmatched.
[[nodiscard]] Instances match_instances(const Schedule& schedule);

}  // namespace fabricast::ir
