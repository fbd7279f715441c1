# SPDX-License-Identifier: MIT
"""One gateway over HTTP, seen from outside: enrolment, the three bindings, and what came back."""

import http.client
import json
import socket
import time
import urllib.parse
from dataclasses import dataclass, field

from exchange import (
    Answer, Ed25519Key, Refused, Request, b64, b64url, enroll_signing_input, envelope, open_answer, open_json_answer,
    sha256, un_b64, un_b64url,
)  # fmt: skip

FRAME = "application/vnd.countersign.v1"
PUBLIC = "/api/v1/public/auth"


@dataclass
class Reply:
    """What came back: `answer` is None where the answer is not signed."""

    status: int
    headers: dict
    body: bytes
    answer: Answer = None


@dataclass
class Session:
    id: str
    key: object
    email: str
    confirm: dict = field(default_factory=dict)


class Gateway:
    def __init__(self, url):
        self.address = urllib.parse.urlsplit(url)
        self.connection = None
        self.offset = 0
        # Discovery (R91).
        about = json.loads(self.http("GET", "/.well-known/countersign.json").body)
        self.label, self.bindings = about["label"], about["bindings"]
        self.past_ms, self.future_ms = about["past_ms"], about["future_ms"]
        for key in about["server_keys"]:
            assert key["algorithm"] == "ed25519" and len(un_b64(key["public_key"])) == 32, key
        self.keys = {key["id"]: un_b64(key["public_key"]) for key in about["server_keys"]}

    # ---- HTTP

    def http(self, method, path, body=None, headers=None):
        """One request on a kept connection; a connection the gateway closed is opened again before the next one."""
        if self.connection is None:
            self.connection = http.client.HTTPConnection(self.address.hostname, self.address.port, timeout=30)
        self.connection.request(method, path, body=body, headers=headers or {})
        got = self.connection.getresponse()
        reply = Reply(got.status, {k.lower(): v for k, v in got.getheaders()}, got.read())
        if got.will_close:
            self.connection.close()
            self.connection = None
        return reply

    def raw(self, data):
        """Bytes over a bare socket, for what an HTTP library will not send; returns the status and the body."""
        with socket.create_connection((self.address.hostname, self.address.port), timeout=30) as plain:
            plain.sendall(data)
            got = http.client.HTTPResponse(plain)
            got.begin()
            return Reply(got.status, {k.lower(): v for k, v in got.getheaders()}, got.read())

    def trace(self, request_id):
        """The gateway's own account of a request: [(stage, verdict)] (a development endpoint of the demo gateway)."""
        path = "/dev/trace?" + urllib.parse.urlencode({"request_id": request_id})
        return [(s["stage"], s["verdict"]) for s in json.loads(self.http("GET", path).body)["stages"]]

    # ---- enrolment (R82 to R86)

    def challenge(self, email):
        """Asks for a code and reads it where the demo gateway shows it."""
        reply = self.post_json(PUBLIC + "/send-email-code", {"email": email})
        assert reply.status == 200, (reply.status, reply.body)
        challenge_id = json.loads(reply.body)["challenge_id"]
        mails = json.loads(self.http("GET", "/dev/outbox?" + urllib.parse.urlencode({"email": email})).body)
        return challenge_id, next(m["code"] for m in mails if m["challenge_id"] == challenge_id)

    def confirm_body(self, key, email, challenge_id, code):
        signed = enroll_signing_input(self.label, challenge_id, key.algorithm, key.public, email)
        return {
            "challenge_id": challenge_id,
            "code": code,
            "client_public_key": b64(key.public),
            "algorithm": key.algorithm,
            "proof": b64(key.sign(signed)),
            "time_zone": "Europe/Berlin",
        }

    def enrol(self, email, key=None):
        key = key or Ed25519Key()
        challenge_id, code = self.challenge(email)
        body = self.confirm_body(key, email, challenge_id, code)
        return Session(self.confirm(body, key, email), key, email, body)

    def confirm(self, body, key, email):
        """Sends a confirmation and returns the session id of its signed answer (R83, R84)."""
        sent = time.monotonic()
        reply = self.post_json(PUBLIC + "/confirm-email-code", body)
        received = time.monotonic()
        assert reply.status == 200, (reply.status, reply.body)
        signed = enroll_signing_input(self.label, body["challenge_id"], key.algorithm, key.public, email)
        answer = self.open_header(reply, b64url(sha256(signed)))
        assert answer.code == "http.200", answer.code
        # R75: the first clock sample.
        self.offset = answer.time - (sent + received) * 500
        return json.loads(answer.payload)["device_session_id"]

    def post_json(self, path, value):
        return self.http("POST", path, json.dumps(value).encode(), {"content-type": "application/json"})

    def now(self):
        return int(time.monotonic() * 1000 + self.offset)

    # ---- messages (section 7)

    def request(self, who, kind, payload=b"", idempotency_key="", **changes):
        """A request of that session under a bound id; `changes` replaces fields before the id is made."""
        made = Request(self.label, who.id, kind, self.now(), payload)
        for name, value in changes.items():
            setattr(made, name, value)
        return made.with_id(idempotency_key)

    def send_frame(self, request, key, spoil=None, payload=None):
        """Signs and sends a request; `spoil` changes the signature, `payload` replaces the payload after signing."""
        signature = key.sign(request.signing_input())
        signature = spoil(signature) if spoil else signature
        sent = request.payload if payload is None else payload
        return self.post_frame(envelope(request.signing_input(), signature) + sent, request.request_id)

    def post_frame(self, frame, request_id):
        reply = self.http("POST", "/exchange", frame, {"content-type": FRAME})
        if reply.headers.get("content-type") == FRAME:
            reply.answer = open_answer(reply.body, self.label, self.keys, request_id)
        return reply

    def send_header(self, session, method, path, payload=b"", signed_type=None, headers=None):
        request = self.request(session, signed_type or f"{method} {path}", payload)
        signature = session.key.sign(request.signing_input())
        carried = {"countersign": b64url(envelope(request.signing_input(), signature)), **(headers or {})}
        reply = self.http(method, path, payload or None, carried)
        if "countersign" in reply.headers:
            reply.answer = self.open_header(reply, request.request_id)
        return reply

    def open_header(self, reply, request_id):
        frame = un_b64url(reply.headers["countersign"]) + reply.body
        answer = open_answer(frame, self.label, self.keys, request_id)
        if answer.code.startswith("http.") and answer.code != f"http.{reply.status}":
            raise Refused("parse", "status")  # R40
        return answer

    def json_members(self, request, key):
        return {
            "protocolVersion": request.version,
            "deviceSessionId": request.session,
            "messageType": request.type,
            "timestampMs": str(request.time),
            "requestId": request.request_id,
            "payloadBytes": b64(request.payload),
            "payloadHash": b64(sha256(request.payload)),
            "signature": b64(key.sign(request.signing_input())),
        }

    def send_json(self, members):
        reply = self.post_json("/exchange", members)
        if reply.body:
            reply.answer = open_json_answer(json.loads(reply.body), self.label, self.keys, members["requestId"])
        return reply
