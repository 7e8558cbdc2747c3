// The answers to a model's questions: how many bytes were read, whether a call fails, how long
// nothing happens.
//
// A run is written down in one of two ways. As bytes, for an engine: any byte string is a run. As
// records, for a generator: a step can be removed without changing the others. A recorded run can
// be written as bytes.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include "model/oracle.hpp"

FUZZ_UNWATCHED_BEGIN
namespace model {

class Answers {
 public:
  // Returns 0..n-1; 0 is always the kindest answer. REQUIRES: 1 <= n <= 256.
  virtual std::size_t pick(std::size_t n) = 0;
  // Whether this call fails. Asked only for calls that can fail.
  virtual bool fails() = 0;

 protected:
  ~Answers() = default;
};

// What happens next, and to which client. The model defines the kinds.
struct Step {
  std::uint8_t kind = 0;
  std::uint8_t who = 0;
};

// A step is a byte, kind + 16 * who, and then the bytes that its questions need. One byte answers
// several questions, the first with its lowest part. Kind 15 is no step: it makes the who-th next
// call fail, counted from 0. The shape of the model comes before the first step.
inline constexpr std::uint8_t kind_fails = 15;

class Bytes final : public Answers {
 public:
  Bytes(const std::uint8_t* data, std::size_t size) : next_(data), end_(data + size) {}

  // The next step; false at the end.
  bool next(Step& step) {
    left_ = 0;
    while (next_ != end_) {
      const std::uint8_t byte = *next_++;
      step = {static_cast<std::uint8_t>(byte % 16), static_cast<std::uint8_t>(byte / 16)};
      if (step.kind != kind_fails) return true;
      fails_in_ = step.who + 1U;
    }
    return false;
  }

  std::size_t pick(std::size_t n) override {
    if (left_ < n) {
      byte_ = next_ == end_ ? 0U : *next_++;
      left_ = 256;
    }
    const std::size_t answer = byte_ % n;
    byte_ /= n;
    left_ /= n;
    return answer;
  }

  bool fails() override { return fails_in_ > 0 && --fails_in_ == 0; }

 private:
  const std::uint8_t* next_;
  const std::uint8_t* end_;
  std::size_t byte_ = 0;
  std::size_t left_ = 0;  // how many values the unused part of byte_ can have
  unsigned fails_in_ = 0;
};

// A step with its answers, as a generator makes it. It may have more answers than the step needs.
struct Record {
  Step step;
  std::uint8_t fails_at = 0;  // which of its calls fails, from 1; 0: none
  std::array<std::uint8_t, 4> picks{};
};

// Answers as the record says, and writes the step as bytes.
class Recorded final : public Answers {
 public:
  explicit Recorded(const Record& record) : record_(record) {}

  std::size_t pick(std::size_t n) override {
    const std::size_t answer = picked_ < record_.picks.size() ? record_.picks[picked_++] % n : 0;
    if (left_ < n) {
      bytes_.push_back(0);
      left_ = 256;
      unit_ = 1;
    }
    bytes_.back() = static_cast<std::uint8_t>(bytes_.back() + answer * unit_);
    unit_ *= n;
    left_ /= n;
    return answer;
  }

  bool fails() override {
    const bool fails = ++calls_ == record_.fails_at;
    failed_ = failed_ || fails;
    return fails;
  }

  // Call it after the step, with the step as it was played.
  void tell(const Step& step, std::vector<std::uint8_t>& to) const {
    const auto byte = [](unsigned kind, unsigned who) {
      return static_cast<std::uint8_t>(kind + 16U * who);
    };
    if (failed_) to.push_back(byte(kind_fails, record_.fails_at - 1U));
    to.push_back(byte(step.kind, step.who));
    tell_answers(to);
  }
  void tell_answers(std::vector<std::uint8_t>& to) const {
    to.insert(to.end(), bytes_.begin(), bytes_.end());
  }

 private:
  Record record_;
  std::size_t picked_ = 0;
  unsigned calls_ = 0;
  bool failed_ = false;
  std::vector<std::uint8_t> bytes_;
  std::size_t left_ = 0;
  std::size_t unit_ = 1;
};

// Plays an input from its first byte to its last, and then the end of the server.
template <class Model>
void play_bytes(const std::uint8_t* data, std::size_t size) {
  Bytes bytes(data, size);
  Model model(Model::Shape::pick(bytes));
  for (Step step; bytes.next(step);) {
    if (model.play(step, bytes)) model.check();
  }
  model.end();
}

}  // namespace model
FUZZ_UNWATCHED_END
