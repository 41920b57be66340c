// Whatever the file holds, loading ends in an experiment or in a ConfigError of one printable line.
#include <cstdint>
#include <string>
#include <string_view>

#include "tests/temporary_folder.hpp"
#include "tests/validation/small_experiment.hpp"
#include "validation/experiment.hpp"

namespace fabricast::experiment_hostile_test {

using namespace fabricast;
using namespace fabricast::tests;

namespace {

/// splitmix64 (Steele, Lea, Flood 2014): the same numbers everywhere.
class Random {
 public:
  explicit Random(std::uint64_t seed) : state_(seed) {}
  std::uint64_t next() {
    std::uint64_t z = state_ += 0x9E3779B97F4A7C15U;
    z = (z ^ (z >> 30U)) * 0xBF58476D1CE4E5B9U;
    z = (z ^ (z >> 27U)) * 0x94D049BB133111EBU;
    return z ^ (z >> 31U);
  }
  std::size_t below(std::size_t bound) { return next() % bound; }

 private:
  std::uint64_t state_;
};

/// The message, or nothing if the experiment loads. Any other exception is the test's failure.
std::string error_of(const TemporaryFolder& folder, std::string_view text) {
  const auto path = folder.write("experiment.json", text);
  try {
    (void)validation::load_experiment(path);
  } catch (const hw::ConfigError& error) {
    return error.what();
  }
  return {};
}

bool is_printable_line(const std::string& message) { return message == hw::one_line(message) && message.size() < 2000; }

std::string mutated(std::string text, Random& random) {
  const std::string_view alphabet = "{}[]\",:0123456789-+.eE \n\t\\/*truefalsn\x00\xFF\xC3";
  const std::size_t edits = 1 + random.below(4);
  for (std::size_t i = 0; i < edits && !text.empty(); ++i) {
    const std::size_t at = random.below(text.size());
    const std::size_t length = 1 + random.below(8);
    switch (random.below(5)) {
      case 0: text[at] = alphabet[random.below(alphabet.size())]; break;
      case 1: text[at] = static_cast<char>(random.below(256)); break;
      case 2: text.erase(at, length); break;
      case 3: text.insert(at, text.substr(random.below(text.size()), length)); break;
      default: text.insert(at, 1, alphabet[random.below(alphabet.size())]); break;
    }
  }
  return text;
}

}  // namespace

TEST_CASE("the experiment that the hostile tests break loads whole") {
  const TemporaryFolder folder("hostile_whole");
  CHECK(error_of(folder, small_experiment()) == "");
}

TEST_CASE("an experiment cut off at any byte is a ConfigError") {
  const TemporaryFolder folder("hostile_cut");
  const std::string text = small_experiment();
  for (std::size_t length = 0; length < text.size(); ++length) {
    CAPTURE(length);
    const std::string message = error_of(folder, std::string_view(text).substr(0, length));
    REQUIRE(message != "");
    REQUIRE(is_printable_line(message));
  }
}

TEST_CASE("random changes of bytes end in an experiment or a ConfigError of one line") {
  const TemporaryFolder folder("hostile_bytes");
  const std::string text = small_experiment();
  Random random(20240601);
  int failures = 0;
  constexpr int rounds = 4000;
  for (int round = 0; round < rounds; ++round) {
    const std::string message = error_of(folder, mutated(text, random));
    CAPTURE(round);
    CAPTURE(message);
    REQUIRE(is_printable_line(message));
    failures += message.empty() ? 0 : 1;
  }
  CHECK(failures > rounds / 2);  // else the changes would not reach the checks
}

TEST_CASE("any value put in the place of another ends in an experiment or a ConfigError of one line") {
  const TemporaryFolder folder("hostile_values");
  const auto path = folder.write("experiment.json", small_experiment());
  const std::string keys[] = {"model", "model.layers", "model.moe", "model.moe.top_k", "model.name", "cluster", "cluster.gpu",
                              "cluster.gpu.peak", "cluster.gpu.gemm.tiles", "cluster.collectives.nvlink_efficiency.send", "cluster.nodes",
                              "cluster.node.nvlink_bandwidth", "cluster.fabric.kind", "cluster.memory_reserve", "workload",
                              "workload.sequences", "strategy", "strategy.tensor", "strategy.overlap", "strategy.axis_order", "routing",
                              "routing.seed", "routing.distribution", "name", "$schema", "new"};
  const std::string values[] = {"null", "true", "0", "-1", "1", "1e308", "9223372036854775807", "1.5", "", "x", "80 GiB", "{}", "[]",
                                "[[[[]]]]", "{\"a\": {}}", "\"\"", "/", "..", "\x1b[31m", "\xFF", "/dev/null", std::string(100000, 'x')};
  for (const std::string& key : keys) {
    for (const std::string& value : values) {
      std::string message;
      try {
        (void)validation::load_experiment(path, {key + "=" + value});
      } catch (const hw::ConfigError& error) {
        message = error.what();
      }
      CAPTURE(key);
      CAPTURE(message);
      REQUIRE(is_printable_line(message));
    }
  }
}

TEST_CASE("a bomb of brackets in a named file is a ConfigError") {
  const TemporaryFolder folder("hostile_bomb");
  (void)folder.write("bomb.json", std::string(100000, '['));
  const std::string message = error_of(folder, small_experiment("\"bomb.json\"", small_cluster()));
  CHECK(contains(message, "bomb.json:1: "));
  CHECK(contains(message, "nested deeper than 64 levels"));
}

}  // namespace fabricast::experiment_hostile_test
