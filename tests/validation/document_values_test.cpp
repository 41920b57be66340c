#include "validation/document_values.hpp"

#include <doctest/doctest.h>

#include <stdexcept>
#include <string>

namespace fabricast::document_values_test {

using namespace fabricast;
using namespace fabricast::validation;

namespace {

const hw::JsonNode document = hw::parse_json_text(R"({
  "step_seconds": 0.5, "ranks": 8, "phase": "forward", "memory": { "fits": true },
  "ops": [ { "label": "gate", "busy_seconds": 0.25 }, { "label": "down", "busy_seconds": 0.125 } ],
  "axes": [ { "axis": "tensor", "groups": 4 } ],
  "twice": [ { "name": "a", "x": 1 }, { "name": "a", "x": 2 } ]
})",
                                                  "document");

std::string complaint(const std::string& path) {
  try {
    (void)number_at(document, path);
  } catch (const std::runtime_error& error) {
    return error.what();
  }
  return "";
}

}  // namespace

TEST_CASE("a dotted path leads through objects, and through arrays by label, name or axis") {
  CHECK(number_at(document, "step_seconds") == 0.5);
  CHECK(number_at(document, "ranks") == 8);
  CHECK(number_at(document, "memory.fits") == 1);
  CHECK(number_at(document, "ops.down.busy_seconds") == 0.125);
  CHECK(number_at(document, "axes.tensor.groups") == 4);
}

TEST_CASE("a path that leads nowhere says what there is instead") {
  CHECK(complaint("step_second") == "no 'step_second' in 'step_second'; did you mean 'step_seconds'?");
  CHECK(complaint("ops.up.busy_seconds") == "no 'up' in 'ops.up.busy_seconds'; there are gate, down");
  CHECK(complaint("ranks.x") == "no 'x' in 'ranks.x'; nothing lies below");
  CHECK(complaint("phase") == "'phase' is a string, no number");
  CHECK(complaint("twice.a.x") == "'a' names two entries");
  CHECK(complaint("ops..x").find("no '' in") == 0);
}

}  // namespace fabricast::document_values_test
