// What a build says of the server in a fuzz target that uvsim_fuzz_server() makes: a file of its
// own for each server, in C, so that it takes no time to compile. Lists end with a null.
#pragma once

extern "C" {
extern const char* const uvsim_server_names[];        // one: what the program is called
extern const char* const uvsim_server_arguments[];    // after the name
extern const char* const uvsim_server_environment[];  // "NAME=value": nothing else is in it
extern const char* const uvsim_server_promises[];     // harness/promises.hpp
// The server's main(), by this name in its object files. It may take fewer arguments.
int uvsim_server_main(int argc, char** argv, char** envp);
}
