#include "validation/expression.hpp"

#include <doctest/doctest.h>

#include <map>
#include <string>

namespace fabricast::expression_test {

using namespace fabricast::validation;

namespace {

double lookup(std::string_view name) {
  const std::map<std::string, double, std::less<>> values{{"two", 2}, {"case.ops.gemm.busy_seconds", 0.5}, {"zero", 0}};
  const auto found = values.find(name);
  if (found == values.end()) throw std::runtime_error("no '" + std::string(name) + "'");
  return found->second;
}

double value(const std::string& expression) { return evaluate(expression, lookup).value; }

std::string complaint(const std::string& expression) {
  try {
    (void)evaluate(expression, lookup);
  } catch (const ExpressionError& error) {
    return error.what();
  }
  return "";
}

}  // namespace

TEST_CASE("operators bind as in arithmetic, and those of one rank from left to right") {
  CHECK(value("1 + 2 * 3") == 7);
  CHECK(value("(1 + 2) * 3") == 9);
  CHECK(value("8 - 2 - 1") == 5);
  CHECK(value("8 / 2 / 2") == 2);
  CHECK(value("2 - -3") == 5);
  CHECK(value("-(2 - 3) * 4") == 4);
  CHECK(value("1.5e3 + 0.5") == 1500.5);
}

TEST_CASE("names are looked up, functions take as many arguments as they say") {
  CHECK(value("two * case.ops.gemm.busy_seconds") == 1);
  CHECK(value("min(3, two, 4) + max(1, 5)") == 7);
  CHECK(value("abs(two - 5)") == 3);
  CHECK(value("max(two)") == 2);
}

TEST_CASE("the arithmetic is the expression with values for names") {
  CHECK(evaluate("1 / (two * case.ops.gemm.busy_seconds)", lookup).arithmetic == "1 / (2 * 0.5)");
  CHECK(evaluate("min(two, 3)", lookup).arithmetic == "min(2, 3)");
}

TEST_CASE("what is no expression is an error with its column") {
  CHECK(complaint("1 +") == "column 4: ends where a number, a name or a bracket should follow");
  CHECK(complaint("1 2") == "column 3: expected an operator");
  CHECK(complaint("(1 + 2") == "column 7: expected a closing bracket");
  CHECK(complaint("1 + $") == "column 5: expected a number, a name or a bracket");
  CHECK(complaint("two + three") == "column 7: no 'three'");
  CHECK(complaint("abs(1, 2)") == "column 6: expected a closing bracket");
  CHECK(complaint("min 1") == "column 5: min needs its arguments in brackets");
  CHECK(complaint("1 / zero").find("divides by 0") != std::string::npos);
  CHECK(complaint("1e300 * 1e300").find("not finite") != std::string::npos);
  CHECK(complaint("2 * 1e400") == "column 5: is out of range");
  CHECK(complaint("").find("column 1") == 0);
  CHECK(complaint(std::string(100000, '(')).find("nested too deeply") != std::string::npos);
  CHECK(complaint(std::string(100000, '-')).find("nested too deeply") != std::string::npos);
}

}  // namespace fabricast::expression_test
