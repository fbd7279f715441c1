// SPDX-License-Identifier: MIT
#include "countersign/json/canonical.hpp"

#include "countersign/json/number.hpp"
#include "countersign/json/text.hpp"

namespace countersign::json {

namespace {

// An array or an object that is being written: its members or items, and how many are done.
struct Level {
  bool is_object;
  std::vector<Member> members;
  std::size_t done;
};

class CanonicalWriter {
 public:
  CanonicalWriter(const Document& document, const Keep& keep) : document_(document), keep_(keep) {}

  std::string write(std::size_t node) {
    value(node);
    while (!levels_.empty()) step();
    return std::move(out_);
  }

 private:
  void step() {
    Level& level = levels_.back();
    if (level.done == level.members.size()) {
      out_ += level.is_object ? '}' : ']';
      levels_.pop_back();
      return;
    }
    if (level.done > 0) out_ += ',';
    const Member& member = level.members[level.done++];
    if (level.is_object) {
      append_quoted(out_, member.name);
      out_ += ':';
    }
    // Opens a level perhaps, after which `level` and `member` are not to be used.
    value(member.value);
  }

  void value(std::size_t node) {
    switch (document_.kind(node)) {
      case Kind::object:
      case Kind::array:
        return open(node);
      case Kind::string:
        return append_quoted(out_, document_.text(node));
      case Kind::number:
        return append_number(out_, document_.number(node));
      case Kind::null:
      case Kind::boolean:
        break;
    }
    out_ += document_.raw(node);
  }

  void open(std::size_t node) {
    const bool is_object = document_.kind(node) == Kind::object;
    out_ += is_object ? '{' : '[';
    levels_.push_back({is_object, is_object ? members(node) : items(node), 0});
  }

  std::vector<Member> items(std::size_t array) const {
    std::vector<Member> found;
    for (std::size_t at = array + 1; at < document_.next(array); at = document_.next(at)) {
      found.push_back({{}, at});
    }
    return found;
  }

  std::vector<Member> members(std::size_t object) const {
    std::vector<Member> found = document_.members(object);
    if (keep_) std::erase_if(found, [&](const Member& member) { return !keep_(object, member); });
    return found;
  }

  const Document& document_;
  const Keep& keep_;
  std::string out_;
  std::vector<Level> levels_;
};

}  // namespace

std::string write_canonical(const Document& document, std::size_t node, const Keep& keep) {
  return CanonicalWriter(document, keep).write(node);
}

Result<std::string> canonical_json(std::string_view text, const Limits& limits) {
  const auto document = Document::read(text, limits);
  if (!document) return document.error();
  return write_canonical(*document);
}

}  // namespace countersign::json
