"""Running things and writing down what they took.

A Sample is one run: seconds of wall time, CPU seconds of the processes that did the work (children, and the daemons named),
CPU seconds of the whole machine in that time (kernel threads of loop devices and FUSE are only seen there), peak memory
of the largest process, and what else a task wants to keep.
"""
import contextlib
import os
import statistics
import subprocess
import tempfile
import time

RUNNER = WORK = ""                                       # bench-run, and a folder for what it says: set once by main
TICK = os.sysconf("SC_CLK_TCK")


class BenchError(Exception):
    pass


class Sample(dict):
    """wall, cpu, machine: seconds. peak: KiB. Anything else: numbers of the task's own."""


def process_cpu(pid):
    """CPU seconds of all threads that process ever had: the kernel's CPU clock of another process."""
    try:
        return time.clock_gettime((~pid << 3) | 2)
    except OSError:
        return 0.0


def machine_cpu():
    """Seconds all processors were busy since start; steps of 10 ms."""
    with open("/proc/stat") as f:
        user, nice, system, _idle, _iowait, irq, softirq = map(int, f.readline().split()[1:8])
    return (user + nice + system + irq + softirq) / TICK


def children_of(pid):
    found = []
    with contextlib.suppress(OSError):
        for task in os.listdir(f"/proc/{pid}/task"):
            with contextlib.suppress(OSError), open(f"/proc/{pid}/task/{task}/children") as f:
                found += map(int, f.read().split())
    return found


def lives_below(pid, parent):
    """Whether pid is a child of parent that has not ended. A zombie has: what it held was given back before."""
    with contextlib.suppress(OSError), open(f"/proc/{pid}/stat", errors="replace") as f:
        state, ppid = f.read().rpartition(")")[2].split()[:2]
        return state not in "ZX" and int(ppid) == parent
    return False


def memory(pid, what="VmHWM"):
    """KiB: VmHWM (peak resident), VmRSS, or Pss (shared pages divided among those who share them)."""
    path = f"/proc/{pid}/" + ("smaps_rollup" if what == "Pss" else "status")
    with contextlib.suppress(OSError), open(path) as f:
        for line in f:
            if line.startswith(what + ":"):
                return int(line.split()[1])
    return 0


class Meter:
    """with Meter(lambda: pids) as m: … ; m.sample holds the figures. What m.run() starts counts by itself; the wall time is then that
    of the commands alone, else that of the whole block."""

    def __init__(self, pids=lambda: ()):
        self.pids = pids
        self.sample = Sample()

    def __enter__(self):
        self.before = {pid: process_cpu(pid) for pid in self.pids()}
        self.machine = machine_cpu()
        self.cpu = self.wall = self.peak = 0
        self.start = time.perf_counter()
        return self

    def run(self, argv, out=None):
        """One command to its end; its standard output goes to the file `out`, else nowhere."""
        wall, cpu, peak = run(argv, out)
        self.wall += wall
        self.cpu += cpu
        self.peak = max(self.peak, peak)

    def __exit__(self, kind, *_):
        if kind is not None:
            return
        wall = self.wall or time.perf_counter() - self.start
        machine = machine_cpu() - self.machine
        for pid in self.pids():
            self.cpu += process_cpu(pid) - self.before.get(pid, 0)
            self.peak = max(self.peak, memory(pid))
        self.sample.update(wall=wall, cpu=self.cpu, machine=machine, peak=self.peak)


def run(argv, out=None):
    """Starts, waits; wall seconds, CPU seconds, KiB of the largest process. BenchError with its last words if it fails."""
    if isinstance(argv, str):
        argv = ["/bin/sh", "-c", argv]
    result = f"{WORK}/result"
    with tempfile.TemporaryFile() as errors:
        started = subprocess.run([RUNNER, result, out or "/dev/null", *argv], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                 stderr=errors, check=False)
        with open(result) as f:
            status, wall, cpu, peak = (f.readline() if started.returncode == 0 else "127 0 0 0").split()
        if status != "0":
            errors.seek(0)
            raise BenchError(f"{' '.join(argv)[:400]}: status {status}: {errors.read()[-400:].decode(errors='replace').strip()}")
    return float(wall), float(cpu), int(peak)


def output(argv, **more):
    done = subprocess.run(argv, capture_output=True, text=True, check=False, **more)
    if done.returncode != 0:
        raise BenchError(f"{argv}: {done.stderr.strip()[-400:]}")
    return done.stdout


def drop_caches():
    os.sync()
    with open("/proc/sys/vm/drop_caches", "w") as f:
        f.write("3")


def preread(*paths):
    """Brings files into the page cache."""
    for path in paths:
        with open(path, "rb", buffering=0) as f:
            while f.read(4 << 20):
                pass


def middle(samples):
    """Several short runs as one: median of the wall times, mean of the CPU seconds, highest peak."""
    one = Sample(samples[len(samples) // 2])
    one["wall"] = statistics.median(s["wall"] for s in samples)
    for what in ("cpu", "machine", "closing"):
        if what in one:
            one[what] = statistics.mean(s[what] for s in samples)
    one["peak"] = max(s["peak"] for s in samples)
    return one


def rounds(parties, count, cold=False, inner=1, log=lambda text: None):
    """parties: {name: function → Sample}. Each in turn, `count` times over, so all see the same minute; the order turns with each
    round. Cold: caches are dropped before every run. Warm: one run of each comes first that is not counted."""
    samples = {name: [] for name in parties}
    if not cold:
        for go in parties.values():
            go()
    for r in range(count):
        names = list(parties)
        names = names[r % len(names):] + names[:r % len(names)]
        for name in names:
            some = []
            for _ in range(inner):
                if cold:
                    drop_caches()
                some.append(parties[name]())
            samples[name].append(middle(some))
        log(".")
    return samples
