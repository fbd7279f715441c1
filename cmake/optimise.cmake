# SPDX-License-Identifier: MIT

# countersign_optimise gives each WebAssembly source exactly one optimisation level: -O2 where HOT, -Oz elsewhere.
#
# One, because `-Os … -O3` on a command line is not `-O3`: SHA-256 is several times slower then, with
# Emscripten 3.1.6. So the wasm preset's build type brings no level either.
function(countersign_optimise)
  cmake_parse_arguments(arg "" "" "SOURCES;HOT" ${ARGN})
  if(NOT EMSCRIPTEN OR COUNTERSIGN_BUILD_TESTS)
    return()
  endif()
  set_source_files_properties(${arg_SOURCES} PROPERTIES COMPILE_OPTIONS -Oz)
  set_source_files_properties(${arg_HOT} PROPERTIES COMPILE_OPTIONS -O2)
endfunction()
