#include "harness/talk.hpp"

#include <algorithm>
#include <array>

#include "harness/payload.hpp"

namespace harness {
namespace {

constexpr std::array<std::size_t, 6> lengths{10, 1, 20, 38, 100, 900};
constexpr std::size_t length_max_when_short = 38;
constexpr std::size_t length_max_of_one_byte = 100;

std::string letters(std::uint32_t client, std::uint32_t number, std::size_t size) {
  constexpr std::uint32_t apart = 1009;
  const std::uint8_t* const bytes = payload::bytes(client, std::uint64_t{number} * apart);
  std::string text(size, ' ');
  for (std::size_t i = 0; i < size; ++i) text[i] = static_cast<char>('a' + bytes[i] % 26);
  return text;
}

// How a frame's length is written.
struct Header {
  std::size_t width;  // bytes; 0: the talk has no frames
  bool little;
};

constexpr Header header_of(Talk talk) {
  switch (talk) {
    case Talk::frames_of_1: return {1, false};
    case Talk::frames_of_2: return {2, false};
    case Talk::frames_of_4: return {4, false};
    case Talk::frames_of_4_little: return {4, true};
    default: return {0, false};
  }
}

std::string frame(Header header, const std::string& body) {
  std::string text(header.width, '\0');
  for (std::size_t i = 0; i < header.width; ++i) {
    const std::size_t shift = 8 * (header.little ? i : header.width - 1 - i);
    text[i] = static_cast<char>(body.size() >> shift & 0xffU);
  }
  return text + body;
}

// So many bytes of what was said are whole messages.
std::size_t whole(Talk talk, std::string_view said) {
  const Header header = header_of(talk);
  if (header.width == 0) return talk == Talk::bytes ? said.size() : said.rfind('\n') + 1;
  std::size_t end = 0;
  while (said.size() - end >= header.width) {
    std::size_t size = 0;
    for (std::size_t i = 0; i < header.width; ++i) {
      const auto byte = static_cast<std::uint8_t>(said[end + i]);
      size |= std::size_t{byte} << (8 * (header.little ? i : header.width - 1 - i));
    }
    if (size > said.size() - end - header.width) break;
    end += header.width + size;
  }
  return end;
}

}  // namespace

const char* words_for(Talk talk) {
  switch (talk) {
#define HARNESS_TALK(name, words) \
  case Talk::name: return words;
    HARNESS_TALKS(HARNESS_TALK)
#undef HARNESS_TALK
  }
  return "?";
}

std::string message(Talk talk, std::uint32_t client, std::uint32_t number, std::uint32_t choice) {
  std::size_t size = lengths[choice % lengths.size()];
  if (talk == Talk::short_lines) size = std::min(size, length_max_when_short);
  if (talk == Talk::frames_of_1) size = std::min(size, length_max_of_one_byte);
  if (talk == Talk::bytes) {
    const std::uint8_t* const bytes = payload::bytes(client, number);
    return {bytes, bytes + size};
  }
  const std::string body = letters(client, number, size);
  const Header header = header_of(talk);
  return header.width > 0 ? frame(header, body) : body + "\n";
}

std::string one_of_each(Talk talk, std::uint32_t client) {
  std::string text;
  for (std::uint32_t i = 0; i < lengths.size(); ++i) text += message(talk, client, i, i);
  return text;
}

Speech echo_of(Talk talk, const std::string& greeting, bool halves) {
  Speech speech;
  if (talk == Talk::bytes) {
    if (greeting.empty()) return speech;
    speech.answer = [greeting](std::string_view said, bool) {
      return greeting + std::string(said);
    };
    return speech;
  }
  speech.generator = [talk](std::uint32_t client, std::uint32_t number, std::uint32_t choice) {
    return message(talk, client, number, choice);
  };
  speech.answer = [talk, greeting, halves](std::string_view said, bool) {
    return greeting + std::string(said.substr(0, halves ? said.size() : whole(talk, said)));
  };
  speech.whole_messages = !halves;
  return speech;
}

const std::vector<std::string>& requests() {
  using namespace std::string_literals;
  static const std::vector<std::string> all{
      "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
      "GET /index.html HTTP/1.0\r\n\r\n",
      "GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
      "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\nhello",
      "HEAD /missing?a=b HTTP/1.1\r\nHost: localhost\r\nConnection: keep-alive\r\n\r\n",
      "POST /a HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
      "GET /chat HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
      "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n",
      "\x81\x85\1\2\3\4igohn"s,  // a frame of a websocket
      "CONNECT 127.0.0.1:9000 HTTP/1.1\r\nHost: 127.0.0.1:9000\r\n\r\n",
      "GET http://127.0.0.1:9000/ HTTP/1.1\r\nHost: 127.0.0.1:9000\r\n\r\n",
      "\5\1\0"s,                            // SOCKS 5: no password
      "\5\1\0\1\x7f\0\0\1\x23\x28"s,        // and where to connect to
      "\5\1\0\5\1\0\1\x7f\0\0\1\x23\x28"s,  // both at once
      "\4\1\x23\x28\x7f\0\0\1me\0"s,        // SOCKS 4
      "*1\r\n$4\r\nPING\r\n",               // Redis
      "*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$5\r\nhello\r\n",
      "set k 0 0 5\r\nhello\r\n",  // memcached
      "get k\r\n",
      "NICK me\r\nUSER me 0 * :me\r\nJOIN #a\r\n",
      "PRIVMSG #a :hello\r\n",
      "EHLO localhost\r\n",
      // Wrong ones.
      "*2\r\n$3\r\nGET\r\n$-5\r\nk\r\n",
      "*1\r\n$99999999\r\nx",
      "GET\r\n\r\n",
      "POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
      "POST / HTTP/1.1\r\nContent-Length: 99999999\r\n\r\nabc",
      "\xff\xff\xff\xff\xff\xff\xff\xff",
      "{\"id\": 1, \"method\": \"echo\", \"params\": [\"hello\"]}\n",
      "\r\n",
      "hello\r\n",
      "hello world 1 2 3\n",
  };
  return all;
}

Speech anything(const std::string& answered, const std::vector<std::string>& words) {
  std::vector<std::string> all{answered};
  const auto add = [&all](std::string text) { all.push_back(std::move(text)); };
  for (std::uint32_t i = 0; i < talk_count; ++i) {
    for (const std::uint32_t choice : {0U, 5U}) add(message(static_cast<Talk>(i), 0, i, choice));
  }
  for (const std::size_t size : {5000U, 65000U}) {
    add({payload::bytes(0, 0), payload::bytes(0, 0) + size});
    add(letters(0, 0, size) + "\n");
  }
  for (const std::string& request : requests()) add(request);
  for (const std::string& word : words) {
    add(word + "\n");
    add(word + " hello 1\r\n");
  }
  Speech speech;
  speech.generator = [all](std::uint32_t, std::uint32_t, std::uint32_t choice) {
    return all[choice % all.size()];
  };
  return speech;
}

std::vector<std::string> words_in(std::string_view constants) {
  constexpr std::size_t length_max = 24;
  constexpr std::size_t count_max = 90;
  std::vector<std::string> words;
  while (!constants.empty() && words.size() < count_max) {
    const std::size_t end = std::min(constants.find('\0'), constants.size());
    std::string word(constants.substr(0, end));
    constants.remove_prefix(std::min(end + 1, constants.size()));
    while (!word.empty() && (word.back() == '\n' || word.back() == '\r')) word.pop_back();
    const bool typed = std::ranges::all_of(word, [](char c) { return c >= ' ' && c <= '~'; });
    // Formats are for what it says itself.
    if (word.empty() || word.size() > length_max || !typed || word.find('%') != std::string::npos)
      continue;
    if (std::ranges::find(words, word) == words.end()) words.push_back(word);
  }
  return words;
}

}  // namespace harness
