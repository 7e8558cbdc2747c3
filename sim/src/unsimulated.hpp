// What unsimulated.cpp needs, apart from internal.hpp because that declares the genuine functions.
#ifndef UVSIM_UNSIMULATED_HPP
#define UVSIM_UNSIMULATED_HPP

namespace uvsim {

// A uv_* function that uvsim does not simulate was called: says so and ends the run.
[[noreturn, gnu::cold]] void unsimulated(const char* function) noexcept;

}  // namespace uvsim

#endif  // UVSIM_UNSIMULATED_HPP
