# SPDX-License-Identifier: MIT
# countersign_bearssl: BearSSL 0.6's constant-time RSA over 31-bit words, and the big integers below it, as objects that
# become part of the knock library. tools/setup fetches the source, checks its hash and unpacks it; nothing of it is in this
# tree.

set(COUNTERSIGN_BEARSSL_DIR "${COUNTERSIGN_CACHE}/bearssl-0.6" CACHE PATH "BearSSL 0.6, unpacked by tools/setup")
if(NOT EXISTS "${COUNTERSIGN_BEARSSL_DIR}/inc/bearssl.h")
  message(FATAL_ERROR "BearSSL 0.6 is not in ${COUNTERSIGN_BEARSSL_DIR}: run tools/setup build")
endif()

set(bearssl_sources rsa/rsa_i31_pub.c rsa/rsa_i31_priv.c codec/ccopy.c)
foreach(name add bitlen decmod decode decred encode fmont iszero modpow2 montmul mulacc muladd ninv31 reduce rshift sub tmont)
  list(APPEND bearssl_sources "int/i31_${name}.c")
endforeach()
list(APPEND bearssl_sources int/i31_modpow.c int/i32_div32.c)
list(TRANSFORM bearssl_sources PREPEND "${COUNTERSIGN_BEARSSL_DIR}/src/")

add_library(countersign_bearssl OBJECT ${bearssl_sources})
countersign_rename(countersign_bearssl
  br_ccopy br_divrem br_i31_add br_i31_bit_length br_i31_decode br_i31_decode_mod br_i31_decode_reduce br_i31_encode
  br_i31_from_monty br_i31_iszero br_i31_modpow br_i31_modpow_opt br_i31_montymul br_i31_mulacc br_i31_muladd_small
  br_i31_ninv31 br_i31_reduce br_i31_rshift br_i31_sub br_i31_to_monty br_rsa_i31_private br_rsa_i31_public)

target_include_directories(countersign_bearssl SYSTEM PUBLIC "${COUNTERSIGN_BEARSSL_DIR}/inc" PRIVATE "${COUNTERSIGN_BEARSSL_DIR}/src")
# Portable C everywhere: no intrinsics, no system's random numbers or clock.
target_compile_definitions(countersign_bearssl PRIVATE
  BR_AES_X86NI=0 BR_SSE2=0 BR_RDRAND=0 BR_USE_GETENTROPY=0 BR_USE_URANDOM=0 BR_USE_UNIX_TIME=0 BR_POWER8=0 BR_INT128=0 BR_UMUL128=0)
# Not our code: its warnings are not ours to read.
target_compile_options(countersign_bearssl PRIVATE -w -fno-sanitize=undefined)
countersign_optimise(SOURCES ${bearssl_sources} HOT "${COUNTERSIGN_BEARSSL_DIR}/src/int/i31_montmul.c")
set_target_properties(countersign_bearssl PROPERTIES POSITION_INDEPENDENT_CODE ${countersign_pic} C_STANDARD 99 C_VISIBILITY_PRESET hidden)
