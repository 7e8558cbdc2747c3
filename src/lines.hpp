// What the program says on stdout and stderr: lines, each of them whole or not at all.
//
// Nobody is waited for: a line that its stream does not take at once is dropped and counted, and
// the first that it takes again comes after one that says how many were lost. So a reader who stops
// reading can hold up neither the service nor its end.
#pragma once

#include <fmt/format.h>

#include <atomic>
#include <cstdint>
#include <string_view>

namespace echoproof {

class Lines {
 public:
  constexpr explicit Lines(int fd) : fd_(fd) {}
  Lines(const Lines&) = delete;
  Lines& operator=(const Lines&) = delete;

  // To be called once, before the first line and before other threads are there.
  void open() noexcept;

  // One line, without its end. What is not printable ASCII is shown as \xNN, for values are other
  // people's; what exceeds PIPE_BUF bytes is cut. 0, or the errno for which the line was dropped.
  // From any thread; takes no memory.
  template <class... Values>
  int print(fmt::format_string<const Values&...> form, const Values&... values) {
    return print_line(form, fmt::make_format_args(values...));
  }

  // Lines so far, from any thread.
  std::uint64_t dropped() const { return dropped_; }

 private:
  int print_line(fmt::string_view form, fmt::format_args values);
  int write(std::string_view text);

  int fd_;
  bool waits_ = true;         // a write may
  bool torn_ = false;         // the stream took the beginning of a line and not its end
  std::uint64_t untold_ = 0;  // lines dropped since the last word about it
  std::atomic<std::uint64_t> dropped_ = 0;
};

extern Lines output;  // stdout
extern Lines errors;  // stderr

}  // namespace echoproof
