// What the servers of these tests are allowed: room for a few clients, and time limits that none of
// the runs comes near.
#pragma once

#include "core/service.hpp"

inline constexpr echoproof::Limits roomy{.connections = 4,
                                         .buffer_memory = 4 * 4096,
                                         .block_size = 4096,
                                         .idle = echoproof::Time(60'000),
                                         .write = echoproof::Time(60'000),
                                         .write_contended = echoproof::Time(60'000)};
