// What every floor writes into a report: the words of findings, and the ledger's part.
#ifndef UVSIM_REPORT_HPP
#define UVSIM_REPORT_HPP

#include <string>

#include "uvsim/uvsim.hpp"

namespace uvsim {

// One line, without a line feed.
std::string headline(const Finding& finding);

// The ledger's figures, as they are now.
void report_figures(LedgerSummary& summary);
// How many blocks leaked, if any, and the first. `stack` as for ledger::for_each_leak.
void report_leaks(LedgerSummary& summary, const void* stack);

}  // namespace uvsim

#endif
