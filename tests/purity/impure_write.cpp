// A library that the purity check must refuse: it makes a system call.
#include <unistd.h>

ssize_t say(const char* text, size_t size) { return ::write(1, text, size); }
