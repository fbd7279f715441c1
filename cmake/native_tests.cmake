# SPDX-License-Identifier: MIT
# The Catch2 binary (built natively, and for Node by the preset wasm-tests) and the examples.

# Globbed, so that no test is left out by forgetting to list it.
file(GLOB countersign_test_sources CONFIGURE_DEPENDS tests/native/*.cpp)

# Header-only packages are reached through a folder that holds nothing else: -I/usr/include breaks Emscripten's sysroot.
find_path(catch2_dir catch2/catch.hpp PATHS /usr/include NO_CMAKE_FIND_ROOT_PATH REQUIRED)
find_path(nlohmann_dir nlohmann/json.hpp PATHS /usr/include NO_CMAKE_FIND_ROOT_PATH REQUIRED)
file(MAKE_DIRECTORY "${PROJECT_BINARY_DIR}/test_include")
file(CREATE_LINK "${catch2_dir}/catch2" "${PROJECT_BINARY_DIR}/test_include/catch2" SYMBOLIC)
file(CREATE_LINK "${nlohmann_dir}/nlohmann" "${PROJECT_BINARY_DIR}/test_include/nlohmann" SYMBOLIC)

# What each test program is built with.
add_library(countersign_test_settings INTERFACE)
target_include_directories(countersign_test_settings SYSTEM
  INTERFACE "${PROJECT_BINARY_DIR}/test_include" $<TARGET_PROPERTY:countersign_sodium,INTERFACE_INCLUDE_DIRECTORIES>)
target_compile_definitions(countersign_test_settings
  INTERFACE COUNTERSIGN_VECTORS_DIR="${PROJECT_SOURCE_DIR}/tests/vectors"
  $<TARGET_PROPERTY:countersign_sodium,INTERFACE_COMPILE_DEFINITIONS>)
# The library is what is optimised and watched for undefined behaviour; the tests' own code would take three times as long
# to compile for nothing. (At -O3, GCC 12 also warns of overflows in std::vector::insert that do not exist.)
target_compile_options(countersign_test_settings INTERFACE ${countersign_warnings}
  -O$<NOT:$<OR:$<BOOL:${COUNTERSIGN_SANITIZE}>,$<BOOL:${EMSCRIPTEN}>>>
  $<$<BOOL:${COUNTERSIGN_SANITIZE}>:-fno-sanitize=undefined>)
if(EMSCRIPTEN)
  target_compile_definitions(countersign_test_settings INTERFACE CATCH_CONFIG_NO_POSIX_SIGNALS)
  target_compile_options(countersign_test_settings INTERFACE -fexceptions)
  target_link_options(countersign_test_settings
    INTERFACE -Oz -fexceptions -sNODERAWFS=1 -sALLOW_MEMORY_GROWTH=1 -sEXIT_RUNTIME=1)
else()
  # ES256 is the host's business: the vectors of the callback are run with OpenSSL, which the library itself never needs.
  find_package(OpenSSL)
  if(OpenSSL_FOUND)
    target_compile_definitions(countersign_test_settings INTERFACE COUNTERSIGN_TEST_OPENSSL)
    target_link_libraries(countersign_test_settings INTERFACE OpenSSL::Crypto)
  endif()
  # Catch2's own code takes long to compile; Debian's package has it compiled.
  find_library(catch2_library Catch2WithMain)
endif()

# countersign_test_program adds a Catch2 program. All test files include the same large headers, so twelve files are
# compiled as one, which takes far less time.
set(catch_main tests/native/main.cpp)
if(catch2_library)
  set(catch_main "")
else()
  # No sanitizer watches Catch2's own code: that would take most of a minute.
  set_source_files_properties(${catch_main} PROPERTIES SKIP_UNITY_BUILD_INCLUSION ON
    COMPILE_OPTIONS "-w;-O0;$<$<BOOL:${COUNTERSIGN_SANITIZE}>:-fno-sanitize=all>")
endif()
function(countersign_test_program name)
  add_executable(${name} ${ARGN} ${catch_main})
  target_link_libraries(${name} PRIVATE countersign_test_settings ${catch2_library})
  set_target_properties(${name} PROPERTIES UNITY_BUILD ON UNITY_BUILD_BATCH_SIZE 12)
endfunction()

list(FILTER countersign_test_sources EXCLUDE REGEX "/main\\.cpp$")
countersign_test_program(countersign_tests ${countersign_test_sources})
target_link_libraries(countersign_tests PRIVATE countersign countersign-knock)
# tests/native/replay_limit_test.cpp decides which allocations fail.
target_link_options(countersign_tests PRIVATE -Wl,--wrap=calloc)
if(EMSCRIPTEN)
  # The tree's package.json makes every .js an ES module, which this program is not.
  set_target_properties(countersign_tests PROPERTIES SUFFIX .cjs)
endif()
add_test(NAME countersign_tests COMMAND countersign_tests)
# Emscripten 3.1 would read its own files through Node's fetch, which takes no paths.
set_tests_properties(countersign_tests PROPERTIES ENVIRONMENT "NODE_OPTIONS=--no-experimental-fetch")

# What is true of optimised code alone, under valgrind and without: an optimised build of all tests would be made for these
# files only.
countersign_test_program(countersign_constant_time
  tests/native/rsa_test.cpp tests/native/sha256_test.cpp tests/native/wipe_test.cpp)
target_link_libraries(countersign_constant_time PRIVATE countersign countersign-knock)
set_target_properties(countersign_constant_time PROPERTIES EXCLUDE_FROM_ALL ON)

if(NOT EMSCRIPTEN)
  add_executable(verify_frame examples/verify_frame.cpp)
  target_link_libraries(verify_frame PRIVATE countersign::countersign)
  add_executable(verify_stats_event examples/verify_stats_event.cpp)
  target_link_libraries(verify_stats_event PRIVATE countersign::countersign-json)
endif()
include(cmake/json_tests.cmake)
