# SPDX-License-Identifier: MIT
"""A client's clock (section 9) and its place in a stream (section 10), written from PROTOCOL.md alone.

Makes and checks tests/vectors/client.json. `client_rules.py --write` writes the file. Without it, the file has to be
what this program makes. The clock counts in fractions, so that no rounding of the model can hide one of the code.
"""

import json
import math
import sys
from fractions import Fraction
from pathlib import Path

from client_runs import clocks, places
from report import check, finish

FILE = Path(__file__).resolve().parent.parent / "vectors" / "client.json"
DAY, HOUR, MINUTE = 86_400_000, 3_600_000, 60_000
PPM = Fraction(200, 1_000_000)
MAX = 2**53 - 1
# A reader may differ from an interval, an offset or an error by this much: its double has 12 bits behind the point.
TOLERANCE_MS = 0.01
SOURCES = ("none", "stored", "event", "round-trip")


class Refused(Exception):
    pass


class Clock:
    """R27 and R74 to R81. `low` and `high` bound the server's time minus the monotonic clock, as of `since`."""

    def __init__(self, build, trusts_local):
        self.build = self.floor = build
        self.trusts_local = trusts_local
        self.source, self.low, self.high, self.since, self.sampled = "none", Fraction(0), Fraction(0), 0, 0
        self.at = self.claim = self.asked = self.noted = None
        self.doubt, self.parted = 0, -math.inf
        self.has_answer = self.has_changed = False
        self.moved = -math.inf
        self.last_stamp = 0
        self.correction = None

    # -- what is known

    def shift(self):
        return 0 if self.source == "none" else self.low if self.high == math.inf else (self.low + self.high) / 2

    def offset(self):
        mono, wall = self.at
        return 0 if self.source == "none" else mono + self.shift() - wall

    def error(self):
        if self.source == "none":
            return math.inf
        return (self.high - self.low) / 2 + self.grown(self.at[0]) + self.doubt + 3

    def age(self):
        return math.inf if self.source == "none" else max(0, self.at[0] - self.sampled)

    def grown(self, at):
        return PPM * max(0, at - self.since)

    def has_note(self):
        return self.has_answer and self.error() < math.inf

    def lacks_answer(self):
        return self.claim is not None or not self.has_note()

    # -- the rules

    def look(self, mono, wall):
        """R79: a sleep or a step since the last look."""
        if self.at:
            apart = abs((wall - self.at[1]) - (mono - self.at[0]))
            if apart > 250:
                self.doubt += apart / (1 - PPM)
                self.parted, self.has_changed = mono, True
        self.at = (mono, wall)

    def may_be_floor(self, time):
        return self.floor < time <= max(self.build, self.at[1]) + DAY

    def is_far(self, shift):
        return self.has_answer and shift > self.shift() + self.error() + DAY

    def answer(self, sent, received, server, is_stale=False):
        if server < self.floor - 5 * MINUTE:
            return False
        shift = server - Fraction(sent + received) / 2
        # R76: an answer that is no sample makes and ends a claim as well.
        if self.is_far(shift) and (self.claim is None or abs(shift - self.claim) > 5 * MINUTE):
            self.claim = shift
            return False
        self.claim = None
        if not 0 <= received - sent <= 5000 or sent < self.parted:
            # R81: the gateway has said that the time was wrong, whatever else it said.
            self.has_answer = self.has_answer and not is_stale
            return False
        self.has_answer = True
        self.sample("round-trip", server, (server - received, server - sent, received), is_stale)
        return True

    def event(self, received, server):
        if server < self.floor - 5 * MINUTE:
            return False
        if self.is_far(server - received):
            self.claim, self.has_changed = server - received, True
            return False
        self.sample("event", server, (server - received, math.inf, received), False)
        return True

    def sample(self, kind, server, interval, replaces):
        was_none, before = self.source == "none", self.shift()
        self.take(kind, tuple(map(as_fraction, interval)), replaces or SOURCES.index(self.source) < 2)
        by = self.shift() - before
        self.has_changed = True
        if by < 0:
            self.last_stamp = 0
        if not was_none and abs(by) > 250:
            self.correction = {"by_ms": number(by), "at_ms": server, "source": kind}
        if was_none or abs(by) > 5 * MINUTE:
            self.moved = self.at[0]
        # R27, R76: only a time that stood for a while.
        if self.at[0] - self.moved >= 10 * MINUTE and self.may_be_floor(server):
            self.floor = server

    def take(self, kind, interval, replaces):
        """R76: what both intervals have in common as of the later time, or the new one."""
        low, high, since = interval
        now = max(since, self.since)
        mine, theirs = self.grown(now), PPM * (now - since)
        known, new = (self.low - mine, self.high + mine), (low - theirs, high + theirs)
        doubt, self.doubt = self.doubt, 0
        self.sampled = since
        if not replaces:
            # R79: an event that fits without the doubt settles none of it.
            if kind == "event" and new[0] <= known[1] + 2:
                self.doubt = doubt
            else:
                known = (known[0] - doubt, known[1] + doubt)
            ends = max(known[0], new[0]), min(known[1], new[1])
            if ends[0] <= ends[1] + 2:
                kind = SOURCES[max(SOURCES.index(kind), SOURCES.index(self.source))]
                low, high, since = min(ends), max(ends), now
        self.source, self.low, self.high, self.since = kind, low, high, since

    def recall(self, floor, note):
        if floor is not None and self.may_be_floor(floor):
            self.floor = floor
        mono, wall = self.at
        if not note or not 0 <= wall - note["wall_ms"] <= DAY:
            return
        middle = wall + note["offset_ms"] - mono
        error = note["error_ms"] + PPM * (wall - note["wall_ms"])
        self.take("stored", (middle - error, middle + error, mono), True)

    def stamp(self, is_retriable):
        """R77, R78: None where `cs.time` has to go first."""
        if self.claim is not None:
            return None
        if self.has_answer or (self.source == "stored" and is_retriable and self.age() <= DAY):
            return self.next_stamp()
        if not self.trusts_local:
            return None
        if self.at[1] > MAX:
            raise Refused("ERR_INVALID_TIME")
        return math.floor(self.at[1])

    def next_stamp(self):
        time = self.at[0] + self.shift()
        exact = self.grown(self.since) == 0 and float(time) == time
        assert exact or TOLERANCE_MS < time % 1 < 1 - TOLERANCE_MS, "no case may hang on the last bits of a double"
        self.last_stamp = max(self.last_stamp, math.floor(time))
        return self.last_stamp

    def probe(self):
        """R77: far from the floor, the wall clock is not believed."""
        if self.source != "none":
            return self.next_stamp()
        wall = self.at[1]
        return math.floor(wall if self.floor <= wall <= self.floor + DAY else self.floor)

    def ask(self):
        """R76: in the background, once a minute at most."""
        now = self.at[0]
        if not self.has_answer or not self.lacks_answer() or (self.asked is not None and now - self.asked < MINUTE):
            return False
        self.asked = now
        return True

    def note(self):
        """This project's: a new note after ten minutes, or where the wall clock was set by a second."""
        now, offset = self.at[0], self.offset()
        if not self.has_note():
            return False
        if self.noted and now - self.noted[0] < 10 * MINUTE and abs(offset - self.noted[1]) < 1000:
            return False
        self.noted = (now, offset)
        return True

    # -- one row

    def run(self, at, operation, given):
        self.look(*at)
        act = {
            "look": lambda: None,
            "answer": self.answer,
            "stale": lambda *trip: self.answer(*trip, is_stale=True),
            "event": self.event,
            "stamp": self.stamp,
            "probe": self.probe,
            "ask": self.ask,
            "note": self.note,
            "recall": self.recall,
        }[operation]
        try:
            gave = act(*given)
        except Refused as refused:
            return {"error": str(refused)}
        stamped = operation in ("stamp", "probe")
        changed, self.has_changed = self.has_changed, False
        says = {
            "is_done": gave is not None if stamped else bool(gave),
            "has_changed": changed,
            "lacks_answer": self.lacks_answer(),
            "has_note": self.has_note(),
        }
        return {
            **{name: True for name, value in says.items() if value},
            "shift_ms": number(self.shift()),
            "offset_ms": number(self.offset()),
            "error_ms": number(self.error()),
            "age_ms": number(self.age()),
            "source": self.source,
            "floor_ms": number(self.floor),
            **({"stamp_ms": gave} if stamped and gave is not None else {}),
            **({"correction": self.correction} if self.correction else {}),
        }


class Place:
    """R101 to R104, R107, R112 and R114: the last number, and what the connection may bring next."""

    def __init__(self, after, position, answered):
        next_number, oldest, is_same_stream = position
        if not 1 <= oldest <= next_number <= MAX:
            raise Refused("ERR_BAD_JSON")
        self.next = next_number
        self.last = next_number - 1 if after is None else after
        self.is_other = after is not None and not is_same_stream
        self.is_gap_due = self.is_other or self.last < oldest - 1 or self.last >= next_number
        self.answered, self.silent = answered, -1

    def take(self, event_type, sequence, time, gap):
        is_numbered = event_type not in ("cs.time", "cs.gap", "cs.revoked")
        in_place = sequence == self.last + is_numbered
        is_late = not is_numbered and time < self.answered or event_type == "cs.time" and time <= self.silent
        is_early = self.is_gap_due and event_type not in ("cs.gap", "cs.revoked")
        if not in_place or is_late or is_early:
            raise Refused("ERR_BAD_SEQUENCE")
        if event_type == "cs.gap":
            return self.leap(*gap)
        self.move(event_type, sequence, time)
        return "next"

    def leap(self, next_number, oldest, is_same_stream):
        if not 1 <= oldest <= next_number <= MAX:
            raise Refused("ERR_BAD_JSON")
        if not is_same_stream or (not self.is_gap_due and oldest - 1 < self.last):
            raise Refused("ERR_BAD_SEQUENCE")
        turn = "back" if not self.is_other and oldest - 1 <= self.last else "next"
        self.last, self.is_gap_due, self.is_other = oldest - 1, False, False
        return turn

    def relayed(self, event_type, sequence, time):
        """R114: whatever is not the next one here is asked for."""
        if event_type == "cs.revoked":
            return "next"
        due = self.last + (event_type != "cs.time")
        if event_type == "cs.gap" or self.is_gap_due or sequence > due:
            return "ahead"
        if sequence < due:
            return "known"
        self.move(event_type, sequence, time)
        return "next"

    def move(self, event_type, sequence, time):
        if event_type == "cs.time":
            self.silent = time
        elif event_type != "cs.revoked":
            self.last = sequence

    def state(self):
        return {"last": self.last, "is_gap_due": self.is_gap_due, "has_more": self.next > self.last + 1}


# ---- the file


def as_fraction(value):
    return value if value == math.inf else Fraction(value)


def number(value):
    """None stands for no bound."""
    if value == math.inf:
        return None
    rounded = round(float(value), 4)
    return int(rounded) if rounded == int(rounded) else rounded


def clock_row(name, build, trusts_local, steps):
    clock = Clock(build, trusts_local)
    rows = [{"at": at, "op": op, "given": given, "then": clock.run(at, op, given)} for at, op, given in steps]
    return {"name": name, "build_ms": build, "trusts_local": trusts_local, "steps": rows}


def place_row(name, begin, events):
    row = {"name": name, "begin": begin, "steps": []}
    try:
        place = Place(begin["after"], begin["position"], begin["answered_ms"])
    except Refused as refused:
        return {**row, "then": {"error": str(refused)}}
    row["then"] = place.state()
    for event in events:
        given = (event["type"], event["sequence"], event["timestamp_ms"])
        try:
            turn = place.relayed(*given) if event.get("is_relayed") else place.take(*given, event.get("gap"))
            then = {"turn": turn, **place.state()}
        except Refused as refused:
            then = {"error": str(refused), **place.state()}
        row["steps"].append({**event, "then": then})
    return row


ABOUT = (
    "a client's clock and its place in a stream; [monotonic, wall] readings and Unix times in milliseconds; "
    "null is no bound or nothing given, and what is false is left out; a trip is [sent, received, server], "
    "an event [received, server], a recall [floor, note], "
    "a position [next, oldest, whether the reader knows the stream]"
)


def whole():
    data = {"clocks": [clock_row(*run) for run in clocks()], "places": [place_row(*run) for run in places()]}
    rows = {name: ",\n".join(json.dumps(row, separators=(",", ":")) for row in data[name]) for name in data}
    head = f'{{"about": {json.dumps(ABOUT)},\n"tolerance_ms": {TOLERANCE_MS},\n'
    return head + ",\n".join(f'"{name}": [\n{text}\n]' for name, text in rows.items()) + "}\n"


@check("client.json is what the rules of PROTOCOL.md make")
def same():
    assert FILE.read_text() == whole(), "run tests/interop/client_rules.py --write, and look at the difference"
    return '{} states'.format(whole().count('"then"'))


if __name__ == "__main__":
    if "--write" in sys.argv:
        FILE.write_text(whole())
    sys.exit(finish())
