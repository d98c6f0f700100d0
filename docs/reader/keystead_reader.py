"""Opens Keystead data (format 1, see docs/format.md) without Keystead. Needs Python 3.9 and: pip install cryptography
usage: keystead_reader.py (--db keystead.db --master-key master.key CIPHERTEXT_OR_FILE [NAME=VALUE …] | GOLDEN_FOLDER)"""
import base64, contextlib, hashlib, io, json, pathlib, re, sqlite3, struct, sys
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers import Cipher, aead, algorithms, modes
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
    blocks = [int.from_bytes(bytes([0, counter, 0x58, 0]) + prefix, "big") ^ mask for counter in (1, 2)]
    return b"".join(encrypt(block.to_bytes(16, "big")) for block in blocks)

def open_payload(algorithm, key, payload, aad):
    if algorithm == "XAES-256-GCM":
        return aead.AESGCM(xaes_key(key, payload[:12])).decrypt(payload[12:24], payload[24:], aad)
    if algorithm == "AES-256-GCM-KC":
        derived = HKDF(SHA256(), 64, payload[:12], b"keystead AES-256-GCM-KC v1").derive(key)
        if payload[24:56] != derived[32:]: raise InvalidTag
        return aead.AESGCM(derived[:32]).decrypt(payload[12:24], payload[56:], aad)
    ciphers = {"AES-256-GCM": aead.AESGCM, "ChaCha20-Poly1305": aead.ChaCha20Poly1305}
    return ciphers[algorithm](key).decrypt(payload[:12], payload[12:], aad)

def open_version(store, name, label):  # key id, algorithm and key
    database, (_, master_name, master_key) = store
    uri = "local:" + master_name
    for key_id, usages, algorithm, version, form, material, wrapped, store_id in database.execute(SELECT, (name, label, uri)):
        aad = encode("ks1-wrap", store_id, key_id, uri)
        keyset_key = open_payload("XAES-256-GCM", base64.urlsafe_b64decode(master_key + "="), wrapped, aad)
        aad = encode("ks1-version", key_id, version, usages, algorithm, form)
        return key_id, algorithm, open_payload("XAES-256-GCM", keyset_key, material, aad)
    raise LookupError(f"the store has no version {label} of key {name} under {uri}")

def open_chunks(file_key, file):
    cipher = aead.AESGCM(HKDF(SHA256(), 32, None, b"keystead stream v1").derive(file_key))
    number, chunk, following = 0, file.read(65552), True
    while following:
        following = file.read(65552)
        if number > 0 and len(chunk) == 16: raise InvalidTag
        yield cipher.decrypt(number.to_bytes(11, "big") + (b"\0" if following else b"\1"), chunk, None)
        number, chunk = number + 1, following

def typed_text(plaintext):  # dates are milliseconds since 1970; strings, bigints, bytes and JSON stand there as they are
    form = {2: ">d", 4: ">?", 5: ">q"}.get(plaintext[0])
    return json.dumps(struct.unpack(form, plaintext[1:])[0]).encode() if form else plaintext[1:]

def open_ciphertext(store, file, context):  # the plaintext, in pieces
    header = HEADER.match(file.read(279))
    if header is None: raise LookupError("this is not Keystead ciphertext of format 1")
    magic, key_name, label = (part.decode() for part in header.groups())
    key_id, algorithm, key = open_version(store, key_name, label)
    pairs = sorted((name.encode(), value.encode()) for name, value in context.items())
    bound = [key_id, label, len(pairs), *(part for pair in pairs for part in pair)]
    file.seek(header.end())
    if magic == "ks1s":
        sealed = file.read(int.from_bytes(file.read(2), "big"))
        return open_chunks(open_payload(algorithm, key, sealed, encode("ks1", "file-key", *bound)), file)
    payload = file.read() if magic == "ks1b" else base64.urlsafe_b64decode(file.read().strip() + b"==")
    for kind, read in {"value": bytes, "typed": typed_text, "data-key": bytes, "secret": bytes}.items():  # only the AAD names it
        with contextlib.suppress(InvalidTag):
            return [read(open_payload(algorithm, key, payload, encode("ks1", kind, *bound)))]
    raise InvalidTag

def check_golden(folder):  # group of golden files, and whether one of its entries is good
    keys, values, streams = (json.loads((folder / f"{f}.json").read_text("utf-8")) for f in ("keys", "ciphertext", "streams/streams"))
    store = sqlite3.connect(":memory:"), keys["masterKeyFile"].strip().split(":")
    store[0].executescript((folder / "store.sql").read_text("utf-8"))
    def good(read, expected):
        with contextlib.suppress(InvalidTag, LookupError):
            return read() == expected
    for key in keys["versionKeys"]:
        yield "keys", good(lambda: open_version(store, key["name"], key["label"])[2].hex(), key["key"])
    for entry in values["ciphertexts"]:
        sealed = entry["ciphertext"].encode() if entry["form"] == "text" else bytes.fromhex(entry["ciphertext"])
        yield "ciphertext", good(lambda: b"".join(open_ciphertext(store, io.BytesIO(sealed), entry["context"])).hex(), entry["printed"])
    for entry in streams["streams"]:
        file, digest = (folder / "streams" / entry["file"]).open("rb"), entry["plaintextSha256"]
        yield "streams", good(lambda: hashlib.sha256(b"".join(open_ciphertext(store, file, entry["context"]))).hexdigest(), digest)

if len(sys.argv) == 2:
    results = list(check_golden(pathlib.Path(sys.argv[1])))
    for group in ("keys", "ciphertext", "streams"):
        print(f"{group}: {results.count((group, True))} of {[name for name, _ in results].count(group)} good")
    sys.exit(not all(good for _, good in results))
if sys.argv[1:4:2] != ["--db", "--master-key"] or len(sys.argv) < 6: sys.exit(__doc__)
database = sqlite3.connect(pathlib.Path(sys.argv[2]).resolve().as_uri() + "?mode=ro", uri=True)
master_key = pathlib.Path(sys.argv[4]).read_text().strip().split(":")
source = io.BytesIO(sys.argv[5].encode()) if HEADER.match(sys.argv[5].encode()) else open(sys.argv[5], "rb")
sys.stdout.buffer.writelines(open_ciphertext((database, master_key), source, dict(pair.split("=", 1) for pair in sys.argv[6:])))
