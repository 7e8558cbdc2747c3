// Property: what model/core_model.hpp says holds for any order of steps of libuv, clients, clock
// and operator.
#include <cstdio>
#include <string_view>

#include "model/core_model.hpp"
#include "model/names.hpp"
#include "model_props.hpp"

namespace {

// Prints how often each row of the table was used. Returns whether all rows were.
bool print_rows() {
  bool all = true;
  for (const echoproof::Transition& row : echoproof::transitions) {
    const std::uint32_t uses = model::CoreModel::rows_used[static_cast<std::size_t>(row.from)]
                                                          [static_cast<std::size_t>(row.event)];
    static_cast<void>(
        std::printf("%8u  %s, %s\n", uses, model::name_of(row.from), model::name_of(row.event)));
    all = all && uses > 0;
  }
  return all;
}

}  // namespace

// --all-paths: also fail if no case used a row of the table.
int main(int argc, char** argv) {
  const bool all_wanted = argc > 1 && std::string_view(argv[1]) == "--all-paths";
  return props::main<model::CoreModel>("the core does what its model says", "connection_replay",
                                       all_wanted, print_rows);
}
