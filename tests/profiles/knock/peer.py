# SPDX-License-Identifier: MIT
# A peer that shares no code with this project: siglatch knocks in Python, over Debian's python3-cryptography.
#
#   peer.py knock CONFIG    prints one datagram a line, in hex, for each knock of the configuration
#   peer.py serve CONFIG    listens on a free port, prints it, answers each good knock and prints what it read, as JSON
import hashlib
import hmac
import json
import os
import socket
import struct
import sys

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_pem_public_key

MAGIC = b"SLPK"
FORM = 1
NUMBER = {2: 0x00020000, 3: 0x00030000, 4: 0x00040000}
ENVELOPE = struct.pack(">QQIIIBB", 1, 1, 1, 0, 1, 0, 0)
PKCS1 = padding.PKCS1v15()


def tag(key, version, timestamp, user, action, challenge, payload):
    claims = struct.pack("<IHBI", timestamp, user, action, challenge)
    if version == 1:
        text = b"\x01" + claims + struct.pack("<H", len(payload))
    elif version == 2:
        text = struct.pack("<I", NUMBER[2]) + claims + struct.pack("<H", len(payload))
    else:
        text = struct.pack("<IB", NUMBER[version], FORM) + claims + struct.pack("<Q", len(payload))
    return hmac.new(key, hashlib.sha256(text + payload).digest(), hashlib.sha256).digest()


def packet(key, version, timestamp, user, action, challenge, payload):
    mac = tag(key, version, timestamp, user, action, challenge, payload)
    if version == 1:
        head = struct.pack("<BIHBI", 1, timestamp, user, action, challenge)
        return head + mac + struct.pack("<H", len(payload)) + payload.ljust(199, b"\0")
    claims = struct.pack(">IHBI", timestamp, user, action, challenge)
    if version == 2:
        head = MAGIC + struct.pack(">IB", NUMBER[2], FORM) + claims
        return head + mac + struct.pack(">H", len(payload)) + payload.ljust(191, b"\0")
    body = claims + struct.pack(">I", len(payload)) + payload + mac
    return ENVELOPE + body if version == 4 else body


def seal(public, version, plain):
    if version < 3:
        return public.encrypt(plain, PKCS1)
    key, nonce = os.urandom(32), os.urandom(12)
    wrapped = public.encrypt(key, PKCS1)
    header = MAGIC + struct.pack(">IBH", NUMBER[version], FORM, len(wrapped)) + nonce + struct.pack(">I", len(plain))
    return header + wrapped + AESGCM(key).encrypt(nonce, plain, header)


def unseal(private, datagram):
    if len(datagram) == private.key_size // 8:
        return None, private.decrypt(datagram, PKCS1)
    header, wrapped, sealed = datagram[:27], datagram[27:283], datagram[283:]
    number, form, size = struct.unpack(">IBH", header[4:11])
    if header[:4] != MAGIC or form != FORM or size != 256:
        raise ValueError("no datagram")
    plain = AESGCM(private.decrypt(wrapped, PKCS1)).decrypt(header[11:23], sealed, header)
    if struct.unpack(">I", header[23:])[0] != len(plain):
        raise ValueError("length")
    return number >> 16, plain


def read(version, plain):
    if version is None:
        version = 2 if plain[:4] == MAGIC else 1
    if version == 1:
        _, timestamp, user, action, challenge = struct.unpack("<BIHBI", plain[:12])
        mac, size = plain[12:44], struct.unpack("<H", plain[44:46])[0]
        return version, timestamp, user, action, challenge, plain[46 : 46 + size], mac
    if version == 2:
        timestamp, user, action, challenge = struct.unpack(">IHBI", plain[9:20])
        mac, size = plain[20:52], struct.unpack(">H", plain[52:54])[0]
        return version, timestamp, user, action, challenge, plain[54 : 54 + size], mac
    if version == 4:
        if plain[:30] != ENVELOPE:
            raise ValueError("envelope")
        plain = plain[30:]
    timestamp, user, action, challenge, size = struct.unpack(">IHBII", plain[:15])
    if len(plain) != 15 + size + 32:
        raise ValueError("length")
    return version, timestamp, user, action, challenge, plain[15 : 15 + size], plain[15 + size :]


def knock(config):
    key, public = bytes.fromhex(config["key"]), load_pem_public_key(config["public_pem"].encode())
    for one in config["knocks"]:
        payload = bytes.fromhex(one["payload"])
        fields = (one["version"], one["timestamp"], one["user"], one["action"], one["challenge"], payload)
        print(seal(public, one["version"], packet(key, *fields)).hex(), flush=True)


def serve(config):
    key = bytes.fromhex(config["key"])
    private = load_pem_private_key(config["private_pem"].encode(), None)
    user_public = load_pem_public_key(config["user_public_pem"].encode())
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
        udp.bind(("127.0.0.1", 0))
        udp.settimeout(60)
        print(json.dumps({"port": udp.getsockname()[1]}), flush=True)
        for _ in range(config["count"]):
            datagram, source = udp.recvfrom(2048)
            try:
                version, timestamp, user, action, challenge, payload, mac = read(*unseal(private, datagram))
            except (ValueError, InvalidTag) as error:
                print(json.dumps({"ok": False, "error": str(error)}), flush=True)
                continue
            good = hmac.compare_digest(mac, tag(key, version, timestamp, user, action, challenge, payload))
            print(json.dumps({"ok": good, "version": version, "challenge": challenge, "payload": payload.hex()}), flush=True)
            text = bytes([1, action, 0]) + b"read " + str(len(payload)).encode()
            answer = packet(key, version, timestamp, user, 0, challenge, text)
            udp.sendto(seal(user_public, version, answer), source)


if __name__ == "__main__":
    with open(sys.argv[2], encoding="utf-8") as file:
        {"knock": knock, "serve": serve}[sys.argv[1]](json.load(file))
