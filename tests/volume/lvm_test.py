#!/usr/bin/env python3
"""LVM2 volume groups, written by volimg.py and the text below, held against grub's reader; and, as root, groups made by lvm's own
tools on loop devices (no device-mapper: they are never active)."""
import os
import re
import shutil
import struct
import subprocess
import unittest
import zlib

import volimg
import tap

EXTENT = 256 << 10
PE_START = 1 << 20
MDA_OFF, MDA_LEN = 4096, PE_START - 4096
CHUNK = 64 << 10


def uuid(seed):
    """32 letters and digits, shown in groups."""
    letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
    s = "".join(letters[b % len(letters)] for b in volimg.rnd(32, "uuid" + seed))
    return "-".join([s[:6], s[6:10], s[10:14], s[14:18], s[18:22], s[22:26], s[26:]])


def crc(data):
    return ~zlib.crc32(data, ~0xf597a6cf & 0xffffffff) & 0xffffffff


def mda(text, offset=512, ignored=False, length=MDA_LEN, damage=False):
    """A metadata area: header, and the text in its ring from `offset` on."""
    text = text.encode() + b"\0"
    head = b" LVM2 x[5A%r0N*>" + struct.pack("<IQQ", 1, MDA_OFF, length)
    head += struct.pack("<QQII", offset, len(text), crc(text) ^ damage, int(ignored))
    head = (head + b"\0" * 508)[:508]
    area = bytearray(struct.pack("<I", crc(head)) + head + b"\0" * (length - 512))
    first = min(len(text), length - offset)
    area[offset:offset + first] = text[:first]
    area[512:512 + len(text) - first] = text[first:]
    return bytes(area)


def pv(name, extents, areas=None, second=None, sector=1):
    """Label, header, areas. `extents`: the bytes of the data area."""
    size = PE_START + len(extents) + (MDA_LEN if second else 0)
    header = uuid(name).replace("-", "").encode() + struct.pack("<Q", size)
    header += struct.pack("<QQQQ", PE_START, 0, 0, 0)
    if areas:
        header += struct.pack("<QQ", MDA_OFF, MDA_LEN)
    if second:
        header += struct.pack("<QQ", size - MDA_LEN, MDA_LEN)
    header += struct.pack("<QQ", 0, 0) + struct.pack("<IIQQ", 2, 1, 0, 0)
    body = struct.pack("<I8s", 32, b"LVM2 001") + header
    body = (body + b"\0" * 492)[:492]
    label = b"LABELONE" + struct.pack("<QI", sector, crc(body)) + body
    out = b"\0" * 512 * sector + label
    out += b"\0" * (4096 - len(out)) + (areas or b"\0" * MDA_LEN) + extents + (second or b"")
    return out


def group(pvs, lvs, name="vg", seqno=3, seed=""):
    """pvs: {"pv0": (uuid name, extents)}; lvs: {"lv": (visible, [segment, …])} with a segment as (extents, type, "key = …")."""
    t = '%s {\nid = "%s"\nseqno = %d\nformat = "lvm2"\n' % (name, uuid("vg" + seed), seqno)
    t += 'status = ["RESIZEABLE", "READ", "WRITE"]\nflags = []\nextent_size = %d\nmax_lv = 0\nmax_pv = 0\n' % (EXTENT // 512)
    t += 'metadata_copies = 0\n\nphysical_volumes {\n'
    for key, (which, count) in pvs.items():
        t += '%s {\nid = "%s"\ndevice = "/dev/%s"\nstatus = ["ALLOCATABLE"]\nflags = []\n' % (key, uuid(which), which)
        t += 'dev_size = %d\npe_start = %d\npe_count = %d\n}\n' % ((PE_START + count * EXTENT) // 512, PE_START // 512, count)
    t += '}\nlogical_volumes {\n'
    for key, (visible, segments) in lvs.items():
        t += '%s {\nid = "%s"\nstatus = ["READ", "WRITE"%s]\nflags = []\n' % (key, uuid("lv" + key), ', "VISIBLE"' * visible)
        t += 'creation_time = 1700000000\ncreation_host = "vm"\nsegment_count = %d\n' % len(segments)
        at = 0
        for i, (extents, kind, keys) in enumerate(segments):
            t += 'segment%d {\nstart_extent = %d\nextent_count = %d\ntype = "%s"\n%s\n}\n' % (i + 1, at, extents, kind, keys)
            at += extents
        t += '}\n'
    t += '}\n}\n# made for a test {\ncontents = "Text Format Volume Group"\nversion = 1\ndescription = "a \\"quoted\\" text"\n'
    t += 'creation_time = 1700000000\t# Tue\n'
    depth, lines = 0, []
    for line in t.splitlines():
        depth -= line in ("}", "]")
        lines += [""] * (line[-1:] == "{" and depth > 0) + ["\t" * depth + line]
        depth += line[-1:] in ("{", "[") and line[0] != "#"
    return "\n".join(lines) + "\n"


def linear(extents, device, at):
    return extents, "striped", 'stripe_count = 1\nstripes = [\n"%s", %d\n]' % (device, at)


class Builder:
    """Gives out extents of PVs and collects what lies there."""
    def __init__(self, case, count, prefix="disk", name="vg", seed=""):
        self.case, self.count, self.name, self.seed = case, count, name, seed
        self.names = [prefix + str(i) for i in range(count)]
        self.data = [b""] * count
        self.lvs = {}

    def place(self, i, data):
        at = len(self.data[i]) // EXTENT
        self.data[i] += data + b"\0" * (-len(data) % EXTENT)
        return at

    def sub(self, name, i, data):
        self.lvs[name] = (False, [linear((len(data) + EXTENT - 1) // EXTENT, "pv%d" % i, self.place(i, data))])

    def raid(self, name, kind, members, extents, stripe=True, meta=None, order=True, keys=""):
        pairs = []
        for i, m in enumerate(members):
            if meta != []:
                self.sub("%s_rmeta_%d" % (name, i), i, meta[i] if meta else b"")
                pairs.append('"%s_rmeta_%d", "%s_rimage_%d"' % (name, i, name, i))
                if not meta:
                    self.lvs["%s_rmeta_%d" % (name, i)] = (False, [linear(1, "pv%d" % i, self.place(i, b"\0" * EXTENT))])
            self.sub("%s_rimage_%d" % (name, i), i, m)
            if meta == []:
                pairs.append('"%s_rimage_%d"' % (name, i))
        text = "device_count = %d\n" % len(members) + ("stripe_size = %d\n" % (CHUNK // 512) if stripe else "")
        text += "region_size = 4096\n%s\n%s = [\n%s\n]" % (keys, "raid0_lvs" if meta == [] else "raids", ",\n".join(pairs))
        self.lvs[name] = (True, [(extents, kind, text)])

    def text(self, **more):
        pvs = {"pv%d" % i: (n, len(self.data[i]) // EXTENT) for i, n in enumerate(self.names)}
        return group(pvs, self.lvs, name=self.name, seed=self.seed, **more)

    def files(self):
        text = self.text()
        return [self.case.write(n, pv(n, self.data[i], mda(text))) for i, n in enumerate(self.names)]


class Lvm(volimg.VolumeCase):
    def both(self, name, content, digest, *files):
        self.assertBytes(self.cat("vg/" + name, *files), content, name)
        if digest:
            self.grub("lvm/vg-" + name, digest, *files)

    def test_linear_and_striped_over_several_disks(self):
        b = Builder(self, 3)
        one, d1 = self.ext2(9 * EXTENT)
        two = volimg.rnd(12 * EXTENT, 2)
        # In three pieces, the middle one on another disk.
        first = b.place(0, one[:4 * EXTENT])
        second = b.place(2, one[4 * EXTENT:6 * EXTENT])
        third = b.place(0, one[6 * EXTENT:])
        b.lvs["lin"] = (True, [linear(4, "pv0", first), linear(2, "pv2", second), linear(3, "pv0", third)])
        places = [b.place(i, m) for i, m in enumerate(volimg.stripe_members(two, 3, CHUNK))]
        stripes = ",\n".join('"pv%d", %d' % (i, p) for i, p in enumerate(places))
        b.lvs["str"] = (True, [(12, "striped", "stripe_count = 3\nstripe_size = 128\nstripes = [\n%s\n]" % stripes)])
        files = b.files()
        self.both("lin", one, d1, *files)
        self.both("str", two, None, *reversed(files))
        volumes, _ = self.dump(*files)
        self.assertEqual(volumes["vg/lin"]["part_uuid"], uuid("lvlin"))
        self.assertEqual(volumes["vg/lin"]["TYPE"], "ext2")
        gone, _ = self.dump(files[0], files[1])
        self.assertEqual(gone["vg/str"]["bytes"], "0")
        self.assertIn("physical volume %s (last seen as /dev/disk2) of volume group vg is missing" % uuid("disk2"),
                      gone["vg/lin"]["reason"])

    def test_mirrors_and_pvmove(self):
        b = Builder(self, 2)
        content = volimg.rnd(4 * EXTENT, 2)
        b.sub("m_mimage_0", 0, content)
        b.sub("m_mimage_1", 1, content)
        b.lvs["m"] = (True, [(4, "mirror", 'mirror_count = 2\nregion_size = 1024\nmirrors = ["m_mimage_0", 0, "m_mimage_1", 0]')])
        moved = b.place(0, content)
        b.place(1, b"\xee" * len(content))
        b.lvs["pvmove0"] = (False, [(4, "mirror", 'mirror_count = 2\nextents_moved = 0\nmirrors = ["pv0", %d, "pv1", 4]' % moved)])
        b.lvs["moving"] = (True, [linear(4, "pvmove0", 0)])
        files = b.files()
        for name in ("vg/m", "vg/moving"):
            self.assertBytes(self.cat(name, *files), content, name)
        self.assertBytes(self.cat("vg/m", files[1]), content, "one leg")
        volumes, warnings = self.dump(files[1])
        self.assertTrue(any("1 of 2 mirrors cannot be used" in w for w in warnings), warnings)
        self.assertEqual(sorted(n for n in volumes if n.startswith("vg/")), ["vg/m", "vg/moving"])

    def test_raid(self):
        """Each type whole, and without each disk (RAID 6: without each two)."""
        types = [("raid4", 5, "parity-first", 4), ("raid5_la", 5, "left-asymmetric", 4), ("raid5_ra", 5, "right-asymmetric", 4),
                 ("raid5_ls", 5, "left-symmetric", 4), ("raid5_rs", 5, "right-symmetric", 4), ("raid5_n", 5, "parity-last", 4),
                 ("raid6_zr", 6, "zero-restart", 5), ("raid6_nr", 6, "n-restart", 5), ("raid6_nc", 6, "n-continue", 5),
                 ("raid6_ls_6", 6, "left-symmetric_6", 5), ("raid6_n_6", 6, "parity-last", 5)]
        for kind, level, layout, n in types:
            with self.subTest(kind):
                b = Builder(self, n)
                content = volimg.rnd(3 * 2 * EXTENT, kind)
                b.raid("r", kind, volimg.parity_rows(content, n, CHUNK, level, layout), 6)
                files = b.files()
                self.assertBytes(self.cat("vg/r", *files), content, kind)
                for i in range(n):
                    for k in range(i + 1 if level == 6 else 1):
                        rest = [f for j, f in enumerate(files) if j not in (i, k if level == 6 else i)]
                        self.assertBytes(self.cat("vg/r", *rest), content, "%s without %d, %d" % (kind, i, k))

    def test_striped_held_against_grub(self):
        b = Builder(self, 3)
        content, digest = self.ext2(12 * EXTENT)
        places = [b.place(i, m) for i, m in enumerate(volimg.stripe_members(content, 3, CHUNK))]
        stripes = ",\n".join('"pv%d", %d' % (i, p) for i, p in enumerate(places))
        b.lvs["str"] = (True, [(12, "striped", "stripe_count = 3\nstripe_size = 128\nstripes = [\n%s\n]" % stripes)])
        self.both("str", content, digest, *b.files())

    def test_raid_1_10_0(self):
        b = Builder(self, 4)
        one = volimg.rnd(8 * EXTENT, 1)
        ten = volimg.rnd(10 * EXTENT, 10)
        zero = volimg.rnd(12 * EXTENT, 0)
        b.raid("one", "raid1", [one, one], 8, stripe=False)
        b.raid("ten", "raid10", volimg.raid10_members(ten, 4, CHUNK, 2, 1, 0), 10)
        b.raid("zero", "raid0", volimg.stripe_members(zero, 4, CHUNK), 12, meta=[])
        files = b.files()
        self.both("one", one, None, *files)
        self.both("ten", ten, None, *files)
        self.assertBytes(self.cat("vg/zero", *files), zero, "raid0")
        for name, content in (("vg/one", one), ("vg/ten", ten)):
            self.assertBytes(self.cat(name, *files[1:]), content, name)
        volumes, warnings = self.dump(*files[1:])
        self.assertTrue(any("vg/ten is degraded, 1 of 4 images" in w for w in warnings), warnings)
        self.assertIn("is missing", volumes["vg/zero"]["reason"])
        self.assertEqual(sorted(n for n in volumes if n.startswith("vg/")), ["vg/one", "vg/ten", "vg/zero"])

    def test_raid_image_that_missed_writes(self):
        def super_block(i, events, failed):
            return struct.pack("<IIIIQQQQ", 0x64526d44, 0, 2, i, events, failed, (1 << 64) - 1, (1 << 64) - 1)
        content = volimg.rnd(3 * EXTENT, 4)
        for metas in ([super_block(0, 4, 0), super_block(1, 9, 0)], [super_block(0, 9, 0), super_block(1, 9, 1)]):
            b = Builder(self, 2)
            b.raid("r", "raid1", [b"\xee" * len(content), content], 3, stripe=False, meta=metas)
            self.assertBytes(self.cat("vg/r", *b.files()), content)

    def test_snapshots(self):
        b = Builder(self, 1)
        old, new = volimg.rnd(4 * EXTENT, 5), bytearray(volimg.rnd(4 * EXTENT, 5))
        chunk, per_area = 4096, 256
        # 300 chunks of the 256 KiB × 4 were overwritten: more than one area of exceptions.
        changed = [(i * 37) % 256 for i in range(256)]
        cow = bytearray(struct.pack("<IIII", 0x70416e53, 1, 1, chunk // 512).ljust(chunk, b"\0"))
        areas = [changed[i:i + per_area] for i in range(0, len(changed), per_area)] + [[]]
        for a, area in enumerate(areas):
            base = 1 + a * (per_area + 1)
            cow += b"".join(struct.pack("<QQ", c, base + 1 + i) for i, c in enumerate(area)).ljust(chunk, b"\0")
            for c in area:
                cow += old[c * chunk:(c + 1) * chunk]
                new[c * chunk:(c + 1) * chunk] = volimg.rnd(chunk, "new%d" % c)
        few = bytearray(struct.pack("<IIII", 0x70416e53, 1, 1, chunk // 512).ljust(chunk, b"\0"))
        few += (struct.pack("<QQ", 3, 2) + struct.pack("<QQ", 4, 3)).ljust(chunk, b"\0") + b"a" * chunk + b"b" * chunk
        b.lvs["origin"] = (True, [linear(4, "pv0", b.place(0, bytes(new)))])
        for name, store in (("snap", bytes(cow)), ("few", bytes(few)), ("full", b"SnAp" + b"\0" * 12), ("fresh", b"\0" * 16)):
            at = b.place(0, store)
            # As lvm writes it: what is visible is not the LV by whose name people know the snapshot.
            b.lvs[name] = (False, [linear((len(store) + EXTENT - 1) // EXTENT, "pv0", at)])
            b.lvs["snapshot_" + name] = (True, [(4, "snapshot", 'chunk_size = 8\norigin = "origin"\ncow_store = "%s"' % name)])
        files = b.files()
        self.assertBytes(self.cat("vg/origin", *files), bytes(new), "origin")
        self.assertBytes(self.cat("vg/snap", *files), old, "snapshot")
        want = bytes(new[:3 * chunk]) + b"a" * chunk + b"b" * chunk + bytes(new[5 * chunk:])
        self.assertBytes(self.cat("vg/few", *files), want, "second snapshot")
        self.assertBytes(self.cat("vg/fresh", *files), bytes(new), "never active")
        self.assertRegex(self.dump(*files)[0]["vg/full"]["reason"], "damaged|was full")
        # Merging: the origin reads as the snapshot, which is hidden.
        b.lvs["snapshot_few"] = (True, [(4, "snapshot", 'chunk_size = 8\norigin = "origin"\nmerging_store = "few"')])
        files = b.files()
        self.assertBytes(self.cat("vg/origin", *files), want, "merging")
        self.assertEqual([n for n in self.dump(*files)[0] if "few" in n or "snapshot" in n], [])

    @unittest.skipUnless(shutil.which("thin_restore"), "thin-provisioning-tools is not installed")
    def test_thin_volumes(self):
        block = 64 << 10
        data = volimg.rnd(64 * block, 6)
        # Many single blocks, so that the tree has several levels; a long run; holes; a snapshot that shares.
        singles = [(i * 2, (i * 7) % 61) for i in range(900)]
        maps = {1: [(0, 0, 4), (6, 20, 8), (15, 4, 1)], 2: [(0, 0, 2), (2, 40, 1), (3, 3, 1)],
                3: [(v, d, 1) for v, d in singles]}
        xml = '<superblock uuid="" time="1" transaction="3" flags="0" version="2" data_block_size="128" nr_data_blocks="64">\n'
        for dev, runs in maps.items():
            xml += '<device dev_id="%d" mapped_blocks="%d" transaction="0" creation_time="0" snap_time="1">\n' % (
                dev, sum(r[2] for r in runs))
            for v, d, n in runs:
                xml += '<range_mapping origin_begin="%d" data_begin="%d" length="%d" time="0"/>\n' % (v, d, n)
            xml += '</device>\n'
        xml += '</superblock>\n'
        meta = self.write("meta", b"\0" * (4 << 20))
        # No volume of a real pool has a block twice; thin_restore does not mind.
        r = subprocess.run(["thin_restore", "-i", self.write("xml", xml.encode()), "-o", meta], capture_output=True)
        self.assertEqual(r.returncode, 0, r.stderr)
        b = Builder(self, 2)
        with open(meta, "rb") as f:
            metadata = f.read()
        b.sub("pool_tmeta", 1, metadata)
        b.sub("pool_tdata", 0, data)
        b.lvs["pool"] = (True, [(16, "thin-pool", 'metadata = "pool_tmeta"\npool = "pool_tdata"\ntransaction_id = 3\nchunk_size = 128')])
        external = volimg.rnd(3 * EXTENT, 8)
        b.lvs["ext"] = (True, [linear(3, "pv0", b.place(0, external))])
        for name, dev, extents, more in (("t1", 1, 8, ""), ("t2", 2, 8, 'origin = "t1"'), ("t3", 3, 450, ""), ("t4", 9, 8, ""),
                                         ("t5", 2, 8, 'external_origin = "ext"')):
            b.lvs[name] = (True, [(extents, "thin", 'thin_pool = "pool"\ntransaction_id = 1\ndevice_id = %d\n%s' % (dev, more))])
        files = b.files()
        for name, dev, size, under in (("t1", 1, 8 * EXTENT, b""), ("t2", 2, 8 * EXTENT, b""), ("t3", 3, 450 * EXTENT, b""),
                                       ("t5", 2, 8 * EXTENT, external)):
            want = bytearray(under.ljust(size, b"\0"))
            for v, d, n in maps[dev]:
                want[v * block:(v + n) * block] = data[d * block:(d + n) * block]
            self.assertBytes(self.cat("vg/" + name, *files), bytes(want[:size]), name)
        volumes, _ = self.dump(*files)
        self.assertIn("has no volume of number 9", volumes["vg/t4"]["reason"])
        self.assertNotIn("vg/pool", volumes)
        self.assertIn("is missing", self.dump(files[0])[0]["vg/t1"]["reason"])

    def test_caches(self):
        b = Builder(self, 1)
        content = volimg.rnd(4 * EXTENT, 9)
        b.sub("c_corig", 0, content)
        b.sub("cp_cdata", 0, b"\xee" * EXTENT)
        b.sub("cp_cmeta", 0, b"\xee" * EXTENT)
        for mode in ("writethrough", "writeback"):
            b.lvs["cp"] = (False, [(1, "cache-pool", 'data = "cp_cdata"\nmetadata = "cp_cmeta"\nchunk_size = 128\ncache_mode = "%s"' % mode)])
            b.lvs["c"] = (True, [(4, "cache", 'cache_pool = "cp"\norigin = "c_corig"')])
            files = b.files()
            if mode == "writethrough":
                self.assertBytes(self.cat("vg/c", *files), content)
            else:
                self.assertIn("cached in mode writeback", self.dump(*files)[0]["vg/c"]["reason"])
        # A pool that caches nothing yet: visible, and of a type that has flags.
        b.lvs["cp"] = (True, [(1, "cache-pool+METADATA_FORMAT", b.lvs["cp"][1][0][2] + "\nmetadata_format = 2")])
        del b.lvs["c"]
        self.assertNotIn("vg/cp", self.dump(*b.files())[0])

    def test_groups_of_the_same_name(self):
        groups = []
        for i in range(2):
            b = Builder(self, 1, prefix="g%d_" % i, seed=str(i))
            b.sub("x", 0, volimg.rnd(2 * EXTENT, i))
            b.lvs["x"] = (True, b.lvs["x"][1])
            groups += b.files()
        out = subprocess.run([volimg.VOLDUMP, *groups], capture_output=True, text=True, check=True).stdout
        self.assertEqual(re.findall(r"^name=(vg/x)$", out, re.M), ["vg/x", "vg/x"])
        self.assertEqual(re.findall(r"^parent=(\d)$", out, re.M), ["0", "0", "1", "2"])

    def test_areas(self):
        """The newest of several; a text that wraps; damaged ones; a disk that has none; a label elsewhere."""
        b = Builder(self, 2)
        content = volimg.rnd(4 * EXTENT, 3)
        b.lvs["new"] = (True, [linear(2, "pv1", b.place(1, content[:2 * EXTENT])), linear(2, "pv0", b.place(0, content[2 * EXTENT:]))])
        newer = b.text(seqno=12)
        saved, b.lvs = b.lvs, {"old": (True, [linear(2, "pv0", 0)])}
        older = b.text(seqno=9)
        b.lvs = saved
        wrapped = mda(newer, offset=(MDA_LEN - len(newer) // 2) // 512 * 512)
        cases = [
            ([pv("disk0", b.data[0], mda(older)), pv("disk1", b.data[1], wrapped)], "different age"),
            ([pv("disk0", b.data[0], mda(older), mda(newer)), pv("disk1", b.data[1])], "different age"),
            ([pv("disk0", b.data[0], mda(newer, damage=True), mda(newer)), pv("disk1", b.data[1], mda(older, ignored=True))], "checksum"),
            ([pv("disk0", b.data[0], mda(newer), sector=3), pv("disk1", b.data[1], sector=0)], None),
        ]
        for images, warning in cases:
            files = [self.write("a%d" % i, image) for i, image in enumerate(images)]
            self.assertBytes(self.cat("vg/new", *files), content)
            volumes, warnings = self.dump(*files)
            self.assertNotIn("vg/old", volumes)
            self.assertEqual(bool(warning), any(warning in w for w in warnings) if warning else bool(warnings), warnings)

    def test_same_disk_twice(self):
        b = Builder(self, 1)
        b.lvs["x"] = (True, [linear(2, "pv0", b.place(0, volimg.rnd(2 * EXTENT, 3)))])
        files = b.files()
        shutil.copy(files[0], self.path("copy"))
        volumes, warnings = self.dump(files[0], self.path("copy"))
        self.assertTrue(any("the same physical volume" in w for w in warnings), warnings)
        self.assertEqual(volumes["vg/x"]["parent"], "1")

    def test_hostile_text(self):
        b = Builder(self, 1)
        b.place(0, b"\0" * 4 * EXTENT)
        hostile = {
            "loop": [linear(2, "loop2", 0)], "loop2": [linear(2, "loop", 0)], "self": [linear(1, "self", 0)],
            "far": [linear(2, "pv0", 1 << 62)], "long": [linear(1 << 50, "pv0", 0)], "behind": [linear(4, "pv0", 3)],
            "gap": [linear(2, "pv0", 0), (1 << 40, "striped", "")], "none": [linear(1, "nobody", 0)],
            "odd": [(3, "striped", 'stripe_count = 2\nstripe_size = 128\nstripes = ["pv0", 0, "pv0", 1]')],
            "zero": [(2, "striped", 'stripe_count = 2\nstripe_size = 0\nstripes = ["pv0", 0, "pv0", 1]')],
            "type": [(1, "frobnicate", "")], "thin": [(1, "thin", 'thin_pool = "thin"\ndevice_id = 1')],
        }
        for name, segments in hostile.items():
            b.lvs = {"good": (True, [linear(1, "pv0", 0)]), name: (True, segments)}
            if name.startswith("loop"):
                b.lvs.update({k: (True, hostile[k]) for k in ("loop", "loop2")})
            volumes, warnings = self.dump(*b.files())
            if name == "long" or name == "gap":
                continue
            self.assertEqual(volumes["vg/good"]["bytes"], "1", name)
            self.assertEqual(volumes["vg/" + name]["bytes"], "0", name)
            self.assertNotEqual(volumes["vg/" + name]["reason"], "", name)


CONFIG = ('devices { use_devicesfile=0 scan_lvs=0 obtain_device_list_from_udev=0 global_filter=[%s,"r|.*|"] } '
          'activation { udev_sync=0 udev_rules=0 } global { event_activation=0 } backup { backup=0 archive=0 }')


class Tools(volimg.VolumeCase):
    """Groups made by lvm itself."""
    def setUp(self):
        super().setUp()
        self.loops = []
        if os.geteuid() != 0 or not shutil.which("lvm"):
            self.skipTest("needs root and lvm2")
        for i in range(3):
            path = self.write("disk%d" % i, b"")
            os.truncate(path, 64 << 20)
            r = subprocess.run(["losetup", "-f", "--show", path], capture_output=True, text=True)
            if r.returncode != 0:
                self.skipTest("no loop devices")
            self.loops.append(r.stdout.strip())
        self.config = CONFIG % ",".join('"a|^%s$|"' % loop for loop in self.loops)
        self.files = [self.path("disk%d" % i) for i in range(3)]

    def tearDown(self):
        for loop in self.loops:
            subprocess.run(["losetup", "-d", loop], check=False)
        super().tearDown()

    def lvm(self, command, *args):
        r = subprocess.run(["lvm", command, "--driverloaded", "n", "--config", self.config, *args], capture_output=True, text=True,
                           env={**os.environ, "LVM_SUPPRESS_FD_WARNINGS": "1"})
        self.assertEqual(r.returncode, 0, r.stderr)
        return r.stdout

    def test_lvcreate(self):
        self.lvm("pvcreate", "--metadatacopies", "2", *self.loops)
        self.lvm("vgcreate", "-s", "1m", "vg", *self.loops)
        for args in (["-n", "str", "-i", "3", "-I", "64k", "-L", "30m"], ["-n", "lin", "-L", "70m"]):
            self.lvm("lvcreate", "-an", "-Zn", "-Wn", "-y", *args, "vg")
        content = {}
        # lvm says which extents; the bytes go there by its word.
        report = self.lvm("lvs", "--noheadings", "--units", "b", "--nosuffix", "-o",
                          "lv_name,seg_start_pe,seg_size_pe,stripe_size,seg_pe_ranges,lv_uuid", "-O", "lv_name,seg_start_pe", "vg")
        starts = {line.split()[0]: int(line.split()[1]) for line in
                  self.lvm("pvs", "--noheadings", "--units", "b", "--nosuffix", "-o", "pv_name,pe_start").splitlines()}
        uuids = {}
        for line in report.splitlines():
            name, start, extents, stripe, *ranges, lv_uuid = line.split()
            data = volimg.rnd(int(extents) << 20, name + start)
            content[name] = content.get(name, b"") + data
            uuids[name] = lv_uuid
            for i, member in enumerate(volimg.stripe_members(data, len(ranges), int(stripe) or 1 << 20)):
                device, _, first = ranges[i].partition(":")
                with open(self.files[self.loops.index(device)], "r+b") as f:
                    f.seek(starts[device] + (int(first.split("-")[0]) << 20))
                    f.write(member)
        subprocess.run(["sync"], check=True)
        self.assertEqual(sorted(content), ["lin", "str"])
        volumes, warnings = self.dump(*self.files)
        self.assertEqual(warnings, [])
        for name, data in content.items():
            self.assertBytes(self.cat("vg/" + name, *self.files), data, name)
            self.assertEqual(volumes["vg/" + name]["part_uuid"], uuids[name])

    def test_lvm_takes_the_text_of_these_tests(self):
        """The metadata that volimg.py's groups are made of is such as lvm reads itself."""
        for loop in self.loops:
            subprocess.run(["losetup", "-d", loop], check=True)
        b = Builder(self, 3, prefix="disk")
        b.raid("r5", "raid5_ls", volimg.parity_rows(volimg.rnd(4 * EXTENT, 1), 3, CHUNK, 5, "left-symmetric"), 4)
        b.raid("r1", "raid1", [volimg.rnd(4 * EXTENT, 2)] * 2, 4, stripe=False)
        b.lvs["lin"] = (True, [linear(4, "pv1", b.place(1, b"x" * 4 * EXTENT))])
        # Room behind the last extent, as on a real disk.
        files = b.files()
        self.loops = []
        for f in files:
            os.truncate(f, os.path.getsize(f) + (1 << 20))
            self.loops.append(subprocess.run(["losetup", "-f", "--show", f], capture_output=True, text=True, check=True).stdout.strip())
        self.config = CONFIG % ",".join('"a|^%s$|"' % loop for loop in self.loops)
        out = self.lvm("lvs", "--noheadings", "-o", "lv_name,lv_size,segtype", "--units", "b", "--nosuffix", "vg")
        self.assertEqual([l.split() for l in out.splitlines()], [["lin", "1048576", "linear"], ["r1", "1048576", "raid1"],
                                                                 ["r5", "1048576", "raid5_ls"]])


class Corpus(volimg.VolumeCase):
    """Real images, through the worker: what the command line lists is what an independent reader listed."""
    def test_lvm_images(self):
        corpus, tool = os.environ.get("SENDENSE_CORPUS", ""), os.path.join(volimg.BUILD, "src", "cmd", "sendense")
        found = [os.path.join(d, "lvmtest.qcow2") for d, _, names in os.walk(corpus) if "lvmtest.qcow2" in names]
        if not found or not os.path.exists(tool):
            self.skipTest("no corpus, or no command line built")
        for number, lv in ((2, "lv_test1"), (3, "lv_test2")):
            with open(os.path.join(corpus, "expected", "dfvfs.lvmtest.%s.tsv" % lv)) as f:
                want = {tuple(r[i] for i in (0, 7)) for r in (l.rstrip("\n").split("\t") for l in f.readlines()[1:]) if r[1] == "f"}
            out = subprocess.run([tool, "image", "manifest", "--volume", str(number), found[0]], capture_output=True, text=True, check=True).stdout
            got = set(re.findall(r"^\./(\S+) type=file .*sha256=(\w+)$", out, re.M))
            self.assertEqual(got, want)


if __name__ == "__main__":
    tap.main(__name__)
