// The words for the events of uvsim's trace.
#include <string>

#include "internal.hpp"

namespace uvsim {

namespace {

constexpr const char* names[] = {
#define UVSIM_NAME(name) #name,
    UVSIM_CALLS(UVSIM_NAME) "", UVSIM_CALLBACKS(UVSIM_NAME) "", UVSIM_HAPPENINGS(UVSIM_NAME)
#undef UVSIM_NAME
};

}  // namespace

const char* name_of(What what) noexcept { return names[static_cast<size_t>(what)]; }

std::string text_of(Subject subject) {
  if (subject.id == 0) return "";
  const char* kind = subject.kind == subject_loop ? "loop" : "peer";
  if (subject.kind < UV_HANDLE_TYPE_MAX)
    kind = uv_handle_type_name(static_cast<uv_handle_type>(subject.kind));
  return std::string(kind) + "#" + std::to_string(subject.id);
}

bool is_callback(What what) noexcept {
  return what > What::first_callback && what < What::first_happening;
}

std::string name_of_error(int64_t result) {
  char name[32];
  return uv_err_name_r(static_cast<int>(result), name, sizeof name);
}

}  // namespace uvsim
