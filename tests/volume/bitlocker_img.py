#!/usr/bin/env python3
"""Writes BitLocker volumes for the tests, by "BitLocker Drive Encryption (BDE) format specification" (libbde) and Ferguson's
"AES-CBC + Elephant diffuser". Shares nothing with the reader; the ciphers are libcrypto's, the diffuser is written here.

    bitlocker_img.py PLAIN OUT METHOD PASSWORD RECOVERY-KEY BEK-FILE    an image for the end-to-end tests
"""
import ctypes
import ctypes.util
import functools
import hashlib
import random
import struct
import sys
import zlib

LIB = ctypes.CDLL(ctypes.util.find_library("crypto") or "libcrypto.so.3")
for name in ("EVP_CIPHER_CTX_new", "EVP_get_cipherbyname"):
    getattr(LIB, name).restype = ctypes.c_void_p

METHODS = {"cbc128-elephant": 0x8000, "cbc256-elephant": 0x8001, "cbc128": 0x8002, "cbc256": 0x8003, "xts128": 0x8004,
           "xts256": 0x8005}
KEY_LEN = {0x8000: 16, 0x8001: 32, 0x8002: 16, 0x8003: 32, 0x8004: 32, 0x8005: 64}
GUID = bytes.fromhex("3bd66749292ed84a8399f6a339e3d001")
GUID_ON_WRITE = bytes.fromhex("3b4da89280dd0e4d9e4eb1e3284eaed8")
CLEAR, TPM, STARTUP, RECOVERY, PASSWORD = 0, 0x0100, 0x0200, 0x0800, 0x2000
TIME = 132000000000000000
BLOCK = 64 << 10


def rnd(n, seed):
    return random.Random(seed).randbytes(n)


def evp(cipher, key, iv, data, encrypt=True, tag=None):
    """One call of a cipher; with tag: CCM, giving (tag, ciphertext)."""
    ctx = ctypes.c_void_p(LIB.EVP_CIPHER_CTX_new())
    c = ctypes.c_void_p(LIB.EVP_get_cipherbyname(cipher.encode()))
    out, n = ctypes.create_string_buffer(len(data) + 32), ctypes.c_int()
    init = LIB.EVP_EncryptInit_ex if encrypt else LIB.EVP_DecryptInit_ex
    update = LIB.EVP_EncryptUpdate if encrypt else LIB.EVP_DecryptUpdate
    assert init(ctx, c, None, None, None) == 1
    if tag:
        assert LIB.EVP_CIPHER_CTX_ctrl(ctx, 9, len(iv), None) == 1      # AEAD_SET_IVLEN
        assert LIB.EVP_CIPHER_CTX_ctrl(ctx, 0x11, tag, None) == 1       # AEAD_SET_TAG: its length
    assert init(ctx, None, None, key, iv) == 1
    LIB.EVP_CIPHER_CTX_set_padding(ctx, 0)
    if tag:
        assert update(ctx, None, ctypes.byref(n), None, len(data)) == 1
    assert update(ctx, out, ctypes.byref(n), data, len(data)) == 1 and n.value == len(data)
    result = out.raw[:len(data)]
    if tag:
        mac, final = ctypes.create_string_buffer(tag), ctypes.create_string_buffer(32)
        assert LIB.EVP_EncryptFinal_ex(ctx, final, ctypes.byref(n)) == 1
        assert LIB.EVP_CIPHER_CTX_ctrl(ctx, 0x10, tag, mac) == 1
        result = (mac.raw, result)
    LIB.EVP_CIPHER_CTX_free(ctx)
    return result


# --- sectors ---

def rotl(v, n):
    return (v << n | v >> (32 - n)) & 0xffffffff if n else v


def diffuse(sector, key):
    """Encryption: the sector key, then diffuser A, then B."""
    n = len(sector) // 4
    d = list(struct.unpack("<%dI" % n, bytes(a ^ b for a, b in zip(sector, key * (len(sector) // 32)))))
    ra, rb = (9, 0, 13, 0), (0, 10, 0, 25)
    for _ in range(5):
        for i in range(n - 1, -1, -1):
            d[i] = (d[i] - (d[i - 2] ^ rotl(d[i - 5], ra[i % 4]))) & 0xffffffff
    for _ in range(3):
        for i in range(n - 1, -1, -1):
            d[i] = (d[i] - (d[(i + 2) % n] ^ rotl(d[(i + 5) % n], rb[i % 4]))) & 0xffffffff
    return struct.pack("<%dI" % n, *d)


def encrypt_sector(method, fvek, at, data):
    bits = 128 if method in (0x8000, 0x8002, 0x8004) else 256
    if method in (0x8004, 0x8005):
        return evp("aes-%d-xts" % bits, fvek, struct.pack("<QQ", at // len(data), 0), data)
    key, place = fvek[:bits // 8], struct.pack("<QQ", at, 0)
    if method in (0x8000, 0x8001):
        tweak, ecb = fvek[32:32 + bits // 8], "aes-%d-ecb" % bits
        data = diffuse(data, evp(ecb, tweak, None, place) + evp(ecb, tweak, None, place[:15] + b"\x80"))
    return evp("aes-%d-cbc" % bits, key, evp("aes-%d-ecb" % bits, key, None, place), data)


# --- keys ---

@functools.lru_cache(None)
def stretch(initial, salt):
    last = bytes(32)
    tail = initial + salt
    for i in range(1 << 20):
        last = hashlib.sha256(last + tail + struct.pack("<Q", i)).digest()
    return last


def entry(kind, value, data, version=1):
    return struct.pack("<HHHH", 8 + len(data), kind, value, version) + data


def key_entry(method, key):
    return entry(0, 1, struct.pack("<I", method) + key)


def sealed(kind, kek, data, counter):
    nonce = struct.pack("<QI", TIME, counter)
    mac, text = evp("aes-256-ccm", kek, nonce, data, tag=16)
    return entry(kind, 5, nonce + mac + text)


def guid_text(g):
    a, b, c = struct.unpack("<IHH", g[:8])
    return "%08X-%04X-%04X-%s-%s" % (a, b, c, g[8:10].hex().upper(), g[10:].hex().upper())


def recovery_key(seed):
    return "-".join("%06d" % (v * 11) for v in struct.unpack("<8H", rnd(16, seed)))


class Protector:
    """kind and what opens it; `kek` is worked out."""
    def __init__(self, kind, secret, seed=1, pbkdf2=False):
        self.kind, self.guid, self.secret, self.pbkdf2 = kind, rnd(16, "guid%x%s" % (kind, seed)), secret, pbkdf2
        self.salt = rnd(16, "salt%x" % kind)
        if kind == PASSWORD:
            h = hashlib.sha256(hashlib.sha256(secret.encode("utf-16-le")).digest()).digest()
            self.kek = stretch(h, self.salt)
        elif kind == RECOVERY:
            raw = struct.pack("<8H", *[int(g) // 11 for g in secret.split("-")])
            self.kek = stretch(hashlib.sha256(raw).digest(), self.salt)
        else:
            self.kek = secret if isinstance(secret, bytes) else rnd(32, "kek%x%s" % (kind, secret))

    def bek(self):
        inner = entry(0, 2, "ExternalKey\0".encode("utf-16-le")) + key_entry(0x2002, self.kek)
        body = entry(6, 9, self.guid + struct.pack("<Q", TIME) + inner)
        size = 48 + len(body)
        return struct.pack("<IIII16sIIQ", size, 1, 48, size, self.guid, 1, 0, TIME) + body

    def entry(self, vmk, counter):
        p = b""
        if self.kind == CLEAR:
            p = key_entry(0x2000, self.kek)
        elif self.kind in (PASSWORD, RECOVERY):
            p = entry(0, 3, struct.pack("<HH", 0x1000, 0x40 if self.pbkdf2 else 0) + self.salt)
        p += sealed(0, self.kek, key_entry(0x2003, vmk), counter)
        return entry(2, 8, self.guid + struct.pack("<QHH", TIME, 0, self.kind) + p)


# --- volumes ---

class Volume:
    """Of `plain`, what lies at the places of the metadata is lost: `expected` is what a reader must show."""
    def __init__(self, plain, method="xts128", protectors=(), sector=512, togo=False, vista=False, state=4, plain_from=None,
                 between=0, copies=(0x60000, 0x80000, 0xa0000), moved=0xc0000, moved_len=8192, eow=None, seed=1, nonce=9):
        self.size, self.sector, self.protectors = len(plain), sector, list(protectors)
        self.method, self.vista, self.togo, self.state, self.nonce = METHODS[method], vista, togo, state, nonce
        self.copies, self.moved, self.moved_len = copies, moved, 0 if vista else moved_len
        self.plain_from = self.size if plain_from is None else plain_from
        self.between, self.eow = between, eow
        self.vmk = rnd(32, "vmk%s" % seed)
        self.fvek = rnd(64 if self.method in (0x8000, 0x8001) else KEY_LEN[self.method], "fvek%s" % seed)
        self.zeroes = [(c, 16384 if vista else BLOCK) for c in copies]
        if not vista:
            self.zeroes.append((moved, moved_len))
        if between:
            self.zeroes.append((self.plain_from, between))
        self.image = bytearray(self.size)
        self._data(plain)
        self.expected = bytearray(plain)
        for at, n in self.zeroes:
            self.expected[at:at + n] = bytes(len(self.expected[at:at + n]))
        for c in copies:
            self.put(c, self.block())
        self._sector_0(plain)
        if eow:
            self._write_maps()

    def put(self, at, data):
        self.image[at:at + len(data)] = data

    def is_encrypted(self, at):
        if self.state == 1:
            return False
        if self.eow:
            for off, n, plain in self.eow["regions"]:
                if off <= at < off + n:
                    return (at - off) // self.eow["chunk"] not in plain
            return True
        return at < self.plain_from

    def _data(self, plain):
        s = self.sector
        for at in range(0, self.size, s):
            to, piece = at, plain[at:at + s]
            if at < self.moved_len:
                to = self.moved + at
            elif any(o <= at < o + n for o, n in self.zeroes):
                continue
            stays = self.vista and at < 8192
            self.put(to, piece if stays or not self.is_encrypted(to) else encrypt_sector(self.method, self.fvek, to, piece))

    def entries(self):
        e = entry(7, 2, "TEST C: 2026\0".encode("utf-16-le"))
        for i, p in enumerate(self.protectors):
            e += p.entry(self.vmk, i + 2)
        if self.state != 1:
            e += sealed(3, self.vmk, key_entry(self.method, self.fvek), 1)
        if not self.vista:
            e += entry(15, 15, struct.pack("<QQ", self.moved, self.moved_len))
        return e

    def block(self):
        e = self.entries()
        size = 48 + len(e)
        mirror = struct.unpack("<Q", self._plain_mirror)[0] if self.vista else 0
        body = struct.pack("<IIII16sIIQ", size, 1, 48, size, rnd(16, "volume"), self.nonce,
                           0 if self.state == 1 else self.method, TIME) + e
        body += bytes(-(64 + len(body)) % 16)
        total = 64 + len(body)
        head = b"-FVE-FS-" + struct.pack("<HHHH", total if self.vista else total // 16, 1 if self.vista else 2, self.state,
                                         self.state)
        if self.vista:
            head += bytes(16) + struct.pack("<QQQ", *self.copies) + struct.pack("<Q", mirror)
        else:
            head += struct.pack("<QII", 0 if self.state == 1 else self.plain_from, self.between,
                                self.moved_len // self.sector) + struct.pack("<QQQQ", *self.copies, self.moved)
        info = head + body
        digest = sealed(0, self.vmk, key_entry(0x2005, hashlib.sha256(info).digest()), 77)
        return info + struct.pack("<HHI", 8 + len(digest), 1 if self.vista else 2, zlib.crc32(info)) + digest

    _plain_mirror = bytes(8)

    def _sector_0(self, plain):
        h = bytearray(512)
        places = struct.pack("<QQQ", *self.copies)
        if self.vista:
            h = bytearray(plain[:512])
            h[3:11] = b"-FVE-FS-"
            self._plain_mirror = plain[56:64]
            h[13] = 8
            h[56:64] = struct.pack("<Q", self.copies[0] // (8 * self.sector))
            self.expected[3:11] = b"NTFS    "
            for c in self.copies:
                self.put(c, self.block())
        elif self.togo:
            h[0:11] = b"\xeb\x58\x90MSWIN4.1"
            h[424:464] = GUID + places
        else:
            h[0:11] = b"\xeb\x58\x90-FVE-FS-"
            h[160:200] = (GUID_ON_WRITE if self.eow else GUID) + places
            if self.eow:
                h[200:216] = struct.pack("<QQ", *self.eow["at"])
        h[11:14] = struct.pack("<HB", self.sector, 8)
        h[510:512] = b"\x55\xaa"
        if self.vista:
            self.expected[11:14], self.expected[510:512] = h[11:14], h[510:512]
        self.image[0:512] = h

    def _write_maps(self):
        """eow: chunk; regions [(offset, length, {chunks that are plain})]; at (two descriptors); maps (offset of each map)."""
        w = self.eow
        n = len(w["regions"])
        size = 56 + 8 * n
        d = b"FVE-EOW\0" + struct.pack("<HHIIIIIIIQQ", 56, size, 512, 512, w["chunk"], 512, 0, n, 0, *w["at"])
        d += struct.pack("<%dQ" % n, *w["maps"])
        d = d[:36] + struct.pack("<I", zlib.crc32(d)) + d[40:]
        for at in w["at"]:
            self.put(at, d)
        for i, ((off, length, plain), at) in enumerate(zip(w["regions"], w["maps"])):
            bits = -(-length // w["chunk"])
            m = b"FVE-EOWBM\0" + struct.pack("<HIIQQQIIII", 60, 1536, i, off, length, at + 1536, 512, 1024, 512, 0)
            m += bytes(512 - len(m))
            m = m[:56] + struct.pack("<I", zlib.crc32(m)) + m[60:]
            now = sum(1 << k for k in range(bits) if k not in plain).to_bytes(8, "little")
            records = [(4, b"\xff" * 8), (5, now)]
            for k, (sequence, bitmap) in enumerate(records if i % 2 else records[::-1]):
                r = b"FVE-EOWBR\0" + struct.pack("<HIIQII", 36, 512, bits, sequence, 2, 0) + bitmap
                r += bytes(512 - len(r))
                m += r[:32] + struct.pack("<I", zlib.crc32(r)) + r[36:]
            self.put(at, m)
            self.expected[at:at + 2048] = bytes(2048)
        for at in w["at"]:
            self.expected[at:at + 512] = bytes(512)


def main():
    plain_file, out, method, password, recovery, bek = sys.argv[1:]
    with open(plain_file, "rb") as f:
        plain = f.read()
    end = len(plain)
    protectors = [Protector(PASSWORD, password), Protector(RECOVERY, recovery), Protector(STARTUP, "file")]
    v = Volume(plain, method, protectors, copies=(end - 0xa0000, end - 0x80000, end - 0x60000), moved=end - 0x40000)
    with open(out, "wb") as f:
        f.write(v.image)
    with open(bek, "wb") as f:
        f.write(protectors[2].bek())


if __name__ == "__main__":
    main()
