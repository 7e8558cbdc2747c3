/* What the servers of the zoo share.
 *
 * Each server is right as it stands: the fixed version. Where real servers went wrong it has a
 * second branch, `if (bug(NAME))`, taken when the specimen of that name was chosen. So a right line
 * and the wrong one stand side by side, and everything else is the same for both.
 *
 * The source is compiled once and linked twice: with uvsim, for zoo_fuzzer and zoo_search, and with
 * libuv, for zoo_server. What differs between the two is at the bottom of this file.
 */
#ifndef ZOO_H
#define ZOO_H

#include <stdbool.h>
#include <uv.h>

#include "zoo_specimens.h" /* made from specimens.json: zoo_NAME for every specimen */

#ifdef __cplusplus
extern "C" {
#endif

/* Set before a server starts; several at once for a specimen that is a set of others. */
extern bool zoo_bugs[zoo_count];
#define bug(NAME) (zoo_bugs[zoo_##NAME])

/* Serve until SIGTERM. The exit status is 0 if the loop could be closed. No state outlives a call.
 */
int tutorial_main(void);
int pooled_main(void);
int timed_main(void);
int owners_main(void);

/* Like assert, but prints without allocating. For what some servers assert and should not. */
#define insist(CONDITION) ((CONDITION) ? (void)0 : zoo_insisted(#CONDITION))
void zoo_insisted(const char* condition);

/* A connection that cannot be served still has to be accepted, or the listener stays deaf (R37). A
 * door accepts one and closes it, without allocating. */
typedef struct door_t {
  uv_stream_t* listener;
  uv_tcp_t spare;
  bool busy;   /* the spare is still closing */
  bool parked; /* and another connection waits for it */
} door_t;
void door_init(door_t* door, uv_stream_t* listener);
void door_turn_away(door_t* door);

/* Where the server listens: on uvsim a port of its own choice, on libuv a free one, which it prints
 * on stdout. */
int zoo_port(void);
void zoo_listening(const uv_tcp_t* listener);

#ifdef __cplusplus
}
#endif

#endif
