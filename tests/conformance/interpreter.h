/* The interpreter of random scripts: a fixed set of libuv handles, and operations that act on them.
 *
 * It is C against <uv.h> alone. The same source is compiled for every arm, and printed as part of
 * the C program that shows a divergence. A script is a list of operations, and a list of reactions:
 * operations to perform inside a callback. The program that links the interpreter defines
 * interpreter_line(), which takes the trace, and interpreter_reaction(), which performs the
 * script's reactions.
 */
#ifndef INTERPRETER_H
#define INTERPRETER_H

/* The handles. Clients connect to the server; a connection is accepted into the next peer. */
enum actor { S, C0, C1, C2, P0, P1, P2, T0, T1, IDLE, PREP, CHECK, ASYNC, ACTORS };

enum operation {
  V_CONNECT,    /* a client to the server's port, also after the server has closed */
  V_REFUSED,    /* a client to a port without a listener */
  V_ACCEPT,     /* the server, into the next peer, at any time */
  V_MANUAL,     /* the server no longer accepts by itself in its connection callback */
  V_READ_START, /* streams */
  V_READ_STOP,
  V_WRITE,     /* a bytes in b parts */
  V_TRY_WRITE, /* a bytes */
  V_SHUTDOWN,
  V_CLOSE,  /* any handle */
  V_RESET,  /* streams: uv_tcp_close_reset */
  V_BUFFER, /* from now on alloc_cb gives a bytes; 0 is no memory */
  V_LISTEN, /* the server, once more */
  V_START,  /* a watcher; for a timer a is the timeout, b the repeat */
  V_STOP,
  V_AGAIN, /* a timer */
  V_SEND,  /* the async handle */
  V_REF,
  V_UNREF,
  V_QUERY,     /* traces the getters of a handle */
  V_STOP_LOOP, /* uv_stop */
  V_TURN,      /* one turn of the loop; not within a callback, nor the next two */
  V_SETTLE,    /* turns until nothing has happened for a while */
  V_SLEEP,     /* more time passes than every timeout but the endless, and then a turn */
  OPERATIONS
};

/* What may be reacted to. READ is every read callback but ends and errors, which are END. */
enum moment {
  ON_CONNECTION,
  ON_CONNECT,
  ON_READ,
  ON_END,
  ON_WRITE,
  ON_SHUTDOWN,
  ON_CLOSE,
  ON_RUN,
  MOMENTS
};

/* The only timeouts that scripts use; see V_SLEEP. */
enum { TIMEOUT_MS = 20, SLEEP_MS = 21, ENDLESS_MS = 100000000 };

static const char* const actor_names[ACTORS] = {"s",  "c0", "c1",   "c2",   "p0",    "p1",   "p2",
                                                "t0", "t1", "idle", "prep", "check", "async"};

#ifdef __cplusplus
extern "C" {
#endif

/* One play, from a clean start to a closed loop. LARGE plays move megabytes. */
void interpreter_begin(int large);
void interpreter_do(enum operation operation, enum actor actor, unsigned a, unsigned b);
void interpreter_end(void);

/* Supplied by the host. */
void interpreter_line(const char* line);
void interpreter_reaction(enum moment moment, enum actor actor, unsigned occurrence);

#ifdef __cplusplus
}
#endif

#endif
