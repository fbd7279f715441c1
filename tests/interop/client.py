#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""An independent client: enrols at a running demo gateway, uses every binding, and provokes a refusal at every stage.

Usage: client.py URL SLOW_URL. SLOW_URL is a second gateway, started with SESSION_RATE=2, where the rate stage is soon
reached. Prints one line of JSON a check; exits 1 where one failed.
"""

import hashlib
import json
import secrets
import sys

from exchange import Es256Key, b64url, envelope
from gateway import FRAME, PUBLIC, Gateway
from report import check, finish

URL, SLOW_URL = sys.argv[1:]
RUN = secrets.token_hex(4)
gateway = Gateway(URL)
sessions = {}


def session(name="ada", key=None):
    """The session of that name, enrolled once."""
    if name not in sessions:
        sessions[name] = gateway.enrol(f"{name}-{RUN}@example.com", key)
    return sessions[name]


def expect_signed(reply, status, code, payload=None):
    assert reply.answer is not None, f"plain {reply.status} instead of a signed {code}"
    assert (reply.status, reply.answer.code) == (status, code), (reply.status, reply.answer.code)
    assert "no-store" in reply.headers["cache-control"], "R34"
    if payload is not None:
        assert reply.answer.payload == payload, reply.answer.payload
    return reply


def expect_plain(reply, *statuses):
    assert reply.answer is None, f"signed {reply.answer.code} instead of a plain answer"
    assert reply.status in statuses, f"{reply.status} instead of {statuses}"
    assert reply.body == b"", "R34: the body of a plain refusal is empty"
    return f"plain {reply.status}"


def expect_stage(request, stage, at=gateway):
    """The gateway's own trace must end with that stage failing; nothing after it may have run."""
    stages = at.trace(request.request_id)
    assert stages and stages[-1] == (stage, "fail"), stages
    return " ".join(f"{name}:{verdict}" for name, verdict in stages)


def flip(data, at=0):
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


# ---- honest use


@check("R83 enrols an Ed25519 key and verifies the signed confirmation")
def enrol_ed25519():
    assert len(session().id) == 22, "R68"


@check("R85 the identical confirmation gives the same session, another key none")
def confirm_again():
    first = session()
    assert gateway.confirm(first.confirm, first.key, first.email) == first.id
    other = Es256Key()
    body = gateway.confirm_body(other, first.email, first.confirm["challenge_id"], first.confirm["code"])
    reply = gateway.post_json(PUBLIC + "/confirm-email-code", body)
    assert 400 <= reply.status < 500 and reply.headers["content-type"].startswith("application/problem+json")
    return f"{reply.status} {json.loads(reply.body)}"


@check("R83 refuses a proof made for another address")
def foreign_proof():
    email, key = f"mallory-{RUN}@example.com", Es256Key()
    challenge_id, code = gateway.challenge(email)
    body = gateway.confirm_body(key, "somebody@example.com", challenge_id, code)
    reply = gateway.post_json(PUBLIC + "/confirm-email-code", body)
    assert 400 <= reply.status < 500 and "countersign" not in reply.headers, reply.status
    return f"{reply.status} {json.loads(reply.body)}"


@check("R29 frame binding: demo.echo answers the payload, signed; an empty one too")
def frame_echo():
    for payload in (b"", b"hello over a frame"):
        request = gateway.request(session(), "demo.echo", payload)
        expect_signed(gateway.send_frame(request, session().key), 200, "ok", payload)
    stages = gateway.trace(request.request_id)
    assert all(verdict == "pass" for _, verdict in stages), stages
    return " ".join(stage for stage, _ in stages)


@check("R16 frame binding: an id with an idempotency key")
def frame_idempotency_key():
    request = gateway.request(session(), "demo.echo", b"1", idempotency_key="order-1")
    expect_signed(gateway.send_frame(request, session().key), 200, "ok", b"1")


@check("R87 cs.time answers with nothing but its time")
def server_time():
    request = gateway.request(session(), "cs.time")
    reply = expect_signed(gateway.send_frame(request, session().key), 200, "ok", b"")
    assert abs(reply.answer.time - gateway.now()) < 5000, reply.answer.time


@check("R36 header binding: POST /api/echo and GET /api/time with a query")
def header_binding():
    expect_signed(gateway.send_header(session(), "POST", "/api/echo", b"body"), 200, "http.200", b"body")
    reply = expect_signed(gateway.send_header(session(), "GET", "/api/time?x=%20&y=1"), 200, "http.200")
    assert isinstance(json.loads(reply.answer.payload)["server_time_ms"], int)


@check("R36 header binding: a target over 128 bytes is signed by its hash")
def header_long_target():
    target = "GET /api/time?x=" + "a" * 200
    kind = "sha256:" + b64url(hashlib.sha256(target.encode()).digest())
    expect_signed(gateway.send_header(session(), "GET", target[4:], signed_type=kind), 200, "http.200")


@check("R43 json binding: demo.echo, with an absent and a present payload")
def json_binding():
    request = gateway.request(session(), "demo.echo", b"json")
    expect_signed(gateway.send_json(gateway.json_members(request, session().key)), 200, "ok", b"json")
    members = gateway.json_members(gateway.request(session(), "demo.echo"), session().key)
    del members["payloadBytes"]
    expect_signed(gateway.send_json({**members, "traceId": "t-1"}), 200, "ok", b"")


@check("R21 ES256: enrols a P-256 key and uses all three bindings")
def es256():
    eve = session("eve", Es256Key())
    request = gateway.request(eve, "demo.echo", b"p256")
    expect_signed(gateway.send_frame(request, eve.key), 200, "ok", b"p256")
    expect_signed(gateway.send_header(eve, "POST", "/api/echo", b"p256"), 200, "http.200", b"p256")
    request = gateway.request(eve, "demo.echo", b"p256")
    expect_signed(gateway.send_json(gateway.json_members(request, eve.key)), 200, "ok", b"p256")


@check("R87 cs.sessions lists the session that asks")
def list_sessions():
    request = gateway.request(session(), "cs.sessions")
    reply = expect_signed(gateway.send_frame(request, session().key), 200, "ok")
    assert session().id in reply.answer.payload.decode(), reply.answer.payload


# ---- one refusal a stage


@check("parse: bytes that are no frame, a wrong T, another label: plain 400")
def refuse_parse():
    expect_plain(gateway.http("POST", "/exchange", b"not a frame", {"content-type": FRAME}), 400)
    request = gateway.request(session(), "demo.echo")
    request.request_id = flip(request.request_id.encode(), -1 % len(request.request_id)).decode()
    expect_plain(gateway.send_frame(request, session().key), 400)
    request = gateway.request(session(), "demo.echo", label=gateway.label + "x")
    expect_plain(gateway.send_frame(request, session().key), 400)
    request = gateway.request(session(), "GET /api/time")
    expect_plain(gateway.send_frame(request, session().key), 400)
    expect_plain(gateway.send_header(session(), "GET", "/api/time?a=1", signed_type="GET /api/time"), 400)
    members = gateway.json_members(gateway.request(session(), "demo.echo"), session().key)
    expect_plain(gateway.send_json({**members, "extra": "1"}), 400)
    text = json.dumps(members).encode()
    for spoilt in (b"\xef\xbb\xbf" + text, text + b"\n1", b'{"protocolVersion":"v1",' + text[1:]):
        expect_plain(gateway.http("POST", "/exchange", spoilt, {"content-type": "application/json"}), 400)
    return "plain 400"


@check("parse: over a bare socket, a truncated frame is a plain 400")
def refuse_truncated():
    request = gateway.request(session(), "demo.echo")
    frame = envelope(request.signing_input(), session().key.sign(request.signing_input()))[:-1]
    head = f"POST /exchange HTTP/1.1\r\nhost: {gateway.address.netloc}\r\ncontent-type: {FRAME}\r\n"
    head += f"content-length: {len(frame)}\r\nconnection: close\r\n\r\n"
    return expect_plain(gateway.raw(head.encode() + frame), 400)


@check("R55 a declared length over the limit is a plain 413, sent before the body")
def refuse_declared_length():
    head = f"POST /exchange HTTP/1.1\r\nhost: {gateway.address.netloc}\r\ncontent-type: {FRAME}\r\n"
    return expect_plain(gateway.raw(f"{head}content-length: 1000000000\r\n\r\n".encode()), 413)


@check("R39 a request body with a content-encoding is a plain 415")
def refuse_content_encoding():
    reply = gateway.send_header(session(), "POST", "/api/echo", b"zip", headers={"content-encoding": "gzip"})
    return expect_plain(reply, 415)


@check("version: another protocol version is a signed 400")
def refuse_version():
    request = gateway.request(session(), "demo.echo", version="v2")
    expect_signed(gateway.send_frame(request, session().key), 400, "cs.unsupported_version", b"{}")
    return expect_stage(request, "version")


@check("session: an unknown session is a signed 401, in the words of a bad signature")
def refuse_unknown_session():
    request = gateway.request(session(), "demo.echo", session=b64url(secrets.token_bytes(16)))
    expect_signed(gateway.send_frame(request, session().key), 401, "cs.unauthenticated", b"{}")
    return expect_stage(request, "session")


@check("session: a revoked session is told so only over its own signature")
def refuse_revoked_session():
    # Both sessions belong to one user, so one may end the other (the route of the demo gateway).
    lost = gateway.enrol(session().email)
    reply = gateway.send_header(session(), "POST", f"/api/v1/sessions/{lost.id}/revoke")
    expect_signed(reply, 200, "http.200")
    request = gateway.request(lost, "demo.echo")
    expect_signed(gateway.send_frame(request, session().key), 401, "cs.unauthenticated", b"{}")
    request = gateway.request(lost, "demo.echo")
    expect_signed(gateway.send_frame(request, lost.key), 401, "cs.session_revoked", b"{}")
    return expect_stage(request, "session")


@check("signature: one flipped bit is a signed 401")
def refuse_signature():
    request = gateway.request(session(), "demo.echo")
    expect_signed(gateway.send_frame(request, session().key, spoil=flip), 401, "cs.unauthenticated", b"{}")
    return expect_stage(request, "signature")


@check("signature: an ES256 signature under an Ed25519 session is a signed 401")
def refuse_other_algorithm():
    request = gateway.request(session(), "demo.echo")
    expect_signed(gateway.send_frame(request, session("eve").key), 401, "cs.unauthenticated", b"{}")
    return expect_stage(request, "signature")


@check("freshness: a time outside the window is a signed 401 that carries the server's time")
def refuse_freshness():
    for shift in (-gateway.past_ms - 60_000, gateway.future_ms + 60_000):
        request = gateway.request(session(), "demo.echo", time=gateway.now() + shift)
        reply = expect_signed(gateway.send_frame(request, session().key), 401, "cs.stale", b"{}")
        assert abs(reply.answer.time - gateway.now()) < 5000, reply.answer.time
    return expect_stage(request, "freshness")


@check("replay: the same frame again is a signed 409")
def refuse_replay():
    request = gateway.request(session(), "demo.echo", b"once")
    frame = envelope(request.signing_input(), session().key.sign(request.signing_input())) + b"once"
    expect_signed(gateway.post_frame(frame, request.request_id), 200, "ok", b"once")
    expect_signed(gateway.post_frame(frame, request.request_id), 409, "cs.replayed", b"{}")
    return expect_stage(request, "replay")


@check("payload_hash: one flipped byte is a signed 400, and the id is burnt")
def refuse_payload_hash():
    request = gateway.request(session(), "demo.echo", b"amount=1")
    reply = gateway.send_frame(request, session().key, payload=b"amount=9")
    expect_signed(reply, 400, "cs.payload_mismatch", b"{}")
    stages = expect_stage(request, "payload_hash")
    expect_signed(gateway.send_frame(request, session().key), 409, "cs.replayed", b"{}")
    return stages


@check("rate: too many requests of one session are a signed 429 with a time to wait")
def refuse_rate():
    slow = Gateway(SLOW_URL)
    rita = slow.enrol(f"rita-{RUN}@example.com")
    for _ in range(50):
        request = slow.request(rita, "demo.echo")
        reply = slow.send_frame(request, rita.key)
        if reply.status != 200:
            break
    expect_signed(reply, 429, "cs.rate_limited")
    assert json.loads(reply.answer.payload)["retry_after_ms"] > 0
    return expect_stage(request, "rate", slow)


@check("handler: demo.fail is the application's own signed answer")
def refuse_handler():
    request = gateway.request(session(), "demo.fail")
    expect_signed(gateway.send_frame(request, session().key), 200, "refused")
    return " ".join(f"{stage}:{verdict}" for stage, verdict in gateway.trace(request.request_id))


@check("handler: an unknown type is signed too, an unknown route is a signed 404")
def refuse_unknown_type():
    request = gateway.request(session(), "no.such.type")
    expect_signed(gateway.send_frame(request, session().key), 200, "unknown_type")
    expect_signed(gateway.send_header(session(), "GET", "/api/none"), 404, "http.404")


@check("R170 a route's path with another method is a signed 405")
def refuse_method():
    expect_signed(gateway.send_header(session(), "PATCH", "/api/time"), 405, "http.405")


@check("R32 a cs. type that this gateway does not know is no route of the application")
def refuse_unknown_cs_type():
    request = gateway.request(session(), "cs.no_such_thing")
    expect_signed(gateway.send_frame(request, session().key), 200, "unknown_type")


if __name__ == "__main__":
    sys.exit(finish())
