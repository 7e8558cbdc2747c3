// What the servers of these tests are allowed: room for a few clients, and time limits that none of
// the runs comes near.
#pragma once

#include "core/service.hpp"

inline constexpr echoproof::Limits roomy{.connections = 4,
                                         .buffer_memory = 10 * 4096,
                                         .block_size = 4096,
                                         .kernel_memory = echoproof::KernelBudget::unlimited,
                                         .tuned_socket = 1,
                                         .idle = echoproof::Time(60'000),
                                         .write = echoproof::Time(60'000)};
