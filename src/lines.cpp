#include "lines.hpp"

#include <fcntl.h>
#include <poll.h>
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

// For both streams: they may be one and the same pipe.
std::mutex mutex;

// A buffer that never has more than one line: a pipe takes it as a whole.
using Line = std::array<char, PIPE_BUF>;

// Copies `text` and ends the line; returns what is in use of `line`.
std::string_view escape(std::string_view text, Line& line) {
  constexpr std::string_view cut = "...";
  constexpr std::size_t escaped_size = 4;  // \xNN
  std::size_t size = 0;
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

// A pipe or a terminal is opened once more: what we ask of our own description, not to wait, is not
// asked of those who share the stream with us.
void Lines::open() noexcept {
  struct stat about{};
  if (fstat(fd_, &about) != 0 || (!S_ISFIFO(about.st_mode) && isatty(fd_) == 0)) return;
  std::array<char, 32> path{};
  fmt::format_to(path.data(), "/proc/self/fd/{}", fd_);
  const int own = ::open(path.data(), O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
  if (own >= 0) fd_ = own;
}

int Lines::print_line(fmt::string_view form, fmt::format_args values) {
  const std::lock_guard lock(mutex);
  Line text;
  Line line;
  const std::size_t size = fmt::vformat_to_n(text.data(), text.size(), form, values).size;
  const int error = put(escape({text.data(), std::min(size, text.size())}, line));
  if (error != 0) {
    ++untold_;
    ++dropped_;
  }
  return error;
}

int Lines::put(std::string_view line) {
  if (untold_ > 0) {
    std::array<char, 64> told{};
    const auto end = fmt::format_to(told.data(), R"({}{{"event":"lines_dropped","lines":{}}})",
                                    torn_ ? "\n" : "", untold_);
    *end = '\n';
    const int error = write({told.data(), static_cast<std::size_t>(end + 1 - told.data())});
    if (error != 0) return error;
    untold_ = 0;
  }
  return write(line);
}

// A socket is asked not to wait in each call; of all else poll() tells, if it could not be opened
// once more, whether it has room for a line.
int Lines::write(std::string_view text) {
  ssize_t count = send(fd_, text.data(), text.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
  if (count < 0 && errno == ENOTSOCK) {
    pollfd stream{.fd = fd_, .events = POLLOUT, .revents = 0};
    if (poll(&stream, 1, 0) == 0) return EAGAIN;
    count = ::write(fd_, text.data(), text.size());
  }
  if (count < 0) return errno;
  torn_ = static_cast<std::size_t>(count) < text.size();
  return torn_ ? EAGAIN : 0;
}

}  // namespace echoproof
