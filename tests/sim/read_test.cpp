// Reading: what alloc_cb and read_cb hear, in which order, and when reading stops by itself.
#include "scenario.hpp"

namespace uvsim::test {
namespace {

class Reading : public Scenario {};

TEST_F(Reading, ends_with_eof_and_stays_writable) {
  run([] {
    return with_pair([] {
      Pair& p = pair();
      uv_read_start(stream(&p.accepted), on_alloc, [](uv_stream_t* s, ssize_t n, const uv_buf_t*) {
        say(code(n) + (uv_is_active(handle(s)) != 0 ? ":active" : ":idle"));
        if (n != UV_EOF) return;
        say(code(uv_is_readable(s)) + code(uv_is_writable(s)));
        close_pair();
      });
      write(0, "w", &p.client, "abc", 3);
      EXPECT_EQ(uv_shutdown(&p.shutdown, stream(&p.client), nullptr), 0);
    });
  });
  EXPECT_EQ(log(), "w:0 3:active EOF:idle 11");
}

TEST_F(Reading, asks_again_after_a_read_that_filled_the_buffer) {
  buffer_size = 3;
  run([] {
    return with_pair(
        [] {
          uv_read_start(stream(&pair().accepted), on_alloc, on_read);
          write(0, "w", &pair().client, "abcdef", 6);
        },
        6);
  });
  EXPECT_EQ(log(), "w:0 conn:read:3 conn:read:3 conn:read:0");
}

TEST_F(Reading, does_at_most_32_reads_per_wakeup) {
  buffer_size = 1;
  static int reads;
  reads = 0;
  run([] {
    return with_pair(
        [] {
          uv_read_start(stream(&pair().accepted), on_alloc,
                        [](uv_stream_t*, ssize_t, const uv_buf_t*) { ++reads; });
          static const char bytes[100] = {};
          write(0, "w", &pair().client, bytes, sizeof bytes);
          static uv_check_t check;
          uv_check_init(&pair().loop, &check);
          uv_check_start(&check, [](uv_check_t*) {
            if (reads > 0) say(std::to_string(reads));
          });
        },
        8);
  });
  EXPECT_EQ(log(), "w:0 32 64 96 101 101 101 101");
}

TEST_F(Reading, goes_on_asking_where_there_is_no_buffer) {
  run([] {
    return with_pair(
        [] {
          uv_read_start(
              stream(&pair().accepted), [](uv_handle_t*, size_t, uv_buf_t* buf) { buf->len = 0; },
              on_read);
          write(0, "w", &pair().client, "a", 1);
        },
        5);
  });
  EXPECT_EQ(log().find("conn:read:ENOBUFS"), size_t{4});
  EXPECT_NE(log().rfind("conn:read:ENOBUFS"), size_t{4});
}

TEST_F(Reading, warns_of_a_spin_without_buffers) {
  EXPECT_EQ(warned([] {
              return with_pair(
                  [] {
                    uv_read_start(
                        stream(&pair().accepted),
                        [](uv_handle_t*, size_t, uv_buf_t* buf) { buf->base = nullptr; },
                        [](uv_stream_t*, ssize_t, const uv_buf_t*) {});
                    write(0, "w", &pair().client, "a", 1);
                  },
                  1100);
            }),
            "R7 tcp#3");
}

TEST_F(Reading, may_stop_or_close_inside_the_callback) {
  buffer_size = 1;
  run([] {
    return with_pair(
        [] {
          uv_read_start(stream(&pair().accepted), on_alloc,
                        [](uv_stream_t* s, ssize_t n, const uv_buf_t* b) {
                          on_read(s, n, b);
                          EXPECT_EQ(uv_read_stop(s), 0);
                          EXPECT_EQ(uv_read_stop(s), 0);
                        });
          uv_read_start(stream(&pair().client), on_alloc,
                        [](uv_stream_t* s, ssize_t n, const uv_buf_t* b) {
                          on_read(s, n, b);
                          uv_close(handle(s), on_close);
                        });
          write(0, "a", &pair().client, "123", 3);
          write(1, "b", &pair().accepted, "123", 3);
        },
        5);
  });
  EXPECT_EQ(log(), "a:0 b:0 client:read:1 conn:read:1 client:closed");
}

TEST_F(Reading, start_answers_as_libuv_does) {
  run([] {
    return with_pair(
        [] {
          uv_stream_t* const s = stream(&pair().accepted);
          say(code(uv_read_start(s, on_alloc, on_read)));
          say(code(uv_read_start(s, on_alloc, on_read)));
          say(code(uv_read_start(nullptr, on_alloc, on_read)));
          say(code(uv_read_start(s, nullptr, on_read)));
          say(code(uv_read_start(s, on_alloc, nullptr)));
          say(code(uv_read_start(stream(&pair().server), on_alloc, on_read)));
          uv_close(handle(s), nullptr);
          say(code(uv_read_start(s, on_alloc, on_read)));
          EXPECT_EQ(uv_read_stop(s), 0);
        },
        3);
  });
  EXPECT_EQ(log(), "0 EALREADY EINVAL EINVAL EINVAL ENOTCONN EINVAL");
}

TEST_F(Reading, after_eof_gives_eof_again) {
  run([] {
    return with_pair(
        [] {
          uv_read_start(stream(&pair().accepted), on_alloc,
                        [](uv_stream_t* s, ssize_t n, const uv_buf_t* b) {
                          on_read(s, n, b);
                          if (log().size() < 20) uv_read_start(s, on_alloc, on_read);
                        });
          uv_close(handle(&pair().client), nullptr);
        },
        6);
  });
  EXPECT_EQ(log(), "conn:read:EOF conn:read:EOF");
}

TEST_F(Reading, after_an_error_is_over_for_good) {
  run([] {
    return with_pair(
        [] {
          uv_read_start(stream(&pair().accepted), on_alloc,
                        [](uv_stream_t* s, ssize_t n, const uv_buf_t* b) {
                          on_read(s, n, b);
                          say(code(uv_is_readable(s)) + code(uv_is_writable(s)));
                        });
          uv_tcp_close_reset(&pair().client, nullptr);
        },
        5);
    return 0;
  });
  EXPECT_EQ(log(), "conn:read:ECONNRESET 00");
  log().clear();
  run([] {
    return with_pair(
        [] {
          uv_read_start(stream(&pair().accepted), on_alloc,
                        [](uv_stream_t* s, ssize_t n, const uv_buf_t* b) {
                          on_read(s, n, b);
                          uv_close(handle(s), on_close);
                        });
          uv_tcp_close_reset(&pair().client, nullptr);
        },
        5);
  });
  EXPECT_EQ(log(), "conn:read:ECONNRESET conn:closed");
}

// We shut down, the peer sends and closes, all before the loop looks: data, then the end.
int hang_up_after_short_read() {
  return with_pair(
      [] {
        uv_read_start(stream(&pair().accepted), on_alloc,
                      [](uv_stream_t* s, ssize_t n, const uv_buf_t* b) {
                        on_read(s, n, b);
                        say(b->base == nullptr ? "null" : "buffer");
                      });
        uv_shutdown(&pair().shutdown, stream(&pair().accepted), [](uv_shutdown_t*, int) {
          write(0, "w", &pair().client, "abc", 3);
          uv_close(handle(&pair().client), nullptr);
        });
      },
      6);
}

TEST_F(Reading, a_hang_up_ends_a_short_read_without_a_buffer_in_1_44) {
  options().version = Version::v1_44;
  run(hang_up_after_short_read);
  EXPECT_EQ(log(), "w:0 conn:read:3 buffer conn:read:EOF null");
}

TEST_F(Reading, a_hang_up_is_read_to_its_end_in_1_52) {
  run(hang_up_after_short_read);
  EXPECT_EQ(log(), "w:0 conn:read:3 buffer conn:read:EOF buffer");
}

TEST_F(Reading, the_callback_of_a_hang_up_may_close) {
  options().version = Version::v1_44;
  run([] {
    return with_pair(
        [] {
          uv_read_start(stream(&pair().accepted), on_alloc, on_read_close);
          uv_shutdown(&pair().shutdown, stream(&pair().accepted), [](uv_shutdown_t*, int) {
            write(0, "w", &pair().client, "abc", 3);
            uv_close(handle(&pair().client), nullptr);
          });
        },
        6);
  });
  EXPECT_EQ(log(), "w:0 conn:read:3 conn:read:EOF conn:closed");
}

TEST_F(Reading, gives_what_was_sent_before_a_reset) {
  run([] {
    return with_pair(
        [] {
          write(0, "w", &pair().client, "abc", 3);
          uv_tcp_close_reset(&pair().client, nullptr);
          uv_read_start(stream(&pair().accepted), on_alloc, on_read);
        },
        6);
  });
  EXPECT_EQ(log(), "w:0 conn:read:3 conn:read:ECONNRESET");
}

// ---- Faults ------------------------------------------------------------------------------------

int read_six_bytes() {
  return with_pair(
      [] {
        uv_read_start(stream(&pair().accepted), on_alloc, on_read_close);
        uv_read_start(stream(&pair().client), on_alloc, on_read_close);
        write(0, "w", &pair().client, "abcdef", 6);
      },
      8);
}

TEST_F(Reading, may_come_in_pieces) {
  const char* const expected[] = {"w:0 conn:read:6", "w:0 conn:read:1 conn:read:5",
                                  "w:0 conn:read:3 conn:read:3", "w:0 conn:read:5 conn:read:1"};
  for (uint32_t answer = 0; answer < 4; ++answer) {
    log().clear();
    Only choices(ChoicePoint::read_size, answer);
    run(choices, read_six_bytes);
    EXPECT_EQ(log(), expected[answer]);
  }
}

TEST_F(Reading, may_find_nothing_after_all) {
  Only choices(ChoicePoint::read_again, 1);
  run(choices, read_six_bytes);
  EXPECT_EQ(log(), "w:0 conn:read:0 conn:read:6");
}

TEST_F(Reading, may_fail) {
  const char* const expected[] = {"w:0 conn:read:ECONNRESET conn:closed client:read:ECONNRESET",
                                  "w:0 conn:read:ETIMEDOUT conn:closed client:read:ECONNRESET",
                                  "w:0 conn:read:ENOMEM"};
  for (uint32_t answer = 1; answer < 4; ++answer) {
    log().clear();
    Only choices(ChoicePoint::read_error, answer);
    run(choices, read_six_bytes);
    EXPECT_EQ(log().substr(0, std::strlen(expected[answer - 1])), expected[answer - 1]);
  }
}

TEST_F(Reading, start_may_be_refused) {
  Only choices(ChoicePoint::call_read_start, 1);
  run(choices, [] {
    return with_pair([] { say(code(uv_read_start(stream(&pair().accepted), on_alloc, on_read))); },
                     3);
  });
  EXPECT_EQ(log(), "ENOMEM");
}

// ---- Rules -------------------------------------------------------------------------------------

TEST_F(Reading, must_not_stop_in_alloc_cb) {
  EXPECT_EQ(broken([] {
              return with_pair(
                  [] {
                    uv_read_start(
                        stream(&pair().accepted),
                        [](uv_handle_t* h, size_t, uv_buf_t*) {
                          uv_read_stop(reinterpret_cast<uv_stream_t*>(h));
                        },
                        on_read);
                    write(0, "w", &pair().client, "a", 1);
                  },
                  5);
            }),
            "R6 tcp#3");
}

TEST_F(Reading, must_not_close_in_alloc_cb) {
  EXPECT_EQ(broken([] {
              return with_pair(
                  [] {
                    uv_read_start(
                        stream(&pair().accepted),
                        [](uv_handle_t* h, size_t, uv_buf_t*) { uv_close(h, nullptr); }, on_read);
                    write(0, "w", &pair().client, "a", 1);
                  },
                  5);
            }),
            "R6 tcp#3");
}

}  // namespace
}  // namespace uvsim::test
