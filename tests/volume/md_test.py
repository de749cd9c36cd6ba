#!/usr/bin/env python3
"""Linux md arrays, written by volimg.py (no kernel of the test machines need have md), held against grub's reader."""
import os
import shutil
import struct
import subprocess

import volimg
import tap

CHUNK = 64 << 10
UUID = bytes(range(16, 32))
NOBODY, FAULTY, SPARE = 0xffff, 0xfffe, 0xffff
LEFT_A, RIGHT_A, LEFT_S, RIGHT_S = "left-asymmetric", "right-asymmetric", "left-symmetric", "right-symmetric"
LAYOUTS = {LEFT_A: 0, RIGHT_A: 1, LEFT_S: 2, RIGHT_S: 3, "parity-first": 4, "parity-last": 5}


def v1(data, number, disks, level, layout=0, chunk=CHUNK, version="1.2", events=9, features=0, size=None, roles=None,
       recovery=0, reshape=0):
    """One member: superblock 1.x and data."""
    data_off = 1 << 20 if version != "1.0" else 0
    total = data_off + len(data) + (128 << 10)
    at = {"1.0": ((total // 512 - 16) & ~7) * 512, "1.1": 0, "1.2": 4096}[version]
    sectors = (len(data) if size is None else size) // 512
    roles = list(range(disks)) if roles is None else roles
    sb = bytearray(256)
    struct.pack_into("<IIII16s32sQ", sb, 0, 0xa92b4efc, 1, features, 0, UUID, b"host:data", 1700000000)
    struct.pack_into("<iIQIIi", sb, 72, level, layout, sectors, chunk // 512, disks, 0)
    struct.pack_into("<Q", sb, 104, reshape)
    struct.pack_into("<QQQQI", sb, 128, data_off // 512, len(data) // 512, at // 512, recovery, number)
    struct.pack_into("<16s", sb, 168, bytes([number]) * 16)
    struct.pack_into("<QQQII", sb, 192, 1700000000, events, (1 << 64) - 1, 0, len(roles))
    sb += b"".join(struct.pack("<H", r) for r in roles)
    words = sb + b"\0" * (-len(sb) % 4)
    total_sum = sum(struct.unpack("<%dI" % (len(words) // 4), words))
    struct.pack_into("<I", sb, 216, ((total_sum & 0xffffffff) + (total_sum >> 32)) & 0xffffffff)
    out = bytearray(total)
    out[data_off:data_off + len(data)] = data
    out[at:at + len(sb)] = sb
    return bytes(out)


def v090(data, number, disks, level, layout=0, chunk=CHUNK, events=9, order="<"):
    at = (len(data) + 65535) // 65536 * 65536
    w = [0] * 1024
    u = struct.unpack(">4I", UUID)
    w[0:16] = [0xa92b4efc, 0, 90, 0, 0, u[0], 1700000000, level & 0xffffffff, len(data) >> 10, disks, disks, 0, 0, *u[1:]]
    w[32:38] = [1700000000, 1, disks, disks, 0, 0]
    w[39:41] = [events, 0] if order == "<" else [0, events]
    w[64:66] = [layout, chunk]
    for i in range(disks):
        w[128 + 32 * i:133 + 32 * i] = [i, 8, 16 * i, i, 6]
    w[992:997] = [number, 8, 16 * number, number, 6]
    total = sum(w)
    w[38] = ((total & 0xffffffff) + (total >> 32)) & 0xffffffff
    return data + b"\0" * (at - len(data)) + struct.pack(order + "1024I", *w) + b"\0" * (60 << 10)


class Md(volimg.VolumeCase):
    def members(self, datas, maker, **more):
        return [self.write("m%d" % i, maker(d, i, len(datas), **more)) for i, d in enumerate(datas)]

    def check(self, files, content, digest=None, name="data", lost=(), grub=True):
        """All of them, in another order, and without the lost ones."""
        self.assertBytes(self.cat(name, *files), content, "complete")
        self.assertBytes(self.cat(name, *reversed(files)), content, "reversed")
        if digest and grub:
            self.grub("mduuid/" + UUID.hex(), digest, *files)
        for gone in lost:
            rest = [f for i, f in enumerate(files) if i not in gone]
            self.assertBytes(self.cat(name, *rest), content, "without %s" % (gone,))
            if digest and grub:
                self.grub("mduuid/" + UUID.hex(), digest, *rest)
            _, warnings = self.dump(*rest)
            self.assertTrue(any("degraded" in w for w in warnings), warnings)

    def test_raid5_layouts(self):
        for layout in (LEFT_A, RIGHT_A, LEFT_S, RIGHT_S):
            content, digest = self.ext2(3 * 24 * CHUNK)
            files = self.members(volimg.parity_rows(content, 4, CHUNK, 5, layout), v1, level=5, layout=LAYOUTS[layout])
            self.check(files, content, digest, lost=[(i,) for i in range(4)])

    def test_raid5_parity_on_one_disk(self):
        for layout in ("parity-first", "parity-last"):
            content = volimg.rnd(2 * 8 * CHUNK, 1)
            files = self.members(volimg.parity_rows(content, 3, CHUNK, 5, layout), v1, level=5, layout=LAYOUTS[layout])
            self.check(files, content, lost=[(i,) for i in range(3)])

    def test_raid4(self):
        content, digest = self.ext2(2 * 24 * CHUNK)
        files = self.members(volimg.parity_rows(content, 3, CHUNK, 4, "parity-last"), v1, level=4)
        self.check(files, content, digest, lost=[(0,), (2,)])

    def test_raid6_layouts(self):
        for layout in (LEFT_A, RIGHT_A, LEFT_S, RIGHT_S):
            content, digest = self.ext2(3 * 25 * CHUNK)
            files = self.members(volimg.parity_rows(content, 5, CHUNK, 6, layout), v1, level=6, layout=LAYOUTS[layout])
            pairs = [(a, b) for a in range(5) for b in range(a)]
            self.check(files, content, digest, lost=[(0,), (4,)] + pairs)

    def test_raid6_layouts_of_ddf_and_of_grown_arrays(self):
        names = {"zero-restart": 8, "n-restart": 9, "n-continue": 10, "left-asymmetric_6": 16, "right-asymmetric_6": 17,
                 "left-symmetric_6": 18, "right-symmetric_6": 19, "parity-first_6": 20, "parity-last": 5}
        for layout, number in names.items():
            content = volimg.rnd(3 * 10 * CHUNK, number)
            files = self.members(volimg.parity_rows(content, 5, CHUNK, 6, layout), v1, level=6, layout=number)
            self.check(files, content, lost=[(a, b) for a in range(5) for b in range(a)])

    def test_raid10(self):
        for near, far, offset, n in ((2, 1, 0, 4), (2, 1, 0, 3), (1, 2, 0, 4), (1, 2, 1, 4), (3, 1, 0, 4), (1, 3, 1, 5), (2, 2, 0, 4)):
            share = 12 * far
            size = share // far * n // near * CHUNK
            content, digest = self.ext2(size)
            datas = volimg.raid10_members(content, n, CHUNK, near, far, offset)
            self.assertEqual(len(datas[0]), share * CHUNK)
            files = self.members(datas, v1, level=10, layout=near | far << 8 | offset << 16)
            # grub does not find the copies of a degraded array that has both kinds.
            self.check(files, content, digest, lost=[(i,) for i in range(n)] if near * far < 4 else [])
            for gone in range(n):
                self.assertBytes(self.cat("data", *(files[:gone] + files[gone + 1:])), content, "without %d" % gone)

    def test_raid0(self):
        content, digest = self.ext2(3 * 20 * CHUNK)
        files = self.members(volimg.stripe_members(content, 3, CHUNK), v1, level=0, size=0)
        self.check(files, content, digest)
        volumes, _ = self.dump(files[0], files[2])
        self.assertEqual(volumes["data"]["bytes"], "0")
        self.assertIn("1 of 3 members are missing, among them number 1", volumes["data"]["reason"])

    def test_raid0_of_unequal_members(self):
        """Three zones; the original layout goes on counting where the alternate one starts anew."""
        sizes = [4, 6, 9]
        for layout in (1, 2):
            content, members, at, done = volimg.rnd(19 * CHUNK, 5), [b"", b"", b""], 0, 0
            for low, high in ((0, 4), (4, 6), (6, 9)):
                disks = [d for d in range(3) if sizes[d] > low]
                for i in range((high - low) * len(disks)):
                    d = disks[(done + i if layout == 1 else i) % len(disks)]
                    members[d] += content[at:at + CHUNK]
                    at += CHUNK
                done += (high - low) * len(disks)
            files = self.members(members, v1, level=0, layout=layout, features=4096, size=0)
            self.check(files, content)
        files = self.members(members, v1, level=0, layout=0, size=0)
        self.assertIn("does not say which of the two layouts", self.dump(*files)[0]["data"]["reason"])

    def test_raid1_and_linear(self):
        content, digest = self.ext2(30 * CHUNK)
        self.check(self.members([content, content], v1, level=1, chunk=0), content, digest, lost=[(0,), (1,)])
        parts = [content[:7 * CHUNK], content[7 * CHUNK:]]
        self.check(self.members(parts, v1, level=-1, size=0), content)

    def test_versions(self):
        content, digest = self.ext2(2 * 24 * CHUNK)
        datas = volimg.parity_rows(content, 3, CHUNK, 5, LEFT_S)
        for version in ("1.0", "1.1", "1.2"):
            self.check(self.members(datas, v1, level=5, layout=2, version=version), content, digest, lost=[(0,)])
        self.check(self.members(datas, v090, level=5, layout=2), content, digest, name="md0", lost=[(0,)])
        self.check(self.members(datas, v090, level=5, layout=2, order=">"), content, name="md0", lost=[(1,)], grub=False)

    def test_mdadm_reads_the_superblocks(self):
        if not shutil.which("mdadm"):
            self.skipTest("mdadm is not installed")
        datas = volimg.parity_rows(volimg.rnd(2 * 8 * CHUNK, 3), 3, CHUNK, 5, LEFT_S)
        for maker in (v1, v090):
            for f in self.members(datas, maker, level=5, layout=2):
                out = subprocess.run(["mdadm", "--examine", f], capture_output=True, text=True).stdout
                self.assertRegex(out, "Checksum : [0-9a-f]+ - correct")
                self.assertRegex(out, "Raid Level : raid5")
                self.assertRegex(out, "Layout : left-symmetric")

    def test_stale_member_is_left_out(self):
        content = volimg.rnd(2 * 8 * CHUNK, 7)
        datas = volimg.parity_rows(content, 3, CHUNK, 5, LEFT_S)
        files = [self.write("s%d" % i, v1(b"\xee" * len(d) if i == 1 else d, i, 3, 5, 2, events=5 if i == 1 else 9))
                 for i, d in enumerate(datas)]
        self.assertBytes(self.cat("data", *files), content)
        volumes, warnings = self.dump(*files)
        self.assertTrue(any("missed writes" in w for w in warnings), warnings)
        self.assertIn("missed writes", volumes["disk1"]["reason"])

    def test_faulty_spare_and_rebuilding_members(self):
        content = volimg.rnd(2 * 8 * CHUNK, 8)
        datas = volimg.parity_rows(content, 3, CHUNK, 5, LEFT_S)
        junk = b"\xee" * len(datas[0])
        good = [self.write("g%d" % i, v1(d, i, 3, 5, 2, roles=[0, 1, FAULTY, SPARE])) for i, d in enumerate(datas[:2])]
        faulty = self.write("f", v1(junk, 2, 3, 5, 2, roles=[0, 1, 2, SPARE], events=8))
        spare = self.write("s", v1(junk, 3, 3, 5, 2, roles=[0, 1, FAULTY, SPARE]))
        self.assertBytes(self.cat("data", faulty, spare, *good), content)
        again = [self.write("r%d" % i, v1(d, i, 3, 5, 2)) for i, d in enumerate(datas[:2])]
        rebuilding = self.write("r2", v1(junk, 2, 3, 5, 2, features=2, recovery=8))
        self.assertBytes(self.cat("data", rebuilding, *again), content)
        self.assertTrue(any("rebuilt" in w for w in self.dump(rebuilding, *again)[1]))

    def test_too_few_members_and_reshape(self):
        datas = volimg.parity_rows(volimg.rnd(2 * 8 * CHUNK, 9), 3, CHUNK, 5, LEFT_S)
        files = self.members(datas, v1, level=5, layout=2)
        self.assertIn("2 of 3 members are missing", self.dump(files[1])[0]["data"]["reason"])
        files = self.members(datas, v1, level=5, layout=2, features=4)
        self.assertIn("reshaped", self.dump(*files)[0]["data"]["reason"])

    def test_same_member_twice_and_damaged_superblock(self):
        content = volimg.rnd(8 * CHUNK, 10)
        files = self.members([content, content], v1, level=1, chunk=0)
        shutil.copy(files[0], self.path("copy"))
        self.assertTrue(any("is the same member" in w for w in self.dump(files[0], self.path("copy"))[1]))
        with open(files[1], "r+b") as f:
            f.seek(4096 + 200)
            f.write(b"\xff")
        self.assertBytes(self.cat("data", *files), content)
        self.assertIn("damaged", self.dump(*files)[0]["disk1"]["reason"])

    def test_group_on_an_array(self):
        """LVM on RAID 5: two rounds of assembling, the second over what the first made."""
        import lvm_test
        b = lvm_test.Builder(self, 1)
        content = volimg.rnd(4 * lvm_test.EXTENT, 11)
        b.lvs["x"] = (True, [lvm_test.linear(4, "pv0", b.place(0, content))])
        with open(b.files()[0], "rb") as f:
            inner = f.read()
        inner += b"\0" * (-len(inner) % (2 * CHUNK))
        files = self.members(volimg.parity_rows(inner, 3, CHUNK, 5, LEFT_S), v1, level=5, layout=2)
        self.assertBytes(self.cat("vg/x", *files[1:]), content)
        volumes, _ = self.dump(*files[1:])
        self.assertEqual(volumes["vg/x"]["parent"], volumes["data"]["number"])

    def test_array_before_filesystem(self):
        """With the superblock at the end, a member begins with the filesystem: through the worker, whose drivers know it."""
        tool = os.path.join(volimg.BUILD, "src", "cmd", "sendense")
        if not os.path.exists(tool):
            self.skipTest("no command line built")
        content, _ = self.ext2(24 * CHUNK)
        files = self.members([content, content], v1, level=1, chunk=0, version="1.0")
        out = subprocess.run([tool, "image", "info", files[0]], capture_output=True, text=True).stdout
        self.assertRegex(out, r"(?m)^ +1 +disk +linux_raid_member")
        self.assertRegex(out, r"(?m)^ +2 +md +ext2 .*\bdata\b")

    def test_array_of_disks_with_an_older_table(self):
        """mdadm leaves the first sector as it is; a partition that holds something is another matter."""
        content = volimg.rnd(8 * CHUNK, 12)
        files = self.members(volimg.stripe_members(content, 2, CHUNK), v1, level=0, layout=1, features=1 << 12, size=0)
        for name in files:
            with open(name, "r+b") as f:
                f.seek(446)
                f.write(struct.pack("<4xB3xII", 0x83, 2048, 4096).ljust(64, b"\0") + b"\x55\xaa")
        self.assertBytes(self.cat("data", *files), content)
        with open(files[0], "r+b") as f:
            f.seek(2048 * 512 + 4086)
            f.write(b"SWAPSPACE2")
        out = subprocess.run([volimg.VOLDUMP, files[0]], capture_output=True, text=True).stdout
        self.assertRegex(out, r"(?m)^kind=partition$")
        self.assertNotRegex(out, r"(?m)^kind=disk$")


if __name__ == "__main__":
    tap.main(__name__)
