#include "validation/experiment_document.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>

#include "hardware_models/json_reader.hpp"

namespace fabricast::validation {
namespace {

namespace fs = std::filesystem;
using hw::JsonNode;

// A file can only be named at these places and is itself an object, so that there are no chains or cycles of files to guard against: a
// file that names itself ends up where its keys are unknown.
constexpr std::array<std::string_view, 5> file_places = {"/model", "/cluster", "/strategy", "/cluster/gpu", "/cluster/collectives"};
constexpr std::array<std::string_view, 3> top_files = {"model", "cluster", "strategy"};
constexpr std::array<std::string_view, 2> cluster_files = {"gpu", "collectives"};

constexpr std::size_t longest_path = 1024;

std::vector<std::string_view> split(std::string_view text, char separator) {
  std::vector<std::string_view> parts;
  while (true) {
    const auto end = text.find(separator);
    parts.push_back(text.substr(0, end));
    if (end == std::string_view::npos) return parts;
    text.remove_prefix(end + 1);
  }
}

/// The element of an array that a key like "2" names.
template <class Node>
Node* element_of(Node& node, std::string_view key) {
  auto* array = std::get_if<JsonNode::Array>(&node.value);
  std::size_t index = 0;
  if (!array || std::from_chars(key.data(), key.data() + key.size(), index).ptr != key.data() + key.size()) return nullptr;
  return !key.empty() && index < array->size() ? &(*array)[index] : nullptr;
}

template <class Node>
Node* find_child(Node& node, std::string_view key) {
  if (auto* member = node.find(key)) return member;
  return element_of(node, key);
}

std::string key_of_token(std::string_view token) {
  std::string key;
  for (std::size_t i = 0; i < token.size(); ++i) {
    const bool escape = token[i] == '~' && i + 1 < token.size();
    key += !escape ? token[i] : token[++i] == '1' ? '/' : '~';
  }
  return key;
}

/// The parsed file that `reference` names.
JsonNode read_named_file(const JsonNode& reference, const fs::path& holder) {
  const std::string& name = std::get<std::string>(reference.value);
  if (name.empty()) hw::fail(reference, "names no file; write a path relative to this file");
  if (name.size() > longest_path) hw::fail(reference, "is too long for a path; put an object here, or the path of a file that holds one");
  const fs::path path = (holder.parent_path() / name).lexically_normal();
  std::string text;
  try {
    text = hw::read_config_text(path);
  } catch (const hw::ConfigError& error) {
    const std::string folder = holder.parent_path().string();
    hw::fail(reference, fmt::format("{}; the path is relative to {}", error.what(), folder.empty() ? "the working directory" : folder));
  }
  JsonNode content = hw::parse_json_text(text, path.string());
  (void)hw::as_object(content);
  return content;
}

bool is_file_place(std::string_view pointer) { return std::find(file_places.begin(), file_places.end(), pointer) != file_places.end(); }

/// Puts the file's content where its name was.
void put_file(JsonNode& node, const fs::path& holder) {
  if (std::holds_alternative<std::string>(node.value)) node = read_named_file(node, holder);
}

template <std::size_t Size>
void put_files(JsonNode& object, const std::array<std::string_view, Size>& keys, const fs::path& holder) {
  for (const std::string_view key : keys) {
    if (JsonNode* node = object.find(key)) put_file(*node, holder);
  }
}

/// All that a cluster names, the GPUs of nodes that differ included. Where such an entry is of the command line, it names files relative to
/// the experiment.
void put_cluster_files(JsonNode& cluster, const fs::path& holder, const fs::path& experiment) {
  put_files(cluster, cluster_files, holder);
  JsonNode* others = cluster.find("other_nodes");
  auto* entries = others ? std::get_if<JsonNode::Array>(&others->value) : nullptr;
  if (!entries) return;
  for (JsonNode& entry : *entries) {
    if (JsonNode* gpu = entry.find("gpu")) put_file(*gpu, entry.line == 0 ? experiment : fs::path(entry.file));
  }
}

/// A "path.to.key=value" of the command line.
struct Setting {
  std::string name;                    // as errors show it
  std::vector<std::string_view> keys;
  std::string pointer;
  std::string_view value;
};

constexpr std::size_t longest_shown_setting = 100;

Setting parse_setting(std::string_view text) {
  Setting setting;
  setting.name = "--set " + hw::one_line(text.substr(0, longest_shown_setting)) + (text.size() > longest_shown_setting ? "..." : "");
  const auto equals = text.find('=');
  if (equals == std::string_view::npos) {
    throw hw::ConfigError(setting.name + ": has no value; write --set path.to.key=value, as in --set workload.sequences=256");
  }
  setting.keys = split(text.substr(0, equals), '.');
  setting.value = text.substr(equals + 1);
  for (const std::string_view key : setting.keys) {
    if (key.empty()) throw hw::ConfigError(setting.name + ": the path has an empty key; write it as in --set workload.sequences=256");
    setting.pointer = hw::child_pointer(setting.pointer, key);
  }
  return setting;
}

/// Gives the tree the setting's name and its place in the document.
void relocate(JsonNode& node, const std::string& name, const std::string& pointer) {
  node.file = name;
  node.line = 0;
  node.pointer = pointer;
  if (auto* array = std::get_if<JsonNode::Array>(&node.value)) {
    for (std::size_t i = 0; i < array->size(); ++i) relocate((*array)[i], name, hw::child_pointer(pointer, std::to_string(i)));
  } else if (auto* object = std::get_if<JsonNode::Object>(&node.value)) {
    for (auto& [key, member] : *object) relocate(member, name, hw::child_pointer(pointer, key));
  }
}

/// JSON if it is any ("8", "true", "{…}"), else the text itself ("64 GiB", "zipf"). What begins like JSON has to be some.
JsonNode value_of(const Setting& setting) {
  JsonNode node;
  try {
    node = hw::parse_json_text(setting.value, setting.name);
  } catch (const hw::JsonSyntaxError&) {
    if (setting.value.find_first_of("{[\"") == 0) throw;
    node.value = std::string(setting.value);
  }
  relocate(node, setting.name, setting.pointer);
  return node;
}

[[noreturn]] void reject_path(const Setting& setting, const JsonNode& parent, std::string_view key) {
  throw hw::ConfigError(fmt::format("{}: no {} in {}, which is {}; shorten the path", setting.name, hw::shown(key), hw::place_of(parent),
                                    hw::type_of(parent)));
}

class DocumentLoader {
 public:
  explicit DocumentLoader(const fs::path& path) : path_(path), document_(hw::parse_json_file(path)) { (void)hw::as_object(document_); }

  void apply(const Setting& setting) {
    JsonNode& parent = parent_of(setting);
    const std::string_view key = setting.keys.back();
    JsonNode* target = find_child(parent, key);
    if (!target) {
      auto* object = std::get_if<JsonNode::Object>(&parent.value);
      if (!object) reject_path(setting, parent, key);
      target = &object->emplace_back(std::string(key), JsonNode()).second;
    }
    *target = value_of(setting);
    if (is_file_place(setting.pointer)) put_file(*target, path_);
    // An object of the command line ("cluster={...}") names files relative to the experiment, too.
    if (setting.pointer == "/cluster" && target->line == 0) put_files(*target, cluster_files, path_);
  }

  [[nodiscard]] JsonNode take() {
    put_files(document_, top_files, path_);
    if (JsonNode* cluster = document_.find("cluster")) put_cluster_files(*cluster, cluster->file, path_);
    return std::move(document_);
  }

 private:
  /// Keys that have a default may be left out, objects too; the readers know which keys there are.
  static JsonNode& add_object(JsonNode& parent, const Setting& setting, std::string_view key, const std::string& pointer) {
    auto* object = std::get_if<JsonNode::Object>(&parent.value);
    if (!object) reject_path(setting, parent, key);
    JsonNode added;
    added.value = JsonNode::Object{};
    relocate(added, setting.name, pointer);
    return object->emplace_back(std::string(key), std::move(added)).second;
  }

  /// Reads the files on the way, since the path may go into them; those that it replaces stay unread.
  JsonNode& parent_of(const Setting& setting) {
    JsonNode* node = &document_;
    std::string pointer;
    for (std::size_t i = 0; i + 1 < setting.keys.size(); ++i) {
      pointer = hw::child_pointer(pointer, setting.keys[i]);
      JsonNode* child = find_child(*node, setting.keys[i]);
      if (!child) child = &add_object(*node, setting, setting.keys[i], pointer);
      if (is_file_place(pointer)) put_file(*child, child->file);
      node = child;
    }
    return *node;
  }

  fs::path path_;
  JsonNode document_;
};

}  // namespace

FoundNode find_node(const JsonNode& document, std::string_view pointer) {
  const JsonNode* node = &document;
  while (!pointer.empty()) {
    const std::string_view token = pointer.substr(1, pointer.find('/', 1) - 1);
    const JsonNode* child = find_child(*node, key_of_token(token));
    if (!child) break;
    node = child;
    pointer.remove_prefix(token.size() + 1);
  }
  return {*node, pointer};
}

JsonNode load_cluster_document(const fs::path& path) {
  JsonNode document = hw::parse_json_file(path);
  (void)hw::as_object(document);
  put_cluster_files(document, path, path);
  return document;
}

JsonNode load_document(const fs::path& path, const std::vector<std::string>& sets) {
  DocumentLoader loader(path);
  for (const std::string& text : sets) loader.apply(parse_setting(text));
  return loader.take();
}

}  // namespace fabricast::validation
