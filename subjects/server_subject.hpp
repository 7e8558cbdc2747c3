// The product as a Subject: its own Program, with one thread. Subject::tell hands the operator's
// signals to Program::hear().
#pragma once

#include "core/service.hpp"
#include "harness/subject.hpp"
#include "uv/server.hpp"
#include "uvsim/uvsim.hpp"

namespace subjects {

inline void log_nothing(echoproof::Severity, const char*, int) {}

struct ServerShape {
  echoproof::Limits limits;
  echoproof::Time drain;
  std::uint32_t clients = 1;  // at most at once
  int backlog = 16;
  echoproof::Log log = log_nothing;
};

// The memory for so many connections, with a small block each, and so many large blocks.
std::size_t buffer_memory(std::size_t connections, std::size_t small_size, std::size_t large_blocks,
                          std::size_t large_size);

// `shape` must outlive the subject.
harness::Subject server_subject(const ServerShape& shape);

// What the server that runs, or ran last, counted.
echoproof::Statistics server_statistics();

// All that can fail in this server's life: it neither connects nor shuts down, and libuv brings it
// no signals.
uvsim::ChoiceSet server_faults();

}  // namespace subjects
