// Growth at rest: whether what the server has while no client is there grows with every client that
// was.
//
// Theory. A sound server may keep something when its clients are gone: a free list, a cache, a
// table that has become larger. That ends: so many clients later it keeps no more. So after a first
// rest the World plays the same once more, and compares. Where nothing has grown, nothing will.
// Where it has, the World goes on, and compares at 1, 2, 4, 8, ... repetitions with the half of
// them: a cache that is full stops growing between two of these, and a table that doubles its size
// for one more node of each client grows between any two. Who has grown at all of them, and more
// than `remembers` clients ago, is said to grow for ever.
//
// Nothing here plays or waits: the World asks what it needs, and tells what it saw.
#pragma once

#include <array>
#include <cstdint>
#include <string>

namespace harness {

class Rests {
 public:
  struct Measure {
    std::uint64_t blocks = 0;
    std::uint64_t bytes = 0;
    std::uint64_t handles = 0;
    std::uint64_t descriptors = 0;
  };

  // What was there before the first client. At least `least` repetitions are made where anything is
  // kept at all.
  void begin(const Measure& before, std::uint32_t remembers, std::uint32_t least);
  // No client is there, after so many in all.
  void rested(const Measure& now, std::uint64_t clients);
  // Another repetition would say more.
  bool asks_for_more() const { return asks_; }
  // It grows, unless it lets go of what it keeps in a long time without clients.
  bool suspects() const { return suspects_; }
  // After that time. Empty: what it keeps is bounded.
  std::string verdict(const Measure& now) const;
  std::uint32_t repetitions() const { return repetitions_; }

 private:
  Measure half_;  // at the last comparison
  std::uint64_t clients_at_half_ = 0;
  std::uint64_t clients_ = 0;
  std::uint32_t remembers_ = 0;
  std::uint32_t least_ = 0;
  std::uint32_t repetitions_ = 0;
  std::uint32_t compares_at_ = 0;
  bool rested_ = false;
  bool asks_ = false;
  bool suspects_ = false;
};

}  // namespace harness
