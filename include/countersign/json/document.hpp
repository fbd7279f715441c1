// SPDX-License-Identifier: MIT
// A JSON text taken apart without changing a byte of it: a flat list of nodes, each a slice of the
// text. What is signed can be verified over the bytes that arrived, and each value is read from
// exactly one place: a name that stands twice in one object refuses the whole text.
//
// Strict JSON (R173), which is RFC 8259 and more: well-formed UTF-8 without a byte order mark, no
// lone surrogate in an escape, no number beyond a double, nothing after the value. Nothing here
// recurses, so depth costs memory and no stack.
#pragma once

#include <string>
#include <vector>

#include "countersign/bytes.hpp"

namespace countersign::json {

enum class Kind : std::uint8_t { null, boolean, number, string, array, object };

/// Node is one value, or the name of a member; `begin` and `end` cut its raw text out of the whole.
/// After an array's node come those of its items, after an object's name and value in turn; `next`
/// is the node after all of them.
struct Node {
  Kind kind;
  bool is_name;
  std::uint32_t begin;
  std::uint32_t end;
  std::uint32_t next;
};

/// Member is a name and the node of its value.
struct Member {
  std::string name;
  std::size_t value;
};

/// Limits bound what is read at all.
struct Limits {
  std::size_t max_depth = 64;
  std::size_t max_size = std::size_t{1} << 24;
};

/// Fault says what is wrong with a text, in words for developers, and at which byte.
struct Fault {
  std::string_view what;
  std::size_t at = 0;
};

/// Document is a text that was read; it keeps views into it. The root is node 0.
class Document {
 public:
  /// read takes a text apart; fails with bad_json, and fills in fault where one is given.
  static Result<Document> read(std::string_view text COUNTERSIGN_LIFETIMEBOUND,
                               const Limits& limits = {}, Fault* fault = nullptr);

  static constexpr std::size_t root = 0;
  static constexpr std::size_t none = static_cast<std::size_t>(-1);

  const std::vector<Node>& nodes() const COUNTERSIGN_LIFETIMEBOUND { return nodes_; }
  Kind kind(std::size_t node) const { return nodes_[node].kind; }
  /// next is the node after this one and all that it holds.
  std::size_t next(std::size_t node) const { return nodes_[node].next; }
  /// raw is the text of a node as it arrived.
  std::string_view raw(std::size_t node) const;
  /// text is what a string or a name stands for.
  std::string text(std::size_t node) const;
  /// number is a number's value.
  double number(std::size_t node) const;
  /// members are those of an object, sorted by UTF-16 unit, as JavaScript sorts strings.
  std::vector<Member> members(std::size_t object) const;
  /// find gives the value of a member; none where there is no such member or no object.
  std::size_t find(std::size_t object, std::string_view name) const;

 private:
  Document(std::string_view text, std::vector<Node> nodes)
      : text_(text), nodes_(std::move(nodes)) {}

  std::string_view text_;
  std::vector<Node> nodes_;
};

}  // namespace countersign::json
