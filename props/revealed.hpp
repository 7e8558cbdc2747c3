// The core's private members, to be read: the state of the objects themselves, not a model of it.
//
// An explicit instantiation may name a private member, and a friend function hands it out. That is
// plain C++, needs no change to the product and no macro, and does not compile once a member has
// another name. Nothing here writes.
#pragma once

#include "core/service.hpp"

namespace props {

template <class Tag, typename Tag::Type member>
struct Reveal {
  friend constexpr typename Tag::Type revealed(Tag) { return member; }
};

#define PROPS_REVEAL(tag, type, member)  \
  struct tag {                           \
    using Type = type;                   \
    friend constexpr Type revealed(tag); \
  };                                     \
  template struct Reveal<tag, &member>

using echoproof::Connection;
using echoproof::DeadlineList;
using echoproof::Service;
using echoproof::Time;

PROPS_REVEAL(IdleLine, DeadlineList Service::*, Service::idle_);
PROPS_REVEAL(WritingLine, DeadlineList Service::*, Service::writing_);
PROPS_REVEAL(WaitingLine, DeadlineList Service::*, Service::waiting_);
PROPS_REVEAL(Cancelling, std::size_t Service::*, Service::cancelling_);
PROPS_REVEAL(StopAt, Time Service::*, Service::stop_at_);
PROPS_REVEAL(ReadOnTrial, bool Connection::*, Connection::read_on_trial_);
PROPS_REVEAL(Ends, DeadlineList::Entry DeadlineList::*, DeadlineList::ends_);
PROPS_REVEAL(Next, DeadlineList::Entry* DeadlineList::Entry::*, DeadlineList::Entry::next_);
PROPS_REVEAL(Previous, DeadlineList::Entry* DeadlineList::Entry::*, DeadlineList::Entry::previous_);

#undef PROPS_REVEAL

// Calls `visit` with each connection of the line, first to last. Whether the ring is one, both
// ways, and as long as it says.
template <class Visit>
bool walk(const DeadlineList& line, const Visit& visit) {
  const DeadlineList::Entry& ends = line.*revealed(Ends{});
  const DeadlineList::Entry* before = &ends;
  std::size_t length = 0;
  for (;;) {
    const DeadlineList::Entry* const entry = before->*revealed(Next{});
    if (entry == nullptr || entry->*revealed(Previous{}) != before) return false;
    if (entry == &ends) return length == line.size();
    if (++length > line.size()) return false;
    visit(static_cast<const echoproof::Connection&>(*entry));
    before = entry;
  }
}

}  // namespace props
