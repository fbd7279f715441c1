# SPDX-License-Identifier: MIT
"""Judgements of requests, written from PROTOCOL.md alone: makes and checks tests/vectors/judgements.json.

`judgements.py --write` writes the file. Without it, the file has to be what this program makes.
"""

import itertools
import json
import sys
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from exchange import Request, verify_ed25519
from report import check, finish

FILE = Path(__file__).resolve().parent.parent / "vectors" / "judgements.json"
NOW = 1_775_121_600_000
DAY = 86_400_000
WINDOW = {"now_ms": NOW, "past_ms": 60_000, "future_ms": 10_000, "is_burnt": False}


class Key:
    def __init__(self, seed):
        self.key = Ed25519PrivateKey.from_private_bytes(bytes([seed]) * 32)
        self.public = self.key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)

    def record(self):
        return {"algorithm": "ed25519", "public_key": self.public.hex()}


PRESENT, FORMER, STRANGER = Key(1), Key(2), Key(3)
POINT = {"algorithm": "es256", "public_key": "04" + "11" * 64}
OTHER_POINT = {"algorithm": "es256", "public_key": "04" + "22" * 64}
SHORT_POINT = {"algorithm": "es256", "public_key": "02" + "11" * 32}


# ---- the rules


def verdict_of(key, signed, es256):
    """R21: the key's own algorithm decides, and a key of another size verifies nothing. None asks the host."""
    public, (message, signature) = bytes.fromhex(key["public_key"]), signed
    if key["algorithm"] == "es256":
        return es256 if len(public) == 65 else False
    return verify_ed25519(public, message, signature)


def signer_of(request, session, signed, es256, now):
    """Whose signature it is, whether it counts (R122, R151), and which verdict is missing."""
    verdict = verdict_of(session, signed, es256.get("key"))
    if verdict is None:
        return "none", False, "verify-key"
    if verdict:
        return "key", True, None
    previous, is_freeze = session.get("previous"), request.type == "cs.freeze"
    if not previous or now > previous["replaced_ms"] + (DAY if is_freeze else 60_000):
        return "none", False, None
    verdict = verdict_of(previous, signed, es256.get("previous"))
    if verdict is None:
        return "none", False, "verify-previous"
    return ("previous", is_freeze or request.time <= previous["replaced_ms"], None) if verdict else ("none", False, None)


def judge(request, session, signed, es256, time):
    """Stages `version` to `freshness` (R46 to R50, R57, R60, R63, R148)."""

    def judged(next_step, refusal=None, signer="none", side="inside", expires=0):
        return {"next": next_step, "signer": signer, "side": side, "expires_ms": expires, "refusal": refusal}

    if request.version != "v1":
        return judged("refuse", ["version", "cs.unsupported_version"])
    if session is None:
        return judged("refuse", ["session", "cs.unauthenticated"])
    now, past, future = time["now_ms"], time["past_ms"], time["future_ms"]
    signer, counts, asks = signer_of(request, session, signed, es256, now)
    if asks:
        return judged(asks)
    if session["status"] != "active":
        return judged("refuse", ["session", "cs.session_revoked" if counts else "cs.unauthenticated"], signer)
    if not counts:
        return judged("refuse", ["signature", "cs.unauthenticated"], signer)
    at = request.time
    expires = max(at + past + -(-future // 2) + 2000, now + 2000)
    stale = ["freshness", "cs.stale"]
    if at < now - past:
        return judged("reserve-or-limit" if at >= now - past - future else "refuse", stale, signer, "past", expires)
    if at <= now + future:
        return judged("reserve-or-limit", None, signer, "inside", expires)
    step = "refuse" if time["is_burnt"] else "end-session" if at - now > DAY else "reserve"
    return judged(step, stale, signer, "future", expires)


def judge_reservation(judged, time, verdict, wait, floor, done):
    """The end of stage `replay`, or of a request beside the window (R59, R62 to R64, R142, R148)."""
    now, inside = time["now_ms"], judged["side"] == "inside"
    stage = "replay" if inside else "freshness"
    if done - now > 1000 or verdict == "full":
        return [stage, "cs.unavailable", None]
    if not inside:
        return ["freshness", "cs.stale", None]
    if verdict == "reserved":
        return None
    if verdict == "used":
        return [stage, "cs.replayed", None]
    if verdict == "limited":
        return [stage, "cs.rate_limited", wait]
    if time["is_burnt"] or now > floor:
        return [stage, "cs.stale", None]
    return [stage, "cs.unavailable", floor - now + 1]


# ---- the cases


def request_of(at=NOW, type="demo.echo", version="v1"):
    return Request("demo", "session", type, at, version=version).with_id(head="A" * 22)


def session_of(key, previous=None, status="active", replaced=NOW):
    record = {"status": status, **key}
    return record if previous is None else {**record, "previous": {**previous, "replaced_ms": replaced}}


def cases():
    """Name, request, the key that signs, session, ES256 verdicts, changes of the window."""
    known = session_of(PRESENT.record())
    for version, key in itertools.product(("v1", "v2"), (PRESENT, STRANGER)):
        for name, session in (("active", known), ("unknown", None), ("revoked", {**known, "status": "revoked"})):
            signer = "its key" if key is PRESENT else "a stranger"
            yield f"{version}, {name} session, signed by {signer}", request_of(version=version), key, session, {}, {}
    yield "an empty key", request_of(), PRESENT, session_of({"algorithm": "ed25519", "public_key": ""}), {}, {}
    yield "another size", request_of(), PRESENT, session_of({"algorithm": "ed25519", "public_key": "11" * 65}), {}, {}
    for future, at in itertools.product((0, 1, 999, 10_000), (-60_000, 0)):
        yield f"future {future} ms, {at} ms", request_of(NOW + at), PRESENT, known, {}, {"future_ms": future}
    edges = (-DAY, -70_001, -70_000, -60_001, -60_000, -1, 0, 1, 10_000, 10_001, 30_000, DAY, DAY + 1, 2 * DAY)
    for at, burnt in itertools.product(edges, (False, True)):
        name = f"{at} ms from now" + (", burnt" if burnt else "")
        yield name, request_of(NOW + at), PRESENT, known, {}, {"is_burnt": burnt}
    for type, status in itertools.product(("demo.echo", "cs.freeze"), ("active", "revoked")):
        for ago, at in itertools.product((0, 60_000, 60_001, DAY, DAY + 1), (-1, 0, 1)):
            session = session_of(PRESENT.record(), FORMER.record(), status, NOW - ago)
            name = f"{type}, {status}, the key before, replaced {ago} ms ago, stamped {at} ms from then"
            window = {"past_ms": 2 * DAY}
            yield name, request_of(NOW - ago + at, type), FORMER, session, {}, window
        yield f"{type}, {status}, a key to come", request_of(type=type), STRANGER, session_of(
            PRESENT.record(), FORMER.record(), status, NOW + 5
        ), {}, {}
    answers = (None, False, True)
    for status, mine in itertools.product(("active", "revoked"), answers):
        es256 = {} if mine is None else {"key": mine}
        yield f"es256, {status}, verdict {mine}", request_of(), PRESENT, session_of(POINT, status=status), es256, {}
    for verdict in answers:
        es256 = {} if verdict is None else {"key": verdict}
        yield f"compressed point, verdict {verdict}", request_of(), PRESENT, session_of(SHORT_POINT), es256, {}
        ed25519 = session_of(PRESENT.record())
        yield f"ed25519, stranger, verdict {verdict}", request_of(), STRANGER, ed25519, es256, {}
    for mine, former in itertools.product(answers, answers):
        es256 = {name: value for name, value in (("key", mine), ("previous", former)) if value is not None}
        session = session_of(POINT, OTHER_POINT)
        yield f"es256 after es256, verdicts {mine} and {former}", request_of(), STRANGER, session, es256, {}
        session = session_of(PRESENT.record(), OTHER_POINT)
        for key in (PRESENT, STRANGER):
            signer = "its key" if key is PRESENT else "a stranger"
            name = f"ed25519 after es256, signed by {signer}, verdicts {mine} and {former}"
            yield name, request_of(), key, session, es256, {}


RESERVATIONS = [
    (verdict, 700, floor, done)
    for verdict in ("reserved", "used", "too-old", "full", "limited")
    for floor in (NOW - 1, NOW, NOW + 5)
    for done in (NOW - 1, NOW + 1000, NOW + 1001)
]


def vector(name, request, key, session, es256, changes):
    message, time = request.signing_input(), {**WINDOW, **changes}
    signed = (message, key.key.sign(message))
    judged = judge(request, session, signed, es256, time)
    return {
        "name": name,
        "signing_input": message.hex(),
        "signature": signed[1].hex(),
        "session": session,
        "es256": es256,
        "time": time,
        "judgement": judged,
    }


def reservations():
    """One request for each way to stand at the store's step."""
    for at, burnt in itertools.product((0, -60_001, 10_001), (False, True)):
        time = {**WINDOW, "is_burnt": burnt}
        request = request_of(NOW + at)
        message = request.signing_input()
        judged = judge(request, session_of(PRESENT.record()), (message, PRESENT.key.sign(message)), {}, time)
        if judged["next"] == "refuse":
            continue
        for verdict, wait, floor, done in RESERVATIONS:
            yield {
                "judgement": judged,
                "time": time,
                "reservation": {"verdict": verdict, "wait_ms": wait, "floor_ms": floor, "done_ms": done},
                "refusal": judge_reservation(judged, time, verdict, wait, floor, done),
            }


def whole():
    data = {
        "about": "judgements of requests; hex bytes, Unix milliseconds; a refusal is its stage, code and time to wait",
        "requests": [vector(*case) for case in cases()],
        "reservations": list(reservations()),
    }
    rows = {name: ",\n".join(json.dumps(row) for row in data[name]) for name in ("requests", "reservations")}
    head = f'{{"about": {json.dumps(data["about"])},\n'
    return head + ",\n".join(f'"{name}": [\n{text}\n]' for name, text in rows.items()) + "}\n"


@check("judgements.json is what the rules of PROTOCOL.md make")
def same():
    assert FILE.read_text() == whole(), "run tests/interop/judgements.py --write, and look at the difference"
    return f"{whole().count('signing_input')} requests"


if __name__ == "__main__":
    if "--write" in sys.argv:
        FILE.write_text(whole())
    sys.exit(finish())
