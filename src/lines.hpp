// Output on stdout and stderr, line by line.
//
// print() never waits. It drops and counts a line that the stream does not take at once. Before the
// next line that the stream takes, it prints how many were dropped. So a reader that stops reading
// can stop neither the service nor its end.
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

  // Call it once, before the first line and before other threads start.
  void open() noexcept;

  // Prints one line and adds its end. Bytes that are not printable ASCII are shown as \xNN, because
  // values come from outside. A line of more than PIPE_BUF bytes is cut. Returns 0, or the errno
  // for which the line was dropped. Any thread may call it; it allocates nothing.
  template <class... Values>
  int print(fmt::format_string<const Values&...> form, const Values&... values) {
    return print_line(form, fmt::make_format_args(values...));
  }

  // Lines dropped so far. Any thread may call it.
  std::uint64_t dropped() const { return dropped_; }

 private:
  int print_line(fmt::string_view form, fmt::format_args values);
  int write(std::string_view text);

  int fd_;
  bool waits_ = true;         // a write may block
  bool torn_ = false;         // the stream took the beginning of a line only
  std::uint64_t untold_ = 0;  // lines dropped since the last report of it
  std::atomic<std::uint64_t> dropped_ = 0;
};

extern Lines output;  // stdout
extern Lines errors;  // stderr

}  // namespace echoproof
