// SPDX-License-Identifier: MIT
// How numbers become bytes and back at the border to JavaScript: the buffers, and small integers
// for what outlives a call. js/core-wasm.ts is the other half. Nothing here is part of the library.
#pragma once

#include <algorithm>
#include <memory>
#include <new>
#include <optional>
#include <utility>
#include <vector>

#include "countersign/sha256.hpp"

namespace countersign::wasm {

/// Arguments that are bytes lie in io one after another; core.ts has the same sizes.
inline constexpr unsigned static_io_size = 65536 + 4096;
inline std::uint8_t static_io[static_io_size];
inline std::unique_ptr<std::uint8_t[]> large_io;
inline Buffer io{static_io};

/// Results that are bytes are written to out, numbers and slices of io to table.
inline std::uint8_t out[2 * max_envelope_size];
inline double table[32];

/// reserve_io makes io at least size bytes, for the rare message larger than the static buffer;
/// less returns to that one.
inline Status reserve_io(unsigned size) {
  io = static_io;
  large_io.reset();
  if (size <= static_io_size) return {};
  large_io.reset(new (std::nothrow) std::uint8_t[size]);
  if (!large_io) return ErrorCode::no_memory;
  io = {large_io.get(), size};
  return {};
}

/// Arguments takes them from the front of io; one that reaches beyond it traps, as a defect of
/// core.ts.
class Arguments {
 public:
  explicit Arguments(unsigned offset = 0) : rest_(io) { bytes(offset); }

  ByteView bytes(unsigned size) {
    if (size > rest_.size()) __builtin_trap();
    const ByteView taken = rest_.first(size);
    rest_ = rest_.subspan(size);
    return taken;
  }
  template <unsigned Size>
  std::span<const std::uint8_t, Size> fixed() {
    return bytes(Size).first<Size>();
  }
  std::string_view text(unsigned size) {
    const ByteView taken = bytes(size);
    return {reinterpret_cast<const char*>(taken.data()), taken.size()};
  }

 private:
  ByteView rest_;
};

/// Table fills table from its start: numbers, and slices of io as an offset and a length.
class Table {
 public:
  template <class Number>
  Table& number(Number value) {
    table[next_++] = static_cast<double>(value);
    return *this;
  }
  Table& slice(ByteView bytes) { return number(bytes.data() - io.data()).number(bytes.size()); }
  Table& slice(std::string_view text) { return slice(bytes_of(text)); }

 private:
  unsigned next_ = 0;
};

/// Numbers go back as they are, errors as minus their number.
inline int done(ErrorCode error) {
  return -static_cast<int>(error);
}
inline int done(const Status& status) {
  return status ? 0 : done(status.error());
}
inline int done(const Result<ByteView>& written) {
  return written ? static_cast<int>(written->size()) : done(written.error());
}
inline int done(const Hash& hash) {
  std::copy(hash.begin(), hash.end(), out);
  return static_cast<int>(hash.size());
}

/// time_of makes a double that is no time one that the core refuses.
inline std::uint64_t time_of(double ms) {
  const bool is_time = ms >= 0 && ms <= static_cast<double>(max_time_ms);
  return is_time ? static_cast<std::uint64_t>(ms) : max_time_ms + 1;
}

/// Handles keeps objects under small integers; with() runs a call on one, or gives `freed`.
template <class T>
class Handles {
 public:
  int add(T value) {
    if (free_.empty()) {
      free_.push_back(slots_.size());
      slots_.emplace_back();
    }
    const std::size_t handle = free_.back();
    free_.pop_back();
    slots_[handle].emplace(std::move(value));
    return static_cast<int>(handle);
  }

  template <class Run>
  int with(unsigned handle, Run run) {
    if (handle >= slots_.size() || !slots_[handle]) return done(ErrorCode::freed);
    return run(*slots_[handle]);
  }

  int remove(unsigned handle) {
    return with(handle, [&](T&) {
      slots_[handle].reset();
      free_.push_back(handle);
      return 0;
    });
  }

 private:
  std::vector<std::optional<T>> slots_;
  std::vector<std::size_t> free_;
};

}  // namespace countersign::wasm
