// SPDX-License-Identifier: MIT
// The mutator of the targets that open signed messages. It changes one field of a message, then
// binds and signs the message again, so that most inputs pass the signature and meet the checks
// behind it. Each of these repairs is left out now and then.
#pragma once

#include <optional>

#include "countersign/frame.hpp"
#include "support.hpp"

extern "C" std::size_t LLVMFuzzerMutate(std::uint8_t* data, std::size_t size, std::size_t max_size);

namespace fuzz {

/// What the messages that pass have in common; the vectors of the seeds are dated so, too.
inline constexpr std::string_view label = "galaxy";
inline constexpr std::string_view session = "device-session-123";
inline constexpr std::string_view key_id = "ke44a";
inline constexpr std::uint64_t now_ms = 1'775'121'600'000;

/// Random is the choices of one mutation: splitmix64 from libFuzzer's seed.
class Random {
 public:
  explicit Random(std::uint64_t seed) : state_(seed) {}

  std::uint64_t below(std::uint64_t limit) { return next() % limit; }
  bool usually() { return below(16) != 0; }

  /// mutated lets libFuzzer, with its dictionary, change a text in place.
  std::string mutated(std::string_view text) {
    constexpr std::size_t longest = 512;
    std::uint8_t buffer[2 * longest + 8] = {};
    const std::size_t size = std::min(text.size(), longest);
    std::copy_n(text.begin(), size, buffer);
    const std::size_t changed = LLVMFuzzerMutate(buffer, size, 2 * size + 8);
    return std::string(cs::text_of(cs::ByteView(buffer).first(changed)));
  }

  /// time is a time at or beside an edge of what is fresh, or any.
  std::uint64_t time() {
    const std::uint64_t edges[] = {0, now_ms, now_ms - cs::default_past_ms,
                                   now_ms + cs::default_future_ms, cs::max_time_ms};
    const std::uint64_t edge = edges[below(std::size(edges))];
    if (below(4) == 0) return next() >> below(64);
    return edge + below(3) - std::min<std::uint64_t>(edge, 1);
  }

 private:
  std::uint64_t next() {
    std::uint64_t mixed = state_ += 0x9e3779b97f4a7c15;
    mixed = (mixed ^ mixed >> 30) * 0xbf58476d1ce4e5b9;
    mixed = (mixed ^ mixed >> 27) * 0x94d049bb133111eb;
    return mixed ^ mixed >> 31;
  }

  std::uint64_t state_;
};

/// Draft is a message that is being remade: its signing input and what goes around it.
struct Draft {
  std::array<std::uint8_t, cs::max_signing_input_size> buffer;
  std::string payload;
  std::string key_id;
};

/// remake_message mutates a frame by `remake`, which writes a signing input into the draft's
/// buffer, or fails; what is no message yet is mutated byte by byte.
template <class Remake>
std::size_t remake_message(std::uint8_t* data, std::size_t size, std::size_t max_size,
                           unsigned seed, Remake remake) {
  Random random(seed);
  const auto frame = cs::parse_frame({data, size});
  if (!frame || random.below(8) == 0) return LLVMFuzzerMutate(data, size, max_size);
  Draft draft{.buffer = {},
              .payload = std::string(cs::text_of(frame->payload)),
              .key_id = std::string(frame->key_id)};
  SignatureBytes signature;
  std::copy(frame->signature.begin(), frame->signature.end(), signature.begin());
  const cs::Result<cs::ByteView> input = remake(frame->signing_input, draft, random);
  if (!input) return LLVMFuzzerMutate(data, size, max_size);
  if (random.usually()) signature = signer().sign(*input);
  std::string memory(max_size, '\0');
  const cs::Buffer buffer(reinterpret_cast<std::uint8_t*>(memory.data()), memory.size());
  const auto written = cs::write_frame({.signing_input = *input,
                                        .key_id = draft.key_id,
                                        .signature = signature,
                                        .payload = cs::bytes_of(draft.payload)},
                                       buffer);
  if (!written) return LLVMFuzzerMutate(data, size, max_size);
  std::copy(written->begin(), written->end(), data);
  return written->size();
}

}  // namespace fuzz
