"""What goes into the fixtures' filesystems. Everything but the system tree comes from a fixed seed."""
import os
import random
import subprocess

SEED = 20260101


def words(rng, count):
    """Made-up words, short ones more often."""
    parts = ["ba", "con", "der", "e", "fi", "ga", "ho", "in", "ju", "ka", "lo", "me", "nu", "or", "pre", "qua", "ri", "se", "ta",
             "un", "ver", "wi", "ex", "ys", "zo", "tion", "ment", "st", "ing", "al"]
    return ["".join(rng.choices(parts, k=1 + min(3, int(rng.expovariate(0.7))))) for _ in range(count)]


def text_pool(size):
    """Text as reports have it: words by Zipf's law, numbers, lines of tables. Deflate makes it 0.4 to 0.45 of its size."""
    rng = random.Random(SEED)
    vocabulary = words(rng, 20000)
    weights = [1 / (i + 2) for i in range(len(vocabulary))]
    lines, length = [], 0
    while length < size:
        picked = rng.choices(vocabulary, weights, k=4000)
        for i in range(0, len(picked), 16):
            if rng.random() < 0.25:
                line = ";".join(f"{rng.randrange(10 ** rng.randrange(1, 9))}" for _ in range(10)) + "\n"
            else:
                line = " ".join(picked[i:i + 16]) + ".\n"
            lines.append(line)
            length += len(line)
    return "".join(lines).encode()[:size]


def document_sizes(count):
    """2 KB to 200 KB, most of them short."""
    rng = random.Random(SEED + 1)
    return [int(min(200_000, max(2_000, rng.lognormvariate(9.6, 1.0)))) for _ in range(count)]


def write(path, data):
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
    os.write(fd, data)
    os.close(fd)


def documents(folder, count, pool):
    """200 in a folder; each a piece of the pool of its own. Returns their bytes."""
    rng = random.Random(SEED + 2)
    total = 0
    for i, size in enumerate(document_sizes(count)):
        if i % 200 == 0:
            sub = f"{folder}/{i // 200:03d}"
            os.makedirs(sub)
        start = rng.randrange(max(1, len(pool) - size))
        data = pool[start:start + size]
        write(f"{sub}/report-{i:05d}.txt", data)
        total += len(data)
    return total


def many(folder, count, pool):
    os.makedirs(folder)
    rng = random.Random(SEED + count)
    for i in range(count):
        start = rng.randrange(len(pool) - 400)
        write(f"{folder}/measurement-{i:06d}.csv", pool[start:start + rng.randrange(20, 400)])


def random_file(path, size, marker):
    """Noise; it begins with the marker, by which it can be found in an image."""
    rng = random.Random(SEED + 3)
    with open(path, "wb") as f:
        f.write(marker)
        left = size - len(marker)
        while left > 0:
            n = min(left, 8 << 20)
            f.write(rng.randbytes(n))
            left -= n


def sparse_file(path, size):
    """A hole, with 64 KiB of data in each 64 MiB."""
    with open(path, "wb") as f:
        for off in range(0, size, 64 << 20):
            f.seek(off)
            f.write(b"\x5a" * 65536)
        f.truncate(size)


def system_list(entries, size):
    """Paths below /usr, in the order of the tree, up to so many entries and bytes; no file above 1 MiB."""
    taken, total = [], 0
    for folder, subs, files in os.walk("/usr"):
        subs.sort()
        for name in sorted(files):
            path = f"{folder}/{name}"
            try:
                st = os.lstat(path)
            except OSError:
                continue
            if st.st_size > 1 << 20 or total + st.st_size > size:
                continue
            total += st.st_size
            taken.append(path[1:])
            if len(taken) >= entries:
                return taken
    return taken


def system_tree(folder, entries, size, plain=False):
    """plain: a filesystem without owners and modes."""
    os.makedirs(folder)
    names = b"\0".join(os.fsencode(p) for p in system_list(entries, size)) + b"\0"
    out = subprocess.Popen(["tar", "-C", "/", "--null", "--no-recursion", "-T", "-", "-cf", "-"], stdin=subprocess.PIPE,
                           stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    unpack = subprocess.Popen(["tar", "-C", folder, "-xf", "-"] + (["--no-same-owner", "--no-same-permissions"] if plain else ["-p"]),
                              stdin=out.stdout, stderr=subprocess.PIPE)
    out.stdout.close()
    out.stdin.write(names)
    out.stdin.close()
    _, errors = unpack.communicate()
    out.wait()
    if unpack.returncode != 0:
        raise OSError(f"tar: {errors[-300:].decode(errors='replace')}")
