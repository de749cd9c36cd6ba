#!/usr/bin/env python3
"""Makes the seeds of the bitlocker target anew: volumes of 10 KiB that hold little but their metadata."""
import os
import sys

here = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(here, "..", "tests", "volume"))
import bitlocker_img as img  # noqa: E402

# As bitlocker_fuzz.c has the slow hash.
img.stretch = lambda initial, salt: bytes(a ^ b for a, b in zip(initial, salt.ljust(32, b"\0")))
OUT = os.path.join(here, "corpus", "bitlocker")
# The places do not overlap with what is read of them: a copy ends with its checksum.
SMALL = dict(copies=(0x400, 0xa00, 0x1000), moved=0x1600, moved_len=512)


def volume(name, method="cbc128", protectors=(), size=0x2400, text=b"", **more):
    v = img.Volume(bytes(size), method, protectors, **{**SMALL, **more})
    with open(os.path.join(OUT, name), "wb") as f:
        f.write(v.image + (bytes(512 - len(text)) + text if text else b""))


def main():
    os.makedirs(OUT, exist_ok=True)
    clear, startup = img.Protector(img.CLEAR, "c"), img.Protector(img.STARTUP, "s")
    volume("xts-clear", "xts256", [clear])
    volume("elephant-clear", "cbc128-elephant", [clear])
    volume("cbc-clear-partly", "cbc256", [clear], plain_from=0x1200, state=5)
    volume("between", "cbc128", [clear], plain_from=0x1200, between=0x400, state=2)
    volume("to-go", "cbc128", [startup], togo=True)
    volume("vista", "cbc256-elephant", [startup], vista=True, copies=(0x1000, 0x1600, 0x1c00))
    volume("decrypted", state=1)
    password, digits = "p\u00e4ssw\u00f6rd \U0001f600", "-".join(["000011", "720885"] * 4)
    volume("password", "xts128", [img.Protector(img.PASSWORD, password)], text=password.encode())
    volume("password-wrong", "xts128", [img.Protector(img.PASSWORD, "x", pbkdf2=True), img.Protector(img.PASSWORD, "y")], text=b"z")
    volume("recovery", "xts128", [img.Protector(img.RECOVERY, digits)], text=digits.encode())
    volume("recovery-mistyped", text=b"000011" * 7 + b"000012")
    volume("sector-4096", "xts128", [clear], sector=4096, size=0x8000, copies=(0x1000, 0x2000, 0x3000), moved=0x4000,
           moved_len=4096)
    volume("on-write", "xts128", [clear], size=0x5000, eow=dict(
        chunk=0x200, at=(0x1a00, 0x1c00), maps=(0x2000, 0x2800), regions=((0x200, 0x1400, {1, 3}), (0x1600, 0x400, {0}))))


if __name__ == "__main__":
    main()
