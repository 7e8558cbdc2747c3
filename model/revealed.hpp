// Read access to the core's private members, so that checks see the objects' own state.
//
// An explicit instantiation may name a private member, and a friend function returns it. This is
// standard C++, needs no change to the product and no macro, and stops compiling when a member is
// renamed. This file only reads.
#pragma once

#include <array>

#include "core/service.hpp"

namespace model {

template <class Tag, auto member>
struct Reveal {
  friend constexpr auto revealed(Tag) { return member; }
};

#define MODEL_REVEAL(tag, member)        \
  struct tag {                           \
    friend constexpr auto revealed(tag); \
  };                                     \
  template struct Reveal<tag, &member>

using echoproof::Connection;
using echoproof::DeadlineList;
using echoproof::Service;

MODEL_REVEAL(WatchedList, Service::watched_);
MODEL_REVEAL(QuietList, Service::quiet_);
MODEL_REVEAL(StopAt, Service::stop_at_);
MODEL_REVEAL(MovedAt, Connection::moved_at_);
MODEL_REVEAL(Unacknowledged, Connection::unacknowledged_);
MODEL_REVEAL(Ends, DeadlineList::ends_);
MODEL_REVEAL(Next, DeadlineList::Entry::next_);
MODEL_REVEAL(Previous, DeadlineList::Entry::previous_);

#undef MODEL_REVEAL

inline std::array<const DeadlineList*, 2> lists_of(const Service& service) {
  return {&(service.*revealed(WatchedList{})), &(service.*revealed(QuietList{}))};
}

// Calls `visit` with each connection of the list, first to last. Returns whether the list is a ring
// in both directions and has as many entries as it says.
template <class Visit>
bool walk(const DeadlineList& list, const Visit& visit) {
  const DeadlineList::Entry& ends = list.*revealed(Ends{});
  const DeadlineList::Entry* before = &ends;
  std::size_t length = 0;
  for (;;) {
    const DeadlineList::Entry* const entry = before->*revealed(Next{});
    if (entry == nullptr || entry->*revealed(Previous{}) != before) return false;
    if (entry == &ends) return length == list.size();
    if (++length > list.size()) return false;
    visit(static_cast<const echoproof::Connection&>(*entry));
    before = entry;
  }
}

}  // namespace model
