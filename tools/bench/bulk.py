"""What is measured: archives, memory, many clients, growth."""
import json
import signal
import subprocess
import time

from measure import BenchError, Meter, memory, preread
from tasks import PEER


def archives(ctx, fs):
    count = f"{ctx.scale.documents:,} documents"
    ours = {f: lambda image, f=f: ctx.http(image, "download-directory", "/documents", format=f)
            for f in ("tar", "tar.gz", "tar.zst", "zip")}
    tar = "tar -C {} -cf - documents"
    image = ctx.fixtures.image(fs)
    preread(image.path)
    ctx.states(f"tar/{fs}", f"{count} as tar", {"sendense": ours["tar"](image), PEER[fs]: ctx.peer(image, f"{tar} | cat >/dev/null")})
    if fs != "ext4":
        return
    ctx.measure("targz/ext4/warm", f"{count} as tar.gz", {
        "sendense": ours["tar.gz"](image),
        "peer, tar | gzip -6": ctx.peer(image, f"{tar} | gzip -6 | wc -c", counts=True),
        "peer, tar | pigz -6": ctx.peer(image, f"{tar} | pigz -6 | wc -c", counts=True)})
    ctx.measure("zip/ext4/warm", f"{count} as zip", {
        "sendense": ours["zip"](image),
        "peer, zip -6": ctx.peer(image, "cd {} && zip -q -r -6 - documents | wc -c", counts=True)})
    ctx.measure("tarzst/ext4/warm", f"{count} as tar.zst", {
        "sendense": ours["tar.zst"](image),
        "peer, tar | zstd -1 -T0": ctx.peer(image, f"{tar} | zstd -q -1 -T0 | wc -c", counts=True)})
    for how in ("zlib", "zstd"):
        packed = ctx.fixtures.image(f"ext4-{how}")
        preread(packed.path)
        ctx.measure(f"tar/ext4-{how}/warm", f"{count} as tar, image compressed with {how}", {
            "sendense": ours["tar"](packed), PEER[fs]: ctx.peer(packed, f"{tar} | cat >/dev/null")})


def open_mounts(ctx, fs):
    """As many mounts as a hub allows, each listed once."""
    if fs != "ext4" or not ctx.results.wanted("memory/mounts/warm"):
        return
    count = ctx.scale.mounts
    ctx.hub.add("small", ctx.fixtures.small)

    def go():
        before, mounts = available(), []
        try:
            with Meter(ctx.hub.pids) as meter:
                for i in range(count):
                    mounts.append(ctx.hub.mount(f"vm{i:04d}-0"))
                    ctx.hub.call("GET", f"/restore/{mounts[-1]}/files?path=/")
            workers = ctx.hub.workers()
            if len(workers) < count:
                raise BenchError(f"{len(workers)} workers live after {count} mounts")
            pss = [memory(p, "Pss") for p in workers]
            meter.sample.update(pss=sum(pss) + memory(ctx.hub.pid, "Pss"), hub=memory(ctx.hub.pid, "Pss"), largest=max(pss),
                                machine_memory=before - available(), mounts=count)
            return meter.sample
        finally:
            ctx.hub.unmount(*mounts)
    # Nothing is timed here, so once is enough.
    ctx.log("memory/mounts/warm ")
    ctx.results.add("memory/mounts/warm", f"{count:,} mounts open, each listed", {"sendense": [go()]})
    ctx.log("\n")


def available():
    with open("/proc/meminfo") as f:
        return next(int(line.split()[1]) for line in f if line.startswith("MemAvailable:"))


def many_clients(ctx, fs):
    """Downloads go on while small listings are asked for: of one mount, and spread over one of each filesystem."""
    if fs != ctx.results.filesystems[0]:
        return
    images = [ctx.fixtures.image(name) for name in ctx.results.filesystems]
    clients_of(ctx, "load/clients/warm", images[:1], "one mount")
    if len(images) > 1:
        clients_of(ctx, "load/mounts/warm", images, f"{len(images)} mounts")


def clients_of(ctx, key, images, where):
    if not ctx.results.wanted(key):
        return
    preread(*[i.path for i in images])
    load = [f"{ctx.build}/tests/bench/bench-load", ctx.hub.host, str(ctx.hub.port), ctx.hub.token]
    ids = []
    try:
        for i in images:
            ids.append(ctx.hub.mount(i.backup))
        lists = [f"/api/v1/restore/{i}/files?path=/small" for i in ids]
        files = [f"/api/v1/restore/{i}/download?path=/big/medium.bin" for i in ids]
        listing = load + ["list", "8", str(ctx.scale.requests)] + lists

        def alone():
            with Meter(ctx.hub.pids) as meter:
                got = json.loads(subprocess.run(listing, capture_output=True, check=True).stdout)
            meter.sample.update({k: got[k] for k in ("errors", "requests", "p50_ms", "p99_ms", "max_ms") if k in got})
            return meter.sample

        def busy():
            downloads = subprocess.Popen(load + ["download", str(ctx.scale.clients), "600"] + files, stdout=subprocess.PIPE)
            try:
                time.sleep(0.5)
                sample = alone()
                downloads.send_signal(signal.SIGTERM)
                got = json.loads(downloads.communicate()[0])
            finally:
                downloads.kill()
                downloads.wait()
            sample["errors"] += got["errors"]
            sample.update(downloads=got["requests"], download_mb_s=got["bytes"] / got["seconds"] / 1e6)
            return sample
        ctx.measure(key, f"{ctx.scale.requests:,} listings of 20 entries, 8 at a time, {where}", {
            f"while {ctx.scale.clients} clients download": busy, "alone": alone})
    finally:
        ctx.hub.unmount(*ids)


def growth(ctx, fs):
    if fs != "ext4":
        return
    image = ctx.fixtures.image(fs)
    preread(image.path)
    for what, how in (("list", {"what": "files"}), ("tar", {"what": "download-directory", "format": "tar"})):
        ctx.measure(f"growth/{what}/warm", f"{what} of a directory, by its entries", {
            str(n): ctx.http(image, path=f"/many/{n}", **how) for n in ctx.scale.many})
