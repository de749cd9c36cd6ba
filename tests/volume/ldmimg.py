"""Windows dynamic disks, written for the tests by the LDM Documentation (flatcap.github.io/linux-ntfs/ldm). ldmtool reads
what is written here; the layout of stripes and parity is volimg.py's, which grub and md agree with."""
import struct
import zlib

import volimg

MIB = 1 << 20
BLOCK = 512
STRIPE, CONCAT, RAID5 = 1, 2, 3
CLEAN, CHANGE, COMMIT, STALE = 1, 2, 3, 6
CHUNK = 64 << 10
META_GUID = "5808c8aa-7e8f-42e0-85d2-e1e90434cfb3"
DATA_GUID = "af9b60a0-1431-4f62-bc68-3311714a69ad"
RESERVED_GUID = "e3c9e316-0b5c-4db8-817d-f92df00215ae"


def guid(seed):
    h = volimg.rnd(16, "guid" + seed).hex()
    return "-".join([h[:8], h[8:12], h[12:16], h[16:20], h[20:]])


def binary(text):
    return bytes.fromhex(text.replace("-", ""))


def mixed(text):
    """As GPT has it: the first three fields little-endian."""
    b = binary(text)
    return b[3::-1] + b[5:3:-1] + b[7:5:-1] + b[8:]


def num(v, size=None):
    size = size or (v.bit_length() + 7) // 8
    return bytes([size]) + v.to_bytes(size, "big")


def padded(v):
    """Sizes are not written with 5, 6 or 7 bytes."""
    return num(v, 8) if v >> 32 else num(v)


def text(s):
    return bytes([len(s)]) + s.encode()


def summed(sector):
    b = bytearray(sector.ljust(BLOCK, b"\0"))
    b[8:12] = b"\0" * 4
    struct.pack_into(">I", b, 8, sum(b))
    return bytes(b)


def record(kind, flags, body, status=0):
    return struct.pack(">HBBI", status, flags, kind, len(body)) + body


class Disk:
    """data: bytes of the public region."""

    def __init__(self, group, name, data, gpt, sector):
        self.group, self.name, self.gpt, self.sector = group, name, gpt, sector
        self.guid = guid(group.name + name)
        self.data = bytearray(data)
        self.used = 65 * BLOCK           # Windows aligns to the disk, so not to the public region
        self.committed = None            # transaction of this disk's copy of the database; None: the group's
        self.status = CLEAN
        self.records = None              # this disk's own records; None: the group's
        self.slots = None                # VBLKs; None: as many as there is room for
        if gpt:
            first = 34 if sector == BLOCK else 6
            self.private, self.private_len = first, MIB // sector
            self.public = first + self.private_len + 64
            self.total = self.public + data // sector + 33
        else:
            self.public = 63
            self.private_len = 2048
            self.private = self.public + data // sector + 40
            self.total = self.private + self.private_len

    def place(self, content):
        at = self.used
        assert at % BLOCK == 0 and len(content) % BLOCK == 0 and at + len(content) <= len(self.data), self.name
        self.data[at:at + len(content)] = content
        self.used += len(content) + 7 * BLOCK
        return at // BLOCK

    # --- structures -------------------------------------------------------------------------------------------------

    def privhead(self, version=(2, 12)):
        """Copies at the end of the private region, before it, and, on MBR disks, in sector 6."""
        b = bytearray(BLOCK)
        n = self.private_len
        struct.pack_into(">8sIHHQQQQ", b, 0, b"PRIVHEAD", 0, *version, 0x01cd901d7e87bd2e, 7, n - 1, self.backup())
        for at, value in ((0x30, self.guid), (0xb0, self.group.guid), (0xf0, self.group.name)):
            b[at:at + len(value)] = value.encode()
        struct.pack_into(">IIHH", b, 0x10f, self.sector, 0, 0, 0)
        struct.pack_into(">QQQQQQIIQQI", b, 0x11b, self.public, len(self.data) // self.sector, self.private, n,
                         self.tocs()[0], self.tocs()[1], 1, 1, self.config()[1], 2, 0)
        return summed(b)

    def backup(self):
        return 1856 if self.sector == BLOCK else 230

    def tocs(self):
        return (2, self.private_len - 3) if self.sector == BLOCK else (1, self.private_len - 2)

    def config(self):
        return (17, 1481) if self.sector == BLOCK else (3, 186)

    def toc(self, sequence, start=None):
        b = bytearray(BLOCK)
        struct.pack_into(">8sIQ", b, 0, b"TOCBLOCK", 0, sequence)
        first, count = self.config()
        struct.pack_into(">8sHQQHH", b, 36, b"config", 0, first if start is None else start, count, 6, 1)
        struct.pack_into(">8sHQQHH", b, 70, b"log", 0, first + count, 2, 6, 1)
        return summed(b)

    def database(self):
        """VMDB and VBLKs; records of more than 112 bytes in several, which need not lie together."""
        records = self.group.records() if self.records is None else self.records
        committed = self.committed or self.group.committed
        pieces, first, later = [], [], []
        for i, r in enumerate(records):
            parts = [r[k:k + 112] for k in range(0, len(r), 112)]
            rows = [struct.pack(">IHH", 100 + i, k, len(parts)) + p for k, p in enumerate(parts)]
            first.append(rows[0])
            later += rows[1:]
        pieces = first + [b"\0" * 8] * 3 + later[::-1]
        size = self.config()[1] * self.sector
        slots = self.slots or size // 128
        out = bytearray(size)
        for i in range(slots - 4):
            row = b"VBLK" + struct.pack(">I", i + 4) + (pieces[i] if i < len(pieces) else b"\0" * 8)
            out[BLOCK + i * 128:BLOCK + i * 128 + len(row)] = row
        head = bytearray(BLOCK)
        struct.pack_into(">4sIIIHHH", head, 0, b"VMDB", slots, 128, BLOCK, self.status, 4, 10)
        head[0x16:0x16 + len(self.group.name)] = self.group.name.encode()
        head[0x35:0x35 + 36] = self.group.guid.encode()
        pending = committed + (3 if self.status in (CHANGE, COMMIT) else 0)
        struct.pack_into(">QQ", head, 0x75, committed, pending)
        for at, gone in ((0x85, 2), (0xa1, 1)):
            kinds = [r[3] & 15 for r in records if r[1] != gone]
            struct.pack_into(">IIII", head, at, *[kinds.count(k) for k in (1, 2, 3, 4)])
        out[:BLOCK] = head
        return bytes(out)

    # --- the disk ----------------------------------------------------------------------------------------------------

    def image(self):
        s = self.sector
        out = bytearray(self.total * s)

        def put(lba, data):
            out[lba * s:lba * s + len(data)] = data
        put(self.public, self.data)
        p = self.private
        put(p + self.config()[0], self.database())
        for at, sequence in ((self.tocs()[0], 7), (self.tocs()[1], 7)):
            put(p + at, self.toc(sequence))
        if s == BLOCK:
            # The copies before these; what they say is not true any more.
            put(p + 1, self.toc(6, 900))
            put(p + self.private_len - 2, self.toc(6, 900))
        put(p + self.backup(), self.privhead())
        put(p + self.private_len - 1, self.privhead())
        if self.gpt:
            self.put_gpt(put)
        else:
            put(6, self.privhead())
            put(0, mbr(0x42, 63, self.private - 63))
        return bytes(out)

    def put_gpt(self, put):
        s, last = self.sector, self.total - 1
        entries = b""
        for i, (kind, a, b) in enumerate(((META_GUID, self.private, self.public - 65), (RESERVED_GUID, self.public - 64, self.public - 1),
                                          (DATA_GUID, self.public, self.public + len(self.data) // s - 1))):
            entries += mixed(kind) + mixed(guid("%s%d" % (self.name, i))) + struct.pack("<QQQ", a, b, 0) + b"\0" * 72
        entries = entries.ljust(128 * 128, b"\0")
        rows = len(entries) // s
        for here, other, table in ((1, last, 2), (last, 1, last - rows)):
            h = struct.pack("<8sIIIIQQQQ16sQIII", b"EFI PART", 0x10000, 92, 0, 0, here, other, 2 + rows, last - rows - 1,
                            mixed(guid(self.name)), table, 128, 128, zlib.crc32(entries))
            put(here, h[:16] + struct.pack("<I", zlib.crc32(h)) + h[20:])
            put(table, entries)
        put(0, mbr(0xee, 1, last))


def mbr(kind, start, count):
    return b"\0" * 440 + b"\x12\x34\x56\x78\0\0" + struct.pack("<B3sB3sII", 0, b"\0\2\0", kind, b"\xff" * 3, start, count) + \
        b"\0" * 48 + b"\x55\xaa"


class Group:
    def __init__(self, name="TESTDg0", revision=3):
        self.name, self.revision, self.guid = name, revision, guid(name)
        self.disks, self.rows, self.next_id, self.committed = [], [], 1000, 50

    def disk(self, data=16 * MIB, gpt=False, sector=BLOCK):
        d = Disk(self, "Disk%d" % (len(self.disks) + 1), data, gpt, sector)
        d.id = self.new_id()
        self.disks.append(d)
        return d

    def new_id(self):
        self.next_id += 2
        return self.next_id

    def add(self, name, size, components, hint="", chunk=CHUNK, flags=0, state="ACTIVE", status=0, bad=()):
        """components: (layout, columns); a column is a list of (disk, bytes). bad: components that are stale."""
        volume = self.new_id()
        extra = (num(77) if flags & 0x28 else b"") + (padded(chunk // BLOCK) if flags & 0x80 else b"")
        body = num(volume) + text(name) + text("raid5" if components[0][0] == RAID5 else "gen") + text("")
        body += state.encode().ljust(14, b"\0") + (b"\4" if components[0][0] == RAID5 else b"\3") + num(5)
        body += struct.pack(">I", 0x11) + num(len(components)) + struct.pack(">QQ", 1, 0) + padded(size // BLOCK) + b"\0" * 4 + b"\7"
        body += binary(guid(self.name + name)) + extra + (text(hint) if hint else b"")
        self.rows.append(record(0x51, flags | (2 if hint else 0), body, status))
        for i, (layout, columns) in enumerate(components):
            self.component(volume, "%s-%02d" % (name, i + 1), layout, columns, chunk, status, i in bad)
        return volume

    def component(self, volume, name, layout, columns, chunk, status=0, bad=False):
        me = self.new_id()
        count = sum(len(c) for c in columns)
        body = num(me) + text(name) + text("ACTIVE") + bytes([layout]) + struct.pack(">I", 2 if bad else 0) + num(count)
        body += struct.pack(">QQ", 1, 0) + num(volume) + num(0)
        if layout != CONCAT:
            body += padded(chunk // BLOCK) + num(len(columns))
        self.rows.append(record(0x32, 0 if layout == CONCAT else 0x10, body, status))
        for i, column in enumerate(columns):
            at = 0
            for disk, content in column:
                self.extent(me, disk, disk.place(content), at, len(content) // BLOCK, i, status)
                at += len(content) // BLOCK

    def extent(self, component, disk, start, offset, count, column, status=0):
        body = num(self.new_id()) + text("%s-%02d" % (disk.name, disk.used // BLOCK % 97)) + struct.pack(">IQQQ", 0, 1, start, offset)
        body += padded(count) + num(component) + num(disk.id) + (num(column) if column else b"")
        self.rows.insert(0, record(0x33, 8 if column else 0, body, status))

    def records(self):
        """The volumes' in an order of no meaning, as on disks in use."""
        rows = list(self.rows)
        if self.revision == 3:
            rows.insert(1, record(0x35, 0, num(1) + text(self.name) + text(self.guid) + b"\0" * 4 + struct.pack(">Q", 1)))
        else:
            rows.insert(1, record(0x45, 0, num(1) + text(self.name) + binary(self.guid) + b"\0" * 20 + struct.pack(">Q", 1)))
        for d in self.disks:
            # As of Windows 2003: too long for one VBLK.
            where = text(r"SCSI\Disk&Ven_TEST&Prod_VIRTIO&Rev_0001\4&26118751&0&" + "000000" * 3)
            if self.revision == 3:
                rows.append(record(0x34, 0, num(d.id) + text(d.name) + text(d.guid) + where + struct.pack(">IQ", 0, 1)))
            else:
                rows.append(record(0x44, 0, num(d.id) + text(d.name) + binary(d.guid) + b"\0" * 16 + where + struct.pack(">IQ", 0, 1)))
        return rows
