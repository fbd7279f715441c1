# SPDX-License-Identifier: MIT
"""The runs of client_rules.py: what happens to a device's clock and to a reader's place, at the edge of each rule."""

DAY, HOUR, MINUTE = 86_400_000, 3_600_000, 60_000
NOW = 1_775_121_600_000
BUILD = 1_767_225_600_000
MAX = 2**53 - 1


class Device:
    """A device whose wall clock shows the server's time at first."""

    def __init__(self, wall_off=0):
        self.mono, self.wall, self.true = 1000, NOW + wall_off, NOW
        self.steps = []

    def _do(self, operation, *given):
        self.steps.append(([self.mono, self.wall], operation, list(given)))
        return self

    def after(self, ms):
        self.mono, self.wall, self.true = self.mono + ms, self.wall + ms, self.true + ms
        return self

    def wall_moves(self, ms):
        """The user sets the clock; or the device sleeps, where its monotonic clock stands still."""
        self.wall += ms
        return self

    def answer(self, trip=21, ahead=0, operation="answer", late=0):
        """An answer that was stamped half way, and is looked at `late` after it came."""
        sent = self.mono
        self.after(trip)
        given = (sent, self.mono, self.true - (trip + 1) // 2 + ahead)
        return self.after(late)._do(operation, *given)

    def given(self, operation, *trip):
        return self._do(operation, *trip)

    def stale(self, trip=21, ahead=0):
        return self.answer(trip, ahead, "stale")

    def event(self, ahead=0):
        return self._do("event", self.mono, self.true + ahead)

    def recall(self, floor=None, age=None, offset=0, error=20):
        note = None if age is None else {"offset_ms": offset, "error_ms": error, "wall_ms": self.wall - age}
        return self._do("recall", floor, note)

    def look(self):
        return self._do("look")

    def ask(self):
        return self._do("ask")

    def note(self):
        return self._do("note")

    def stamp(self, is_retriable=True):
        return self._do("stamp", is_retriable)

    def probe(self):
        return self._do("probe")


def clock_runs():
    """Name and device; a third item is the opt-in to the local clock."""
    yield "R77 nothing known", Device().look().stamp().stamp(False).probe().ask().note()
    yield "R77 the application trusts the local clock", Device().stamp().answer(ahead=500).stamp(False), True
    yield "R77 a local clock at the last time", Device(MAX - NOW).stamp(False), True
    yield "R77 a local clock past the last time", Device(MAX + 1 - NOW).stamp(False), True
    for off in (BUILD - NOW - 1, BUILD - NOW, BUILD - NOW + DAY, BUILD - NOW + DAY + 1):
        yield f"R77 cs.time where the wall clock is {off} ms off", Device(off).probe()
    for trip in (0, 1, 4999, 5000, 5001):
        yield f"R75 a round trip of {trip} ms", Device().answer(trip).stamp()
    yield "R75 an answer of before it was sent", Device().given("answer", 1001, 1000, NOW).stamp()
    yield "R74 the first sample is taken wherever it lies", Device(9 * DAY).answer().stamp(False)
    yield "R76 the error grows with the time", Device().answer().after(HOUR).look().after(DAY).stamp()
    yield "R76 a narrower answer narrows", Device().answer(1001).after(MINUTE).answer(ahead=100).stamp().note()
    yield "R76 a wider answer changes nothing but the age", Device().answer().after(MINUTE).answer(2001, 7).stamp()
    yield "R76 an answer on the edge cuts one end", Device().answer(101).after(MINUTE).answer(101, 60).stamp()
    for apart in (1, 2, 3):
        yield f"R76 intervals {apart} ms apart", Device().answer(0).answer(0, apart).look()
        yield f"R76 intervals {apart} ms apart, the later one lower", Device().answer(0).answer(0, -apart).look()
    late = Device().answer().after(MINUTE).answer(41, late=2000)
    yield "R76 an answer looked at late", late.given("answer", late.mono - 5000, late.mono - 4001, late.true - 4500).stamp()
    yield "R76 an answer below the estimate replaces it", Device().answer(ahead=5000).stamp().answer().stamp()
    yield "R76 events alone", Device().event().stamp().probe().ask().note().event(40).look().answer().stamp()
    yield "R76 an event below changes nothing", Device().answer(1001).event(-5000).stamp()
    yield "R76 an event inside raises the lower end", Device().answer(1001).event(200).stamp()
    for ahead in (2, 3):
        yield f"R76 an event {ahead} ms above", Device().answer(0).event(ahead).look()
    above = Device().answer().ask().event(5000).stamp().note().ask().after(MINUTE - 1).ask().after(1).ask()
    yield "R76 an event above leaves no upper end, and the client asks once a minute", above.answer(ahead=5000).ask()
    yield "R76 an answer gives the end that an event left open", Device().answer().event(5000).answer(901, 5100).stamp()
    # The first answer of 21 ms has an error of 10.5 ms, and 3 ms for the clocks.
    for ahead in (DAY + 10, DAY + 20):
        yield f"R76 an answer {ahead} ms ahead", Device().answer().answer(ahead=ahead).stamp().probe()
        yield f"R76 an event {ahead} ms ahead", Device().answer().event(ahead).stamp().ask()
    for ahead in (-300_001, -299_999, 299_999, 300_001):
        claimed = Device().answer().answer(ahead=2 * DAY).stamp().ask().note()
        yield f"R76 the next answer lies {ahead} ms from the claim", claimed.answer(ahead=2 * DAY + ahead).stamp(False)
    yield "R76 the next answer denies the claim", Device().answer().answer(ahead=2 * DAY).answer().stamp()
    yield "R76 a third answer confirms what the second did not", Device().answer().answer(ahead=2 * DAY).answer(
        ahead=3 * DAY
    ).stamp().answer(ahead=3 * DAY + 1000).stamp()
    yield "R76 an answer confirms the claim of an event", Device().answer().event(2 * DAY).answer(ahead=2 * DAY).stamp()
    yield "R76 no event confirms a claim", Device().answer().answer(ahead=2 * DAY).event(2 * DAY).stamp().answer().stamp()
    yield "R75 R76 an answer that is no sample makes a claim", Device().answer().answer(5001, 2 * DAY).stamp().answer()
    yield "R75 R76 such an answer ends a claim", Device().answer().answer(ahead=2 * DAY).answer(5001).stamp()
    slow = Device().answer().answer(ahead=2 * DAY).answer(5001, 2 * DAY)
    yield "R75 R76 such an answer agrees with a claim and is not taken", slow.stamp()
    yield "R76 days back are no claim", Device().answer().answer(ahead=-2 * DAY).stamp()
    yield "R76 R78 a note has nothing to say against a claim", Device().recall(age=0).answer(ahead=2 * DAY).stamp(False)
    yield "R81 cs.stale replaces what it meets", Device().answer(1001).stale(2001, 300).stamp()
    yield "R81 an answer would have joined", Device().answer(1001).answer(2001, 300).stamp()
    yield "R81 cs.stale after an event", Device().answer().event(5000).stale(ahead=4000).stamp()
    for ahead in (2000, -2000):
        yield f"R81 cs.stale {ahead} ms off that is no sample", Device().answer().stale(5001, ahead).stamp().stamp(
            False
        ).ask().note().answer(ahead=ahead).stamp()
    yield "R81 cs.stale a day ahead has to be confirmed", Device().answer().stale(ahead=2 * DAY).stamp().stale(
        ahead=2 * DAY
    ).stamp()
    for step in (-251, -250, 250, 251, 2000):
        yield f"R79 the wall clock moves by {step} ms", Device().answer().wall_moves(step).look().stamp().note()
    yield "R79 the first look sees no step", Device(DAY).look().wall_moves(251).look()
    yield "R79 two steps", Device().answer().wall_moves(300).look().wall_moves(-400).stamp()
    yield "R79 the next answer ends the doubt", Device().answer().wall_moves(2000).look().after(MINUTE).answer().stamp()
    slept = Device().answer().after(1000)
    sent = slept.mono
    slept.wall_moves(300).look().after(500).given("answer", sent - 1, slept.mono, slept.true - 250).stamp()
    yield "R75 R79 an answer across a step", slept.given("answer", sent, slept.mono, slept.true - 250).stamp()
    yield "R75 R81 cs.stale across a step", Device().answer().after(10).wall_moves(300).look().given(
        "stale", 1030, 1040, NOW + 30
    ).stamp().answer().stamp()
    yield "R79 the answer that shows the step", Device().answer().wall_moves(251).answer().answer().stamp()
    for ahead in (-5000, 0, 500, 5000):
        doubted = Device().answer().wall_moves(2000).look().event(ahead)
        yield f"R76 R79 an event {ahead} ms ahead after a step", doubted.stamp().after(1000).answer().stamp()
    for age in (-1, 0, HOUR, DAY, DAY + 1):
        yield f"R78 a note of {age} ms ago", Device().recall(age=age, offset=400).stamp().stamp(False).probe().note()
    yield "R78 a note stamps for a day", Device().recall(age=0, offset=400.5).after(DAY).stamp()
    yield "R78 a note stamps no longer", Device().recall(age=0, offset=400.5).after(DAY + 1).stamp()
    yield "R78 the first answer replaces a note", Device().recall(age=HOUR).answer(2001, 3).stamp(False)
    yield "R78 the first event replaces a note", Device().recall(age=HOUR).event(-40).stamp().answer(2001).stamp(False)
    yield "R78 a note far off", Device().recall(age=HOUR, offset=-9 * DAY).stamp().answer().stamp()
    for wait in (600_000 - 22, 600_000 - 21):
        yield f"R27 R76 the floor, {wait + 21} ms after the first answer", Device().answer().after(wait).answer().look()
    yield "R27 R76 an event raises the floor", Device().answer().after(600_000).event().look()
    for ahead in (299_000, 301_000):
        moved = Device().answer().after(500_000).answer(ahead=ahead).after(200_000).answer(ahead=ahead)
        yield f"R27 R76 the floor after a move of {ahead} ms", moved.after(400_000).answer(ahead=ahead)
    for ahead in (0, 299_000, 301_000):
        yield f"R27 R76 an earlier visit's time, {ahead} ms off", Device().recall(age=HOUR).answer(ahead=ahead).look()
    for floor in (BUILD - 1, BUILD, NOW, NOW + DAY, NOW + DAY + 1):
        yield f"R27 a stored floor of {floor}", Device().recall(floor).probe()
    for floor in (BUILD + DAY, BUILD + DAY + 1):
        yield f"R27 a stored floor of {floor} and no wall clock", Device(-NOW).recall(floor).probe()
    yield "R27 a floor and a note", Device().recall(NOW - 1000, HOUR).answer().look()
    # The server's time of an answer of 21 ms is that of its sending and 10 ms.
    for low in (-300_001, -300_000):
        yield f"R27 an answer {low} ms from the floor", Device().recall(NOW).answer(ahead=low - 10).stamp(False)
        yield f"R27 an event {low} ms from the floor", Device().recall(NOW).event(low).look()
    for off in (DAY - 20, DAY + 20):
        slow = Device(-off).answer().after(600_000).answer()
        yield f"R27 the floor where the wall clock is {off} ms slow", slow.look()
    back = Device().answer().after(5000).stamp()
    back.mono, back.wall = back.mono - 100, back.wall - 100
    yield "R80 a stamp of an earlier reading", back.stamp().probe()
    back = Device().answer(101).after(5000).stamp().answer(21, 40)
    back.mono, back.wall = back.mono - 200, back.wall - 200
    yield "R80 an answer that moves the estimate on", back.stamp()
    yield "R80 an answer that moves the estimate back", Device().answer(ahead=4000).stamp().answer().stamp().stamp()
    yield "R80 an answer that moves it back a little", Device().answer(101).stamp().answer(21, -40).stamp()
    for ahead in (250, 251, -250, -251):
        yield f"R76 a correction of {ahead} ms", Device().answer(0).answer(0, ahead).look()
    yield "R76 the last correction stays", Device().answer(0).answer(0, 400).answer(0, 500).event(9000).answer(0, 9000)
    yield "R78 a note that is answered corrects", Device().recall(age=0, offset=1000).answer()
    fresh = Device().answer().note().note().after(599_999).note().after(1).note()
    yield "R78 a new note every ten minutes", fresh.wall_moves(900).note().wall_moves(200).note().wall_moves(-1100).note()


def clocks():
    for name, device, *trusts in clock_runs():
        yield name, BUILD, bool(trusts), device.steps


# ---- places


def begin(after, next_number, oldest=1, is_same_stream=True, answered=NOW):
    return {"after": after, "position": [next_number, oldest, is_same_stream], "answered_ms": answered}


def event(sequence, event_type="demo.moved", at=10, **more):
    return {"type": event_type, "sequence": sequence, "timestamp_ms": NOW + at, **more}


def time(sequence, at=10):
    return event(sequence, "cs.time", at)


def gap(sequence, next_number, oldest, is_same_stream=True, at=10):
    return event(sequence, "cs.gap", at, gap=[next_number, oldest, is_same_stream])


def relayed(sequence, event_type="demo.moved", at=10):
    return event(sequence, event_type, at, is_relayed=True)


def places():
    """Name, beginning, events."""
    for next_number, oldest in ((1, 1), (7, 1), (7, 7), (MAX, 1), (MAX, MAX)):
        yield f"R102 from now on, {oldest} to {next_number}", begin(None, next_number, oldest), [event(next_number)]
    for next_number, oldest in ((0, 0), (7, 0), (7, 8), (0, 1), (MAX + 1, 1)):
        yield f"R102 no position, {oldest} to {next_number}", begin(6, next_number, oldest), []
    for after in (0, 1, 2, 3, 5, 6, 7, 8, MAX):
        events = [event(after), event(after + 2), event(after + 1), event(after + 2)] if after < MAX else []
        yield f"R103 R112 behind {after}, 3 to 7", begin(after, 7, 3), events
    yield "R101 the first event of all", begin(0, 1), [event(0), event(2), event(1), event(1), event(2)]
    yield "R101 the last number", begin(MAX - 2, MAX), [event(MAX - 1), event(MAX)]
    yield "R102 behind an event of another stream", begin(6, 9, 1, False), [event(7), time(6), gap(6, 9, 1), event(1)]
    yield "R102 from now on has no other stream", begin(None, 9, 1, False), [event(9)]
    yield "R107 a repeat", begin(6, 9), [event(7), event(7), event(6), event(8)]
    unnumbered = [time(5, 10), time(7, 11), time(6, 12), event(7), time(6, 13), time(7, 14), event(8)]
    yield "R107 unnumbered ones repeat the last", begin(6, 9), [*unnumbered, event(8, "cs.revoked", 20)]
    revoked = [event(number, "cs.revoked") for number in (5, 7, 6)]
    yield "R107 cs.revoked in its place", begin(6, 9), revoked
    yield "R104 each cs.time is later", begin(6, 9), [time(6, at) for at in (0, 0, -1, 1, 1, 5)]
    yield "R102 nothing unnumbered is older than the answer", begin(6, 9, 1), [
        time(6, -1), event(6, "cs.revoked", -1), gap(6, 12, 10, at=-1), gap(6, 12, 10, at=0)
    ]
    yield "R104 events between two cs.time", begin(6, 9), [time(6, 10), event(7, at=10), time(7, 10), time(7, 11), event(8)]
    overtaken = [event(7), gap(7, 30, 20), time(19), event(8), event(20), event(21)]
    yield "R103 a slow reader is overtaken", begin(6, 9), overtaken
    yield "R112 no cs.gap leads back in the middle", begin(6, 9), [
        event(7), gap(7, 9, 1), gap(7, 9, 7), gap(6, 30, 20), gap(8, 30, 20), event(8), gap(8, 30, 20)
    ]
    yield "R102 no stream is renamed in the middle", begin(6, 9), [gap(6, 30, 20, False), event(7)]
    for position in ((0, 0), (9, 0), (9, 10), (MAX + 1, 20)):
        yield f"R103 a cs.gap of no position, {position[1]} to {position[0]}", begin(6, 9), [gap(6, *position), event(7)]
    yield "R112 nothing counts before the cs.gap", begin(1, 7, 3), [
        event(2), event(3), time(1), time(2), gap(2, 7, 3), gap(1, 7, 3, False), gap(1, 7, 0), gap(1, 7, 3), event(3)
    ]
    yield "R112 cs.revoked counts before the cs.gap", begin(1, 7, 3), [event(2, "cs.revoked"), event(1, "cs.revoked")]
    yield "R103 the cs.gap says a later oldest", begin(1, 7, 3), [gap(1, 9, 5), time(4), event(3), event(5)]
    yield "R103 a buffer that was lost", begin(20, 7, 3), [event(21), gap(20, 7, 3), event(3), event(4)]
    yield "R103 a new stream begins another count", begin(20, 7, 3, False), [event(21), gap(20, 7, 3), time(2), event(3)]
    yield "R103 one cs.gap after another", begin(1, 7, 3), [gap(1, 7, 3), event(3), gap(3, 30, 20), gap(19, 40, 10), event(20)]
    yield "R114 what another tab took", begin(6, 9), [
        relayed(7), relayed(7), relayed(6), relayed(9), relayed(8), event(9), relayed(9), relayed(11), relayed(10)
    ]
    yield "R114 an unnumbered one of another tab", begin(6, 9), [
        relayed(5, "cs.time"), relayed(7, "cs.time"), relayed(6, "cs.time", 20), time(6, 20), time(6, 21)
    ]
    yield "R114 a cs.gap of another tab", begin(6, 9), [relayed(6, "cs.gap"), relayed(7), relayed(7, "cs.gap")]
    yield "R105 R114 cs.revoked of another tab", begin(6, 9), [relayed(6, "cs.revoked")]
    yield "R112 R114 all lies ahead while a cs.gap is due", begin(1, 7, 3), [
        relayed(1), relayed(2), relayed(3), relayed(1, "cs.time"), gap(1, 7, 3), relayed(2), relayed(3)
    ]
