#include "validation/fingerprint.hpp"

#include <fmt/format.h>

#include <cstdint>
#include <fstream>
#include <iterator>

#include "validation/experiment_document.hpp"
#include "validation/node_text.hpp"

namespace fabricast::validation {

namespace {

/// FNV-1a, 64 bits (Fowler, Noll and Vo). Parts are told apart by a byte that no text of ours holds.
class Hash {
 public:
  void add(std::string_view text) {
    for (const char c : text) add(static_cast<unsigned char>(c));
    add(static_cast<unsigned char>(0xff));
  }
  [[nodiscard]] std::uint64_t value() const { return value_; }

 private:
  void add(unsigned char byte) { value_ = (value_ ^ byte) * 0x100000001b3ULL; }

  std::uint64_t value_ = 0xcbf29ce484222325ULL;
};

/// Nothing where the experiment names none; whether it can be read is for its reader to say.
std::string routing_file(const hw::JsonNode& document, const std::filesystem::path& path) {
  const auto [node, rest] = find_node(document, "/routing/file");
  const auto* name = rest.empty() ? std::get_if<std::string>(&node.value) : nullptr;
  if (!name) return {};
  std::ifstream file(path.parent_path() / *name, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

}  // namespace

std::string fingerprint(const hw::JsonNode& document, const std::filesystem::path& path, std::string_view settings) {
  Hash hash;
  hash.add(canonical_text(document));
  hash.add(routing_file(document, path));
  hash.add(settings);
  return fmt::format("{:016x}", hash.value());
}

}  // namespace fabricast::validation
