// The elements of an XML file with their attributes, in order. Text between elements, comments and declarations are passed over. Knows no
// schema and no entities but the five of XML.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace fabricast::validation {

struct XmlElement {
  std::string name;
  std::map<std::string, std::string> attributes;
  int line = 0;
  std::optional<std::size_t> parent;   // index of the element that holds this one
};

/// In document order: a parent stands before its children. Throws hw::ConfigError with file and line for what is no XML, for elements that
/// are not closed or closed twice, and for more than 100,000 elements.
[[nodiscard]] std::vector<XmlElement> parse_xml(std::string_view text, const std::string& file);

}  // namespace fabricast::validation
