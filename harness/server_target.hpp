// What the build says of the server in a fuzz target of uvsim_fuzz_server(). Each server has one
// such file, in C, because C compiles fast. Lists end with a null.
#pragma once

extern "C" {
extern const char* const uvsim_server_names[];        // one: the program's name
extern const char* const uvsim_server_arguments[];    // without the name
extern const char* const uvsim_server_environment[];  // the whole environment, as "NAME=value"
extern const char* const uvsim_server_promises[];     // harness/promises.hpp
// The server's main(), by this name in its object files. It may take fewer arguments.
int uvsim_server_main(int argc, char** argv, char** envp);
}
