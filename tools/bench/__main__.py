#!/usr/bin/env python3
"""make bench: what Sendense takes and what its peers take, on the same images, in the same minute.

	python3 tools/bench --build DIR [--only list,tar/ext4] [--rounds N] [--fs ext4,ntfs] [--quick] [--page FILE] [--json FILE]

Needs root: the fixtures are filled, and the peers mounted, by the kernel. All of it happens in a mount and process namespace of its
own, so whatever ends it, nothing stays mounted and no process stays behind.
"""
import argparse
import contextlib
import ctypes
import fcntl
import http.client
import os
import shutil
import signal
import subprocess
import sys

import browser
import bulk
import measure
import report
import tasks
import verify
from fixtures import FILESYSTEMS, Fixtures, Scale
from hub import Hub
from measure import BenchError

TASKS = (tasks.open_root, tasks.mount_listed, tasks.listing, tasks.one_file, tasks.whole_image, bulk.archives, bulk.growth,
         bulk.many_clients, bulk.open_mounts, browser.large_folder, tasks.other_peers)
TOOLS = ("qemu-img", "qemu-storage-daemon", "sgdisk", "losetup", "mkfs.ext4", "mkfs.xfs", "mkfs.btrfs", "mkfs.vfat", "mkntfs", "ntfs-3g",
         "curl", "gzip", "pigz", "zip", "zstd")


def arguments():
    p = argparse.ArgumentParser(description="measures Sendense against its peers")
    p.add_argument("--build", required=True)
    p.add_argument("--folder", default=os.environ.get("BENCH_DIR") or "/var/tmp/sendense-bench")
    p.add_argument("--only", default="", help="keys or their beginnings, by comma: list, tar/ext4, image/zlib")
    p.add_argument("--rounds", type=int, default=5)
    p.add_argument("--fs", default=",".join(FILESYSTEMS))
    p.add_argument("--quick", action="store_true", help="small fixtures: to see that the harness works")
    p.add_argument("--page", help="the page whose generated part is written")
    p.add_argument("--json", help="where the published JSON goes")
    a = p.parse_args()
    a.filesystems = [f for f in FILESYSTEMS if f in a.fs.split(",")]
    if not a.filesystems or set(a.fs.split(",")) - set(FILESYSTEMS) or a.rounds < 1:
        p.error(f"filesystems are {', '.join(FILESYSTEMS)}; there is at least one round")
    return a


KEEPER = "SENDENSE_BENCH_KEEPER"
PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36


def keep():
    """Holds the mount namespace until every process of the measurement is gone, however it ends. Were one of the peers' daemons the last
    in it, the filesystem on its export would be unmounted as it dies, and wait for its answers for good."""
    prctl = ctypes.CDLL(None).prctl
    prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    prctl(PR_SET_CHILD_SUBREAPER, 1)
    if os.getppid() != int(os.environ[KEEPER]):
        sys.exit(1)
    measuring = subprocess.Popen(["unshare", "--pid", "--fork", "--kill-child", sys.executable, *sys.argv])
    signal.signal(signal.SIGTERM, lambda *_: measuring.kill())
    signal.signal(signal.SIGINT, lambda *_: None)
    status = measuring.wait()
    with contextlib.suppress(ChildProcessError):
        while True:
            os.wait()
    sys.exit(status if status >= 0 else 1)


def enter_namespaces():
    """The same again, as the first process of a process namespace, in a mount namespace of its own."""
    if os.getpid() == 1:
        subprocess.run(["mount", "-t", "proc", "proc", "/proc"], check=True)
        return
    if KEEPER in os.environ:
        keep()
    os.environ[KEEPER] = str(os.getpid())
    keeper = subprocess.Popen(["unshare", "--mount", "--propagation", "private", sys.executable, *sys.argv])
    signal.signal(signal.SIGINT, lambda *_: None)
    status = keeper.wait()
    sys.exit(status if status >= 0 else 1)


def say(text):
    sys.stderr.write(text)
    sys.stderr.flush()


def attempt(task, ctx, fs):
    """One that fails costs its own figures only; but the peers' answers must be ours."""
    try:
        task(ctx, fs)
    except (BenchError, OSError, http.client.HTTPException, subprocess.SubprocessError) as e:
        if task is verify.check:
            raise BenchError(f"check/{fs}: {e}") from e
        say(f"failed: {e}\n")
        ctx.results.failed.append(f"{task.__name__}/{fs}")


def measure_all(a, results, scale, folder):
    fixtures = Fixtures(folder, scale, say)
    measure.RUNNER, measure.WORK = f"{a.build}/tests/bench/bench-run", folder
    fixtures.ensure(a.filesystems)
    os.makedirs(fixtures.work, exist_ok=True)
    hub = Hub(a.build, fixtures.work)
    try:
        hub.add("bench", fixtures.repository)
        ctx = tasks.Context(fixtures, hub, a.build, a.rounds, say, results)
        for fs in a.filesystems:
            for task in (verify.check, *TASKS):
                attempt(task, ctx, fs)
    finally:
        hub.stop()
        shutil.rmtree(fixtures.work, ignore_errors=True)


def main():
    a = arguments()
    if os.geteuid() != 0:
        sys.exit("make bench needs root: the peers it is measured against are mounts")
    enter_namespaces()
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: sys.exit(1))
    os.environ["LC_ALL"] = "C.UTF-8"
    os.environ["PATH"] += ":/usr/sbin:/sbin"
    missing = [t for t in TOOLS if not shutil.which(t)]
    if missing:
        sys.exit(f"missing: {' '.join(missing)}: run tools/install-deps bench")
    scale = Scale(a.quick)
    folder = f"{os.path.abspath(a.folder)}/{'quick' if a.quick else 'full'}"
    os.makedirs(folder, exist_ok=True)
    lock = open(f"{folder}/lock", "w")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        sys.exit(f"another measurement uses {folder}")
    only = [o for o in a.only.split(",") if o]
    results = report.Results(f"{folder}/results.json", only, a.filesystems, a.rounds, scale)
    measure_all(a, results, scale, folder)
    if not results.added:
        sys.exit(f"nothing was measured: no task of {', '.join(a.filesystems)} begins with {a.only}")
    text = report.page(results.all, scale.lengths)
    print(text)
    if a.page:
        report.write_page(a.page, text)
    if a.json:
        shutil.copyfile(results.path, a.json)
    if results.failed:
        sys.exit(f"bench: failed: {' '.join(results.failed)}")


if __name__ == "__main__":
    try:
        main()
    except BenchError as e:
        sys.exit(f"bench: {e}")
    except KeyboardInterrupt:
        sys.exit("bench: interrupted; what was measured is kept")
