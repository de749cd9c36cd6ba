#!/usr/bin/env python3
"""kill.py FOLDER ROUNDS SEED: SIGKILL at random points, under load. TAP.

FOLDER holds repo/ (made by kill_test.sh): plain.qcow2, over.qcow2 on it, vault.raw (LUKS, passphrase in `secret`), foreign.vmdk; and
sums: "SHA-256  /path" of what is in plain.qcow2. Each round a hub is put under load, some of its workers and helpers are killed, at last
the hub itself, and then everything is looked at that a killed process could leave behind.
"""
import os
import random
import signal
import sys
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import load as loads  # pylint: disable=wrong-import-position

THREADS = 8

case = [0, 0]


def ok(good, name, *notes):
    case[0] += 1
    case[1] += not good
    print(f"{'ok' if good else 'not ok'} {case[0]} - {name}")
    for note in notes if not good else ():
        for line in str(note).splitlines():
            print("# " + line)
    sys.stdout.flush()
    return good


def kill_some(hub, rng, counts):
    """Kills one to three of the hub's processes: a worker, a helper, whatever is there."""
    for _ in range(rng.randrange(1, 4)):
        there = {pid: name for pid, (state, name) in loads.descendants(hub.pid).items() if state != "Z"}
        if there:
            # Of what is there, the kind that was hit least: helpers live for a moment only, and workers are always there.
            least = min(counts.get(name, 0) for name in there.values())
            pid = rng.choice([pid for pid, name in there.items() if counts.get(name, 0) == least])
            try:
                os.kill(pid, signal.SIGKILL)
                counts[there[pid]] = counts.get(there[pid], 0) + 1
            except ProcessLookupError:
                pass
        time.sleep(rng.uniform(0, 0.3))


def prepare(folder, hub, seed):
    load = loads.Load(hub, seed)
    client = loads.Client(hub)
    repository = client.ask("POST", "/repositories", {"name": "r", "location": os.path.join(folder, "repo")}).json()["id"]
    load.repositories.append(repository)
    assert client.ask("POST", f"/repositories/{repository}/scan").status == 200
    disks = {}
    for b in client.ask("GET", "/backups?limit=100").json()["backups"]:
        disk = client.ask("GET", f"/backups/{b['backup_id']}/disks").json()["disks"][0]
        disks[os.path.basename(disk["qcow2_path"])] = b["backup_id"]
    for name in ("plain.qcow2", "foreign.vmdk"):
        if name in disks:
            body = loads.mount(client, backup_id=disks[name])
            load.learn(loads.Target(body["mount_id"], disks[name], {"backup_id": disks[name]}), ("/", "/etc", "/data", "/many"),
                       ("/many", "/data"))
    # What is above is compared; this comes and goes.
    load.churn = [{"backup_id": disks["over.qcow2"]}]
    if "vault.raw" in disks:
        with open(os.path.join(folder, "secret"), encoding="ascii") as f:
            load.locked = [({"backup_id": disks["vault.raw"]}, f.read())]
    client.close()
    return load, disks


def walls(pid):
    """The process's NoNewPrivs; None if it has ended."""
    try:
        with open(f"/proc/{pid}/status", encoding="ascii", errors="replace") as f:
            return dict(line.rstrip("\n").split(":\t", 1) for line in f).get("NoNewPrivs")
    except OSError:
        return None


def stopped_helper(folder, hub, disks):
    """A key helper that hears and sees nothing any more does not outlive the hub either."""
    client = loads.Client(hub)
    vault = loads.mount(client, backup_id=disks["vault.raw"])
    with open(os.path.join(folder, "secret"), encoding="ascii") as f:
        secret = f.read()

    def unlock():
        try:
            loads.Client(hub).ask("POST", f"/restore/{vault['mount_id']}/unlock", {"volume": 1, "passphrase": secret})
        except loads.CUTS:
            pass

    thread = threading.Thread(target=unlock)
    thread.start()
    until, helpers = time.monotonic() + loads.TIMEOUT, []
    while not helpers and time.monotonic() < until and thread.is_alive():
        helpers = hub.children("sendense-keyhel")
    for pid in helpers:
        # Not before it is behind its walls.
        while walls(pid) == "0":
            time.sleep(0.001)
        os.kill(pid, signal.SIGSTOP)
    hub.kill()
    thread.join()
    left = loads.left_over()
    ok(helpers and not left, "a key helper that is stopped ends with the hub", helpers, left)
    for pid in left:
        os.kill(pid, signal.SIGKILL)
    hub.start()


def run(folder, rounds, seed, tmp, hub):
    rng = random.Random(f"kill/{seed}")
    hub.start()
    load, disks = prepare(folder, hub, seed)
    with open(os.path.join(folder, "sums"), encoding="utf-8") as f:
        sums = dict(reversed(line.rstrip("\n").split("  ", 1)) for line in f)
    for target in load.targets:
        ok({path: its[1] for path, its in target.files.items() if path.startswith("/data")} ==
           {path: digest for path, digest in sums.items() if path.startswith("/data")}, "the files are those of the tree", sums, target.files)
    load.kills = True
    # Much of it shall be under way when the blow falls.
    load.weights.update(slow_download=20, archive=14)
    killed, before = {}, loads.files_below(os.path.join(folder, "repo"))
    for n in range(rounds):
        load.seed = f"{seed}/{n}"
        load.start(THREADS)
        time.sleep(rng.uniform(0.05, 0.9))
        if rng.random() < 0.7:
            kill_some(hub, rng, killed)
        hub.kill()
        load.end()
        left = loads.left_over()
        ok(not left, f"round {n}: no process is left", left)
        for pid in left:
            os.kill(pid, signal.SIGKILL)
        ok(not loads.files_below(tmp), f"round {n}: no temporary file is left", loads.files_below(tmp))
        strange = [f for f in loads.files_below(hub.data) if f not in loads.DATA_FILES]
        ok(not strange, f"round {n}: nothing strange in the data directory", strange)
        trouble = loads.catalog_trouble(os.path.join(hub.data, "catalog.db"))
        ok(not trouble, f"round {n}: the catalog is sound", trouble)
        ok(not load.bad, f"round {n}: no answer was wrong, none that was cut looked whole", *load.bad)
        load.bad.clear()
        hub.start()
        client = loads.Client(hub)
        for target in load.targets:
            wrong = loads.answers_again(client, target)
            ok(not wrong, f"round {n}: the mount of {target.backup} answers again", wrong, hub.log())
        between = [m for m in client.ask("GET", "/restore/mounts").json()["mounts"] if m["status"] != "mounted"]
        ok(not between, f"round {n}: no mount is in between", between)
        client.close()
    if "vault.raw" in disks:
        stopped_helper(folder, hub, disks)
    client = loads.Client(hub)
    for m in client.ask("GET", "/restore/mounts").json()["mounts"]:
        client.ask("DELETE", f"/restore/{m['mount_id']}")
    ok(client.ask("GET", "/restore/resources").json()["active_mounts"] == 0, "all can be unmounted")
    client.close()
    ok(hub.stop() == 0, "and the hub stops cleanly", hub.log())
    ok(not loads.left_over(), "no process is left")
    ok(loads.files_below(os.path.join(folder, "repo")) == before, "the repository is as it was")
    # A test whose kills hit nothing would show nothing.
    ok(load.counts["whole"] > rounds, "the load got answers", load.counts)
    ok(load.counts["cut"] + load.counts["no answer"] > rounds and load.counts["cut"] > 0, "bodies were cut", load.counts)
    ok(any(name.startswith("sendense-worker") for name in killed), "workers were killed", killed)
    print(f"# seed {seed}; killed {killed}; {dict(load.counts)}")
    print(f"1..{case[0]}")
    return 1 if case[1] else 0


def main():
    folder, rounds, seed = sys.argv[1], int(sys.argv[2]), sys.argv[3]
    loads.become_subreaper()
    tmp = os.path.join(folder, "tmp")
    os.mkdir(tmp)
    hub = loads.Hub("sendense-hub", os.path.join(folder, "hub"), env={"TMPDIR": tmp})
    try:
        return run(folder, rounds, seed, tmp, hub)
    finally:
        # Also where something unforeseen ended the test.
        if hub.process and hub.process.poll() is None:
            hub.kill()


if __name__ == "__main__":
    sys.exit(main())
