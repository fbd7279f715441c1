# SPDX-License-Identifier: MIT
# The tests of countersign-json, native only: a Catch2 program, and programs for Node to compare itself with.

file(GLOB countersign_json_test_sources CONFIGURE_DEPENDS tests/native/json/*_test.cpp)
countersign_test_program(countersign_json_tests ${countersign_json_test_sources})
add_executable(json_numbers tests/native/json/numbers.cpp)
add_executable(json_reader tests/native/json/reader.cpp)
add_executable(json_verdicts tests/native/json/verdicts.cpp)
foreach(target countersign_json_tests json_numbers json_reader json_verdicts)
  target_include_directories(${target} PRIVATE tests/native)
  target_link_libraries(${target} PRIVATE countersign_test_settings countersign-json)
endforeach()
add_test(NAME countersign_json_tests COMMAND countersign_json_tests)
