// Property: what model/pool_model.hpp says holds of block pool, deadline list and kernel budget.
#include <algorithm>
#include <cstdio>
#include <string_view>

#include "model/pool_model.hpp"
#include "model_props.hpp"

namespace {

// Whether every kind of step was played.
bool print_kinds() {
  for (const std::uint32_t count : model::PoolModel::kinds_played) {
    static_cast<void>(std::printf("%8u\n", count));
  }
  return std::ranges::find(model::PoolModel::kinds_played, 0U) ==
         model::PoolModel::kinds_played.end();
}

}  // namespace

int main(int argc, char** argv) {
  const bool all_wanted = argc > 1 && std::string_view(argv[1]) == "--all-paths";
  return props::main<model::PoolModel>("blocks, lists and budget do what their model says",
                                       "pool_replay", all_wanted, print_kinds);
}
