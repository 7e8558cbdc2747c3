// The names of the functions that uvsim does not simulate, for unsimulated.cpp and its test:
// UVSIM_EVERY_UNSIMULATED(X) is X(name) for each.
#ifndef UVSIM_UNSIMULATED_NAMES_HPP
#define UVSIM_UNSIMULATED_NAMES_HPP

#include <uv/version.h>

// clang-format off
#define UVSIM_UNSIMULATED(X) \
  /* Files. */                                                                                   \
  X(uv_fs_access) X(uv_fs_chmod) X(uv_fs_chown) X(uv_fs_close) X(uv_fs_closedir)                 \
  X(uv_fs_copyfile) X(uv_fs_event_getpath) X(uv_fs_event_init) X(uv_fs_event_start)              \
  X(uv_fs_event_stop) X(uv_fs_fchmod) X(uv_fs_fchown) X(uv_fs_fdatasync) X(uv_fs_fstat)          \
  X(uv_fs_fsync) X(uv_fs_ftruncate) X(uv_fs_futime) X(uv_fs_lchown) X(uv_fs_link) X(uv_fs_lstat) \
  X(uv_fs_lutime) X(uv_fs_mkdir) X(uv_fs_mkdtemp) X(uv_fs_mkstemp) X(uv_fs_open) X(uv_fs_opendir)\
  X(uv_fs_poll_getpath) X(uv_fs_poll_init) X(uv_fs_poll_start) X(uv_fs_poll_stop) X(uv_fs_read)  \
  X(uv_fs_readdir) X(uv_fs_readlink) X(uv_fs_realpath) X(uv_fs_rename) X(uv_fs_rmdir)            \
  X(uv_fs_scandir) X(uv_fs_scandir_next) X(uv_fs_sendfile) X(uv_fs_stat) X(uv_fs_statfs)         \
  X(uv_fs_symlink) X(uv_fs_utime) X(uv_fs_write)                                                 \
  /* Datagrams. */                                                                               \
  X(uv_udp_bind) X(uv_udp_connect) X(uv_udp_get_send_queue_count) X(uv_udp_get_send_queue_size)  \
  X(uv_udp_getpeername) X(uv_udp_getsockname) X(uv_udp_init) X(uv_udp_init_ex) X(uv_udp_open)    \
  X(uv_udp_open_ex) X(uv_udp_recv_start) X(uv_udp_recv_stop) X(uv_udp_send)                      \
  X(uv_udp_set_broadcast) X(uv_udp_set_membership) X(uv_udp_set_multicast_interface)             \
  X(uv_udp_set_multicast_loop) X(uv_udp_set_multicast_ttl) X(uv_udp_set_source_membership)       \
  X(uv_udp_set_ttl) X(uv_udp_try_send) X(uv_udp_try_send2) X(uv_udp_using_recvmmsg)              \
  /* Terminals. */                                                                               \
  X(uv_tty_get_vterm_state) X(uv_tty_get_winsize) X(uv_tty_init) X(uv_tty_set_mode)              \
  X(uv_tty_set_vterm_state)                                                                      \
  /* Child processes. */                                                                         \
  X(uv_process_get_pid) X(uv_process_kill) X(uv_spawn)                                           \
  /* Descriptors of the real machine. */                                                         \
  X(uv_poll_init) X(uv_poll_init_socket) X(uv_poll_start) X(uv_poll_stop)                        \
  /* Threads, as far as they would have to run at the same time or on a processor. */            \
  X(uv_thread_detach) X(uv_thread_getaffinity) X(uv_thread_getcpu) X(uv_thread_getname)          \
  X(uv_thread_getpriority) X(uv_thread_setaffinity) X(uv_thread_setname)                         \
  X(uv_thread_setpriority)                                                                       \
  /* Users and groups. */                                                                        \
  X(uv_os_free_group) X(uv_os_free_passwd) X(uv_os_get_group) X(uv_os_get_passwd)                \
  X(uv_os_get_passwd2)                                                                           \
  /* Libraries. */                                                                               \
  X(uv_dlclose) X(uv_dlerror) X(uv_dlopen) X(uv_dlsym)                                           \
  /* Text of another system. */                                                                  \
  X(uv_utf16_length_as_wtf8) X(uv_utf16_to_wtf8) X(uv_wtf8_length_as_utf16) X(uv_wtf8_to_utf16)  \
  /* The rest. */                                                                                \
  X(uv_cpumask_size) X(uv_getrusage_thread) X(uv_loop_fork)

// Written, but only where the <uv.h> that this is compiled with declares them.
#if UV_VERSION_HEX < 0x012d00
#define UVSIM_SINCE_1_45(X) X(uv_clock_gettime) X(uv_get_available_memory) X(uv_metrics_info)
#else
#define UVSIM_SINCE_1_45(X)
#endif
// clang-format on

#define UVSIM_EVERY_UNSIMULATED(X) UVSIM_UNSIMULATED(X) UVSIM_SINCE_1_45(X)

#endif  // UVSIM_UNSIMULATED_NAMES_HPP
