# SPDX-License-Identifier: MIT

# countersign_optimise gives each WebAssembly source exactly one optimisation level: -O2 where HOT, -Oz elsewhere.
#
# One, because `-Os … -O3` on a command line is not `-O3`: SHA-256 is several times slower then, with
# Emscripten 3.1.6. So the build type of the presets brings no level either. The tests link the same objects as the package.
function(countersign_optimise)
  cmake_parse_arguments(arg "" "" "SOURCES;HOT" ${ARGN})
  if(NOT EMSCRIPTEN)
    return()
  endif()
  set_source_files_properties(${arg_SOURCES} PROPERTIES COMPILE_OPTIONS -Oz)
  set_source_files_properties(${arg_HOT} PROPERTIES COMPILE_OPTIONS -O2)
endfunction()
