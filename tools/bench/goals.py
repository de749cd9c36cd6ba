"""What the project set itself, held against what was measured. A ratio is the median of the ratios of the rounds."""
import statistics

from tasks import DIRECT, FLOOR, PEER, SEVEN_ZIP


def wall(result, party):
    return [s["wall"] for s in result["samples"][party]]


def ratio(result, party, ours="sendense"):
    """How many times as long the other one took."""
    return statistics.median(b / a for a, b in zip(wall(result, ours), wall(result, party)))


def median(result, party, what="wall"):
    return statistics.median(s[what] for s in result["samples"][party])


def ratio_closed(result, party):
    """With what closing takes the other one; ours is closed when it ends."""
    return statistics.median((b["wall"] + b["closing"]) / a["wall"] for a, b in zip(result["samples"]["sendense"], result["samples"][party]))


class Goals:
    """rows: (what, goal, reached, verdict); verdict None: not measured."""

    def __init__(self, results):
        self.results = results
        self.rows = []

    def judge(self, what, goal, key, measure, good, show):
        result = self.results.get(key) if key else True
        if not result:
            self.rows.append((what, goal, "not measured", None))
            return
        value = measure(result)
        self.rows.append((what, goal, show(value), good(value)))

    def times(self, what, key, party, least, **more):
        self.judge(what, f"{least:g} ×", key, lambda r: ratio(r, party, **more), lambda v: v >= least, lambda v: f"{v:.2f} ×")

    def at_most(self, what, key, measure, most, unit="", digits=1):
        self.judge(what, f"≤ {most:g}{unit}", key, measure, lambda v: v <= most, lambda v: f"{v:.{digits}f}{unit}")

    def worker_memory(self):
        """What it holds when a listing or an archive is done, and the most it held meanwhile."""
        most = 12
        for what, name in (("worker_rss", "worker's memory after listings and archives"), ("worker_peak", "… its peak meanwhile")):
            found = {}
            for key, result in self.results.items():
                if key.split("/")[0] in ("list", "tar", "targz", "tarzst", "zip"):
                    for s in result["samples"].get("sendense", []):
                        if what in s:
                            found[key] = max(found.get(key, 0), s[what] / 1024)
            goal = f"≤ {most} MiB"
            if not found:
                self.rows.append((name, goal, "not measured", None))
                continue
            worst = max(found, key=found.get)
            self.rows.append((name, goal, f"{found[worst]:.1f} MiB ({worst})", found[worst] <= most))


def per_entry(result):
    """Time an entry of the largest directory against the middle one's."""
    sizes = sorted(result["samples"], key=int)
    small, large = sizes[-2:]
    return (median(result, large) / int(large)) / (median(result, small) / int(small))


def largest(result):
    return max(result["samples"], key=int)


def judge(results, filesystems, lengths):
    g = Goals(results)
    for fs in filesystems:
        g.judge(f"image file → root listing, {fs}, warm", "4 ×", f"open/{fs}/warm",
                lambda r, p=PEER[fs]: (ratio(r, p), ratio_closed(r, p)), lambda v: v[0] >= 4,
                lambda v: f"{v[0]:.2f} × ({v[1]:.2f} × with the peer's closing)")
    longest = f"chain-{lengths[-1]}"
    g.at_most(f"POST mount → listed, chain of full + {lengths[-1]}, against a single image", "mount/lengths/warm",
              lambda r: 1 / ratio(r, "single", ours=longest), 1.5, " ×", 2)
    g.at_most(f"POST mount → listed, chain of full + {lengths[-1]}", "mount/lengths/warm", lambda r: 1e3 * median(r, longest), 10, " ms")
    for fs in filesystems:
        g.times(f"list the large directory with everything, {fs}, warm", f"list/{fs}/warm", PEER[fs], 20 if fs == "ntfs" else 4)
    for fs in filesystems:
        g.times(f"large file over HTTP, {fs}, warm", f"file/{fs}/warm", PEER[fs], 2)
        if fs != "ntfs":
            g.times(f"… against direct I/O, {fs}", f"file/{fs}/warm", DIRECT, 1.3)
        g.times(f"… against dd | cat, {fs}", f"file/{fs}/warm", FLOOR, 1)
    g.times("whole image, zlib", "image/zlib/warm", "qemu-img convert to nowhere", 2.5)
    g.times("whole image, zstd", "image/zstd/warm", "qemu-img convert to nowhere", 1.5)
    g.times("documents as tar, image compressed with zlib", "tar/ext4-zlib/warm", PEER["ext4"], 10)
    g.times("documents as tar, image compressed with zstd", "tar/ext4-zstd/warm", PEER["ext4"], 4)
    for fs in filesystems:
        g.times(f"documents as tar, {fs}, warm", f"tar/{fs}/warm", PEER[fs], 4)
    for key, party in (("targz/ext4/warm", "peer, tar | gzip -6"), ("zip/ext4/warm", "peer, zip -6")):
        what = "tar.gz" if key.startswith("targz") else "zip"
        g.times(f"documents as {what}", key, party, 10)
        g.at_most(f"… size of the {what} against the peer's", key,
                  lambda r, p=party: median(r, "sendense", "bytes") / median(r, p, "bytes"), 1.1, " ×", 3)
    for fs in (f for f in filesystems if f in ("ext4", "ntfs")):
        g.times(f"every entry of the filesystem, {fs}, against 7z", f"slow/{fs}/all-entries", SEVEN_ZIP, 1)
    g.worker_memory()
    g.at_most("mounts open at once, memory of all", "memory/mounts/warm",
              lambda r: median(r, "sendense", "pss") / (1 << 20), 8, " GiB", 2)

    def busy(r):
        return next(p for p in r["samples"] if p != "alone")
    for key, where in (("load/clients/warm", "one mount"), ("load/mounts/warm", "one mount of each filesystem")):
        g.at_most(f"errors while many clients download, {where}", key,
                  lambda r: sum(s["errors"] for s in r["samples"][busy(r)]), 0, "", 0)
        g.judge("… p99 of a listing then", "< 50 ms", key, lambda r: median(r, busy(r), "p99_ms"), lambda v: v < 50,
                lambda v: f"{v:.1f} ms")
    g.at_most("listing linear: time an entry, largest to middle directory", "growth/list/warm", per_entry, 1.2, " ×", 2)
    g.at_most("archive linear: time an entry, largest to middle directory", "growth/tar/warm", per_entry, 1.2, " ×", 2)
    g.at_most("open independent of the disk's size: 128 × as large", "mount/lengths/warm",
              lambda r: 1 / ratio(r, "single", ours="huge"), 1.2, " ×", 2)
    g.at_most("the page: from the click to the first rows of the largest directory", "page/directory/warm",
              lambda r: 1e3 * median(r, largest(r)), 300, " ms", 0)
    g.at_most("… scrolled through: the longest time from one frame to the next", "page/directory/warm",
              lambda r: 1e3 * median(r, largest(r), "frame_max"), 100, " ms", 0)
    return g.rows
