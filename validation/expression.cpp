#include "validation/expression.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <optional>

namespace fabricast::validation {

namespace {

constexpr int deepest_nesting = 64;

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool begins_name(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; }

/// One rule of the grammar per member; each leaves next_ behind what it has taken.
class Evaluator {
 public:
  Evaluator(std::string_view text, const Lookup& lookup) : text_(text), lookup_(lookup) {}

  Evaluated run() {
    const double value = sum();
    skip_blanks();
    if (next_ != text_.size()) fail("expected an operator");
    if (!std::isfinite(value)) fail("the result is not finite");
    return {value, std::move(arithmetic_)};
  }

 private:
  double sum() {
    double value = product();
    while (const auto op = take_one_of("+-")) value = *op == '+' ? value + product() : value - product();
    return value;
  }

  double product() {
    double value = factor();
    while (const auto op = take_one_of("*/")) {
      const double right = factor();
      if (*op == '/' && right == 0) fail("divides by 0");
      value = *op == '*' ? value * right : value / right;
    }
    return value;
  }

  double factor() {
    if (++depth_ > deepest_nesting) fail("is nested too deeply");
    const double value = take_one_of("-") ? -factor() : atom();
    --depth_;
    return value;
  }

  double atom() {
    skip_blanks();
    if (next_ == text_.size()) fail("ends where a number, a name or a bracket should follow");
    if (is_digit(text_[next_])) return number();
    if (begins_name(text_[next_])) return name_or_call();
    if (!take_one_of("(")) fail("expected a number, a name or a bracket");
    const double value = sum();
    close_bracket();
    return value;
  }

  double number() {
    double value = 0;
    const char* const begin = text_.data() + next_;
    const auto [end, error] = std::from_chars(begin, text_.data() + text_.size(), value);
    if (error != std::errc{}) fail("is out of range");
    copy(static_cast<std::size_t>(end - begin));
    return value;
  }

  double name_or_call() {
    std::size_t end = next_;
    while (end < text_.size() && (begins_name(text_[end]) || is_digit(text_[end]) || text_[end] == '.')) ++end;
    const std::string_view name = text_.substr(next_, end - next_);
    if (name == "min" || name == "max" || name == "abs") {
      copy(name.size());
      return call(name);
    }
    const double value = value_of(name);
    next_ = end;
    arithmetic_ += fmt::format("{:.6g}", value);
    return value;
  }

  double call(std::string_view function) {
    if (!take_one_of("(")) fail(fmt::format("{} needs its arguments in brackets", function));
    double value = sum();
    if (function == "abs") value = std::abs(value);
    while (function != "abs" && take_one_of(",")) {
      const double next = sum();
      value = function == "min" ? std::min(value, next) : std::max(value, next);
    }
    close_bracket();
    return value;
  }

  double value_of(std::string_view name) {
    try {
      return lookup_(name);
    } catch (const std::exception& error) {
      fail(error.what());
    }
  }

  void close_bracket() {
    if (!take_one_of(")")) fail("expected a closing bracket");
  }

  void skip_blanks() {
    while (next_ < text_.size() && text_[next_] == ' ') copy(1);
  }

  std::optional<char> take_one_of(std::string_view characters) {
    skip_blanks();
    if (next_ == text_.size() || characters.find(text_[next_]) == std::string_view::npos) return std::nullopt;
    copy(1);
    return text_[next_ - 1];
  }

  void copy(std::size_t count) {
    arithmetic_ += text_.substr(next_, count);
    next_ += count;
  }

  [[noreturn]] void fail(const std::string& what) const { throw ExpressionError(fmt::format("column {}: {}", next_ + 1, what)); }

  std::string_view text_;
  const Lookup& lookup_;
  std::size_t next_ = 0;
  int depth_ = 0;
  std::string arithmetic_;
};

}  // namespace

Evaluated evaluate(std::string_view expression, const Lookup& lookup) { return Evaluator(expression, lookup).run(); }

}  // namespace fabricast::validation
