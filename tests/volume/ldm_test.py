#!/usr/bin/env python3
"""Windows dynamic disks, written by ldmimg.py: what ldmtool reads in their databases, and the bytes of their volumes; and
disks made by Windows 2003 and 2008, where the corpus has them (libldm's test data)."""
import json
import os
import shutil
import struct
import subprocess

import ldmimg
import md_test
import tap
import volimg
from ldmimg import BLOCK, CHUNK, CONCAT, MIB, RAID5, STRIPE

LEFT_S = "left-symmetric"


class Ldm(volimg.VolumeCase):
    def files(self, group):
        return [self.write("%s-%s" % (group.name, d.name), d.image()) for d in group.disks]

    def ntfs(self, size):
        """A filesystem of that size with a file."""
        big = self.write("big", volimg.rnd(size // 3, size))
        image = self.write("ntfs", b"\0" * size)
        quiet = {"check": True, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        subprocess.run(["mkfs.ntfs", "-F", "-Q", "-s", "512", "-p", "0", "-H", "0", "-S", "0", "-L", "Data", image], **quiet)
        subprocess.run(["ntfscp", image, big, "big"], **quiet)
        with open(image, "rb") as f:
            return f.read()

    def check(self, name, files, content, lost=(), kind=None):
        self.assertBytes(self.cat(name, *files), content, "complete")
        self.assertBytes(self.cat(name, *reversed(files)), content, "reversed")
        volumes, warnings = self.dump(*files)
        self.assertEqual(warnings, [])
        self.assertEqual(volumes[name]["kind"], "ldm")
        self.assertEqual(volumes[name]["TYPE"], kind or "")
        for gone in lost:
            rest = [f for i, f in enumerate(files) if i not in gone]
            self.assertBytes(self.cat(name, *rest), content, "without %s" % (gone,))
            _, warnings = self.dump(*rest)
            self.assertTrue(any("is degraded: missing of disk group" in w for w in warnings), warnings)
        return volumes[name]

    def reason(self, name, *files):
        v = self.dump(*files)[0][name]
        self.assertEqual(v["bytes"], "0")
        return v["reason"]

    def warned(self, what, *files):
        warnings = self.dump(*files)[1]
        self.assertTrue(any(what in w for w in warnings), warnings)

    def ldmtool(self, group, files, *what):
        tool = shutil.which("ldmtool")
        if not tool:
            return None
        args = [a for f in files for a in ("-d", f)]
        return json.loads(subprocess.run([tool, *args, "show", what[0], group.guid, *what[1:]], capture_output=True).stdout)

    def referee(self, group, files, name, kind, size, chunk=0, hint=None, disks=None):
        """ldmtool sees the volume as it was meant."""
        v = self.ldmtool(group, files, "volume", name)
        if v is None:
            return
        self.assertEqual((v["type"], v["size"] * BLOCK, v["chunk-size"] * BLOCK, v.get("hint")), (kind, size, chunk, hint))
        self.assertEqual(v["guid"], ldmimg.guid(group.name + name))
        if disks:
            self.assertEqual([p.split("-")[0] for p in v["partitions"]], disks)

    def striped(self, g, name, disks, content, hint=""):
        parts = volimg.stripe_members(content, len(disks), CHUNK)
        return g.add(name, len(content), [(STRIPE, [[(d, p)] for d, p in zip(disks, parts)])], hint)

    def raid5(self, g, name, disks, content, hint="", **more):
        parts = volimg.parity_rows(content, len(disks), CHUNK, 5, LEFT_S)
        return g.add(name, len(content), [(RAID5, [[(d, p)] for d, p in zip(disks, parts)])], hint, **more)

    def mirrored(self, g, name, a, b, first, second, hint="", **more):
        return g.add(name, len(first), [(CONCAT, [[(a, first)]]), (CONCAT, [[(b, second)]])], hint, **more)

    # --- volumes ----------------------------------------------------------------------------------------------------

    def test_simple(self):
        for gpt in (False, True):
            g = ldmimg.Group(revision=3 + gpt)
            d, content = g.disk(gpt=gpt), self.ntfs(3 * MIB)
            g.add("Volume1", len(content), [(CONCAT, [[(d, content)]])], "E:")
            g.add("Volume2", MIB, [(CONCAT, [[(d, volimg.rnd(MIB, 2))]])], flags=0x80)
            files = self.files(g)
            v = self.check("E:", files, content, kind="ntfs")
            self.assertEqual(v["part_uuid"], ldmimg.guid(g.name + "Volume1"))
            self.assertEqual(v["size"], str(len(content)))
            self.check("Volume2", files, volimg.rnd(MIB, 2))
            self.referee(g, files, "Volume1", "simple", len(content), hint="E:")
            out = subprocess.run([volimg.VOLDUMP, *files], check=True, capture_output=True, text=True).stdout
            volumes = [dict(line.split("=", 1) for line in p.splitlines()) for p in out.strip().split("\n\n")]
            parts = [p for p in volumes if p["part_type"] in ("0x42", ldmimg.META_GUID, ldmimg.DATA_GUID)]
            self.assertEqual(len(parts), 1 + gpt)
            for p in parts:
                self.assertEqual((p["TYPE"], p["container"]), ("LDM", "1"))
                self.assertEqual(p["reason"], "on dynamic disk Disk1 of disk group TESTDg0: its volumes are listed")
            self.assertEqual(v["parent"], parts[-1]["number"])

    def test_optional_fields(self):
        """Each moves the ones behind it."""
        for flags in (0x08, 0x20, 0x88, 0xa0):
            g = ldmimg.Group()
            d, content = g.disk(), volimg.rnd(MIB, flags)
            g.add("V", MIB, [(CONCAT, [[(d, content)]])], "X:", flags=flags)
            files = self.files(g)
            self.check("X:", files, content)
            self.referee(g, files, "V", "simple", MIB, hint="X:")

    def test_spanned_and_extended(self):
        g = ldmimg.Group()
        a, b = g.disk(), g.disk(gpt=True)
        content = self.ntfs(6 * MIB)
        cut = [content[:MIB], content[MIB:3 * MIB], content[3 * MIB:5 * MIB], content[5 * MIB:]]
        g.add("Volume1", len(content), [(CONCAT, [list(zip((b, a, b, b), cut))])], "F:")
        second = volimg.rnd(2 * MIB, 3)
        g.add("Volume2", len(second), [(CONCAT, [[(a, second[:MIB]), (a, second[MIB:])]])], "G:")
        files = self.files(g)
        self.check("F:", files, content, kind="ntfs")
        self.check("G:", files, second)
        self.referee(g, files, "Volume1", "spanned", len(content), hint="F:")
        self.assertBytes(self.cat("G:", files[0]), second)
        self.assertEqual(self.reason("F:", files[0]), "missing of disk group TESTDg0: Disk2 (%s)" % b.guid)
        self.assertEqual(self.reason("F:", files[1]), "missing of disk group TESTDg0: Disk1 (%s)" % a.guid)

    def test_striped(self):
        g = ldmimg.Group()
        disks = [g.disk(gpt=i == 1) for i in range(3)]
        content = self.ntfs(3 * 24 * CHUNK)
        self.striped(g, "Stripe1", disks, content, "H:")
        # Extended: two extents a column.
        second = volimg.rnd(2 * 12 * CHUNK, 4)
        parts = volimg.stripe_members(second, 2, CHUNK)
        cut = [[(d, p[:5 * CHUNK + 512]), (d, p[5 * CHUNK + 512:])] for d, p in zip(disks, parts)]
        g.add("Stripe2", len(second), [(STRIPE, cut)])
        files = self.files(g)
        self.check("H:", files, content, kind="ntfs")
        self.check("Stripe2", files, second)
        self.assertIn("Disk2 (%s)" % disks[1].guid, self.reason("H:", files[0], files[2]))
        g2 = ldmimg.Group("OTHERDg0")
        disks = [g2.disk() for i in range(3)]
        self.striped(g2, "Stripe1", disks, content, "H:")
        self.referee(g2, self.files(g2), "Stripe1", "striped", len(content), CHUNK, "H:", ["Disk1", "Disk2", "Disk3"])

    def test_mirrored(self):
        g = ldmimg.Group()
        a, b = g.disk(), g.disk(gpt=True)
        content = self.ntfs(4 * MIB)
        self.mirrored(g, "Volume1", a, b, content, content, "I:")
        files = self.files(g)
        self.check("I:", files, content, lost=[(0,), (1,)], kind="ntfs")
        self.referee(g, files, "Volume1", "mirrored", len(content), hint="I:")

    def test_raid5(self):
        for n in (3, 5):
            g = ldmimg.Group()
            disks = [g.disk(gpt=i % 2 == 1) for i in range(n)]
            content = self.ntfs((n - 1) * 24 * CHUNK)
            self.raid5(g, "Raid1", disks, content, "J:")
            files = self.files(g)
            self.check("J:", files, content, lost=[(i,) for i in range(n)], kind="ntfs")
            self.referee(g, files, "Raid1", "RAID5", len(content), CHUNK, "J:", ["Disk%d" % (i + 1) for i in range(n)])
            self.assertEqual(self.reason("J:", *files[2:]), "missing of disk group TESTDg0: Disk1 (%s), Disk2 (%s)" %
                             (disks[0].guid, disks[1].guid))

    def test_unsound_raid5_says_so(self):
        g = ldmimg.Group()
        disks = [g.disk() for i in range(3)]
        content = volimg.rnd(2 * 4 * CHUNK, 5)
        self.raid5(g, "Raid1", disks, content, state="SYNC")
        files = self.files(g)
        self.assertBytes(self.cat("Raid1", *files), content)
        self.assertEqual(self.dump(*files)[1], [])
        self.warned("may be wrong", *files[1:])

    def test_disks_with_large_sectors(self):
        g = ldmimg.Group()
        a, b = g.disk(gpt=True, sector=4096), g.disk(gpt=True, sector=4096)
        content = volimg.rnd(2 * 8 * CHUNK, 6)
        for d in (a, b):
            d.used = 64 * BLOCK
        self.striped(g, "Stripe1", (a, b), content, "K:")
        files = self.files(g)
        self.check("K:", files, content)
        self.assertEqual(self.dump(*files)[0]["K:"]["sector_size"], "4096")

    def test_several_groups(self):
        """A foreign disk, with volumes of the same names."""
        groups, files, contents = [ldmimg.Group("HOMEDg0"), ldmimg.Group("AWAYDg0")], [], []
        for i, g in enumerate(groups):
            disks = [g.disk() for _ in range(2)]
            contents.append(volimg.rnd(2 * 8 * CHUNK, 20 + i))
            self.striped(g, "Stripe1", disks, contents[i], "ST"[i] + ":")
            g.add("Volume1", MIB, [(CONCAT, [[(disks[0], volimg.rnd(MIB, 30 + i))]])])
            files += self.files(g)
        for i, letter in enumerate("ST"):
            self.check(letter + ":", [files[k] for k in (2, 0, 3, 1)], contents[i])
        out = subprocess.run([volimg.VOLDUMP, *files], check=True, capture_output=True, text=True).stdout
        self.assertEqual(out.count("name=Volume1\n"), 2)

    def test_inside_an_array(self):
        """The database is looked for on the device whose partition table it is, not on the physical disk."""
        g = ldmimg.Group()
        d, content = g.disk(), volimg.rnd(MIB, 7)
        g.add("Volume1", MIB, [(CONCAT, [[(d, content)]])], "L:")
        inner = d.image()
        inner += b"\0" * (-len(inner) % CHUNK)
        f = self.write("md", md_test.v1(inner, 0, 1, 1, chunk=0))
        self.assertBytes(self.cat("L:", f), content)

    def test_through_the_worker(self):
        """The file inside, by the NTFS driver, from all disks and with one missing."""
        tool = os.path.join(volimg.BUILD, "src", "cmd", "sendense")
        if not os.path.exists(tool):
            self.skipTest("no command line built")
        g = ldmimg.Group()
        disks = [g.disk(gpt=i == 1) for i in range(3)]
        size = 2 * 24 * CHUNK
        content = self.ntfs(size)
        self.raid5(g, "Raid1", disks, content, "E:")
        g.add("Volume1", size, [(CONCAT, [[(disks[0], content[:MIB]), (disks[1], content[MIB:])]])], "F:")
        files = self.files(g)
        for present, letters in ((files, "EF"), (files[:2], "EF"), (files[1:], "E")):
            args = [a for f in present for a in ("--disk", f)]
            out = subprocess.run([tool, "image", "info", "--json", *args], capture_output=True, text=True).stdout
            volumes = {v["name"]: v for v in json.loads(out)["volumes"] if v["kind"] == "ldm"}
            self.assertEqual(sorted(volumes), ["E:", "F:"])
            self.assertEqual([k[0] for k in sorted(volumes) if volumes[k]["supported"]], list(letters), volumes)
            for letter in letters:
                number = str(volumes[letter + ":"]["volume"])
                got = subprocess.run([tool, "image", "cat", "--volume", number, *args, "/big"], capture_output=True).stdout
                self.assertBytes(got, volimg.rnd(size // 3, size), letter)

    # --- copies of the metadata ------------------------------------------------------------------------------------------

    def one(self, gpt=False):
        g = ldmimg.Group()
        d, content = g.disk(data=4 * MIB, gpt=gpt), volimg.rnd(MIB, 8)
        g.add("Volume1", MIB, [(CONCAT, [[(d, content)]])], "M:")
        return g, d, content, bytearray(d.image())

    def spoil(self, image, lba):
        image[lba * BLOCK + 200] ^= 0xff

    def test_private_header_copies(self):
        for gpt in (False, True):
            g, d, content, image = self.one(gpt)
            places = [d.private + 2047, d.private + 1856] + ([] if gpt else [6])
            for i, keep in enumerate(places):
                damaged = bytearray(image)
                for lba in places:
                    if lba != keep:
                        self.spoil(damaged, lba)
                f = self.write("d%d" % i, damaged)
                self.assertBytes(self.cat("M:", f), content, "only the copy in sector %d" % keep)
                self.warned("%d of %d copies" % (len(places) - 1, len(places) + 2), f)
            for lba in places:
                self.spoil(image, lba)
            volumes, _ = self.dump(self.write("none", image))
            self.assertTrue(all("no copy of that disk's private header" in v["reason"] for v in volumes.values()
                                if v["TYPE"] == "LDM"), volumes)

    def test_newest_private_header_counts(self):
        g, d, content, image = self.one()
        old = bytearray(d.privhead())
        struct.pack_into(">Q", old, 0x18, 3)
        struct.pack_into(">Q", old, 0x12b, 5)
        image[6 * BLOCK:7 * BLOCK] = ldmimg.summed(old)
        image[-BLOCK:] = ldmimg.summed(old[:0x12b] + struct.pack(">Q", d.private) + old[0x133:])
        self.assertBytes(self.cat("M:", self.write("d", image)), content)

    def test_table_of_contents_copies(self):
        g, d, content, image = self.one()
        self.spoil(image, d.private + 2)
        f = self.write("one", image)
        self.assertBytes(self.cat("M:", f), content)
        self.warned("1 of 5 copies", f)
        for at in (1, 2045, 2046):
            self.spoil(image, d.private + at)
        self.assertIn("table of contents", self.dump(self.write("none", image))[0]["disk0"]["reason"])

    def test_grown_and_truncated_disks(self):
        g = ldmimg.Group()
        a, b = g.disk(data=4 * MIB), g.disk(data=4 * MIB)
        content = volimg.rnd(MIB, 9)
        self.mirrored(g, "Volume1", a, b, content, content, "N:")
        files = self.files(g)
        with open(files[0], "ab") as f:
            f.write(b"\0" * 3 * MIB)
        self.check("N:", files, content)
        os.truncate(files[0], (a.private + 10) * BLOCK)
        self.assertBytes(self.cat("N:", *files), content)
        # Its own database is gone; another disk's says what is on it.
        solo = ldmimg.Group("SOLODg0")
        a, b = solo.disk(data=4 * MIB), solo.disk(data=4 * MIB)
        solo.add("Volume1", MIB, [(CONCAT, [[(a, content)]])], "O:")
        files = self.files(solo)
        os.truncate(files[0], (a.private + 10) * BLOCK)
        self.assertIn("beyond the end of the disk", self.dump(files[0])[0]["disk0"]["reason"])
        self.assertBytes(self.cat("O:", *files), content)
        os.truncate(files[0], (a.public + 100) * BLOCK)
        self.assertIn("beyond the end of disk Disk1", self.reason("O:", *files))

    def test_copies_and_columns_beyond_the_end(self):
        """What redundancy makes up for is said all the same."""
        g = ldmimg.Group()
        disks = [g.disk(data=4 * MIB) for _ in range(3)]
        mirror, parity = volimg.rnd(MIB, 40), volimg.rnd(2 * 8 * CHUNK, 41)
        self.mirrored(g, "Volume1", disks[0], disks[1], mirror, mirror, "W:")
        self.raid5(g, "Raid1", disks, parity, "Y:")
        files = self.files(g)
        os.truncate(files[0], (disks[0].public + 100) * BLOCK)
        for letter, content in (("W:", mirror), ("Y:", parity)):
            self.assertBytes(self.cat(letter, *files), content)
            self.warned("dynamic volume %s is degraded: partition" % letter, *files)

    def test_partition_of_the_type_without_a_dynamic_disk(self):
        image = bytearray(4 * MIB)
        image[:BLOCK] = ldmimg.mbr(0x42, 63, 4000)
        volumes, _ = self.dump(self.write("d", image))
        self.assertEqual(volumes["disk0"]["container"], "1")
        self.assertIn("no copy of that disk's private header", volumes["disk0"]["reason"])

    def test_other_versions(self):
        g, d, _, image = self.one()
        for lba in (6, d.private + 1856, d.private + 2047):
            image[lba * BLOCK:(lba + 1) * BLOCK] = d.privhead(version=(3, 1))
        self.assertIn("version 3.1", self.dump(self.write("v", image))[0]["disk0"]["reason"])
        g, d, _, image = self.one()
        struct.pack_into(">H", image, (d.private + 17) * BLOCK + 0x12, 5)
        self.assertIn("version 5.10", self.dump(self.write("w", image))[0]["disk0"]["reason"])

    # --- the database ---------------------------------------------------------------------------------------------------

    def test_newest_database_counts(self):
        g = ldmimg.Group()
        a, b = g.disk(), g.disk()
        old, new = volimg.rnd(MIB, 10), volimg.rnd(MIB, 11)
        g.add("Volume1", MIB, [(CONCAT, [[(a, old)]])], "P:")
        a.records, a.committed = g.records(), 40
        g.rows.clear()
        g.add("Volume1", MIB, [(CONCAT, [[(a, new)]])], "P:")
        files = self.files(g)
        self.assertBytes(self.cat("P:", *files), new)
        self.warned("different age (transactions 50 and 40)", *files)
        self.assertBytes(self.cat("P:", files[0]), old)
        b.status = ldmimg.STALE
        files = self.files(g)
        self.assertBytes(self.cat("P:", *files), old, "a copy that calls itself stale")
        os.truncate(files[0], (a.private + 10) * BLOCK)
        self.assertBytes(self.cat("P:", *files), new, "which is all there is")
        self.warned("calls itself out of date", *files)

    def test_changes_under_way(self):
        for status in (ldmimg.CHANGE, ldmimg.COMMIT):
            g = ldmimg.Group()
            d = g.disk()
            old, new = volimg.rnd(MIB, 12), volimg.rnd(MIB, 13)
            g.add("Volume1", MIB, [(CONCAT, [[(d, old)]])], "Q:", status=1)
            g.add("Volume1", MIB, [(CONCAT, [[(d, new)]])], "Q:", status=2)
            d.status = status
            files = self.files(g)
            self.assertBytes(self.cat("Q:", *files), old if status == ldmimg.CHANGE else new)
            self.assertEqual(len([w for w in self.dump(*files)[1] if "damaged" in w]), 0)
            self.warned("was being changed", *files)

    def test_damaged_records(self):
        g = ldmimg.Group()
        a, b = g.disk(data=4 * MIB), g.disk(data=4 * MIB)
        content = volimg.rnd(MIB, 14)
        g.add("Volume1", MIB, [(CONCAT, [[(a, content)]])], "R:")
        files = self.files(g)
        image = bytearray(a.image())
        slots = (a.private + 18) * BLOCK
        volume = next(i for i in range(20) if image[slots + 128 * i + 19] == 0x51)
        for what in (slots + 128 * volume, slots + 128 * volume + 20, slots + 128 * volume + 24):
            damaged = bytearray(image)
            damaged[what] ^= 0x55
            files[0] = self.write("damaged", damaged)
            self.assertBytes(self.cat("R:", *files), content, "the other disk's copy")
            self.warned("records of the database are damaged", files[0])
        # A record of two fragments, of which one is gone: the disk's own.
        image[slots + 128 * (len(g.records()) + 3):slots + 128 * (len(g.records()) + 4)] = b"VBLK".ljust(128, b"\0")
        image[slots + 128 * (len(g.records()) + 4):slots + 128 * (len(g.records()) + 5)] = b"VBLK".ljust(128, b"\0")
        files[0] = self.write("fragment", image)
        self.warned("records of the database are damaged", files[0])
        self.assertIn("does not have", self.reason("R:", files[0]))
        self.assertBytes(self.cat("R:", *files), content)

    def test_records_twice(self):
        g, d, content, _ = self.one()
        g.rows += g.rows * 20
        f = self.files(g)[0]
        self.assertBytes(self.cat("M:", f), content)
        self.warned("records of the database are damaged", f)

    def test_unknown_records(self):
        g, d, content, _ = self.one()
        g.rows.append(ldmimg.record(0x61, 0, ldmimg.num(9) + ldmimg.text("future")))
        f = self.files(g)[0]
        self.assertBytes(self.cat("M:", f), content)
        self.warned("of a kind that is not known", f)

    def test_impossible_numbers(self):
        def made(size=MIB, start=None, offset=0, layout=CONCAT, count=None, columns=1, chunk=CHUNK, disk=None, parts=1):
            g = ldmimg.Group()
            d = g.disk(data=2 * MIB)
            volume = g.new_id()
            g.rows.append(ldmimg.record(0x51, 0, ldmimg.num(volume) + ldmimg.text("V") + ldmimg.text("gen") + b"\0" + b"ACTIVE".ljust(14, b"\0") +
                                        b"\3" + ldmimg.num(5) + struct.pack(">I", 0x11) + ldmimg.num(1) + b"\0" * 16 +
                                        ldmimg.num(size // BLOCK) + b"\0" * 4 + b"\7" + b"\x11" * 16))
            component = g.new_id()
            g.rows.append(ldmimg.record(0x32, 0x10 if layout != CONCAT else 0, ldmimg.num(component) + ldmimg.text("V-01") + ldmimg.text("ACTIVE") +
                                        bytes([layout]) + b"\0" * 4 + ldmimg.num(parts) + b"\0" * 16 + ldmimg.num(volume) + b"\0" +
                                        (ldmimg.num(chunk // BLOCK) + ldmimg.num(columns) if layout != CONCAT else b"")))
            d.id = disk or d.id
            for i in range(parts):
                g.extent(component, d, 65 + i * 256 if start is None else start, offset, MIB // BLOCK if count is None else count, i)
            if disk:
                d.id = 1
            return self.dump(self.write("x", d.image()))[0]["V"]["reason"]
        self.assertIn("no filesystem", made())
        self.assertIn("larger than its partitions", made(size=2 * MIB))
        self.assertIn("outside the public region", made(start=4000))
        self.assertIn("outside the public region", made(start=(1 << 54) - 1))
        self.assertIn("all partitions", made(offset=8))
        self.assertIn("all partitions", made(parts=2))
        self.assertIn("does not have", made(disk=99))
        self.assertIn("chunk", made(layout=STRIPE, chunk=0))
        self.assertIn("stripes of", made(layout=STRIPE, chunk=2 << 30))
        self.assertIn("all partitions", made(layout=STRIPE, columns=1000))
        self.assertIn("larger than its partitions", made(layout=RAID5, size=2 * MIB, parts=3, columns=3, count=128))
        self.assertIn("kind 9", made(layout=9))
        self.assertIn("without size", made(size=0))

    # --- members that cannot be trusted ------------------------------------------------------------------------------------

    def test_stale_mirror(self):
        """A disk that was away: its database is older."""
        for how in ("age", "flag"):
            g = ldmimg.Group()
            a, b = g.disk(), g.disk()
            old, new = volimg.rnd(MIB, 15), volimg.rnd(MIB, 16)
            self.mirrored(g, "Volume1", a, b, old, new, "U:", bad=(0,) if how == "flag" else ())
            if how == "age":
                a.committed = 40
            files = self.files(g)
            self.assertBytes(self.cat("U:", *files), new, how)
            self.warned("missed writes is left out", *files)
            self.assertBytes(self.cat("U:", files[0]), old, how)
        self.warned("only copies that missed writes", files[0])

    def test_stale_column_of_raid5(self):
        g = ldmimg.Group()
        disks = [g.disk() for _ in range(3)]
        content = volimg.rnd(2 * 8 * CHUNK, 17)
        self.raid5(g, "Raid1", disks, content, "V:")
        disks[1].committed = 40
        disks[1].data = bytearray(b"\xee" * len(disks[1].data))
        files = self.files(g)
        self.assertBytes(self.cat("V:", *files), content)
        self.warned("missed writes: it is left out", *files)
        self.assertEqual(len(self.cat("V:", *files[1:])), len(content))
        self.warned("may be old", *files[1:])

    def test_same_disk_twice(self):
        g, d, content, image = self.one()
        files = [self.write("a", image), self.write("b", image)]
        self.assertBytes(self.cat("M:", *files), content)
        self.warned("are on the same dynamic disk " + d.guid, *files)

    def test_disk_that_left_the_group(self):
        g = ldmimg.Group()
        a, b = g.disk(), g.disk()
        g.add("Volume1", MIB, [(CONCAT, [[(a, volimg.rnd(MIB, 18))]])])
        a.committed, a.records = 40, g.records()
        g.rows.clear()
        g.disks = [b]
        files = [self.write("a", a.image()), self.write("b", b.image())]
        self.assertIn("no longer in disk group TESTDg0", self.dump(*files)[0]["disk0"]["reason"])

    # --- made by Windows -------------------------------------------------------------------------------------------------------

    def test_windows(self):
        corpus = os.environ.get("SENDENSE_CORPUS", os.path.join(os.environ.get("SENDENSE_SRC", "."), "..", "shared", "corpus"))
        archive = os.path.join(corpus, "mdbooth+libldm", "test", "data", "ldm-data.tar.xz")
        if not os.path.exists(archive):
            self.skipTest("no corpus")
        subprocess.run(["tar", "-xSJf", archive, "-C", self.dir], check=True)
        for name, letter, count, spare in (("2003r2-simple", "E:", 1, 0), ("2003r2-spanned", "F:", 2, 0), ("2003r2-striped", "G:", 2, 0),
                                           ("2003r2-striped", "J:", 2, 0), ("2003r2-mirrored", "H:", 2, 1), ("2003r2-raid5", "I:", 3, 1),
                                           ("2008r2-spanned", "E:", 2, 0), ("2008r2-striped", "F:", 2, 0), ("2008r2-mirrored", "G:", 2, 1),
                                           ("2008r2-raid5", "H:", 3, 1)):
            files = [self.path("ldm-%s-%d.img" % (name, i + 1)) for i in range(count)]
            content = self.cat(letter, *files)
            self.assertEqual(self.dump(*files)[0][letter]["TYPE"], "ntfs", name)
            text = subprocess.run(["ntfscat", "-f", self.write("v", content), "/test.txt"], capture_output=True).stdout
            self.assertEqual(text, b"Filesystem test", name)
            for gone in range(count if spare else 0):
                self.assertBytes(self.cat(letter, *(files[:gone] + files[gone + 1:])), content, "%s without %d" % (name, gone))


if __name__ == "__main__":
    tap.main(__name__)
