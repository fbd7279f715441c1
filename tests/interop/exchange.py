# SPDX-License-Identifier: MIT
"""The exchange protocol v1 from the client's side, written from PROTOCOL.md alone.

Python 3 with python3-cryptography; nothing of this project's code. R numbers are rules of PROTOCOL.md.
"""

import base64
import hashlib
import re
import secrets
from dataclasses import dataclass, replace

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, utils
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

MAGIC = b"CS\x01"
MAX_TIME = 2**53 - 1
MAX_ENVELOPE = 1024


class Refused(Exception):
    """An answer that failed a check; `stage` names the check (R46)."""

    def __init__(self, stage, why):
        super().__init__(f"{stage}: {why}")
        self.stage = stage


# ---- encoding (section 2)


def uvarint(n):
    out = bytearray()
    while n > 0x7F:
        out.append(n & 0x7F | 0x80)
        n >>= 7
    out.append(n)
    return bytes(out)


def field(data):
    data = data.encode() if isinstance(data, str) else data
    return uvarint(len(data)) + data


def u64(n):
    return n.to_bytes(8, "big")


def sha256(data):
    return hashlib.sha256(data).digest()


def b64url(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def un_b64url(text):
    data = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    if b64url(data) != text:  # R8: one accepted spelling
        raise Refused("parse", "base64url")
    return data


def b64(data):
    return base64.b64encode(data).decode()


def un_b64(text):
    data = base64.b64decode(text, validate=True)
    if b64(data) != text:
        raise Refused("parse", "base64")
    return data


class Reader:
    """Reads fields and refuses whatever R3 to R7 refuse."""

    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, count):
        if count > len(self.data) - self.at:
            raise Refused("parse", "truncated")
        self.at += count
        return self.data[self.at - count : self.at]

    def length(self):
        value = shift = 0
        while True:
            byte = self.take(1)[0]
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                break
            shift += 7
            if shift > 28:
                raise Refused("parse", "length too long")
        if byte == 0 and shift:
            raise Refused("parse", "length not in its shortest form")
        return value

    def field(self):
        return self.take(self.length())

    def text(self, least=1):
        try:
            text = self.field().decode("utf-8")
        except UnicodeDecodeError:
            raise Refused("parse", "not UTF-8") from None
        if not least <= len(text.encode()) <= 128 or any(ord(c) < 0x20 or ord(c) == 0x7F for c in text):
            raise Refused("parse", "not text")
        return text

    def time(self):
        value = int.from_bytes(self.take(8), "big")
        if value > MAX_TIME:
            raise Refused("parse", "time")
        return value

    def end(self):
        if self.at != len(self.data):
            raise Refused("parse", "trailing bytes")


# ---- signing inputs and request ids (sections 3, 4)


@dataclass
class Request:
    label: str
    session: str
    type: str
    time: int
    payload: bytes = b""
    request_id: str = ""
    version: str = "v1"
    payload_hash: bytes = b""

    def signing_input(self):
        return (
            field(self.label + "-request-v1") + field(self.version) + field(self.session) + field(self.type)
            + u64(self.time) + field(self.request_id) + field(self.payload_hash or sha256(self.payload))
        )  # fmt: skip

    def with_id(self, idempotency_key="", head=""):
        """The same request under a bound id (R16): a fresh one, or one that begins with `head`."""
        head = head or b64url(secrets.token_bytes(16))
        head += "~" + idempotency_key if idempotency_key else ""
        unbound = replace(self, request_id=head)
        return replace(self, request_id=head + "." + b64url(sha256(unbound.signing_input()))[:22])


def enroll_signing_input(label, challenge_id, algorithm, public_key, email):
    return field(label + "-enroll-v1") + field(challenge_id) + field(algorithm) + field(public_key) + field(email)


# ---- keys (section 5)


class Ed25519Key:
    algorithm = "ed25519"

    def __init__(self):
        self.key = Ed25519PrivateKey.generate()
        self.public = self.key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)

    def sign(self, data):
        return self.key.sign(data)


class Es256Key:
    algorithm = "es256"

    def __init__(self):
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.public = self.key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)

    def sign(self, data):
        r, s = utils.decode_dss_signature(self.key.sign(data, ec.ECDSA(hashes.SHA256())))
        return r.to_bytes(32, "big") + s.to_bytes(32, "big")


P = 2**255 - 19
ORDER = 2**252 + 27742317777372353535851937790883648493
SMALL_Y = {0, 1, P - 1} | {
    int.from_bytes(bytes.fromhex(y), "little")
    for y in (
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
    )
}


def verify_ed25519(public_key, message, signature):
    """R22: OpenSSL's equation (no cofactor, R compared by its bytes) and the checks it leaves out."""
    if len(public_key) != 32 or len(signature) != 64:
        return False
    y_of_key = int.from_bytes(public_key, "little") % 2**255
    y_of_r = int.from_bytes(signature[:32], "little") % 2**255
    if y_of_key >= P or y_of_key in SMALL_Y or y_of_r % P in SMALL_Y:
        return False
    if int.from_bytes(signature[32:], "little") >= ORDER:
        return False
    try:
        Ed25519PublicKey.from_public_bytes(public_key).verify(signature, message)
        return True
    except InvalidSignature:
        return False


# ---- frames and answers (sections 6, 8)


def envelope(signing_input, signature, key_id=""):
    return MAGIC + field(signing_input) + field(key_id) + field(signature)


@dataclass
class Answer:
    request_id: str
    time: int
    code: str
    payload: bytes


def split_frame(frame):
    """Signing input, key id, signature and payload of a frame."""
    reader = Reader(frame)
    if reader.take(3) != MAGIC:
        raise Refused("parse", "magic")
    signing_input, key_id, signature = reader.field(), reader.text(least=0), reader.field()
    if len(signature) != 64 or reader.at > MAX_ENVELOPE:
        raise Refused("parse", "size")
    return signing_input, key_id, signature, frame[reader.at :]


def parse_response(signing_input, label):
    reader = Reader(signing_input)
    if reader.field() != (label + "-response-v1").encode():
        raise Refused("parse", "marker")
    if reader.text() != "v1":
        raise Refused("parse", "version")
    answer = Answer(reader.text(), reader.time(), reader.text(), b"")
    payload_hash = reader.field()
    reader.end()
    if len(payload_hash) != 32:
        raise Refused("parse", "hash size")
    return answer, payload_hash


def open_answer(frame, label, keys, request_id, window=None):
    """The client's checks in their order (R46); `keys` maps id to public key, `window` is (now, past, future)."""
    signing_input, key_id, signature, payload = split_frame(frame)
    answer, payload_hash = parse_response(signing_input, label)
    if key_id not in keys or not verify_ed25519(keys[key_id], signing_input, signature):
        raise Refused("signature", key_id)
    if answer.request_id != request_id:
        raise Refused("request_id", answer.request_id)
    if sha256(payload) != payload_hash:
        raise Refused("payload_hash", "payload")
    if window and not window[0] - window[1] <= answer.time <= window[0] + window[2]:
        raise Refused("freshness", "window")
    answer.payload = payload
    return answer


def open_json_answer(members, label, keys, request_id):
    """The answer of the json binding (R44): it names no key, so every one is tried."""
    if set(members) - {"payloadBytes"} != {"protocolVersion", "requestId", "timestampMs", "resultCode", "payloadHash", "signature"}:
        raise Refused("parse", "members")
    if not re.fullmatch("0|[1-9][0-9]*", members["timestampMs"]):
        raise Refused("parse", "time")
    signing_input = (
        field(label + "-response-v1") + field(members["protocolVersion"]) + field(members["requestId"])
        + u64(int(members["timestampMs"])) + field(members["resultCode"]) + field(un_b64(members["payloadHash"]))
    )  # fmt: skip
    payload, signature = un_b64(members.get("payloadBytes", "")), un_b64(members["signature"])
    for key_id in keys:
        if verify_ed25519(keys[key_id], signing_input, signature):
            frame = envelope(signing_input, signature, key_id) + payload
            return open_answer(frame, label, keys, request_id)
    raise Refused("signature", "no key")
