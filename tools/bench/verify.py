"""That both sides do the same work, before anything is timed: names, sizes and modes of a listing, the bytes of the large file and of
all documents."""
import hashlib
import json
import os
import stat
import subprocess
import tarfile

import peers
from hub import Mounted
from measure import BenchError


def digest(stream):
    return hashlib.file_digest(stream, "sha256").digest()


def fetch(hub, url):
    return subprocess.Popen(["curl", "-sSf", "-H", f"Authorization: Bearer {hub.token}", url], stdout=subprocess.PIPE)


def listing(hub, mount, peer, fs, path):
    got = {f["name"]: f for f in json.loads(hub.call("GET", f"/restore/{mount}/files?path={path}"))["files"]}
    seen = 0
    for entry in os.scandir(peer.path + path):
        st, f = entry.stat(follow_symlinks=False), got.get(entry.name)
        # ntfs-3g makes its modes up.
        if not f or f["size"] != st.st_size or (fs != "ntfs" and int(f["mode"], 8) != stat.S_IMODE(st.st_mode)):
            raise BenchError(f"{fs}: {path}/{entry.name} is {f} here, size {st.st_size} mode {st.st_mode:o} at the peer")
        seen += 1
    if seen != len(got):
        raise BenchError(f"{fs}: {len(got)} entries here, {seen} at the peer")


def documents(hub, mount, peer, fs, count):
    seen = 0
    with fetch(hub, hub.url(mount, "download-directory", "/documents", format="tar")) as curl, \
            tarfile.open(fileobj=curl.stdout, mode="r|") as tar:
        for member in tar:
            if not member.isreg():
                continue
            with open(f"{peer.path}/{member.name}", "rb") as f:
                if hashlib.sha256(tar.extractfile(member).read()).digest() != digest(f):
                    raise BenchError(f"{fs}: {member.name} differs in the archive")
            seen += 1
    if seen != count:
        raise BenchError(f"{fs}: {seen} documents in the archive, {count} expected")


def check(ctx, fs):
    image = ctx.fixtures.image(fs)
    ctx.log(f"check/{fs} ")
    with Mounted(ctx.hub, image.backup) as mount, peers.opened(image, ctx.work) as peer:
        listing(ctx.hub, mount, peer, fs, f"/many/{ctx.scale.many[-1]}")
        for name in ("random", "sparse"):
            with fetch(ctx.hub, ctx.hub.url(mount, "download", f"/big/{name}.bin")) as curl, \
                    open(f"{peer.path}/big/{name}.bin", "rb") as f:
                if digest(curl.stdout) != digest(f):
                    raise BenchError(f"{fs}: {name}.bin differs from the peer's")
        documents(ctx.hub, mount, peer, fs, ctx.scale.documents)
    ctx.log("the same as the peer's\n")
