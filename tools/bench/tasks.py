"""What is measured: opening, listing, files, whole images. Each task runs us and the peers on the same images, in turn.

Every run but "again" opens the image anew on both sides (not timed where the row is not about opening): an administrator who needs
a file has not looked at it before. "Warm" means that the image file is in the page cache, "cold" that nothing is.
"""
import contextlib
import shlex
import time

import peers
from hub import Mounted
from measure import Meter, memory, preread, rounds, run

PEER = {"ext4": "storage-daemon + mount", "xfs": "storage-daemon + mount", "btrfs": "storage-daemon + mount",
        "ntfs": "storage-daemon + ntfs-3g"}
DIRECT = "storage-daemon + mount, direct I/O"
FLOOR = "dd | cat"
SEVEN_ZIP = "7z l, on storage-daemon's file"


class Context:
    """What every task is handed."""

    def __init__(self, fixtures, hub, build, count, log, results):
        self.fixtures, self.hub, self.build, self.count, self.log, self.results = fixtures, hub, build, count, log, results
        self.work = fixtures.work
        self.out = f"{self.work}/output"
        self.scale = fixtures.scale
        self.inner = 2 if self.scale.quick else 10

    def measure(self, key, title, parties, cold=False, inner=1, count=None):
        if not self.results.wanted(key):
            return
        self.log(f"{key} ")
        started = time.monotonic()
        samples = rounds(parties, count or self.count, cold, inner, self.log)
        self.log(f" {time.monotonic() - started:.0f} s\n")
        self.results.add(key, title, samples)

    def states(self, key, title, parties, inner=1):
        self.measure(f"{key}/warm", title, parties, inner=inner)
        self.measure(f"{key}/cold", title, parties, cold=True)

    def number(self):
        """What the last command printed."""
        with open(self.out) as f:
            return int(f.read().split()[0])

    # --- one run of one party ---

    def http(self, image, what, path, **query):
        """A request with curl to a mount just made."""
        def go():
            with Mounted(self.hub, image.backup) as mount:
                return self.request(self.hub.url(mount, what, path, **query))
        return go

    def request(self, url):
        with Meter(self.hub.pids) as meter:
            meter.run(self.hub.curl(url), self.out)
        meter.sample["bytes"] = self.number()
        meter.sample["worker_peak"] = self.hub.worker_peak()
        meter.sample["worker_rss"] = self.hub.worker_memory()
        meter.sample["worker_pss"] = max([memory(p, "Pss") for p in self.hub.workers()] or [0])
        return meter.sample

    def cli(self, *arguments):
        def go():
            with Meter() as meter:
                meter.run([f"{self.build}/src/cmd/sendense", "image", *arguments])
            return meter.sample
        return go

    def command(self, text, counts=False):
        """counts: it prints how many bytes it made."""
        def go():
            with Meter() as meter:
                meter.run(text, self.out if counts else None)
            if counts:
                meter.sample["bytes"] = self.number()
            return meter.sample
        return go

    def peer(self, image, text, direct=False, counts=False, mount=True):
        """A shell command with {} for where the image is opened."""
        def go():
            with peers.opened(image, self.work, direct, mount=mount) as peer:
                with Meter(peer.pids) as meter:
                    meter.run(text.replace("{}", shlex.quote(peer.path if mount else peer.export)), self.out if counts else None)
                if counts:
                    meter.sample["bytes"] = self.number()
                return meter.sample
        return go

    def peer_open(self, image):
        """Opening is what is timed, until the root is listed; closing is noted besides."""
        def go():
            peer = peers.Peer(image, self.work)
            try:
                with Meter(peer.pids) as meter:
                    meter.run(f"{peer.open_command()} && ls {shlex.quote(peer.mnt)}")
                    peer.learn()
                start = time.perf_counter()
            finally:
                peer.stop()
            meter.sample["closing"] = time.perf_counter() - start
            return meter.sample
        return go


def open_root(ctx, fs):
    image = ctx.fixtures.image(fs)
    preread(image.path)
    ctx.states(f"open/{fs}", "image file to root listing, one command", {
        "sendense": ctx.cli("ls", image.path, "/"),
        PEER[fs]: ctx.peer_open(image)}, inner=ctx.inner)


def mount_listed(ctx, fs):
    """POST mount, then the root's listing, on one kept connection."""
    if fs != "ext4":
        return

    def ours(image):
        def go():
            with Meter(ctx.hub.pids) as meter:
                mount = ctx.hub.mount(image.backup)
                ctx.hub.call("GET", f"/restore/{mount}/files?path=/")
            meter.sample["worker_peak"] = ctx.hub.worker_peak()
            ctx.hub.unmount(mount)
            return meter.sample
        return go
    last = ctx.scale.lengths[-1]
    preread(*ctx.fixtures.layers("ext4", last), ctx.fixtures.path("huge"))
    images = {"single": ctx.fixtures.image("ext4")}
    images |= {f"chain-{n}": ctx.fixtures.image("ext4", n) for n in ctx.scale.lengths}
    images["huge"] = ctx.fixtures.image("huge")
    # All in the same rounds: it is their ratios that are judged.
    ctx.measure("mount/lengths/warm", "POST mount, then the root listing, over HTTP", {name: ours(i) for name, i in images.items()},
                inner=ctx.inner)
    ctx.states("mount/longest", f"the same for a chain of full + {last}", {
        "sendense": ours(images[f"chain-{last}"]),
        PEER[fs]: ctx.peer_open(images[f"chain-{last}"])})


def listing(ctx, fs):
    image = ctx.fixtures.image(fs)
    entries = ctx.scale.many[-1]
    path = f"/many/{entries}"
    preread(image.path)
    ctx.states(f"list/{fs}", f"{entries:,} entries with size, mode, times", {
        "sendense": ctx.http(image, "files", path),
        "sendense image ls -l": ctx.cli("ls", "-l", image.path, path),
        PEER[fs]: ctx.peer(image, f"ls -l {{}}{path}")})
    ctx.measure(f"names/{fs}/warm", f"names of {entries:,} entries (over HTTP: with everything)", {
        "sendense": ctx.http(image, "files", path),
        "sendense image ls": ctx.cli("ls", image.path, path),
        PEER[fs]: ctx.peer(image, f"ls -U {{}}{path}")})
    if ctx.results.wanted(f"again/{fs}/warm"):
        with Mounted(ctx.hub, image.backup) as mount, peers.opened(image, ctx.work) as peer:
            def ls():
                with Meter(peer.pids) as meter:
                    meter.run(["ls", "-l", peer.path + path])
                return meter.sample
            ctx.measure(f"again/{fs}/warm", f"{entries:,} entries again, the directory was listed before", {
                "sendense": lambda: ctx.request(ctx.hub.url(mount, "files", path)), PEER[fs]: ls})


def one_file(ctx, fs):
    image = ctx.fixtures.image(fs)
    size = f"{ctx.scale.random >> 20:,} MiB"
    preread(image.path)
    cat = "cat {}/big/random.bin | cat >/dev/null"
    floor = (f"dd if={shlex.quote(image.path)} iflag=skip_bytes skip={image.facts['marker']} bs=1M count={ctx.scale.random >> 20} "
             "status=none | cat >/dev/null")
    parties = {"sendense": ctx.http(image, "download", "/big/random.bin"), PEER[fs]: ctx.peer(image, cat)}
    if fs != "ntfs":
        parties[DIRECT] = ctx.peer(image, cat, direct=True)
    parties[FLOOR] = ctx.command(floor)
    ctx.states(f"file/{fs}", f"a file of {size} of noise", parties)
    ctx.measure(f"sparse/{fs}/warm", f"a sparse file of {size}", {
        "sendense": ctx.http(image, "download", "/big/sparse.bin"),
        PEER[fs]: ctx.peer(image, "cat {}/big/sparse.bin | cat >/dev/null")})


def whole_image(ctx, fs):
    """`image dump` writes the bytes of the disk, zeroes too; qemu-img passes over what it knows to be zero."""
    if fs != "ext4":
        return
    for name, text in (("ext4", "plain"), ("ext4-zlib", "zlib"), ("ext4-zstd", "zstd")):
        image = ctx.fixtures.image(name)
        preread(image.path)
        nowhere = (f"qemu-img convert -n -f qcow2 {shlex.quote(image.path)} "
                   f"--target-image-opts driver=null-co,size={ctx.scale.disk},read-zeroes=off")
        ctx.measure(f"image/{text}/warm", f"the whole image, {text}", {
            "sendense": ctx.cli("dump", image.path),
            "qemu-img convert to nowhere": ctx.command(nowhere)})


def other_peers(ctx, fs):
    """What else reads such images. Tools that are far off are run once."""
    image = ctx.fixtures.image(fs)
    preread(image.path)
    once, entries = {"count": 1}, ctx.scale.many[-1]
    if fs in ("ext4", "ntfs") and run_quietly("command -v 7z"):
        # It knows no other of them, and ends with 2 for NTFS's system files.
        ctx.measure(f"slow/{fs}/all-entries", "every entry of the filesystem", {
            "sendense": ctx.cli("ls", "-lR", image.path, "/"),
            SEVEN_ZIP: ctx.peer(image, "7z l -ba {} >/dev/null || [ $? -le 2 ]", mount=False)})
    if fs in ("ext4", "ntfs") and run_quietly("command -v fls"):
        ctx.measure(f"slow/{fs}/directory", f"a directory of {entries:,} entries (once)", {
            "sendense": ctx.cli("ls", "-l", image.path, f"/many/{entries}"),
            "fls (The Sleuth Kit), on storage-daemon's file": ctx.peer(
                image, f"i=$(ifind -n many/{entries} {{}}) && fls -l {{}} $i", mount=False)}, **once)
    if fs == "ext4" and run_quietly("command -v guestfish"):
        ctx.measure(f"slow/{fs}/open", "image file to root listing (once)", {
            "sendense": ctx.cli("ls", image.path, "/"),
            "guestfish (libguestfs)": ctx.command(
                f"LIBGUESTFS_BACKEND=direct guestfish --ro -a {shlex.quote(image.path)} -m /dev/sda2 ls /")}, **once)


def run_quietly(text):
    with contextlib.suppress(Exception):
        run(text)
        return True
    return False
