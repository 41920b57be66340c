#include "validation/xml_elements.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

#include "hardware_models/config_error.hpp"

namespace fabricast::validation {

namespace {

constexpr std::size_t most_elements = 100000;
constexpr std::string_view blanks = " \t\r\n";

class XmlParser {
 public:
  XmlParser(std::string_view text, const std::string& file) : text_(text), file_(file) {}

  std::vector<XmlElement> parse() {
    while (true) {
      const std::size_t next = text_.find('<', at_);
      if (next == std::string_view::npos) break;
      move_to(next);
      read_markup();
    }
    if (!open_.empty()) fail(fmt::format("<{}> of line {} is not closed: is the file cut off?", elements_[open_.back()].name, elements_[open_.back()].line));
    if (elements_.empty()) fail("holds no XML element");
    return std::move(elements_);
  }

 private:
  [[noreturn]] void fail(const std::string& message) const { throw hw::ConfigError(fmt::format("{}:{}: {}", file_, line_, message)); }

  void move_to(std::size_t place) {
    line_ += static_cast<int>(std::count(text_.begin() + static_cast<std::ptrdiff_t>(at_), text_.begin() + static_cast<std::ptrdiff_t>(place), '\n'));
    at_ = place;
  }

  bool begins(std::string_view part) const { return text_.substr(at_, part.size()) == part; }

  void skip_past(std::string_view end) {
    const std::size_t found = text_.find(end, at_);
    if (found == std::string_view::npos) fail(fmt::format("no '{}' follows", end));
    move_to(found + end.size());
  }

  void skip_blanks() { move_to(std::min(text_.find_first_not_of(blanks, at_), text_.size())); }

  void read_markup() {
    if (begins("<!--")) return skip_past("-->");
    if (begins("<?")) return skip_past("?>");
    if (begins("<!")) return skip_past(">");
    if (begins("</")) return read_end();
    read_start();
  }

  std::string read_name() {
    const std::size_t end = std::min(text_.find_first_of(" \t\r\n=/><\"'", at_), text_.size());
    if (end == at_) fail("a name should stand here");
    const std::string name(text_.substr(at_, end - at_));
    move_to(end);
    return name;
  }

  void read_end() {
    move_to(at_ + 2);
    const std::string name = read_name();
    if (open_.empty() || elements_[open_.back()].name != name) fail(fmt::format("</{}> closes what is not open", hw::one_line(name)));
    open_.pop_back();
    skip_past(">");
  }

  void read_start() {
    if (elements_.size() == most_elements) fail(fmt::format("more than {} elements", most_elements));
    XmlElement element;
    element.line = line_;
    move_to(at_ + 1);
    element.name = read_name();
    if (!open_.empty()) element.parent = open_.back();
    skip_blanks();
    while (at_ < text_.size() && !begins(">") && !begins("/>")) {
      read_attribute(element);
      skip_blanks();
    }
    if (at_ == text_.size()) fail(fmt::format("<{}> is cut off", hw::one_line(element.name)));
    const bool closed = begins("/>");
    move_to(at_ + (closed ? 2 : 1));
    elements_.push_back(std::move(element));
    if (!closed) open_.push_back(elements_.size() - 1);
  }

  void read_attribute(XmlElement& element) {
    const std::string name = read_name();
    skip_blanks();
    if (!begins("=")) fail(fmt::format("the attribute '{}' has no value", hw::one_line(name)));
    move_to(at_ + 1);
    skip_blanks();
    if (!begins("\"") && !begins("'")) fail(fmt::format("the value of '{}' is not quoted", hw::one_line(name)));
    const char quote = text_[at_];
    const std::size_t end = text_.find(quote, at_ + 1);
    if (end == std::string_view::npos) fail(fmt::format("the value of '{}' is cut off", hw::one_line(name)));
    element.attributes[name] = unescaped(text_.substr(at_ + 1, end - at_ - 1));
    move_to(end + 1);
  }

  static std::string unescaped(std::string_view text) {
    constexpr std::array<std::pair<std::string_view, char>, 5> entities{{{"&lt;", '<'}, {"&gt;", '>'}, {"&quot;", '"'}, {"&apos;", '\''}, {"&amp;", '&'}}};
    std::string result;
    for (std::size_t i = 0; i < text.size();) {
      const auto found = std::find_if(entities.begin(), entities.end(), [&](const auto& e) { return text.substr(i, e.first.size()) == e.first; });
      result += found == entities.end() ? text[i] : found->second;
      i += found == entities.end() ? 1 : found->first.size();
    }
    return result;
  }

  std::string_view text_;
  const std::string& file_;
  std::size_t at_ = 0;
  int line_ = 1;
  std::vector<XmlElement> elements_;
  std::vector<std::size_t> open_;   // indices of the elements around
};

}  // namespace

std::vector<XmlElement> parse_xml(std::string_view text, const std::string& file) { return XmlParser(text, file).parse(); }

}  // namespace fabricast::validation
