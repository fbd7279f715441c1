// SPDX-License-Identifier: MIT
// Errors are numbers whose leading digit is the category; errors.def is their one table.
#pragma once

#include <array>
#include <cstdint>
#include <iterator>
#include <string_view>

namespace countersign {

/// ErrorCode names every way to fail: `bad_signature` here is ERR_BAD_SIGNATURE in JavaScript.
enum class ErrorCode : std::int16_t {
#define CS_ERROR(number, name, category, stage, retry, message) name = (number),
#include "countersign/errors.def"
#undef CS_ERROR
};

/// Category is the leading digit of an error's number, in words.
enum class Category : std::uint8_t {
  usage,
  malformed,
  rejected,
  time,
  transport,
  key,
  storage,
  load,
  internal
};

/// Stage is the check that refused a message (section 6, "Order of checks"); `none` where no check
/// is concerned.
enum class Stage : std::uint8_t {
  none,
  parse,
  version,
  session,
  signature,
  freshness,
  replay,
  payload_hash,
  rate,
  handler,
  request_id,
  sequence
};

/// Retry says whether the same call may be made again as it is.
enum class Retry : std::uint8_t { never, after, safe };

/// ErrorInfo is one line of errors.def.
struct ErrorInfo {
  ErrorCode code;
  std::string_view name;
  Category category;
  Stage stage;
  Retry retry;
  std::string_view message;
};

inline constexpr auto error_table = std::to_array<ErrorInfo>({
#define CS_ERROR(number, name, category, stage, retry, message) \
  {ErrorCode::name, #name, Category::category, Stage::stage, Retry::retry, message},
#include "countersign/errors.def"
#undef CS_ERROR
});

/// error_info finds the line of a code; a number that errors.def does not have gives the line of
/// `internal`.
constexpr const ErrorInfo& error_info(ErrorCode code) {
  const ErrorInfo* found = &error_table.front();
  for (const ErrorInfo& info : error_table) {
    if (info.code == ErrorCode::internal) found = &info;
    if (info.code == code) return info;
  }
  return *found;
}

/// stage_name is the word for a stage in errors, logs, metrics and vectors.
constexpr std::string_view stage_name(Stage stage) {
  constexpr std::string_view names[] = {"none",      "parse",     "version",    "session",
                                        "signature", "freshness", "replay",     "payload_hash",
                                        "rate",      "handler",   "request_id", "sequence"};
  static_assert(std::size(names) == static_cast<std::size_t>(Stage::sequence) + 1);
  return names[static_cast<std::size_t>(stage)];
}

}  // namespace countersign
