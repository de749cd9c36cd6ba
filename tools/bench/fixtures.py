"""The images: made once in the cache folder, with the kernel's and ntfs-3g's own writers, never with ours.

	<folder>/repository/<name>/disk-0/<name>-<n>.qcow2     ext4, xfs, btrfs, ntfs, ext4-zlib, ext4-zstd, huge; ext4-1 … are
	                                                       incrementals that build on ext4-0
	<folder>/small/<name>/disk-0/<name>-0.qcow2            as many as mounts are held open at once
	<folder>/facts/<name>.json                             written last: what is here is complete
"""
import contextlib
import json
import os
import shutil
import subprocess

import content
import peers
from measure import BenchError, output, run

VERSION = 3
MIB = 1 << 20
ESP = (MIB, 100 * MIB)
MARKER = b"sendense bench: random bytes from here on\n"
FILESYSTEMS = ("ext4", "xfs", "btrfs", "ntfs")


class Scale:
    """How large everything is."""

    def __init__(self, quick):
        self.quick = quick
        self.disk = (640 if quick else 8192) * MIB
        self.many = (100, 500, 1000) if quick else (10_000, 50_000, 100_000)
        self.documents = 200 if quick else 20_000
        self.random = (8 if quick else 1024) * MIB
        self.system_entries = 300 if quick else 100_000
        self.system_bytes = (8 if quick else 1200) * MIB
        self.pool = (1 if quick else 16) * MIB
        self.lengths = (1, 2, 3, 4) if quick else (1, 10, 50, 100)
        self.huge = (64 << 30) if quick else (1 << 40)
        self.mounts = 20 if quick else 1000
        self.requests = 300 if quick else 10_000
        self.clients = 8 if quick else 64


class Image:
    def __init__(self, name, path, fs, offset, size, facts=None):
        self.name, self.path, self.fs = name, path, fs
        self.offset, self.size = offset, size            # of the root partition
        self.facts = facts or {}
        self.backup = os.path.basename(path)[:-len(".qcow2")]


class Fixtures:
    def __init__(self, folder, scale, log):
        self.folder, self.scale, self.log = folder, scale, log
        self.repository = f"{folder}/repository"
        self.small = f"{folder}/small"
        self.work = f"{folder}/work"
        self.root = (ESP[0] + ESP[1], scale.disk - ESP[0] - ESP[1] - MIB)
        self.pool = None
        shutil.rmtree(self.work, ignore_errors=True)
        for sub in (self.repository, self.small, self.work, f"{folder}/facts"):
            os.makedirs(sub, exist_ok=True)

    # --- what there is ---

    def path(self, name, n=0):
        return f"{self.repository}/{name}/disk-0/{name}-{n}.qcow2"

    def image(self, name, n=0):
        facts = self.facts(name)
        offset, size = (0, facts["size"]) if name == "huge" else self.root
        return Image(name, self.path(name, n), name.split("-")[0] if name != "huge" else "ext4", offset, size, facts)

    def layers(self, name, n):
        """All files of the chain."""
        return [self.path(name, i) for i in range(n + 1)]

    def facts(self, name):
        """None: not there, or made by another version or to another scale."""
        with contextlib.suppress(OSError, ValueError), open(f"{self.folder}/facts/{name}.json") as f:
            facts = json.load(f)
            if facts.get("stamp") == self.stamp():
                return facts
        return None

    def stamp(self):
        return {"version": VERSION, **{k: v if not isinstance(v, tuple) else list(v) for k, v in vars(self.scale).items()}}

    def done(self, name, **facts):
        path = f"{self.folder}/facts/{name}.json"
        with open(path + ".new", "w") as f:
            json.dump({"stamp": self.stamp(), **facts}, f)
        os.rename(path + ".new", path)

    def room(self, wanted):
        free = shutil.disk_usage(self.folder).free
        if free < wanted:
            raise BenchError(f"{self.folder} has {free >> 30} GiB free, the fixtures need {wanted >> 30} GiB: set BENCH_DIR")

    # --- making them ---

    def ensure(self, filesystems):
        if not self.scale.quick and any(not self.facts(fs) for fs in filesystems):
            self.log(f"making fixtures in {self.folder}: about 6 GiB for each filesystem, 5 GiB more for the compressed copies\n")
            self.room((6 * sum(not self.facts(fs) for fs in filesystems) + 5) << 30)
        for fs in filesystems:
            if not self.facts(fs):
                self.log(f"fixture {fs} …\n")
                self.make(fs)
        if "ext4" in filesystems:
            for name, make in (("ext4-zlib", self.make_copy), ("ext4-zstd", self.make_copy), ("chain", self.make_chain),
                               ("huge", self.make_huge), ("small", self.make_small)):
                if not self.facts(name):
                    self.log(f"fixture {name} …\n")
                    make(name)
        shutil.rmtree(self.work, ignore_errors=True)

    def make(self, fs):
        raw = f"{self.work}/{fs}.raw"
        os.makedirs(self.work, exist_ok=True)
        with open(raw, "wb") as f:
            f.truncate(self.scale.disk)
        self.partition(raw)
        with peers.loop(raw, *ESP) as device:
            run(["mkfs.vfat", "-F", "32", "-n", "ESP", device])
        with peers.loop(raw, *self.root) as device:
            self.format(fs, device)
            with peers.mounted(device, f"{self.work}/mnt", fs, "compress=zstd" if fs == "btrfs" else None, writable=True) as mnt:
                facts = self.fill(mnt, fs)
        target = self.path(fs)
        shutil.rmtree(os.path.dirname(os.path.dirname(target)), ignore_errors=True)
        os.makedirs(os.path.dirname(target))
        run(["qemu-img", "convert", "-f", "raw", "-O", "qcow2", raw, target])
        os.unlink(raw)
        facts["marker"] = find(target, MARKER)
        self.done(fs, **facts)

    @staticmethod
    def format(fs, device):
        run({"ext4": ["mkfs.ext4", "-q", "-F", "-L", "root", device],
             "xfs": ["mkfs.xfs", "-q", "-f", "-L", "root", device],
             "btrfs": ["mkfs.btrfs", "-q", "-f", "-L", "root", device],
             "ntfs": ["mkntfs", "-q", "-f", "-L", "root", device]}[fs])

    def partition(self, raw):
        run(["sgdisk", "-a", "2048", "-n", f"1:{ESP[0] // 512}:{(ESP[0] + ESP[1]) // 512 - 1}", "-t", "1:EF00",
             "-n", f"2:{self.root[0] // 512}:{(self.root[0] + self.root[1]) // 512 - 1}", "-t", "2:8300", raw])

    def fill(self, mnt, fs):
        s = self.scale
        if self.pool is None:
            self.pool = content.text_pool(s.pool)
        content.system_tree(f"{mnt}/system", s.system_entries, s.system_bytes, plain=fs == "ntfs")
        for count in s.many:
            content.many(f"{mnt}/many/{count}", count, self.pool)
        size = content.documents(f"{mnt}/documents", s.documents, self.pool)
        os.makedirs(f"{mnt}/big")
        content.random_file(f"{mnt}/big/random.bin", s.random, MARKER)
        content.random_file(f"{mnt}/big/medium.bin", s.random // 16, b"")
        content.sparse_file(f"{mnt}/big/sparse.bin", s.random)
        os.makedirs(f"{mnt}/small")
        for i in range(20):
            content.write(f"{mnt}/small/note-{i}.txt", b"x" * 100)
        return {"documents_bytes": size}

    def make_copy(self, name):
        target = self.path(name)
        os.makedirs(os.path.dirname(target), exist_ok=True)
        how = name.split("-")[1]
        run(["qemu-img", "convert", "-c", "-O", "qcow2", "-o", f"compression_type={how}", self.path("ext4"), target])
        self.done(name, bytes=os.path.getsize(target))

    def make_chain(self, name):
        """Each incremental is what the kernel wrote while some files were changed in the mounted filesystem."""
        folder = os.path.dirname(self.path("ext4"))
        for n in range(1, self.scale.lengths[-1] + 1):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self.path("ext4", n))
            run(f"cd '{folder}' && qemu-img create -q -f qcow2 -b ext4-{n - 1}.qcow2 -F qcow2 ext4-{n}.qcow2")
            with peers.opened(Image("ext4", self.path("ext4", n), "ext4", *self.root), self.work, writable=True) as peer:
                os.makedirs(f"{peer.path}/changes", exist_ok=True)
                content.write(f"{peer.path}/changes/{n}.txt", b"changed\n" * 100)
                for i in range(5):
                    at = (n * 7 + i * 13) % self.scale.documents
                    with open(f"{peer.path}/documents/{at // 200:03d}/report-{at:05d}.txt", "r+b") as f:
                        f.write(f"revision {n}\n".encode())
        self.done(name, lengths=self.scale.lengths)

    def make_huge(self, name):
        """An almost empty filesystem on a disk 128 times as large."""
        raw, target = f"{self.work}/huge.raw", self.path(name)
        os.makedirs(self.work, exist_ok=True)
        os.makedirs(os.path.dirname(target), exist_ok=True)
        os.makedirs(f"{self.work}/seed/etc", exist_ok=True)
        with open(raw, "wb") as f:
            f.truncate(self.scale.huge)
        run(["mkfs.ext4", "-q", "-F", "-E", "lazy_itable_init=1,lazy_journal_init=1", "-d", f"{self.work}/seed", raw])
        run(["qemu-img", "convert", "-f", "raw", "-O", "qcow2", raw, target])
        os.unlink(raw)
        self.done(name, size=self.scale.huge)

    def make_small(self, name):
        raw, first = f"{self.work}/small.raw", f"{self.work}/small.qcow2"
        os.makedirs(f"{self.work}/notes", exist_ok=True)
        for i in range(20):
            with open(f"{self.work}/notes/note-{i}.txt", "wb") as f:
                f.write(b"note\n" * i)
        with open(raw, "wb") as f:
            f.truncate(16 * MIB)
        run(["mkfs.ext4", "-q", "-F", "-O", "^has_journal", "-d", f"{self.work}/notes", raw])
        run(["qemu-img", "convert", "-f", "raw", "-O", "qcow2", raw, first])
        shutil.rmtree(self.small, ignore_errors=True)
        for i in range(self.scale.mounts):
            folder = f"{self.small}/vm{i:04d}/disk-0"
            os.makedirs(folder)
            subprocess.run(["cp", "--sparse=always", first, f"{folder}/vm{i:04d}-0.qcow2"], check=True)
        os.unlink(raw)
        self.done(name, count=self.scale.mounts)


def find(path, marker):
    """Where in the file the marker stands."""
    out = output(f"grep -abo -m1 '{marker.decode().strip()}' '{path}' | head -1", shell=True)
    if not out:
        raise BenchError(f"{path}: the random file is not in one piece")
    return int(out.split(":")[0])
