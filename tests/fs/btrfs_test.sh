#!/bin/bash
# btrfs against the kernel's own mount: trees made under many options. Needs root and loop mounts.
# SENDENSE_BTRFS_SEED=N makes other contents.
# Mounts of our own: whoever copies the namespace while one is there would hold it, and what is behind it unwritten.
[ -n "$OWN_MOUNTS" ] || ! unshare -m true 2>/dev/null || OWN_MOUNTS=1 exec unshare -m "$0" "$@"
. "$SENDENSE_SRC/tests/tap.sh"
here=$SENDENSE_SRC/tests/fs dump=$SENDENSE_BUILD/tests/fs/fsdump check=$SENDENSE_BUILD/tests/fs/fscheck
seed=${SENDENSE_BTRFS_SEED:-1}
for tool in mkfs.btrfs btrfs python3 fallocate; do
	command -v $tool >/dev/null || PATH=$PATH:/sbin:/usr/sbin
	command -v $tool >/dev/null || { skip "btrfs" "no $tool"; done_testing; exit; }
done
tmp=$(mktemp -d)
mounted=
cleanup() { [ -z "$mounted" ] || umount "$tmp/mnt"; rm -rf "$tmp"; }
trap cleanup EXIT
cd "$tmp" || exit 1
mkdir mnt

attach() { mount -o "loop,$2" "$1" mnt 2>mount.log && mounted=1; }
detach() { umount mnt && mounted=; }
make() { local img=$1; shift; rm -f "$img"; truncate -s 400M "$img"; mkfs.btrfs -q "$@" "$img" >mkfs.log 2>&1; }

# Of a subvolume that a snapshot does not hold, the kernel makes up the times.
compare() {
	attach "$1" ro || { tail -1 mount.log; return; }
	python3 "$here/referee-manifest" --all --exclude snap/inner --exclude snaps/two/inner mnt >want
	detach
	"$dump" --all "$1" | python3 "$here/referee-manifest" --filter --exclude snap/inner --exclude snaps/two/inner >got
	diff want got | cut -c1-300
}

make p.img && attach p.img rw || { skip "btrfs" "btrfs cannot be mounted here"; done_testing; exit; }
detach

while IFS='|' read -r opts mopts count; do
	# shellcheck disable=SC2086
	if ! make o.img $opts || ! attach o.img "rw$mopts"; then
		skip "mkfs.btrfs $opts, mount $mopts" "$(cat mkfs.log mount.log | tail -1)"
		continue
	fi
	python3 "$here/mkexttree" mnt "$seed"
	ok "fill $opts $mopts" python3 "$here/mkbtrfstree" mnt "$seed" "$count"
	detach
	is "mkfs.btrfs $opts, mount $mopts" "$(compare o.img)" ""
	ok "conformance: mkfs.btrfs $opts, mount $mopts" "$check" o.img
done <<'OPTS'
||20000
-n 4096 -m single -d single|,compress=zlib|100
-n 65536 -m dup -d dup|,compress-force=zlib|100
--csum xxhash|,compress=zstd|100
--csum sha256 -M -n 4096|,compress-force=zstd:15|100
--csum blake2 -O ^no-holes,^extref|,compress-force=lzo|100
-R quota|,compress=lzo,max_inline=0|100
-M --csum crc32c -d single -m single|,nodatasum|100
-d raid0 -m raid0|,flushoncommit,max_inline=4000|100
OPTS

# The default subvolume is what a mount without options shows.
make d.img && attach d.img rw
btrfs -q subvolume create mnt/sub >/dev/null; echo inside >mnt/sub/file; btrfs -q subvolume create mnt/sub/deeper >/dev/null
btrfs subvolume set-default mnt/sub
detach
is "default subvolume" "$(compare d.img)" ""
is "default subvolume is the root" "$("$dump" d.img | cut -d' ' -f1 | tr '\n' ' ')" ". ./deeper ./file "

# One device of several: what is mirrored here is read, what is not names the missing device.
second() {
	rm -f m1.img m2.img; truncate -s 300M m1.img m2.img
	local a b
	a=$(losetup -f --show m1.img) && b=$(losetup -f --show m2.img) || return 1
	mkfs.btrfs -qf -m "$1" -d "$2" "$a" "$b" >mkfs.log 2>&1 && mount -o "noatime,device=$b" "$a" mnt && mounted=1 || { losetup -d "$a" "$b"; return 1; }
	python3 "$here/mkexttree" mnt "$seed"
	python3 "$here/referee-manifest" --all --no-time mnt >want
	detach
	losetup -d "$a" "$b"
}
if second raid1 raid1; then
	for profile in raid1 raid10; do
		[ $profile = raid1 ] || second $profile $profile || { skip "$profile" "$(tail -1 mkfs.log)"; continue; }
		for n in 1 2; do
			"$dump" --all m$n.img | python3 "$here/referee-manifest" --filter --no-time >got
			is "$profile, only device $n" "$(diff want got | cut -c1-300)" ""
		done
	done
	like "raid1: the missing device is said" "$("$dump" --ident m2.img | grep warning)" '1 of the 2 devices of this btrfs is missing .device 1, UUID'
	second raid1 raid0
	like "raid0: the missing device is named" "$("$dump" m1.img | grep '^#' | head -1)" 'VOLUME_INCOMPLETE.*device 2 .UUID [-0-9a-f]{36}. of this btrfs, which is missing'
else
	skip "several devices" "no loop devices"
fi

# Identity, as libblkid sees it.
make i.img -L "a label " -U 01234567-89ab-cdef-0123-456789abcdef
is "identity" "$("$dump" --ident i.img | head -1)" \
	'# ident type=btrfs label=a\040label uuid=01234567-89ab-cdef-0123-456789abcdef size=419430400'

# stripes IMAGE: of each chunk, each stripe's number, its place, its length and what it is for.
stripes() {
	btrfs inspect-internal dump-tree -t chunk "$1" |
		awk '$1 == "length" && $3 == "owner" { size = $2; type = $NF } $1 == "stripe" && $3 == "devid" { print $2, $6, size, type }'
}

# Damage: one mirror of everything is wiped, the other serves; then both.
make b.img -m dup -d dup && attach b.img rw
python3 "$here/mkexttree" mnt "$seed"; detach
cp --sparse=always b.img c.img
stripes b.img >stripes
python3 - b.img c.img <<'PY'
import sys
places = [tuple(map(int, line.split()[:3])) for line in open('stripes')]
for path, victims in ((sys.argv[1], (0,)), (sys.argv[2], (0, 1))):
    with open(path, 'r+b') as f:
        for nr, off, n in places:
            if nr in victims and (path == sys.argv[1] or n > (64 << 20) or n == max(p[2] for p in places)):
                f.seek(off)
                f.write(b'\xa5' * min(n, 48 << 20))
PY
is "one mirror wiped" "$(cp b.img d.img; compare d.img)" ""
like "data wiped on both mirrors" "$("$dump" c.img 2>&1 | grep -c 'CORRUPT')" '^[1-9]'

# One mirror of the tree blocks was not written since: what it has fits its checksums, but is older than what its parents name.
make e.img -m dup && attach e.img rw
for i in $(seq 300); do echo "$i" >"mnt/f$i"; [ $((i % 10)) != 0 ] || sync -f mnt; done; detach
cp --sparse=always e.img old.img
attach e.img rw
for i in $(seq 60); do setfattr -n user.round -v "$i" mnt/f1 mnt/f150; echo more >"mnt/g$i"; sync -f mnt; done; detach
stripes e.img | while read -r nr off size type; do
	case $nr,$type in
	0,METADATA*) dd if=old.img of=e.img bs=1M iflag=skip_bytes,count_bytes oflag=seek_bytes skip="$off" seek="$off" count="$size" conv=notrunc status=none ;;
	esac
done
is "one mirror of the tree blocks is old" "$(compare e.img)" ""

# The first superblock is damaged: a copy serves.
cp --sparse=always i.img s.img
printf 'x' | dd of=s.img bs=1 seek=$((65536 + 300)) conv=notrunc status=none
like "superblock from its copy" "$("$dump" --ident s.img)" 'warning .*the checksum in the superblock.*a\\?[ 0-9]*copy'

# patch.py: reseal(BLOCK) gives it the checksum that fits.
cat >patch.py <<'PY'
def reseal(block):
    crc = 0xffffffff
    for byte in block[32:]:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82f63b78 if crc & 1 else 0)
    block[:4] = (crc ^ 0xffffffff).to_bytes(4, 'little')
PY
export PYTHONPATH=$tmp PYTHONDONTWRITEBYTECODE=1

# A feature nobody here knows: its name, and nothing read.
python3 - i.img <<'PY'
import sys
from patch import reseal
with open(sys.argv[1], 'r+b') as f:
    f.seek(65536)
    s = bytearray(f.read(4096))
    s[0xbc + 1] |= 1 << (12 - 8)
    reseal(s)
    f.seek(65536)
    f.write(s)
PY
like "unknown feature" "$("$dump" i.img 2>&1)" 'FS_UNSUPPORTED .*zoned'

# Two items of a file name one compressed extent, and the first claims that it is shorter.
make r.img -m single && attach r.img rw,compress-force=zstd
python3 - mnt/f <<'PY'
import fcntl, os, struct, sys
with open(sys.argv[1], 'w+b') as f:
    f.write(b''.join(b'%07d\n' % i for i in range(16384)))
    os.fsync(f.fileno())
    fcntl.ioctl(f, 0x4020940d, struct.pack('qQQQ', f.fileno(), 4096, 126976, 131072))    # FICLONERANGE
PY
fallocate -p -o 4096 -l 126976 mnt/f; detach
python3 - r.img >patched <<'PY'
import sys
from patch import reseal
NODE = 16384
num = lambda b, at: int.from_bytes(b[at:at + 8], 'little')
with open(sys.argv[1], 'r+b') as f:
    f.seek(65536 + 32)
    fsid = f.read(16)
    for at in range(1 << 20, 128 << 20, NODE):
        f.seek(at)
        b = bytearray(f.read(NODE))
        if b[32:48] != fsid or b[100]:
            continue
        for item in range(101, 101 + 25 * int.from_bytes(b[96:100], 'little'), 25):
            ext = 101 + int.from_bytes(b[item + 17:item + 21], 'little')
            if (num(b, item), b[item + 8], num(b, item + 9)) == (257, 108, 0) and num(b, ext + 45) == 4096:
                b[ext + 8:ext + 16] = (4096).to_bytes(8, 'little')
                reseal(b)
                f.seek(at)
                f.write(b)
                print('patched')
PY
ok "patched" test -s patched
is "an extent of two lengths" "$(compare r.img)" ""

# Written compressed (BTRFS_IOC_ENCODED_WRITE): parts of what is unpacked; streams that are shorter or longer than it.
make w.img && attach w.img rw
if python3 - mnt 2>encoded.log <<'PY'
import ctypes, fcntl, os, struct, sys, zlib
text = b''.join(b'%07d\n' % i for i in range(16384))


def lzo(data, sector=4096):
    lib, out, work = ctypes.CDLL('liblzo2.so.2'), bytearray(4), ctypes.create_string_buffer(1 << 17)
    for at in range(0, len(data), sector):
        to, n = ctypes.create_string_buffer(2 * sector), ctypes.c_ulong()
        lib.lzo1x_1_compress(data[at:at + sector], len(data[at:at + sector]), to, ctypes.byref(n), work)
        left = sector - len(out) % sector
        out += bytes(left if left < 4 else 0) + struct.pack('<I', n.value) + to.raw[:n.value]
    out[:4] = struct.pack('<I', len(out))
    return bytes(out)


def write(name, at, packed, kind, unpacked, skip, size):
    bytes_ = ctypes.create_string_buffer(packed)
    piece = ctypes.create_string_buffer(struct.pack('QQ', ctypes.addressof(bytes_), len(packed)))
    args = struct.pack('QQqQQQQII', ctypes.addressof(piece), 1, at, 0, size, unpacked, skip, kind, 0) + bytes(64)
    with open(sys.argv[1] + '/' + name, 'w+b') as f:
        fcntl.ioctl(f, 0x40809440, args)


write('all', 0, zlib.compress(text), 1, 131072, 0, 131072)
write('part', 4096, zlib.compress(text), 1, 131072, 8192, 65536)
write('shorter', 0, zlib.compress(text[:100000]), 1, 131072, 0, 131072)
write('longer', 0, zlib.compress(text), 1, 65536, 0, 65536)
write('end', 0, zlib.compress(text[:9000]), 1, 9000, 4096, 4904)
write('lzo', 0, lzo(text), 3, 131072, 0, 131072)
write('lzo-longer', 0, lzo(text), 3, 65536, 0, 65536)
write('inline-lzo', 0, lzo(b'ab' * 2048), 3, 2000, 0, 2000)
PY
then
	detach
	is "written compressed" "$(compare w.img)" ""
else
	detach
	skip "written compressed" "$(tail -1 encoded.log)"
fi

# One read that fails, anywhere: an error, never something missing in silence.
rm -rf small; mkdir -p small/a/b; echo text >small/a/b/file; seq 3000 >small/seq; ln -s a small/link
rm -f t.img; truncate -s 120M t.img; mkfs.btrfs -q -m single -d single -r small t.img >mkfs.log 2>&1
ok "torture" "$check" --torture t.img

# Sectors larger than the kernel here may mount: held against the tree the image was made of.
for s in 16384 65536; do
	rm -f t.img; truncate -s 200M t.img
	if mkfs.btrfs -q -s $s -n 65536 -r small t.img >mkfs.log 2>&1; then
		python3 "$here/referee-manifest" --no-time --no-dir-nlink small >want
		"$dump" t.img | python3 "$here/referee-manifest" --filter --no-time --no-dir-nlink >got
		is "sectors of $s bytes" "$(diff want got)" ""
	else
		skip "sectors of $s bytes" "$(tail -1 mkfs.log)"
	fi
done
done_testing
