// The clock, and the life of files.
#include "machine.hpp"

namespace kernel {

Machine::Machine(const Options& given, Chooser* chooser)
    : options(given), ports(*this), chooser_(chooser), now_(given.start_ns) {}

Machine::~Machine() {
  for (File* file : files_) delete file;
}

void Machine::advance(uint64_t ns) {
  const uint64_t end = now_ + ns;
  while (true) {
    Timed* first = nullptr;
    for (Timed* timed : timed_)
      if (first == nullptr || timed->deadline < first->deadline) first = timed;
    if (first == nullptr || first->deadline > end) break;
    if (first->deadline > now_) now_ = first->deadline;
    disarm(*first);
    first->on_deadline();
  }
  now_ = end;
}

uint64_t Machine::next_deadline() const {
  uint64_t first = never;
  for (const Timed* timed : timed_)
    if (timed->deadline < first) first = timed->deadline;
  return first;
}

unsigned Machine::pick(unsigned n, Question question) {
  return chooser_ == nullptr ? 0 : chooser_->pick(n, question);
}

void Machine::arm(Timed& timed, uint64_t deadline) {
  if (timed.deadline == never) timed_.push_back(&timed);
  timed.deadline = deadline;
}

void Machine::disarm(Timed& timed) {
  if (timed.deadline == never) return;
  timed.deadline = never;
  for (size_t i = 0; i < timed_.size(); ++i) {
    if (timed_[i] != &timed) continue;
    timed_.erase(timed_.begin() + static_cast<long>(i));
    return;
  }
}

void Machine::adopt(File& file) {
  file.index_ = files_.size();
  files_.push_back(&file);
}

void Machine::bury(File& file) {
  if (file.buried_) return;
  file.buried_ = true;
  dead_.push_back(&file);
}

void Machine::tidy() {
  for (File* file : dead_) {
    files_[file->index_] = files_.back();
    files_[file->index_]->index_ = file->index_;
    files_.pop_back();
    delete file;
  }
  dead_.clear();
}

}  // namespace kernel
