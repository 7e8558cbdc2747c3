// The report in words.
#include "report.hpp"

#include <string>

#include "uvsim/ledger.hpp"

namespace uvsim {
namespace {

struct Leaks {
  uint64_t count = 0;
  std::string first;
};

void note_leak(void* opaque, const ledger::Allocation& allocation) {
  Leaks& leaks = *static_cast<Leaks*>(opaque);
  if (++leaks.count > 1) return;
  char text[300];
  leaks.first = ledger::describe(allocation, text, sizeof text);
}

}  // namespace

void report_figures(LedgerSummary& summary) {
  const ledger::Totals& totals = ledger::totals();
  summary.active = true;
  summary.allocations = totals.allocations;
  summary.releases = totals.releases;
  summary.live = totals.live;
  summary.live_bytes = totals.live_bytes;
  summary.peak_bytes = totals.peak_bytes;
  summary.failures = totals.failures;
}

void report_leaks(LedgerSummary& summary, const void* stack) {
  Leaks leaks;
  ledger::for_each_leak(note_leak, &leaks, stack);
  if (leaks.count == 0) return;
  summary.ok = false;
  summary.message =
      std::to_string(leaks.count) + " allocation(s) leaked; the first: " + leaks.first;
}

std::string headline(const Finding& finding) {
  if (finding.cannot_run) return "uvsim cannot run this: " + finding.message;
  std::string line = finding.rule.empty() ? std::string() : finding.rule + ": ";
  if (!finding.handle.empty()) line += finding.handle + ": ";
  return line + finding.message + " (step " + std::to_string(finding.step) + ")";
}

const char* name_of(Limit limit) noexcept {
  constexpr const char* names[] = {
      "none",
      "too many steps: the program never goes quiet",
      "too many callbacks: the program never goes quiet",
      "too many loop turns: the loop never goes quiet",
      "too much virtual time has passed: the loop never goes quiet",
      "too many calls without a callback between them: the program does not return",
      "the poll hook says that it makes progress, and nothing comes of it",
  };
  return names[static_cast<size_t>(limit)];
}

std::string Report::summary() const {
  std::string out;
  for (const Finding& finding : violations) out += headline(finding) + "\n";
  if (limit != Limit::none) out += std::string(name_of(limit)) + "\n";
  if (ledger.active && !ledger.ok && violations.empty()) out += "ledger: " + ledger.message + "\n";
  return out;
}

}  // namespace uvsim
