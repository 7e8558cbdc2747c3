// A line of connections in the order in which they entered it.
//
// Whoever entered first has been there longest, so with one time limit for all of a line the first
// is the next to expire, and with none the line is a fair queue: the list serves both, every
// operation is O(1), and no timer per connection is needed. Intrusive: an entry is part of what it
// stands for, the list owns nothing and allocates nothing. Time is a parameter.
#pragma once

#include <chrono>
#include <cstddef>

#include "core/assert.hpp"

namespace echoproof {

// Since an origin that does not matter; never runs backwards.
using Time = std::chrono::milliseconds;

class DeadlineList {
 public:
  class Entry {
   public:
    Entry() = default;
    Entry(const Entry&) = delete;
    Entry& operator=(const Entry&) = delete;
    // REQUIRES: in no list.
    ~Entry() { ECHOPROOF_ASSERT(next_ == nullptr); }

    bool linked() const { return next_ != nullptr; }
    // REQUIRES: in a list. When the entry entered it.
    Time since() const { return since_; }

   private:
    friend class DeadlineList;
    Entry* previous_ = nullptr;
    Entry* next_ = nullptr;
    Time since_{};
  };

  DeadlineList() { ends_.previous_ = ends_.next_ = &ends_; }
  // REQUIRES: empty.
  ~DeadlineList() {
    ECHOPROOF_ASSERT(empty());
    ends_.next_ = nullptr;
  }

  bool empty() const { return size_ == 0; }
  std::size_t size() const { return size_; }

  // REQUIRES: not empty. The entry that has been here longest.
  Entry& first() const {
    ECHOPROOF_ASSERT(!empty());
    return *ends_.next_;
  }

  // REQUIRES: in no list, and now is not before the last entry's time.
  void enter(Entry& entry, Time now) {
    ECHOPROOF_ASSERT(!entry.linked());
    ECHOPROOF_ASSERT(empty() || now >= ends_.previous_->since_);
    entry.since_ = now;
    entry.previous_ = ends_.previous_;
    entry.next_ = &ends_;
    entry.previous_->next_ = &entry;
    ends_.previous_ = &entry;
    ++size_;
    invariants();
  }

  // REQUIRES: in this list.
  void leave(Entry& entry) {
    ECHOPROOF_ASSERT(entry.linked());
    ECHOPROOF_ASSERT(!empty());
    entry.previous_->next_ = entry.next_;
    entry.next_->previous_ = entry.previous_;
    entry.previous_ = entry.next_ = nullptr;
    --size_;
    invariants();
  }

 private:
  void invariants() const {
    ECHOPROOF_ASSERT((size_ == 0) == (ends_.next_ == &ends_));
    ECHOPROOF_ASSERT((size_ == 0) == (ends_.previous_ == &ends_));
  }

  Entry ends_;  // the list is a ring through here
  std::size_t size_ = 0;
};

}  // namespace echoproof
