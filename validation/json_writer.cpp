#include "validation/json_writer.hpp"

#include <cassert>

#include "hardware_models/json_text.hpp"

namespace fabricast::validation {

void JsonWriter::break_line() {
  if (layout_ == Layout::one_line) return;
  out_ += '\n';
  out_.append(2 * levels_.size(), ' ');
}

void JsonWriter::item(std::string_view name) {
  if (!levels_.empty()) {
    if (!levels_.back().empty) out_ += layout_ == Layout::one_line ? ", " : ",";
    levels_.back().empty = false;
    break_line();
  }
  if (!name.empty()) out_ += hw::json_quote(name) + ": ";
}

void JsonWriter::open_object(std::string_view name) {
  item(name);
  out_ += '{';
  levels_.push_back({'}', true});
}

void JsonWriter::open_array(std::string_view name) {
  item(name);
  out_ += '[';
  levels_.push_back({']', true});
}

void JsonWriter::close() {
  assert(!levels_.empty() && "close() without an open object or array");
  const Level level = levels_.back();
  levels_.pop_back();
  if (!level.empty) break_line();
  out_ += level.closing;
}

void JsonWriter::field(std::string_view name, std::string_view value) {
  item(name);
  out_ += hw::json_quote(value);
}

void JsonWriter::field(std::string_view name, bool value) {
  item(name);
  out_ += value ? "true" : "false";
}

void JsonWriter::field(std::string_view name, std::int64_t value) {
  item(name);
  out_ += std::to_string(value);
}

void JsonWriter::field(std::string_view name, double value) {
  item(name);
  out_ += hw::json_number(value);
}

void JsonWriter::field_json(std::string_view name, std::string_view json) {
  item(name);
  out_ += json;
}

void JsonWriter::element(std::string_view value) { field({}, value); }
void JsonWriter::element(std::int64_t value) { field({}, value); }
void JsonWriter::element(double value) { field({}, value); }

std::string JsonWriter::text() && {
  assert(levels_.empty() && "text() of an unfinished document");
  out_ += '\n';
  return std::move(out_);
}

}  // namespace fabricast::validation
