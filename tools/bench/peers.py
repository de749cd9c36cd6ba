"""The strongest way there is without us: qemu-storage-daemon exports the root partition as a file through FUSE, the kernel mounts that
through a loop device (NTFS: ntfs-3g on the file itself). And loop devices and mounts for making fixtures."""
import contextlib
import os
import shlex
import signal
import time

from measure import BenchError, output, run


@contextlib.contextmanager
def loop(path, offset, size):
    device = output(["losetup", "--find", "--show", "--offset", str(offset), "--sizelimit", str(size), path]).strip()
    try:
        yield device
    finally:
        run(["losetup", "-d", device])


def mount_command(device, mnt, fs, options=None, writable=False):
    more = [o for o in (options, None if writable else "ro") if o]
    if fs == "ntfs":
        return ["ntfs-3g", "-o", ",".join(more + ["big_writes"]), device, mnt]
    if fs == "xfs" and not writable:
        more.append("nouuid")
    return ["mount", "-t", fs] + (["-o", ",".join(more)] if more else []) + [device, mnt]


@contextlib.contextmanager
def mounted(device, mnt, fs, options=None, writable=False):
    os.makedirs(mnt, exist_ok=True)
    run(mount_command(device, mnt, fs, options, writable))
    try:
        yield mnt
    finally:
        unmount(mnt)


def unmount(mnt):
    for attempt in range(50):
        try:
            return run(["umount", mnt])
        except BenchError:
            if attempt == 49:
                raise
            time.sleep(0.1)


class Peer:
    """An image opened this way. start() and stop() are one shell command each, what an administrator's script would be."""

    def __init__(self, image, work, direct=False, writable=False):
        self.image, self.direct, self.writable = image, direct, writable
        self.mnt, self.export, self.pidfile = f"{work}/peer-mnt", f"{work}/peer-export", f"{work}/peer-pid"
        self.path = self.mnt
        self.pid = 0
        self.filesystem = []                             # ntfs-3g's process
        os.makedirs(self.mnt, exist_ok=True)
        with open(self.export, "wb"):
            pass

    def export_command(self):
        image, ro = self.image, "off" if self.writable else "on"
        return ["qemu-storage-daemon", "--daemonize", "--pidfile", self.pidfile,
                "--blockdev", f"driver=file,node-name=file,filename={image.path},read-only={ro}",
                "--blockdev", f"driver=qcow2,node-name=image,file=file,read-only={ro}",
                "--blockdev", f"driver=raw,node-name=root,file=image,offset={image.offset},size={image.size},read-only={ro}",
                "--export", f"type=fuse,id=root,node-name=root,mountpoint={self.export},writable={'on' if self.writable else 'off'}"]

    def open_command(self):
        export, fs = shlex.join(self.export_command()), self.image.fs
        if fs == "ntfs":
            return f"{export} && {shlex.join(mount_command(self.export, self.mnt, fs))}"
        options = "loop" if not self.direct else None
        if not self.direct:
            return f"{export} && {shlex.join(mount_command(self.export, self.mnt, fs, options, self.writable))}"
        # The device goes by itself when it is unmounted.
        return (f"{export} && d=$(losetup --find --show --read-only --direct-io=on {shlex.quote(self.export)}) && "
                f"{shlex.join(mount_command('DEVICE', self.mnt, fs)).replace('DEVICE', '$d')} && losetup -d $d")

    def start(self):
        run(self.open_command())
        self.learn()

    def learn(self):
        with open(self.pidfile) as f:
            self.pid = int(f.read())
        self.filesystem = fuse_servers() if self.image.fs == "ntfs" else []

    def pids(self):
        return ([self.pid] if self.pid else []) + self.filesystem

    def stop(self):
        """Also after a start that failed half-way."""
        if os.path.ismount(self.mnt):
            unmount(self.mnt)
            for pid in self.filesystem:
                end(pid, kill=False)
        with contextlib.suppress(OSError, ValueError):
            with open(self.pidfile) as f:
                self.pid = int(f.read())
        if self.pid:
            end(self.pid)
        with contextlib.suppress(OSError):
            os.unlink(self.pidfile)
        with contextlib.suppress(BenchError):
            if os.path.ismount(self.export):
                run(["umount", "-l", self.export])


def fuse_servers():
    """The ntfs-3g processes of this process namespace: all are ours."""
    found = []
    for name in os.listdir("/proc"):
        if name.isdigit():
            with contextlib.suppress(OSError), open(f"/proc/{name}/comm") as f:
                if f.read().strip() in ("ntfs-3g", "mount.ntfs-3g"):
                    found.append(int(name))
    return found


def end(pid, kill=True):
    """Waits for a daemon. Its parent is the first process of the namespace, which is the harness."""
    if kill:
        with contextlib.suppress(OSError):
            os.kill(pid, signal.SIGTERM)
    for _ in range(1000):
        with contextlib.suppress(ChildProcessError):
            if os.waitpid(pid, os.WNOHANG)[0] == pid:
                return
        if not os.path.exists(f"/proc/{pid}"):
            return
        time.sleep(0.005)
    raise BenchError(f"process {pid} does not end")


@contextlib.contextmanager
def opened(image, work, direct=False, writable=False, mount=True):
    """mount=False: only the file, peer.export."""
    peer = Peer(image, work, direct, writable)
    try:
        if mount:
            peer.start()
        else:
            run(peer.export_command())
            peer.learn()
        yield peer
    finally:
        peer.stop()
