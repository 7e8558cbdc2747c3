// Words for findings, for the report and for who prints them.
#ifndef UVSIM_REPORT_HPP
#define UVSIM_REPORT_HPP

#include <string>

#include "uvsim/uvsim.hpp"

namespace uvsim {

// One line, without a line feed.
std::string headline(const Finding& finding);

}  // namespace uvsim

#endif
