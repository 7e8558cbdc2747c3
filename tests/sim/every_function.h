// The functions that <uv.h> declares, by name and address.
#ifndef EVERY_FUNCTION_H
#define EVERY_FUNCTION_H

#ifdef __cplusplus
extern "C" {
#endif

struct named_function {
  const char* name;
  void (*address)(void);
};

// Ended by a null name.
extern const struct named_function every_function[];

#ifdef __cplusplus
}
#endif

#endif
