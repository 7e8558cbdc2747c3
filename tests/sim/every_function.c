// In C, because <uv.h> overloads one of its functions in C++.
#include "every_function.h"

#include <uv.h>

const struct named_function every_function[] = {
#define FUNCTION(name) {#name, (void (*)(void)) & name},
#include "every_function.inc"
#undef FUNCTION
    {0, 0},
};
