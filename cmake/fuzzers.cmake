# SPDX-License-Identifier: MIT
# One libFuzzer program, fuzz_NAME, for each tests/fuzz/NAME.cpp.

file(GLOB fuzzers CONFIGURE_DEPENDS tests/fuzz/*.cpp)
foreach(source ${fuzzers})
  get_filename_component(name "${source}" NAME_WE)
  add_executable("fuzz_${name}" "${source}")
  target_compile_options("fuzz_${name}" PRIVATE ${countersign_warnings})
  target_include_directories("fuzz_${name}" PRIVATE tests/native)
  target_include_directories("fuzz_${name}" SYSTEM PRIVATE $<TARGET_PROPERTY:countersign_sodium,INTERFACE_INCLUDE_DIRECTORIES>)
  target_compile_definitions("fuzz_${name}" PRIVATE $<TARGET_PROPERTY:countersign_sodium,INTERFACE_COMPILE_DEFINITIONS>)
  target_link_libraries("fuzz_${name}" PRIVATE countersign countersign-knock countersign-json)
  target_link_options("fuzz_${name}" PRIVATE -fsanitize=fuzzer)
endforeach()

# Where it is there, OpenSSL says what an encryption has to give.
find_package(OpenSSL)
if(OpenSSL_FOUND)
  target_compile_definitions(fuzz_rsa_keys PRIVATE COUNTERSIGN_TEST_OPENSSL)
  target_link_libraries(fuzz_rsa_keys PRIVATE OpenSSL::Crypto)
endif()

# The arithmetic of signatures is not ours: its branches guide no mutation, and every input waits for it. It is optimised
# therefore. AddressSanitizer still watches what it is handed.
foreach(library countersign_sodium countersign_bearssl)
  target_compile_options(${library} PRIVATE -O2 -fno-sanitize=fuzzer-no-link)
endforeach()
