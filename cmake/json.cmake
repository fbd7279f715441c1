# SPDX-License-Identifier: MIT
# countersign-json: JSON for C++ servers (native only): a reader over raw bytes, canonical JSON, the JSON profiles. It needs
# nothing but the core and the standard library; std::from_chars and std::to_chars have to know `double`.

add_library(countersign-json STATIC
  src/json/action_proof.cpp
  src/json/canonical.cpp
  src/json/document.cpp
  src/json/number.cpp
  src/json/stats_event.cpp
  src/json/text.cpp)
add_library(countersign::countersign-json ALIAS countersign-json)
target_link_libraries(countersign-json PUBLIC countersign)
target_compile_options(countersign-json PRIVATE ${countersign_warnings})
set_target_properties(countersign-json PROPERTIES POSITION_INDEPENDENT_CODE ${countersign_pic})
