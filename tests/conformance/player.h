/* The player of random scripts: a fixed cast of libuv handles and a few verbs that act on them.
 *
 * It is C against <uv.h> alone, and the same source is compiled for every arm and printed as part
 * of the C program that shows a divergence. A script is a list of verbs to perform and a list of
 * reactions, verbs to perform inside a callback. Whoever uses the player supplies player_line(),
 * which takes the trace, and player_reaction(), which performs what the script wants in a callback.
 */
#ifndef PLAYER_H
#define PLAYER_H

/* The cast. Clients connect to the server; a connection is accepted into the next peer. */
enum actor { S, C0, C1, C2, P0, P1, P2, T0, T1, IDLE, PREP, CHECK, ASYNC, ACTORS };

enum verb {
  V_CONNECT,    /* a client to the server's port, also after the server has closed */
  V_REFUSED,    /* a client to a port where nobody listens */
  V_ACCEPT,     /* the server, into the next peer, whenever it likes */
  V_MANUAL,     /* the server no longer accepts by itself in its connection callback */
  V_READ_START, /* streams */
  V_READ_STOP,
  V_WRITE,     /* a bytes in b parts */
  V_TRY_WRITE, /* a bytes */
  V_SHUTDOWN,
  V_CLOSE,  /* anybody */
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
  VERBS
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
void player_begin(int large);
void player_do(enum verb verb, enum actor actor, unsigned a, unsigned b);
void player_end(void);

/* Supplied by the host. */
void player_line(const char* line);
void player_reaction(enum moment moment, enum actor actor, unsigned occurrence);

#ifdef __cplusplus
}
#endif

#endif
