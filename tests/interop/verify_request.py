# SPDX-License-Identifier: MIT
"""How a server verifies a countersign request and signs its answer: Python 3 and python3-cryptography."""

import base64
import hashlib
import hmac
import re

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, utils
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

P = 2**255 - 19  # the field of Ed25519
ORDER = 2**252 + 27742317777372353535851937790883648493
ORDER_8 = ("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
           "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a")  # fmt: skip
SMALL_Y = {0, 1, P - 1} | {int.from_bytes(bytes.fromhex(y), "little") for y in ORDER_8}
BOUND_ID = re.compile(r"([A-Za-z0-9_-]{22})(?:~([A-Za-z0-9_-]{1,64}))?\.([A-Za-z0-9_-]{22})")


class Refusal(Exception):
    """code is None where the refusal must be a plain 400 with an empty body."""

    def __init__(self, stage, code=None, request_id=None):
        super().__init__(stage)
        self.stage, self.code, self.request_id = stage, code, request_id


def read_uvarint(data, at):
    value = shift = 0
    while True:
        if at >= len(data) or shift > 28:
            raise Refusal("parse")
        byte, at = data[at], at + 1
        value |= (byte & 127) << shift
        if byte < 128:
            if byte == 0 and shift:
                raise Refusal("parse")  # not the shortest form
            return value, at
        shift += 7


def read_field(data, at):
    length, at = read_uvarint(data, at)
    if length > len(data) - at:
        raise Refusal("parse")
    return data[at : at + length], at + length


def as_text(data):
    if not 1 <= len(data) <= 128 or any(byte < 32 or byte == 127 for byte in data):
        raise Refusal("parse")
    try:
        return data.decode("utf-8")  # strict: no overlong forms, no surrogates
    except UnicodeDecodeError:
        raise Refusal("parse") from None


def field(data):
    data = data.encode() if isinstance(data, str) else data
    length, out = len(data), bytearray()
    while length > 127:
        out.append(length & 127 | 128)
        length >>= 7
    return bytes(out) + bytes([length]) + data


def ed25519_verifies(public_key, message, signature):
    y_key = int.from_bytes(public_key, "little") % 2**255
    y_r = int.from_bytes(signature[:32], "little") % 2**255
    if y_key >= P or y_key in SMALL_Y or y_r % P in SMALL_Y:
        return False
    if int.from_bytes(signature[32:], "little") >= ORDER:
        return False
    try:
        Ed25519PublicKey.from_public_bytes(public_key).verify(signature, message)
        return True
    except InvalidSignature:
        return False


def es256_verifies(public_key, message, signature):
    r, s = int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big")
    try:
        key = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), public_key)
        key.verify(utils.encode_dss_signature(r, s), message, ec.ECDSA(hashes.SHA256()))
        return True
    except InvalidSignature:
        return False


VERIFIERS = {"ed25519": ed25519_verifies, "es256": es256_verifies}


def parse_request(frame, label, compatible=False):
    """Everything of stage `parse`; nothing of what it returns has been verified yet."""
    if frame[:3] != b"CS\x01":
        raise Refusal("parse")
    signed, at = read_field(frame[:1024], 3)
    key_id, at = read_field(frame[:1024], at)
    signature, at = read_field(frame[:1024], at)
    if key_id or len(signature) != 64:
        raise Refusal("parse")
    marker, i = read_field(signed, 0)
    if marker != f"{label}-request-v1".encode():
        raise Refusal("parse")
    raw = []
    for _ in range(3):
        value, i = read_field(signed, i)
        raw.append(value)
    time_bytes, i = signed[i : i + 8], i + 8
    request_id, i = read_field(signed, i)
    payload_hash, i = read_field(signed, i)
    if i != len(signed) or len(payload_hash) != 32 or int.from_bytes(time_bytes, "big") > 2**53 - 1:
        raise Refusal("parse")
    version, session_id, message_type = map(as_text, raw)
    request = {
        "version": version, "session_id": session_id, "type": message_type, "request_id": as_text(request_id),
        "time_ms": int.from_bytes(time_bytes, "big"), "payload_hash": payload_hash, "idempotency_key": None,
        "signed": signed, "signature": signature, "payload": frame[at:],
    }  # fmt: skip
    if " " in message_type or message_type.startswith("sha256:"):
        raise Refusal("parse")  # only the header binding carries these
    if not compatible:
        bound = BOUND_ID.fullmatch(request["request_id"])
        if not bound:
            raise Refusal("parse")
        head = request["request_id"].rpartition(".")[0]
        unbound = field(marker) + b"".join(map(field, raw)) + time_bytes + field(head) + field(payload_hash)
        digest = base64.urlsafe_b64encode(hashlib.sha256(unbound).digest()).decode()
        if not hmac.compare_digest(digest[:22], bound[3]):
            raise Refusal("parse")
        request["idempotency_key"] = bound[2]
    return request


def verify_request(frame, label, find_session, reserve, now_ms, past_ms=60_000, future_ms=10_000, compatible=False):
    """The checks in their order. Returns the request, or raises a Refusal whose code is to be signed.

    find_session(id) -> {"algorithm", "public_key", "revoked"} or None
    reserve(key32, time_ms, expires_ms) -> "reserved", "used", "too-old" or "full", in one atomic step
    """
    request = parse_request(frame, label, compatible)

    def refuse(stage, code):
        raise Refusal(stage, code, request["request_id"])

    if request["version"] != "v1":
        refuse("version", "cs.unsupported_version")
    # A dummy key for unknown sessions: the answer and the time it takes are those of a bad signature.
    session = find_session(request["session_id"])
    known = session or {"algorithm": "ed25519", "public_key": bytes.fromhex("58" + "66" * 31), "revoked": False}
    verifies = VERIFIERS[known["algorithm"]](known["public_key"], request["signed"], request["signature"])
    if session is None:
        refuse("session", "cs.unauthenticated")
    if session["revoked"]:
        refuse("session", "cs.session_revoked" if verifies else "cs.unauthenticated")
    if not verifies:
        refuse("signature", "cs.unauthenticated")
    if not now_ms - past_ms <= request["time_ms"] <= now_ms + future_ms:
        refuse("freshness", "cs.stale")
    key = hashlib.sha256(field(label) + field(request["session_id"]) + field(request["request_id"])).digest()
    verdict = reserve(key, request["time_ms"], request["time_ms"] + past_ms + future_ms // 2 + 2000)
    if verdict != "reserved":
        code = {"used": "cs.replayed", "too-old": "cs.stale"}.get(verdict, "cs.unavailable")
        refuse("freshness" if verdict == "too-old" else "replay", code)
    if hashlib.sha256(request["payload"]).digest() != request["payload_hash"]:
        refuse("payload_hash", "cs.payload_mismatch")
    return request


def sign_answer(label, request_id, now_ms, code, payload, key_id, private_key):
    """The frame of an answer; private_key is an Ed25519PrivateKey."""
    signed = (
        field(f"{label}-response-v1") + field("v1") + field(request_id)
        + now_ms.to_bytes(8, "big") + field(code) + field(hashlib.sha256(payload).digest())
    )  # fmt: skip
    return b"CS\x01" + field(signed) + field(key_id) + field(private_key.sign(signed)) + payload
