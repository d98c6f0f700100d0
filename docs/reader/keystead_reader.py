"""Opens Keystead data (format 1, docs/format.md) without Keystead. Needs Python 3.9 and: pip install cryptography

keystead_reader.py --db keystead.db --master-key master.key 'ks1:…' [NAME=VALUE …]   opens a ciphertext
keystead_reader.py --db keystead.db --master-key master.key FILE [NAME=VALUE …]      opens a file of ciphertext, streams too
keystead_reader.py GOLDEN_FOLDER                                                     checks the golden files
"""
import argparse, base64, collections, datetime, hashlib, io, json, os, pathlib, re, sqlite3, struct, sys
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, ChaCha20Poly1305
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

HEADER = re.compile(rb"(ks1|ks1b|ks1s):([A-Za-z0-9][\w.~/-]*):([1-9]\d*-[a-z2-7]{6}):")
SELECT = """select k.id, k.usages, k.algorithm, v.material_format, v.material, w.wrapped, m.store_id
  from keys k join versions v on v.key_id = k.id join wraps w on w.subject = k.id join manifest m
  where k.name = ? and v.version || '-' || v.fingerprint = ? and w.kek_uri = ? and v.material is not null"""

def encode(*fields):  # E(…)
    parts = [field if isinstance(field, bytes) else str(field).encode() for field in fields]
    return b"".join(struct.pack(">I", len(part)) + part for part in parts)

def hkdf(key, info, length, salt=None):
    return HKDF(SHA256(), length, salt, info).derive(key)

def unbase64(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))

def xaes_key(key, prefix):  # CMAC-AES-256 of two blocks that differ in their counter
    encrypt = Cipher(algorithms.AES(key), modes.ECB()).encryptor().update
    zero = int.from_bytes(encrypt(bytes(16)), "big")
    mask = (zero << 1) % 2**128 ^ (zero >> 127) * 0x87
    blocks = (int.from_bytes(bytes([0, counter, 0x58, 0]) + prefix, "big") ^ mask for counter in (1, 2))
    return b"".join(encrypt(block.to_bytes(16, "big")) for block in blocks)

def open_payload(algorithm, key, payload, aad):
    if algorithm == "XAES-256-GCM":
        return AESGCM(xaes_key(key, payload[:12])).decrypt(payload[12:24], payload[24:], aad)
    if algorithm == "AES-256-GCM-KC":
        derived = hkdf(key, b"keystead AES-256-GCM-KC v1", 64, payload[:12])
        if payload[24:56] != derived[32:]:
            raise InvalidTag
        return AESGCM(derived[:32]).decrypt(payload[12:24], payload[56:], aad)
    cipher = {"AES-256-GCM": AESGCM, "ChaCha20-Poly1305": ChaCha20Poly1305}[algorithm]
    return cipher(key).decrypt(payload[:12], payload[12:], aad)

def open_version(db, master_key_line, name, label):  # key id, algorithm and key
    _, master_name, master_key = master_key_line.strip().split(":")
    uri = "local:" + master_name
    row = db.execute(SELECT, (name, label, uri)).fetchone()
    if row is None:
        raise LookupError(f"this store has no version {label} of key {name} under {uri}")
    key_id, usages, algorithm, form, material, wrapped, store = row
    keyset_key = open_payload("XAES-256-GCM", unbase64(master_key), wrapped, encode("ks1-wrap", store, key_id, uri))
    aad = encode("ks1-version", key_id, label.split("-")[0], usages, algorithm, form)
    return key_id, algorithm, open_payload("XAES-256-GCM", keyset_key, material, aad)

def open_chunks(file_key, file):
    cipher, number, chunk = AESGCM(hkdf(file_key, b"keystead stream v1", 32)), 0, file.read(65552)
    while chunk or number == 0:
        following = file.read(65552)
        if len(chunk) == 16 and number > 0:
            raise InvalidTag
        yield cipher.decrypt(number.to_bytes(11, "big") + (b"\0" if following else b"\1"), chunk, None)
        number, chunk = number + 1, following

def typed_text(plaintext):  # strings, bigints, bytes and JSON stand there as they are
    kind, data = plaintext[0], plaintext[1:]
    if kind == 5:
        data = struct.pack(...)
    return {2: json.dumps(struct.unpack(">d", data))}

def open_ciphertext(db, master_key_line, file, context):  # kind, and plaintext in pieces
    header = HEADER.match(file.read(279))
    file.seek(header.end())
    magic, key_name, label = (part.decode() for part in header.groups())
    key_id, algorithm, key = open_version(db, master_key_line, key_name, label)
    pairs = sorted((name.encode(), value.encode()) for name, value in context.items())
    bound = [key_id, label, len(pairs), *(part for pair in pairs for part in pair)]
    if magic == "ks1s":
        sealed = file.read(int.from_bytes(file.read(2), "big"))
        return "file-key", open_chunks(open_payload(algorithm, key, sealed, encode("ks1", "file-key", *bound)), file)
    payload = file.read() if magic == "ks1b" else unbase64(file.read().decode().strip())
    for kind in ("value", "typed", "data-key", "secret"):  # only the AAD names the kind
        try:
            return kind, [open_payload(algorithm, key, payload, encode("ks1", kind, *bound))]
        except InvalidTag:
            continue
    raise InvalidTag
