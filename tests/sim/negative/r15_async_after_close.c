// R15: uv_async_send is called after the close callback of the handle.
#include "negative.h"

static void on_async(uv_async_t* async) { (void)async; }

int program(void) {
  uv_loop_t* loop = uv_default_loop();
  uv_async_t async;
  MUST(uv_async_init(loop, &async, on_async));
  uv_close((uv_handle_t*)&async, NULL);
  uv_run(loop, UV_RUN_DEFAULT);
  uv_async_send(&async);
  close_all(loop);
  return 0;
}
