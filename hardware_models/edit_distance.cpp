#include "hardware_models/edit_distance.hpp"

#include <algorithm>
#include <utility>

namespace fabricast::hw {
namespace {

constexpr std::size_t longest_word = 64;  // longer ones are not misspelt keys, and the distance costs their product

std::string lower_case(std::string_view text) {
  std::string out(text);
  for (char& character : out) {
    if (character >= 'A' && character <= 'Z') character = static_cast<char>(character - 'A' + 'a');
  }
  return out;
}

/// Optimal string alignment: Levenshtein's distance, with a swap of neighbours as one edit.
std::size_t distance(std::string_view a, std::string_view b) {
  std::vector<std::vector<std::size_t>> cost(a.size() + 1, std::vector<std::size_t>(b.size() + 1));
  for (std::size_t i = 0; i <= a.size(); ++i) {
    for (std::size_t j = 0; j <= b.size(); ++j) {
      if (i == 0 || j == 0) {
        cost[i][j] = i + j;
        continue;
      }
      const std::size_t replace = cost[i - 1][j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1);
      cost[i][j] = std::min({replace, cost[i - 1][j] + 1, cost[i][j - 1] + 1});
      const bool swapped = i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1];
      if (swapped) cost[i][j] = std::min(cost[i][j], cost[i - 2][j - 2] + 1);
    }
  }
  return cost[a.size()][b.size()];
}

/// One edit in three letters still looks like a slip.
bool near_enough(std::size_t edits, std::size_t length) { return edits <= std::max<std::size_t>(1, length / 3) && edits < length; }

std::optional<std::string> only_completion(const std::string& word, const std::vector<std::string>& candidates) {
  if (word.size() < 3) return std::nullopt;
  std::optional<std::string> found;
  for (const std::string& candidate : candidates) {
    if (!lower_case(candidate).starts_with(word)) continue;
    if (found) return std::nullopt;
    found = candidate;
  }
  return found;
}

}  // namespace

std::optional<std::string> nearest(std::string_view word, const std::vector<std::string>& candidates) {
  if (word.empty() || word.size() > longest_word) return std::nullopt;
  const std::string lower = lower_case(word);
  std::optional<std::string> best;
  std::pair<std::size_t, std::size_t> best_cost;
  for (const std::string& candidate : candidates) {
    if (candidate.size() > longest_word) continue;
    const std::pair cost(distance(lower, lower_case(candidate)), distance(word, candidate));
    if (!near_enough(cost.first, std::max(word.size(), candidate.size()))) continue;
    if (!best || cost < best_cost) {
      best = candidate;
      best_cost = cost;
    }
  }
  return best ? best : only_completion(lower, candidates);
}

}  // namespace fabricast::hw
