// SPDX-License-Identifier: MIT
// The two host services that libsodium's files call. The core has neither: it takes random bytes as arguments, and nothing
// it calls is misused, so either call is a defect that must stop the program.

#include <stddef.h>
#include <stdlib.h>

void sodium_misuse(void) { abort(); }

void randombytes_buf(void *const buffer, const size_t size) {
  (void)buffer;
  (void)size;
  abort();
}
