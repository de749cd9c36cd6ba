#!/bin/bash
# xfs_seeds.sh DIR: makes the seeds of the targets xfs and xfs-log below DIR (as root, for those the kernel fills).
set -eu
here=$(cd "$(dirname "$0")" && pwd) out=$1 tmp=$(mktemp -d)
trap 'umount -q "$tmp/mnt" || :; rm -rf "$tmp"' EXIT
mkdir -p "$out/xfs" "$out/xfs-log" "$tmp/mnt" "$tmp/tree/dir/sub" "$tmp/tree/many"
uuid=5eed5eed-1111-2222-3333-444455556666
seq 300 >"$tmp/tree/file"; ln -s file "$tmp/tree/link"; ln -s "$(head -c 600 /dev/zero | tr '\0' y)" "$tmp/tree/long"
mkfifo "$tmp/tree/dir/fifo"; echo x >"$tmp/tree/dir/sub/x"
for i in $(seq 40); do : >"$tmp/tree/many/$i"; done
"$here/../tests/fs/xfs_proto" "$tmp/tree" >"$tmp/proto"
image() { rm -f "$tmp/img"; truncate -s "$1" "$tmp/img"; mkfs.xfs --unsupported -q -f -m uuid=$uuid "${@:2}" "$tmp/img" >/dev/null 2>&1; }
# A mount stamps megabytes of the log before it writes to it; without these empty records the seed stays small.
unstamp() {
	python3 - "$tmp/img" <<'P'
import struct, sys
with open(sys.argv[1], 'r+b') as f:
    data = f.read()
    for at in range(0, len(data), 512):
        if data[at:at + 4] == b'\xfe\xed\xba\xbe' and struct.unpack('>I', data[at + 40:at + 44])[0] == 0:
            f.seek(at)
            f.write(bytes(512))
P
}
seed() { unstamp; python3 "$here/make-seed" "$tmp/img" "$2" >"$out/$1"; }
image 16M -m crc=0 -d agcount=1 -b size=512 -i size=256 -p "$tmp/proto"
seed xfs/v4 64
image 16M -m crc=0 -d agcount=1 -b size=1024 -n size=4096,ftype=0 -i size=256 -p "$tmp/proto"
seed xfs/v4-dirblocks 64

fill() {
	python3 - "$1" "$2" <<'P'
import os, sys
d, n = os.fsencode(sys.argv[1]), int(sys.argv[2])
os.mkdir(d + b'/big')
for i in range(n):
    os.symlink(b'x', d + b'/big/%d' % i) if i % 50 == 7 else os.link(d + b'/big/0', d + b'/big/%d' % i) if i else open(d + b'/big/0', 'wb').close()
with open(d + b'/extents', 'wb') as f:
    for i in range(30):
        f.seek(i * 8192)
        f.write(b'e')
for k, v in ((b'user.small', b's'), (b'user.middle', b'm' * 300), (b'user.large', b'l' * 3000), (b'trusted.t', b't'), (b'security.s', b's')):
    os.setxattr(d + b'/extents', k, v)
os.symlink(b'z' * 700, d + b'/long')
P
}
image 20M -d agcount=1 -b size=1024 -i size=512
mount -o loop,nouuid "$tmp/img" "$tmp/mnt"; fill "$tmp/mnt" 200; umount "$tmp/mnt"
seed xfs/v5 64
for n in 5 60; do
	image 20M -d agcount=1 -b size=1024 -i size=512 -m rmapbt=0,reflink=1
	mount -o loop,nouuid "$tmp/img" "$tmp/mnt"; fill "$tmp/mnt" $n
	xfs_io -x -c 'shutdown -f' "$tmp/mnt"; umount "$tmp/mnt"
	seed xfs-log/dirty$n 64
done
# Removed, moved, shared and emptied after a clean end: intents, buffers taken back.
image 20M -d agcount=1 -b size=1024 -i size=512 -m rmapbt=1,reflink=1
mount -o loop,nouuid "$tmp/img" "$tmp/mnt"; fill "$tmp/mnt" 24; umount "$tmp/mnt"
mount -o loop,nouuid "$tmp/img" "$tmp/mnt"
(
	cd "$tmp/mnt"
	rm big/1? long; mv big/20 moved; cp --reflink=always extents shared; truncate -s 9000 extents
	setfattr -x user.large extents; setfattr -n user.more -v x extents; rm -r big; mkdir new; : >new/file
	for i in {1..5}; do xfs_io -f -c 'pwrite -q 0 1k' -c fsync "new/$i"; done
	xfs_io -c 'fpunch 2048 1024' -c fsync shared; rm new/[2-4]
)
xfs_io -x -c 'shutdown -f' "$tmp/mnt"; umount "$tmp/mnt"; seed xfs-log/removed 64
# What the log announces last and nobody did: an exchange of two files, changes of their maps, of their attributes.
image 20M -d agcount=1 -b size=1024 -i size=512 -m rmapbt=0,reflink=1
mount -o loop,nouuid "$tmp/img" "$tmp/mnt"
python3 - "$tmp/mnt" >"$tmp/items" <<'P'
import os, struct, sys
d, files = sys.argv[1], []
for name, extents in ('a', 9), ('b', 40):
    with open(d + '/' + name, 'wb') as f:
        for i in range(extents):
            f.seek(i * 2048)
            f.write(b'e')
        os.fsync(f)
    os.setxattr(d + '/' + name, 'user.x', b'old')
    files.append(os.stat(d + '/' + name).st_ino)
a, b = files
def intent(*words): print(','.join(w.hex() for w in words))
def attr(n, op, space, name, value):
    head = struct.pack('<HHIQQIIII', 0x1246, 2 + (op != 2), 0, n, a, op, len(name), len(value), space)
    intent(head, *(w + bytes(-len(w) % 4) for w in (name, value) if w))
gens = [struct.unpack('<I', __import__('fcntl').ioctl(os.open(d + '/' + n, os.O_RDONLY), 0x80087601, bytes(8))[:4])[0] for n in 'ab']
intent(struct.pack('<HHIQQQIIQQQQQQ', 0x1248, 1, 0, 1, a, b, *gens, 3, 3, 70, 2 | 4, 80000, 9000))
intent(struct.pack('<HHIQQQQII', 0x1244, 1, 1, 2, b, 0, 2, 1, 2))
intent(struct.pack('<HHIQQQQII', 0x1244, 1, 1, 3, a, 3000, 1, 1, 1))
intent(struct.pack('<HHIQQQQII', 0x1244, 1, 1, 4, a, 3001, 80, 4, 1 | 1 << 30))
attr(5, 1, 0, b'y', b'new')
attr(6, 3, 0, b'x', b'other' * 30)
attr(7, 2, 2, b'z', b'')
P
xfs_io -x -c 'shutdown -f' "$tmp/mnt"; umount "$tmp/mnt"; unstamp
xargs "$here/../tests/fs/xfslog" items "$tmp/img" <"$tmp/items"; seed xfs-log/intents 64
# Many extents and attributes; the first superblock is lost.
image 32M -d agcount=2 -b size=1024 -i size=512
mount -o loop,nouuid "$tmp/img" "$tmp/mnt"
python3 - "$tmp/mnt" <<'P'
import os, sys
with open(sys.argv[1] + '/extents', 'wb') as f:
    for i in range(60):
        f.seek(i * 4096)
        f.write(b'e')
for i in range(30):
    os.setxattr(sys.argv[1] + '/extents', b'user.%03d' % i, b'v' * 90)
P
umount "$tmp/mnt"; dd if=/dev/zero of="$tmp/img" bs=512 count=1 conv=notrunc status=none; seed xfs/copy-of-superblock 64
rm -f "$out"/xfs*/*.tmp; ls -l "$out"/xfs "$out"/xfs-log
