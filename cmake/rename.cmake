# SPDX-License-Identifier: MIT

# countersign_rename gives each function NAME of a library inside ours the name countersign_NAME, wherever the library or its
# headers are compiled. The program may then link its own copy of that library: neither copy answers the other's calls.
#
# Definitions of the preprocessor, because every compiler has them, and a static library has no names of its own to hide.
# The lists are complete: tests/consumers/native.test.mjs reads the names of the built archives.
function(countersign_rename target)
  list(TRANSFORM ARGN REPLACE "(.+)" "\\1=countersign_\\1")
  target_compile_definitions(${target} PUBLIC ${ARGN})
endfunction()
