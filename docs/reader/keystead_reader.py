"""Opens Keystead data (format 1, see docs/format.md) without Keystead. Needs Python 3.9 and: pip install cryptography

keystead_reader.py --db keystead.db --master-key master.key CIPHERTEXT_OR_FILE [NAME=VALUE …]   opens one, or a stream
keystead_reader.py GOLDEN_FOLDER                                                              checks the golden files
"""
import argparse, base64, contextlib, hashlib, io, json, os, pathlib, re, sqlite3, struct, sys
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, ChaCha20Poly1305
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

HEADER = re.compile(rb"(ks1|ks1b|ks1s):([A-Za-z0-9][\w.~/-]*):([1-9]\d*-[a-z2-7]{6}):")
SELECT = """select k.id, k.usages, k.algorithm, v.version, v.material_format, v.material, w.wrapped, m.store_id
  from keys k join versions v on v.key_id = k.id join wraps w on w.subject = k.id join manifest m
  where k.name = ? and v.version || '-' || v.fingerprint = ? and w.kek_uri = ? and v.material is not null"""

def encode(*fields):  # E(…)
    parts = [field if isinstance(field, bytes) else str(field).encode() for field in fields]
    return b"".join(struct.pack(">I", len(part)) + part for part in parts)

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
        derived = HKDF(SHA256(), 64, payload[:12], b"keystead AES-256-GCM-KC v1").derive(key)
        if payload[24:56] != derived[32:]:
            raise InvalidTag
        return AESGCM(derived[:32]).decrypt(payload[12:24], payload[56:], aad)
    cipher = {"AES-256-GCM": AESGCM, "ChaCha20-Poly1305": ChaCha20Poly1305}[algorithm]
    return cipher(key).decrypt(payload[:12], payload[12:], aad)

def open_version(db, master_key_line, name, label):  # key id, algorithm and key
    _, master_name, master_key = master_key_line.strip().split(":")
    row = db.execute(SELECT, (name, label, f"local:{master_name}")).fetchone()
    if row is None:
        raise LookupError(f"the store has no version {label} of key {name} under the master key {master_name}")
    key_id, usages, algorithm, version, form, material, wrapped, store = row
    wrap_aad = encode("ks1-wrap", store, key_id, f"local:{master_name}")
    keyset_key = open_payload("XAES-256-GCM", base64.urlsafe_b64decode(master_key + "="), wrapped, wrap_aad)
    version_aad = encode("ks1-version", key_id, version, usages, algorithm, form)
    return key_id, algorithm, open_payload("XAES-256-GCM", keyset_key, material, version_aad)

def open_chunks(file_key, file):
    cipher = AESGCM(HKDF(SHA256(), 32, None, b"keystead stream v1").derive(file_key))
    number, chunk = 0, file.read(65552)
    while chunk or number == 0:
        following = file.read(65552)
        if len(chunk) == 16 and number > 0:
            raise InvalidTag
        yield cipher.decrypt(number.to_bytes(11, "big") + (b"\0" if following else b"\1"), chunk, None)
        number, chunk = number + 1, following

def open_ciphertext(store, file, context):  # kind, and plaintext in pieces
    header = HEADER.match(file.read(279))
    magic, key_name, label = (part.decode() for part in header.groups())
    key_id, algorithm, key = open_version(*store, key_name, label)
    pairs = sorted((name.encode(), value.encode()) for name, value in context.items())
    bound = [key_id, label, len(pairs), *(part for pair in pairs for part in pair)]
    file.seek(header.end())
    if magic == "ks1s":
        sealed = file.read(int.from_bytes(file.read(2), "big"))
        return "file-key", open_chunks(open_payload(algorithm, key, sealed, encode("ks1", "file-key", *bound)), file)
    payload = file.read() if magic == "ks1b" else base64.urlsafe_b64decode(file.read().strip() + b"==")
    for kind in ("value", "typed", "data-key", "secret"):  # the header does not name it, the AAD does
        with contextlib.suppress(InvalidTag):
            return kind, [open_payload(algorithm, key, payload, encode("ks1", kind, *bound))]
    raise InvalidTag

def typed_text(plaintext):  # strings, bigints, bytes and JSON stand there as they are; dates are milliseconds since 1970
    form = {2: ">d", 4: ">?", 5: ">q"}.get(plaintext[0])
    return json.dumps(struct.unpack(form, plaintext[1:])[0]).encode() if form else plaintext[1:]

def check_golden(folder):  # pairs of a group and whether one of its entries is good
    keys, ciphertexts, streams = (json.loads((folder / name).read_text("utf-8")) for name in ("keys.json", "ciphertext.json", "streams/streams.json"))
