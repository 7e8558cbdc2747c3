#include "harness/rests.hpp"

#include <algorithm>
#include <cstdio>

namespace harness {
namespace {

bool grew(const Rests::Measure& from, const Rests::Measure& to) {
  return to.blocks > from.blocks || to.bytes > from.bytes || to.handles > from.handles ||
         to.descriptors > from.descriptors;
}

}  // namespace

void Rests::begin(const Measure& before, std::uint32_t remembers, std::uint32_t least) {
  *this = Rests();
  half_ = before;
  remembers_ = remembers;
  least_ = std::max(least, 1U);
}

void Rests::rested(const Measure& now, std::uint64_t clients) {
  clients_ = clients;
  if (!rested_) {
    rested_ = true;
    asks_ = grew(half_, now);
    half_ = now;
    clients_at_half_ = clients;
    compares_at_ = least_;
    return;
  }
  if (++repetitions_ < compares_at_) return;
  asks_ = grew(half_, now);
  if (!asks_) return;
  suspects_ = clients_at_half_ > remembers_;
  if (suspects_) {
    asks_ = false;
    return;
  }
  half_ = now;
  clients_at_half_ = clients;
  compares_at_ = repetitions_ * 2;
}

std::string Rests::verdict(const Measure& now) const {
  if (!suspects_ || !grew(half_, now)) return {};
  struct Row {
    const char* what;
    std::uint64_t from;
    std::uint64_t to;
  };
  const std::array rows{Row{"allocations", half_.blocks, now.blocks},
                        Row{"bytes", half_.bytes, now.bytes},
                        Row{"open handles", half_.handles, now.handles},
                        Row{"open descriptors", half_.descriptors, now.descriptors}};
  std::string text = "what is kept while no client is there grows with the clients that were:";
  char words[96];
  const char* before = " ";
  for (const Row& row : rows) {
    if (row.to <= row.from) continue;
    std::snprintf(words, sizeof words, "%s%llu %s became %llu", before,
                  static_cast<unsigned long long>(row.from), row.what,
                  static_cast<unsigned long long>(row.to));
    text += words;
    before = ", ";
  }
  std::snprintf(words, sizeof words, " from the %lluth client to the %lluth",
                static_cast<unsigned long long>(clients_at_half_),
                static_cast<unsigned long long>(clients_));
  return text + words + " (a cache of more than " + std::to_string(remembers_) +
         " clients looks the same: promise remembers=N)";
}

}  // namespace harness
