// Arithmetic over named quantities: numbers, names, + - * /, brackets, min, max and abs. Knows not what a name means.
#pragma once

#include <functional>
#include <stdexcept>
#include <string>
#include <string_view>

namespace fabricast::validation {

/// What is wrong with an expression, and at which column.
class ExpressionError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// The value of a name such as "guide.collectives.dispatch.seconds"; throws std::exception with the reason where it has none.
using Lookup = std::function<double(std::string_view)>;

struct Evaluated {
  double value = 0;
  std::string arithmetic;  // the expression with each name replaced by its value: "1 / 576000"
};

/// A name begins with a letter or _ and goes on with those, digits and dots. Throws ExpressionError for anything that is no expression, a
/// name without a value, a division by 0, or a result that is not finite.
[[nodiscard]] Evaluated evaluate(std::string_view expression, const Lookup& lookup);

}  // namespace fabricast::validation
