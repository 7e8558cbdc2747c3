/* Turning a connection away: accept it into a spare handle and close that. And how a server dies
 * that insisted on what libuv does not promise. */
#include <stdio.h>
#include <stdlib.h>

#include "zoo.h"

void zoo_insisted(const char* condition) {
  fprintf(stderr, "Assertion failed: %s\n", condition);
  abort();
}

static void on_turned_away(uv_handle_t* spare) {
  door_t* door = spare->data;
  door->busy = false;
  if (!door->parked) return;
  door->parked = false;
  if (!uv_is_closing((uv_handle_t*)door->listener)) door_turn_away(door);
}

void door_init(door_t* door, uv_stream_t* listener) {
  door->listener = listener;
  door->busy = false;
  door->parked = false;
}

void door_turn_away(door_t* door) {
  door->parked = door->busy;
  if (door->busy) return;
  if (uv_tcp_init(door->listener->loop, &door->spare) != 0) return;
  door->busy = true;
  door->spare.data = door;
  (void)uv_accept(door->listener, (uv_stream_t*)&door->spare); /* closed either way */
  uv_close((uv_handle_t*)&door->spare, on_turned_away);
}
