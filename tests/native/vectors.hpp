// SPDX-License-Identifier: MIT
#pragma once

#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>
#include <stdexcept>
#include <string>

namespace test {

inline std::string vector_text(const std::string& name) {
  std::ifstream file(std::string(COUNTERSIGN_VECTORS_DIR "/") + name, std::ios::binary);
  std::ostringstream text;
  if (!file || !(text << file.rdbuf())) throw std::runtime_error("no vectors in " + name);
  return text.str();
}

inline nlohmann::json vectors(const std::string& name) {
  return nlohmann::json::parse(vector_text(name));
}

}  // namespace test
