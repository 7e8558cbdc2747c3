// Writes of more buffers than can be: none, more than the kernel takes at once, a negative number.
#include <stdio.h>
#include <uv.h>

enum { many = 3000 };
static uv_tcp_t tcp;
static uv_write_t request;
static uv_buf_t buffers[many];

static void say(const char* what, int result) {
  if (result < 0)
    printf("%s: %s\n", what, uv_err_name(result));
  else
    printf("%s: %d\n", what, result);
}

static void on_write(uv_write_t* unused, int status) {
  (void)unused;
  say("written", status);
}

int main(void) {
  uv_loop_t* loop = uv_default_loop();
  uv_os_sock_t pair[2];
  char byte[] = "x";
  for (int i = 0; i < many; ++i) buffers[i] = uv_buf_init(byte, 1);
  uv_tcp_init(loop, &tcp);
  say("no socket, -42", uv_try_write((uv_stream_t*)&tcp, buffers, (unsigned)-42));
  say("no socket, 1 Mi + 1",
      uv_write(&request, (uv_stream_t*)&tcp, buffers, 1024 * 1024 + 1, on_write));
  uv_socketpair(SOCK_STREAM, 0, pair, UV_NONBLOCK_PIPE, UV_NONBLOCK_PIPE);
  uv_tcp_open(&tcp, pair[0]);
  say("-42", uv_try_write((uv_stream_t*)&tcp, buffers, (unsigned)-42));
  say("3000", uv_try_write((uv_stream_t*)&tcp, buffers, many));
  say("3000 later", uv_write(&request, (uv_stream_t*)&tcp, buffers, many, on_write));
  printf("%zu wait\n", uv_stream_get_write_queue_size((uv_stream_t*)&tcp));
  uv_run(loop, UV_RUN_DEFAULT);
  uv_close((uv_handle_t*)&tcp, NULL);
  uv_run(loop, UV_RUN_DEFAULT);
  return uv_loop_close(loop);
}
