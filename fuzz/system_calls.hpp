// Replacements of the system calls that libuv makes: short, interrupted or failing as the input
// says. The clock stands still until the target moves it.
//
// The linker puts them in place of the real calls (--wrap, in CMakeLists.txt) in all static code,
// which includes libuv. Outside of the scope of an Inside object they make the real calls.
#pragma once

#include <cstdint>

namespace fuzz::system_calls {

enum class Call : std::uint8_t { accept, read, write, socket, listen };
constexpr std::uint32_t call_count = 5;

// From now on no call fails, and the clock stands at a time of its own.
void begin();

// `kind` chooses among the ways in which this call can go wrong; after `wait` calls that do not,
// `times` do.
void plan(Call call, std::uint8_t kind, std::uint8_t wait, std::uint8_t times);
void stop_failing();

std::uint64_t now_ms();
void advance(std::uint64_t ms);

// What is called while this lives is called by the server.
class Inside {
 public:
  Inside();
  ~Inside();
  Inside(const Inside&) = delete;
  Inside& operator=(const Inside&) = delete;
};

// Told when a call is made to fail in a way that ends a connection: the port of its other end, or 0
// for one that was not accepted yet.
using Broken = void (*)(void* context, std::uint16_t port);
void on_broken(Broken told, void* context);

std::uint64_t calls();     // made from inside, in all
std::uint64_t failures();  // of those, made to go wrong

}  // namespace fuzz::system_calls
