// Prints what a campaign came to: `harness_campaign FILE`, where FILE is the one that
// HARNESS_CAMPAIGN named while the programs ran.
//
// Exit status: 0, or that of what the last line says (campaign.hpp); 2: there are no counts.
#include <cstdio>
#include <cstring>

#include "harness/campaign.hpp"

int main(int argc, char** argv) {
  if (argc != 2 || std::strcmp(argv[1], "--help") == 0) {
    std::fprintf(
        stderr,
        "usage: harness_campaign FILE\n"
        "FILE: what the environment variable HARNESS_CAMPAIGN named in a campaign.\n"
        "Exit status: 0; 3 if NOTHING WAS TESTED; 4 if there was STATE LEFT OVER from one\n"
        "run to the next; 2 if the file holds no counts.\n");
    return argc == 2 ? 0 : 2;
  }
  harness::Campaign::Counts counts{};
  if (!harness::Campaign::read(argv[1], counts)) {
    std::fprintf(stderr, "harness_campaign: %s holds no counts\n", argv[1]);
    return 2;
  }
  std::fputs(harness::Campaign::report(counts).c_str(), stdout);
  return harness::Campaign::status(counts);
}
