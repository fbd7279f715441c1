# SPDX-License-Identifier: MIT
"""Runs verify_request.py (the code of docs/other-languages.md) on the vectors and on requests of our own."""

import json
import sys
from pathlib import Path

import exchange
from exchange import Ed25519Key, Es256Key, Request, b64url, open_answer
from report import check, finish
from verify_request import Refusal, parse_request, sign_answer, verify_request

VECTORS = json.loads((Path(__file__).resolve().parent.parent / "vectors" / "exchange.json").read_text())
CLIENT = bytes.fromhex(VECTORS["keys"]["client_public"])
NOW = 1_775_121_600_000


def server(session):
    used = set()

    def reserve(key, _time_ms, expires_ms):
        assert expires_ms > NOW, "an expiry never lies in the past"
        verdict = "used" if key in used else "reserved"
        used.add(key)
        return verdict

    def verify(frame, label="myapp", now_ms=NOW, **options):
        return verify_request(frame, label, lambda name: session if name == "known" else None, reserve, now_ms, **options)

    return verify


def frame_of(request, key):
    return exchange.envelope(request.signing_input(), key.sign(request.signing_input())) + request.payload


def refused(verify, frame, stage, code, **options):
    try:
        verify(frame, **options)
    except Refusal as refusal:
        assert (refusal.stage, refusal.code) == (stage, code), (refusal.stage, refusal.code)
    else:
        raise AssertionError(f"accepted instead of {stage}")


@check("verify_request.py accepts every request of the vectors, and no altered one")
def golden():
    session = {"algorithm": "ed25519", "public_key": CLIENT, "revoked": False}
    seen = 0
    for case in (c for c in VECTORS["cases"] if c["kind"] == "request"):
        f, frame = case["fields"], bytes.fromhex(case["frame"])

        def verify(data, f=f):
            return verify_request(
                data, f["label"], lambda _: session, lambda *_: "reserved", f["timestamp_ms"], compatible=True
            )  # fmt: skip

        if " " in f["message_type"]:  # R31: such types belong to the header binding
            refused(verify, frame, "parse", None)
            continue
        request = verify(frame)
        assert request["signed"].hex() == case["signing_input"] and request["payload"].hex() == case["payload"]
        assert (request["session_id"], request["type"]) == (f["device_session_id"], f["message_type"])
        for at in range(len(frame)):
            try:
                verify(frame[:at] + bytes([frame[at] ^ 1]) + frame[at + 1 :])
            except Refusal:
                continue
            raise AssertionError(f"{case['name']} was accepted with byte {at} altered")
        seen += 1
    return f"{seen} requests"


@check("verify_request.py takes the bound ids of the vectors, and no altered one")
def bound_ids():
    for case in VECTORS["request_ids"]:
        f = case["fields"]
        if " " in f["message_type"]:
            continue
        request = Request(
            f["label"], f["device_session_id"], f["message_type"], f["timestamp_ms"],
            request_id=case["request_id"], payload_hash=bytes.fromhex(f["payload_hash"]),
        )  # fmt: skip
        frame = exchange.envelope(request.signing_input(), bytes(64))
        head, _, key = case["head"].partition("~")
        assert parse_request(frame, f["label"])["idempotency_key"] == (key or None), case["name"]
        request.time += 1 if request.time < 2**53 - 1 else -1
        refused(parse_request, exchange.envelope(request.signing_input(), bytes(64)), "parse", None, label=f["label"])


@check("R16 verify_request.py takes any of the 64 characters at the end of R")
def last_of_r():
    for last in "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_":
        request = Request("myapp", "known", "move", NOW, b"").with_id(head="R" * 21 + last)
        frame = exchange.envelope(request.signing_input(), bytes(64))
        assert parse_request(frame, "myapp")["idempotency_key"] is None, last


@check("verify_request.py refuses at each stage, for Ed25519 and for ES256, and its answer opens")
def stages():
    for key in (Ed25519Key(), Es256Key()):
        session = {"algorithm": key.algorithm, "public_key": key.public, "revoked": False}
        verify = server(session)
        good = Request("myapp", "known", "move", NOW, b"payload")
        frame = frame_of(good.with_id("order-1"), key)
        assert verify(frame)["idempotency_key"] == "order-1"
        refused(verify, frame, "replay", "cs.replayed")
        refused(verify, frame[:-1], "replay", "cs.replayed")
        refused(verify, frame_of(good.with_id(), key)[:-1], "payload_hash", "cs.payload_mismatch")
        refused(verify, b"CS\x02" + frame[3:], "parse", None)
        refused(verify, frame, "parse", None, label="other")
        two = Request("myapp", "known", "move", NOW, b"", version="v2").with_id()
        refused(verify, frame_of(two, key), "version", "cs.unsupported_version")
        stranger = Request("myapp", "stranger", "move", NOW, b"").with_id()
        refused(verify, frame_of(stranger, key), "session", "cs.unauthenticated")
        fresh = frame_of(good.with_id(), key)
        other = Es256Key() if key.algorithm == "ed25519" else Ed25519Key()
        refused(verify, frame_of(good.with_id(), other), "signature", "cs.unauthenticated")
        refused(verify, fresh, "freshness", "cs.stale", now_ms=NOW + 60_001)
        refused(verify, fresh, "freshness", "cs.stale", now_ms=NOW - 10_001)
        verify(fresh, now_ms=NOW + 60_000)
        verify(frame_of(good.with_id(), key), now_ms=NOW - 10_000)
        session["revoked"] = True
        refused(verify, frame_of(good.with_id(), key), "session", "cs.session_revoked")
        refused(verify, frame_of(good.with_id(), other), "session", "cs.unauthenticated")
    server_key = Ed25519Key()
    request_id = b64url(bytes(32))
    frame = sign_answer("myapp", request_id, NOW, "ok", b"done", "k1", server_key.key)
    assert open_answer(frame, "myapp", {"k1": server_key.public}, request_id).payload == b"done"


if __name__ == "__main__":
    sys.exit(finish())
