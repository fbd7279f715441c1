# SPDX-License-Identifier: MIT
"""Runs the Python client's own code on the vectors; one line of JSON a case group."""

import json
import sys
from pathlib import Path

from exchange import Refused, Request, envelope, field, open_answer, u64, verify_ed25519
from report import check, finish

FOLDER = Path(__file__).resolve().parent.parent / "vectors"
VECTORS = json.loads((FOLDER / "exchange.json").read_text())
CLIENT = bytes.fromhex(VECTORS["keys"]["client_public"])
SERVER = bytes.fromhex(VECTORS["keys"]["server_public"])


def signing_input(kind, f):
    """Section 3 of PROTOCOL.md as a table."""
    head = field(f["label"] + f"-{kind}-v1")
    h = bytes.fromhex(f.get("payload_hash", ""))
    if kind == "request":
        return Request(
            f["label"], f["device_session_id"], f["message_type"], f["timestamp_ms"],
            request_id=f["request_id"], payload_hash=h, version=f["protocol_version"],
        ).signing_input()  # fmt: skip
    if kind == "response":
        return (
            head + field(f["protocol_version"]) + field(f["request_id"])
            + u64(f["timestamp_ms"]) + field(f["result_code"]) + field(h)
        )  # fmt: skip
    if kind == "event":
        return (
            head + field(f["protocol_version"]) + field(f["device_session_id"]) + field(f["event_type"])
            + u64(f["sequence"]) + u64(f["timestamp_ms"]) + field(f["event_id"]) + field(h)
        )  # fmt: skip
    names = {"enroll": ("challenge_id",), "rotate": ("device_session_id", "request_id")}[kind]
    tail = field(f["email"]) if kind == "enroll" else b""
    ids = b"".join(field(f[name]) for name in names)
    return head + ids + field(f["algorithm"]) + field(bytes.fromhex(f["public_key"])) + tail


@check("R10 signing inputs, signatures and frames equal the vectors")
def golden():
    for case in VECTORS["cases"]:
        made = signing_input(case["kind"], case["fields"])
        assert made.hex() == case["signing_input"], case["name"]
        signature = bytes.fromhex(case["signature"])
        key = SERVER if case["kind"] in ("response", "event") else CLIENT
        assert verify_ed25519(key, made, signature), case["name"]
        if "frame" in case:
            frame = envelope(made, signature, case["key_id"]) + bytes.fromhex(case["payload"])
            assert frame.hex() == case["frame"], case["name"]
    return f"{len(VECTORS['cases'])} cases"


@check("R16 bound request ids equal the vectors")
def request_ids():
    for case in VECTORS["request_ids"]:
        f = case["fields"]
        request = Request(
            f["label"], f["device_session_id"], f["message_type"], f["timestamp_ms"],
            payload_hash=bytes.fromhex(f["payload_hash"]), version=f["protocol_version"],
        )  # fmt: skip
        assert request.with_id(head=case["head"]).request_id == case["request_id"], case["name"]
    return f"{len(VECTORS['request_ids'])} ids"


@check("R46 answers are accepted, or refused at their stage")
def answers():
    v = VECTORS["open_response"]
    keys = {VECTORS["keys"]["server_key_id"]: SERVER}
    window = (v["now_ms"], v["past_ms"], v["future_ms"])

    def opened(case):
        return open_answer(bytes.fromhex(case["frame"]), v["label"], keys, v["expected_request_id"], window)

    for case in v["accept"]:
        assert opened(case).payload.hex() == v["payload"], case["name"]
    for case in v["refuse"]:
        try:
            opened(case)
        except Refused as refused:
            assert refused.stage == case["stage"], f"{case['name']} was refused at {refused.stage}"
        else:
            raise AssertionError(f"{case['name']} was accepted")
    return f"{len(v['accept'])} accepted, {len(v['refuse'])} refused"


@check("R22 verdicts on adversarial Ed25519 signatures are libsodium 1.0.18's")
def speccheck():
    cases = json.loads((FOLDER / "ed25519-speccheck.json").read_text())
    accepted = [
        i for i, c in enumerate(cases)
        if verify_ed25519(bytes.fromhex(c["pub_key"]), bytes.fromhex(c["message"]), bytes.fromhex(c["signature"]))
    ]  # fmt: skip
    assert accepted == [3], accepted


if __name__ == "__main__":
    sys.exit(finish())
