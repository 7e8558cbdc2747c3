// A server whose static data would give it away if it were not put back: objects that own memory
// and are destroyed at exit, statics of functions and of templates, thread-locals, a handler of
// atexit. A second file has some of C's.
#include <cstdlib>
#include <map>
#include <string>
#include <vector>

extern "C" {
#include "server.h"
int first_call_in_c();
int server_main();  // main, as it is called here
}

namespace {

int constructed = 0;

struct Registry {
  std::map<std::string, std::vector<int>> entries;
  std::string name = "a name that is too long to be kept in place";
  Registry() {
    ++constructed;
    entries["constructor"].push_back(constructed);
  }
  ~Registry() {
    if (entries.empty() || name.empty()) std::abort();
  }
};
Registry registry;
std::vector<std::string> names = {"one", "two", "three that is longer than the others are"};
thread_local int calls_of_thread = 7;
thread_local std::string name_of_thread = "a name that is too long to be kept in place";
char large[1 << 18];

template <class T>
struct Counter {
  static int count;
};
template <class T>
int Counter<T>::count = 0;

std::string& last_word() {
  static std::string word = "a word that is too long to be kept in place";
  return word;
}

void on_client(uv_stream_t* listener, int status) {
  client_t* const client = status < 0 ? nullptr : accept_client(listener);
  if (client == nullptr) return;
  registry.entries["client"] = {1};
  names.emplace_back("one more client, with a long name");
  names.erase(names.begin());
  last_word() = "another word that is too long to be kept in place";
  name_of_thread = "another name that is too long to be kept in place";
  serve(client);
}

void at_exit() {
  if (registry.name != "changed, and long enough to be on the heap") std::abort();
}

}  // namespace

int main() {
  const bool fresh = constructed == 1 && registry.entries.size() == 1 && names.size() == 3 &&
                     calls_of_thread++ == 7 && Counter<int>::count++ == 0 && large[99'999] == 0 &&
                     last_word().size() == 43 && name_of_thread.size() == 43 &&
                     first_call_in_c() != 0 && std::getenv("STATICS") == nullptr;
  if (!fresh) {
    std::fprintf(stderr, "not as in a process of its own\n");
    return 3;
  }
  large[99'999] = 1;
  setenv("STATICS", "set", 1);
  registry.name = "changed, and long enough to be on the heap";
  if (std::atexit(at_exit) != 0) return 1;
  return run_server(on_client, close_all);
}
