// Our server as a Subject: the adapter and the core, with the loop and the signals of a program
// around them, as in src/main.cpp.
#pragma once

#include "core/service.hpp"
#include "harness/subject.hpp"
#include "uvsim/uvsim.hpp"

namespace fuzz {

struct ServerShape {
  echoproof::Limits limits;
  echoproof::Time drain;
  std::uint32_t clients = 1;  // at most at once
  int backlog = 16;
};

// `shape` must outlive the subject.
harness::Subject server_subject(const ServerShape& shape);

// All that can fail in this server's life: it neither connects nor shuts down.
uvsim::ChoiceSet server_faults();

}  // namespace fuzz
