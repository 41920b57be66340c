// The HTML page of a report.
#include "validation/report_html.hpp"

#include <doctest/doctest.h>

#include <string>

#include "validation/summary.hpp"

namespace fabricast::report_html_test {

using namespace fabricast;
using namespace fabricast::validation;

namespace {

Report made_up() {
  Report report;
  report.experiment = "a<b>&\"c\"";
  report.ranks = 4;
  report.step = Seconds(1.0);
  report.time = {Seconds(0.6), Seconds(0.5), Seconds(0.3), Seconds(0.1), Seconds(0.05), 0.4, {}};
  report.ops.push_back({"expert_down", "grouped_gemm", 2, Seconds(0.6), Flop(1e12), 1e9});
  report.ops.push_back({"tiny", "rope", 2, Seconds(1e-6), Flop(0), 1e9});
  CollectiveSummary dispatch;
  dispatch.label = "dispatch";
  dispatch.busy = Seconds(0.5);
  dispatch.exposed = Seconds(0.3);
  report.collectives.push_back(dispatch);
  report.memory = {Rank{0}, Bytes(50), Bytes(100), true, {{"parameters", Bytes(50)}}, {}};
  return report;
}

std::size_t count(const std::string& text, const std::string& part) {
  std::size_t n = 0;
  for (std::size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++n;
  return n;
}

}  // namespace

TEST_CASE("names of an experiment cannot become markup") {
  const std::string page = to_html(made_up());
  CHECK(page.find("a<b>") == std::string::npos);
  CHECK(page.find("a&lt;b&gt;&amp;&quot;c&quot;") != std::string::npos);
}

TEST_CASE("the page is one whole: every tag is closed, and nothing is fetched") {
  const std::string page = to_html(made_up());
  for (const std::string tag : {"html", "head", "body", "style", "table", "div", "h2", "pre", "td", "tr", "i", "p"}) {
    CAPTURE(tag);
    CHECK(count(page, "<" + tag + ">") + count(page, "<" + tag + " ") == count(page, "</" + tag + ">"));
  }
  CHECK(page.find("http") == std::string::npos);
  CHECK(page.find("<script") == std::string::npos);
}

TEST_CASE("bars are shares of the step, and what is less than a pixel is in the summary only") {
  const std::string page = to_html(made_up());
  for (const char* bar : {"<i class=\"computation\" style=\"width:60.00%\">", "<i class=\"communication\" style=\"width:30.00%\">", "<i class=\"idle\" style=\"width:10.00%\">"}) {
    CAPTURE(bar);
    CHECK(count(page, bar) == 2);   // of the step, and of its class
  }
  CHECK(page.find("<tr><td>tiny") == std::string::npos);
  CHECK(page.find("exposed part") != std::string::npos);
}

}  // namespace fabricast::report_html_test
