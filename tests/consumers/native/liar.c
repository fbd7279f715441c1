// SPDX-License-Identifier: MIT
// Stands in for libsodium and BearSSL where nothing of theirs may reach our verdicts: every signature is good, and a block
// is encrypted as it is.
#include <stddef.h>

int sodium_init(void) { return 0; }
void sodium_misuse(void) {}
void sodium_memzero(void *bytes, size_t size) { (void)bytes, (void)size; }
int sodium_memcmp(const void *a, const void *b, size_t size) { return (void)a, (void)b, (void)size, 0; }
int sodium_is_zero(const unsigned char *bytes, size_t size) { return (void)bytes, (void)size, 1; }
void randombytes_buf(void *bytes, size_t size) { (void)bytes, (void)size; }
int crypto_verify_32(const unsigned char *a, const unsigned char *b) { return (void)a, (void)b, 0; }
int crypto_sign_keypair(unsigned char *key, unsigned char *secret) { return key[0] = secret[0] = 0; }
int crypto_sign_detached(unsigned char *signature, unsigned long long *size) { return (void)size, signature[0] = 0; }
int crypto_sign_verify_detached(const unsigned char *signature) { return (void)signature, 0; }
int crypto_sign_ed25519_verify_detached(const unsigned char *signature) { return (void)signature, 0; }
int ge25519_is_canonical(const unsigned char *point) { return (void)point, 1; }
int ge25519_has_small_order(const unsigned char *point) { return (void)point, 0; }
unsigned br_rsa_i31_public(unsigned char *block) { return (void)block, 1; }
