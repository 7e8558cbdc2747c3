#include "lines.hpp"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <climits>
#include <mutex>
#include <string>

namespace echoproof {

constinit Lines output{STDOUT_FILENO};
constinit Lines errors{STDERR_FILENO};

namespace {

// One for both streams, because they can be the same pipe.
std::mutex mutex;

// One line at most: a pipe takes it whole or not at all.
using Line = std::array<char, PIPE_BUF>;

// Appends `text` and the end of the line to the first `size` bytes of `line`. Returns the result.
std::string_view escape(std::string_view text, Line& line, std::size_t size) {
  constexpr std::string_view cut = "...";
  constexpr std::size_t escaped_size = 4;  // \xNN
  for (const char byte : text) {
    if (size + escaped_size + cut.size() + 1 > line.size()) {
      size += cut.copy(&line[size], cut.size());
      break;
    }
    if (byte >= ' ' && byte <= '~') {
      line[size++] = byte;
    } else {
      fmt::format_to(&line[size], "\\x{:02x}", static_cast<unsigned char>(byte));
      size += escaped_size;
    }
  }
  line[size++] = '\n';
  return {line.data(), size};
}

}  // namespace

// Opens a pipe or a terminal once more, because O_NONBLOCK would also hold for every other process
// that shares our file description.
void Lines::open() noexcept {
  struct stat about{};
  if (fstat(fd_, &about) != 0 || (!S_ISFIFO(about.st_mode) && isatty(fd_) == 0)) return;
  std::array<char, 32> path{};
  fmt::format_to(path.data(), "/proc/self/fd/{}", fd_);
  const int own = ::open(path.data(), O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
  if (own < 0) return;
  fd_ = own;
  waits_ = false;
}

// The report of dropped lines is written together with the next line.
int Lines::print_line(fmt::string_view form, fmt::format_args values) {
  const std::lock_guard lock(mutex);
  Line text;
  Line line;
  char* begin = line.data();
  if (untold_ > 0) {
    begin = fmt::format_to(begin, R"({}{{"event":"lines_dropped","lines":{}}})", torn_ ? "\n" : "",
                           untold_);
    *begin++ = '\n';
  }
  const std::size_t size = fmt::vformat_to_n(text.data(), text.size(), form, values).size;
  const int error = write(escape({text.data(), std::min(size, text.size())}, line,
                                 static_cast<std::size_t>(begin - line.data())));
  untold_ = error == 0 ? 0 : untold_ + 1;
  if (error != 0) ++dropped_;
  return error;
}

// MSG_DONTWAIT keeps a socket from blocking. A stream that open() could not open does not block
// while its description says so; others that share it see that for a moment.
int Lines::write(std::string_view text) {
  ssize_t count = send(fd_, text.data(), text.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
  if (count < 0 && errno == ENOTSOCK) {
    const int flags = waits_ ? fcntl(fd_, F_GETFL) : -1;
    if (flags >= 0) static_cast<void>(fcntl(fd_, F_SETFL, flags | O_NONBLOCK));
    count = ::write(fd_, text.data(), text.size());
    const int error = errno;
    if (flags >= 0) static_cast<void>(fcntl(fd_, F_SETFL, flags));
    errno = error;
  }
  if (count < 0) return errno;
  torn_ = static_cast<std::size_t>(count) < text.size();
  return torn_ ? EAGAIN : 0;
}

}  // namespace echoproof
