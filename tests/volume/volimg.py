"""Arrays and volume groups, written for the tests: where each byte lies by the documented layouts (md(4), lvmraid(7)), the
superblocks by the kernel's headers. What is written is held against grub-fstest, mdadm --examine and lvm where these are
installed, so that it is not only this project's reader that agrees with it."""
import hashlib
import os
import random
import shutil
import subprocess
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "client"))

BUILD = os.environ.get("SENDENSE_BUILD", "build")
VOLDUMP = os.path.join(BUILD, "tests", "volume", "voldump")


def rnd(n, seed):
    return random.Random(seed).randbytes(n)


def xor(*blocks):
    v = 0
    for b in blocks:
        v ^= int.from_bytes(b, "little")
    return v.to_bytes(len(blocks[0]), "little")


def _tables():
    """table[i]: bytes times 2^i in GF(2^8), polynomial 0x11d."""
    table, row = [], list(range(256))
    for _ in range(255):
        table.append(bytes(row))
        row = [(v << 1) ^ (0x11d if v & 0x80 else 0) for v in row]
    return table


GF = _tables()


def parity_rows(content, n, chunk, level, layout):
    """The members of a RAID 4/5/6: layout is a name as mdadm's, or lvm's for the layouts only lvm makes."""
    data = n - (2 if level == 6 else 1)
    members = [bytearray() for _ in range(n)]
    for row in range(len(content) // (chunk * data)):
        pieces = [content[(row * data + i) * chunk:(row * data + i + 1) * chunk] for i in range(data)]
        place, p, q, exps = row_shape(n, row, level, layout)
        full = [None] * n
        for i, m in enumerate(place):
            full[m] = pieces[i]
        full[p] = xor(*pieces)
        if q is not None:
            full[q] = xor(*[pieces[i].translate(GF[exps(m)]) for i, m in enumerate(place)])
        for m in range(n):
            members[m] += full[m]
    return [bytes(m) for m in members]


def row_shape(n, row, level, layout):
    """Which member holds each data chunk of a row, P and Q, and the power of 2 of a member in Q."""
    six = level == 6
    if layout.endswith("_6"):
        place, p, _, _ = row_shape(n - 1, row, 5, layout[:-2])
        return place, p, n - 1, lambda m: [d for d in range(n - 1) if d != p].index(m)
    if layout in ("left-asymmetric", "left-symmetric"):
        p = n - 1 - row % n
    elif layout in ("right-asymmetric", "right-symmetric", "zero-restart"):
        p = row % n
    elif layout == "n-restart":
        p = n - 1 - (row + 1) % n
    elif layout == "n-continue":
        p = n - 1 - row % n
    elif layout == "parity-first":
        p = 0
    elif layout == "parity-last":
        p = n - 2 if six else n - 1
    q = None
    if six:
        q = (p - 1) % n if layout == "n-continue" else (p + 1) % n
    rest = [d for d in range(n) if d not in (p, q)]
    if layout in ("left-symmetric", "right-symmetric"):
        start = (q if six else p) + 1
        rest = [d % n for d in range(start, start + n) if d % n not in (p, q)]
    elif layout == "n-continue":
        rest = [d % n for d in range(p + 1, p + 1 + n) if d % n not in (p, q)]
    if layout in ("zero-restart", "n-restart", "n-continue"):
        return rest, p, q, lambda m: m
    after = [d % n for d in range(q + 1, q + 1 + n) if d % n not in (p, q)] if six else []
    return rest, p, q, after.index


def raid10_members(content, n, chunk, near, far, offset):
    """RAID 10 by rows of chunks: near copies side by side; far: the whole again, one member further, in the next part;
    offset: each row again below, one member further."""
    rows = []
    slots = [content[i:i + chunk] for i in range(0, len(content), chunk) for _ in range(near)]
    for i in range(0, len(slots), n):
        rows.append((slots[i:i + n] + [b"\0" * chunk] * n)[:n])
    turned = lambda row, f: [row[(m - f * near) % n] for m in range(n)]
    if offset:
        rows = [turned(row, f) for row in rows for f in range(far)]
    else:
        rows = [turned(row, f) for f in range(far) for row in rows]
    return [b"".join(row[m] for row in rows) for m in range(n)]


def stripe_members(content, n, chunk):
    members = [bytearray() for _ in range(n)]
    for i in range(0, len(content), chunk):
        members[i // chunk % n] += content[i:i + chunk]
    return [bytes(m) for m in members]


class VolumeCase(unittest.TestCase):
    def setUp(self):
        import tempfile
        self.dir = tempfile.mkdtemp(prefix="sendense-volume-")

    def tearDown(self):
        shutil.rmtree(self.dir)

    def path(self, name):
        return os.path.join(self.dir, name)

    def write(self, name, data):
        with open(self.path(name), "wb") as f:
            f.write(data)
        return self.path(name)

    def ext2(self, size):
        """A filesystem of that size with two files; its bytes, and the digest of /big."""
        tree = self.path("tree")
        os.makedirs(tree, exist_ok=True)
        big = rnd(size // 3, size)
        with open(os.path.join(tree, "big"), "wb") as f:
            f.write(big)
        image = self.write("ext2", b"\0" * size)
        subprocess.run(["mke2fs", "-q", "-F", "-t", "ext2", "-b", "1024", "-m", "0", "-d", tree, image], check=True)
        with open(image, "rb") as f:
            return f.read(), hashlib.sha256(big).hexdigest()

    def dump(self, *files):
        """The volumes by name, and the warnings."""
        out = subprocess.run([VOLDUMP, *files], check=True, capture_output=True, text=True).stdout
        volumes, warnings, now = {}, [], {}
        for line in out.splitlines():
            key, _, value = line.partition("=")
            if key == "warning":
                warnings.append(value)
            elif key:
                now[key] = value
            else:
                volumes[now["name"] or "disk%s" % now["disk"]] = now
                now = {}
        return volumes, warnings

    def cat(self, name, *files):
        r = subprocess.run([VOLDUMP, "--cat", name, *files], capture_output=True)
        self.assertEqual(r.returncode, 0, r.stderr)
        return r.stdout

    def assertBytes(self, got, want, note=""):
        if got == want:
            return
        at = next((i for i in range(min(len(got), len(want))) if got[i] != want[i]), min(len(got), len(want)))
        self.fail("%s: %d bytes where %d are wanted, first difference at %d" % (note, len(got), len(want), at))

    def grub(self, device, digest, *files):
        """What grub's own reader finds in /big. Skips quietly without it: the callers need it for nothing else."""
        tool = shutil.which("grub-fstest")
        if not tool:
            return
        r = subprocess.run([tool, "-c", str(len(files)), *files, "cat", "(%s)/big" % device], capture_output=True)
        self.assertEqual(hashlib.sha256(r.stdout).hexdigest(), digest, "grub-fstest reads (%s) differently: %r" %
                         (device, r.stderr[-200:]))
