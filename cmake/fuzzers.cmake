# SPDX-License-Identifier: MIT
# One libFuzzer program, fuzz_NAME, for each tests/fuzz/NAME.cpp.

file(GLOB fuzzers CONFIGURE_DEPENDS tests/fuzz/*.cpp)
foreach(source ${fuzzers})
  get_filename_component(name "${source}" NAME_WE)
  add_executable("fuzz_${name}" "${source}")
  target_compile_options("fuzz_${name}" PRIVATE ${countersign_warnings})
  target_link_libraries("fuzz_${name}" PRIVATE countersign countersign-knock countersign-json)
  target_link_options("fuzz_${name}" PRIVATE -fsanitize=fuzzer)
endforeach()
