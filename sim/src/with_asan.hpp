// UVSIM_WITH_ASAN: 1 if AddressSanitizer compiles this file, by either compiler; else 0.
#pragma once

#if defined(__SANITIZE_ADDRESS__)
#define UVSIM_WITH_ASAN 1
#elif defined(__has_feature)
#define UVSIM_WITH_ASAN __has_feature(address_sanitizer)
#else
#define UVSIM_WITH_ASAN 0
#endif
