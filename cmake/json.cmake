# SPDX-License-Identifier: MIT
# countersign-json: a reader of JSON over raw bytes, canonical JSON, and what servers verify of the JSON profiles. It needs
# nothing but the core and the standard library. JavaScript's servers have it as countersign-json.wasm.

set(json_sources
  src/json/action_proof.cpp
  src/json/canonical.cpp
  src/json/document.cpp
  src/json/natural.cpp
  src/json/number.cpp
  src/json/stats_event.cpp
  src/json/text.cpp)
countersign_optimise(SOURCES ${json_sources} HOT src/json/natural.cpp)
add_library(countersign-json STATIC ${json_sources})
add_library(countersign::countersign-json ALIAS countersign-json)
target_link_libraries(countersign-json PUBLIC countersign)
target_compile_options(countersign-json PRIVATE -fno-exceptions -fno-rtti ${countersign_warnings})
set_target_properties(countersign-json PROPERTIES POSITION_INDEPENDENT_CODE ${countersign_pic})
