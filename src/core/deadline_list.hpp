// A list of connections in the order in which they entered it.
//
// All entries of a list have the same time limit, so the first entry is the next to expire. One
// timer therefore serves any number of connections, and every operation is O(1). The list is
// intrusive: an entry is a base of its connection, and the list owns and allocates nothing. Time is
// a parameter.
#pragma once

#include <chrono>
#include <cstddef>

#include "core/assert.hpp"

namespace echoproof {

// Milliseconds since any fixed origin. Time never runs backwards.
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
    // When the entry entered its list. REQUIRES: linked().
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

  // The entry that has been here longest. REQUIRES: not empty.
  Entry& first() const {
    ECHOPROOF_ASSERT(!empty());
    return *ends_.next_;
  }

  // REQUIRES: the entry is in no list, and no entry entered later than `now`.
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

  // REQUIRES: the entry is in this list.
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

  Entry ends_;  // the list is a ring through this entry
  std::size_t size_ = 0;
};

}  // namespace echoproof
