// SPDX-License-Identifier: MIT
// What a function that can fail returns. There are no exceptions: a result is looked at, or the
// compiler warns.
#pragma once

#include <optional>
#include <utility>

#include "countersign/error.hpp"
#include "countersign/protocol.hpp"

namespace countersign {

/// Result holds a value or the error that stands in its place; asking for the one that is not there
/// traps.
template <class T>
class [[nodiscard]] Result {
 public:
  Result(T value) : value_(std::move(value)) {}
  Result(ErrorCode error) : error_(error) {}

  [[nodiscard]] bool ok() const { return value_.has_value(); }
  explicit operator bool() const { return ok(); }

  ErrorCode error() const {
    if (ok()) __builtin_trap();
    return error_;
  }

  T& operator*() & COUNTERSIGN_LIFETIMEBOUND { return present(); }
  T&& operator*() && COUNTERSIGN_LIFETIMEBOUND { return std::move(present()); }
  const T& operator*() const& COUNTERSIGN_LIFETIMEBOUND {
    return const_cast<Result*>(this)->present();
  }
  T* operator->() COUNTERSIGN_LIFETIMEBOUND { return &present(); }
  const T* operator->() const COUNTERSIGN_LIFETIMEBOUND {
    return &const_cast<Result*>(this)->present();
  }

 private:
  T& present() {
    if (!value_) __builtin_trap();
    return *value_;
  }

  std::optional<T> value_;
  ErrorCode error_{};
};

/// Status is the result of a check: it passed, or an error says why not.
class [[nodiscard]] Status {
 public:
  Status() = default;
  Status(ErrorCode error) : error_(error) {}

  [[nodiscard]] bool ok() const { return !error_.has_value(); }
  explicit operator bool() const { return ok(); }

  ErrorCode error() const {
    if (ok()) __builtin_trap();
    return *error_;
  }

 private:
  std::optional<ErrorCode> error_;
};

}  // namespace countersign
