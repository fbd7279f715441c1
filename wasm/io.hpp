// SPDX-License-Identifier: MIT
// How numbers become bytes and back at the border to JavaScript; js/core/wasm.ts is the other half.
// Nothing here is part of the library. Plain arrays and pointers on purpose: this is shipped to
// every page.
#pragma once

#include <cstdlib>
#include <new>
#include <utility>

#include "countersign/response.hpp"

namespace countersign::wasm {

/// Arguments that are bytes lie in io one after another; js/core/wasm.ts has the same size.
inline constexpr unsigned static_io_size = 65536 + 4096;
inline std::uint8_t static_io[static_io_size];
inline std::uint8_t* io = static_io;
inline unsigned io_size = static_io_size;

/// Results that are bytes are written to out, numbers and slices of io to table.
inline std::uint8_t out[2 * max_envelope_size];
inline double table[32];

/// abi is raised whenever anything of the contract with js/core/wasm.ts changes.
inline int abi() {
  return 6;
}

inline unsigned address(const void* pointer) {
  return static_cast<unsigned>(reinterpret_cast<std::uintptr_t>(pointer));
}
inline unsigned io_address() {
  return address(io);
}
inline unsigned out_address() {
  return address(out);
}
inline unsigned table_address() {
  return address(table);
}

/// Numbers go back as they are, errors as minus their number.
inline int done(ErrorCode error) {
  return -static_cast<int>(error);
}
inline int done(const Result<ByteView>& written) {
  return written ? static_cast<int>(written->size()) : done(written.error());
}
inline int done(const Hash& hash) {
  __builtin_memcpy(out, hash.data(), hash.size());
  return static_cast<int>(hash.size());
}

/// reserve makes io at least size bytes, for the rare message larger than the static buffer; less
/// returns to that one. It allocates as all of this folder does: `new (std::nothrow)` would abort
/// in WebAssembly without exceptions, and the core with it.
inline int reserve(unsigned size) {
  if (io != static_io) std::free(io);
  io = static_io;
  io_size = static_io_size;
  if (size <= static_io_size) return 0;
  void* const large = std::malloc(size);
  if (large == nullptr) return done(ErrorCode::no_memory);
  io = static_cast<std::uint8_t*>(large);
  io_size = size;
  return 0;
}

/// Arguments takes them from the front of io; one that reaches beyond it traps, as a defect of
/// js/core/wasm.ts.
class Arguments {
 public:
  explicit Arguments(unsigned offset = 0) : next_(offset) {}

  ByteView bytes(unsigned size) {
    if (size > io_size || next_ > io_size - size) __builtin_trap();
    const ByteView taken{io + next_, size};
    next_ += size;
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
  unsigned next_;
};

/// Table fills table from its start: numbers, and slices of io as an offset and a length.
class Table {
 public:
  template <class Number>
  Table& number(Number value) {
    *next_++ = static_cast<double>(value);
    return *this;
  }
  Table& slice(ByteView bytes) { return number(bytes.data() - io).number(bytes.size()); }
  Table& slice(std::string_view text) { return slice(bytes_of(text)); }

 private:
  double* next_ = table;
};

/// time_of makes a double that is no time one that the core refuses.
inline std::uint64_t time_of(double ms) {
  const bool is_time = ms >= 0 && ms <= static_cast<double>(max_time_ms);
  return is_time ? static_cast<std::uint64_t>(ms) : max_time_ms + 1;
}

}  // namespace countersign::wasm
