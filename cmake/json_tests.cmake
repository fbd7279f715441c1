# SPDX-License-Identifier: MIT
# The tests of countersign-json, native only: a Catch2 binary, and two programs for Node to compare itself with.

file(GLOB countersign_json_test_sources CONFIGURE_DEPENDS tests/native/json/*_test.cpp)
add_executable(countersign_json_tests ${countersign_json_test_sources} $<TARGET_OBJECTS:countersign_catch>)
add_executable(json_numbers tests/native/json/numbers.cpp)
add_executable(json_verdicts tests/native/json/verdicts.cpp)
foreach(target countersign_json_tests json_numbers json_verdicts)
  target_include_directories(${target} SYSTEM
    PRIVATE "${PROJECT_BINARY_DIR}/test_include" $<TARGET_PROPERTY:countersign_sodium,INTERFACE_INCLUDE_DIRECTORIES>)
  target_include_directories(${target} PRIVATE tests/native)
  target_compile_definitions(${target}
    PRIVATE COUNTERSIGN_VECTORS_DIR="${PROJECT_SOURCE_DIR}/tests/vectors"
    $<TARGET_PROPERTY:countersign_sodium,INTERFACE_COMPILE_DEFINITIONS>)
  # The library is what is optimised and watched; the tests' own code would take three times as long to compile for nothing.
  target_compile_options(${target} PRIVATE ${countersign_warnings} -O0
    $<$<BOOL:${COUNTERSIGN_SANITIZE}>:-fno-sanitize=undefined>)
  target_link_libraries(${target} PRIVATE countersign-json)
endforeach()
add_test(NAME countersign_json_tests COMMAND countersign_json_tests)
