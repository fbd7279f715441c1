# SPDX-License-Identifier: MIT
# countersign_sodium: the few files of libsodium 1.0.18 that the core needs, as objects that become part of the library.
#
# The version is pinned because later ones judge some Ed25519 signatures differently. tools/setup fetches the source,
# checks its hash and unpacks it; nothing of it is in this tree. Portable C, no configure, no randomness, no run-time choice
# of implementations: every platform, WebAssembly included, runs the same code.

if(DEFINED ENV{CS_CACHE})
  set(COUNTERSIGN_CACHE "$ENV{CS_CACHE}")
elseif(DEFINED ENV{XDG_CACHE_HOME})
  set(COUNTERSIGN_CACHE "$ENV{XDG_CACHE_HOME}/countersign")
else()
  set(COUNTERSIGN_CACHE "$ENV{HOME}/.cache/countersign")
endif()
set(COUNTERSIGN_SODIUM_DIR "${COUNTERSIGN_CACHE}/libsodium-1.0.18" CACHE PATH "libsodium 1.0.18, unpacked by tools/setup")

set(sodium "${COUNTERSIGN_SODIUM_DIR}/src/libsodium")
if(NOT EXISTS "${sodium}/include/sodium.h")
  message(FATAL_ERROR "libsodium 1.0.18 is not in ${COUNTERSIGN_SODIUM_DIR}: run tools/setup build")
endif()

set(SODIUM_LIBRARY_VERSION_MAJOR 10)
set(SODIUM_LIBRARY_VERSION_MINOR 3)
set(SODIUM_LIBRARY_MINIMAL_DEF "#define SODIUM_LIBRARY_MINIMAL 1")
set(VERSION 1.0.18)
file(READ "${sodium}/include/sodium/version.h.in" version_h)
string(REPLACE "\"export.h\"" "<sodium/export.h>" version_h "${version_h}")
string(CONFIGURE "${version_h}" version_h @ONLY)
file(CONFIGURE OUTPUT "${PROJECT_BINARY_DIR}/libsodium/sodium/version.h" CONTENT "${version_h}")

# Verification and what it calls; sign.c, because opening a signature begins with a function of that file. The three helpers
# of their utils.c that these call are in src/ed25519.cpp: that file itself would bring a heap, random numbers and abort.
add_library(countersign_sodium OBJECT
  "${sodium}/crypto_core/ed25519/ref10/ed25519_ref10.c"
  "${sodium}/crypto_hash/sha512/cp/hash_sha512_cp.c"
  "${sodium}/crypto_sign/ed25519/ref10/open.c"
  "${sodium}/crypto_sign/ed25519/ref10/sign.c"
  "${sodium}/crypto_verify/sodium/verify.c")

countersign_rename(countersign_sodium
  _crypto_sign_ed25519_detached _crypto_sign_ed25519_ref10_hinit _crypto_sign_ed25519_verify_detached
  crypto_hash_sha512 crypto_hash_sha512_final crypto_hash_sha512_init crypto_hash_sha512_update
  crypto_sign_ed25519 crypto_sign_ed25519_detached crypto_sign_ed25519_open crypto_sign_ed25519_verify_detached
  crypto_verify_16 crypto_verify_16_bytes crypto_verify_32 crypto_verify_32_bytes crypto_verify_64 crypto_verify_64_bytes
  fe25519_frombytes fe25519_invert fe25519_tobytes
  ge25519_add ge25519_double_scalarmult_vartime ge25519_from_hash ge25519_from_uniform ge25519_frombytes
  ge25519_frombytes_negate_vartime ge25519_has_small_order ge25519_is_canonical ge25519_is_on_curve
  ge25519_is_on_main_subgroup ge25519_p1p1_to_p2 ge25519_p1p1_to_p3 ge25519_p3_to_cached ge25519_p3_tobytes
  ge25519_scalarmult ge25519_scalarmult_base ge25519_sub ge25519_tobytes
  ristretto255_from_hash ristretto255_frombytes ristretto255_p3_tobytes
  sc25519_invert sc25519_is_canonical sc25519_mul sc25519_muladd sc25519_reduce
  sodium_is_zero sodium_memcmp sodium_memzero)

target_include_directories(countersign_sodium SYSTEM
  PUBLIC "${PROJECT_BINARY_DIR}/libsodium" "${sodium}/include" "${sodium}/include/sodium")
target_compile_definitions(countersign_sodium PUBLIC SODIUM_STATIC PRIVATE CONFIGURED=1)
if(EMSCRIPTEN OR CMAKE_C_BYTE_ORDER STREQUAL "LITTLE_ENDIAN")
  target_compile_definitions(countersign_sodium PRIVATE NATIVE_LITTLE_ENDIAN=1)
endif()
# The 64-bit field arithmetic is twice as fast where 128-bit products are cheap, which WebAssembly's are not.
if(CMAKE_SIZEOF_VOID_P EQUAL 8)
  target_compile_definitions(countersign_sodium PUBLIC HAVE_TI_MODE=1)
endif()
# Not our code: its warnings are not ours to read, and its field arithmetic shifts negative numbers on purpose.
target_compile_options(countersign_sodium PRIVATE -w -fno-strict-aliasing -fno-strict-overflow -fno-sanitize=undefined)
# Every verification hashes with SHA-512; the rest is as fast when it is small.
get_target_property(sodium_sources countersign_sodium SOURCES)
countersign_optimise(SOURCES ${sodium_sources} HOT
  "${sodium}/crypto_hash/sha512/cp/hash_sha512_cp.c")
set_target_properties(countersign_sodium PROPERTIES POSITION_INDEPENDENT_CODE ${countersign_pic} C_STANDARD 99 C_VISIBILITY_PRESET hidden)
