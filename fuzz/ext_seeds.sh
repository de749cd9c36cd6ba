#!/bin/bash
# ext_seeds.sh DIR: makes the seeds of the targets ext and ext-journal below DIR (as root, for those the kernel fills).
# Left out: blocks of files, which hold nothing but "e"; in ext, where no checksum of a block in the journal is on them, the ones
# that fill bitmaps up, which the driver does not read.
set -eu
[ -n "${OWN_MOUNTS:-}" ] || OWN_MOUNTS=1 exec unshare -m "$0" "$@"
here=$(cd "$(dirname "$0")" && pwd) out=$1 tmp=$(mktemp -d)
trap 'umount -q "$tmp/mnt" || :; rm -rf "$tmp"' EXIT
PATH=$PATH:/sbin:/usr/sbin img=$tmp/img
export TZ=UTC LC_ALL=C.UTF-8 E2FSPROGS_FAKE_TIME=1700000000
mkdir -p "$out/ext" "$out/ext-journal" "$tmp/mnt"
# image SIZE OPTIONS: few inodes, so that their bitmaps and tables are small.
image() {
	rm -f "$img"; truncate -s "$1" "$img"
	mke2fs -qF -b 1024 -N 48 -m 0 -g 8192 -L seed -U 5eed5eed-1111-2222-3333-444455556666 \
		-E hash_seed=5eed5eed-1111-2222-3333-444455556666,lazy_itable_init=1 "${@:2}" "$img" >"$tmp/log" 2>&1 || { cat "$tmp/log"; return 1; }
}
seed() {
	python3 - "$img" "$1" <<'P'
import sys
with open(sys.argv[1], 'r+b') as f:
    data = f.read()
    for unit, fill in [(1024, b'e')] + [(64, b'\xff')] * sys.argv[2].startswith('ext/'):
        data = b''.join(bytes(unit) if data[at:at + unit] == fill * unit else data[at:at + unit] for at in range(0, len(data), unit))
    f.seek(0)
    f.write(data)
P
	python3 "$here/make-seed" "$img" 64 >"$out/$1"
}
debug() { debugfs -w "$img" >/dev/null 2>&1; }
es() { head -c "$1" /dev/zero | tr '\0' e; }
# scattered FILE N STEP: N blocks, STEP bytes apart
scattered() {
	python3 - "$@" <<'P'
import sys
with open(sys.argv[1], 'wb') as f:
    for i in range(int(sys.argv[2])):
        f.seek(i * int(sys.argv[3]))
        f.write(b'e' * 1024)
P
}
# many DIR N LENGTH: N names of one file
many() {
	mkdir "$1"; : >"$1/0"
	for i in $(seq 1 "$2"); do ln "$1/0" "$1/$i$(head -c "$3" /dev/zero | tr '\0' n)"; done
}

# --- trees
kinds=$tmp/kinds
mkdir -p "$kinds/dir/sub"
printf 'e%.0s' {1..40} >"$kinds/tiny"; es 3000 >"$kinds/file"; ln "$kinds/file" "$kinds/dir/hard"
ln -s dir/../file "$kinds/link"; ln -s "$(printf 'd%.0s' {1..80})" "$kinds/long"; ln -s . "$kinds/dir/sub/loop"
mkfifo "$kinds/fifo"; mknod "$kinds/dir/old" c 5 17; mknod "$kinds/dir/new" b 259 300
python3 -c 'import socket, sys; socket.socket(socket.AF_UNIX).bind(sys.argv[1])' "$kinds/socket"
: >"$kinds/Größe Ж"; : >"$kinds/ÀÉ Straße"
setfattr -n user.a -v small "$kinds/tiny"; setfattr -n user.b -v "$(head -c 200 /dev/zero | tr '\0' v)" "$kinds/tiny"
setfattr -n security.selinux -v x:y:z "$kinds/tiny"; setfattr -n trusted.t -v y "$kinds/dir"
setfacl -m u:1000:rwx,g:7:r "$kinds/tiny"; setfacl -d -m u:1000:rwx "$kinds/dir"
spread=$tmp/spread
mkdir "$spread"; scattered "$spread/many" 360 2048; scattered "$spread/few" 7 3072; scattered "$spread/far" 2 70000000
names=$tmp/names
mkdir "$names"; many "$names/d" 30 90

# --- ext
image 1M -r 0 -O none -d "$kinds"; seed ext/revision0
image 1M -t ext2 -I 128 -o hurd -d "$kinds"; seed ext/ext2
image 2M -t ext2 -I 128 -d "$spread"; seed ext/ext2-indirect
image 1M -t ext4 -O ^has_journal,^resize_inode -d "$kinds"; seed ext/ext4
image 1M -t ext4 -O ^has_journal,^resize_inode,inline_data -I 512 -d "$kinds"; seed ext/ext4-inline
image 2M -t ext4 -O ^has_journal,^resize_inode,^64bit,^metadata_csum,uninit_bg -d "$spread"
printf 'fallocate /few 40 60\n' | debug; seed ext/ext4-extents
image 2M -t ext4 -O ^has_journal,^resize_inode,bigalloc -C 8192 -d "$kinds"; seed ext/ext4-bigalloc
image 6M -t ext4 -O ^has_journal,^resize_inode,meta_bg,^flex_bg -g 256 -N 200 -d "$kinds"; seed ext/ext4-metabg
image 20M -t ext4 -J size=1 -O ^resize_inode,sparse_super2,metadata_csum_seed,orphan_file,quota,project,mmp,stable_inodes -d "$names"
seed ext/ext4-features
mkdir "$tmp/values"; : >"$tmp/values/f"
python3 -c 'import os, sys; os.setxattr(sys.argv[1], b"user.big", b"v" * 1500); os.setxattr(sys.argv[1], b"user.bigger", b"w" * 2100)' "$tmp/values/f" ||
	echo 'no large values of attributes here'
image 1M -t ext4 -O ^has_journal,^resize_inode,ea_inode -d "$tmp/values"; seed ext/ext4-ea-inode
# The superblock, then the descriptors too, are lost: copies step in.
image 9M -t ext2 -d "$kinds"
dd if=/dev/zero of="$img" bs=1024 seek=1 count=1 conv=notrunc status=none; seed ext/copy-of-superblock
dd if=/dev/zero of="$img" bs=1024 seek=2 count=1 conv=notrunc status=none; seed ext/copy-of-descriptors
image 2M -O journal_dev; seed ext/journal-device
image 1M -t ext2; printf '\302\0\002\200' | dd of="$img" bs=1 seek=$((1024 + 0x60)) conv=notrunc status=none; seed ext/unknown-feature

# Trees of names with each hash, signed and not.
index=
for hash in legacy half_md4 tea; do
	image 1M -t ext4 -O ^has_journal,^resize_inode,^metadata_csum -d "$names"
	tune2fs -E hash_alg=$hash "$img" >/dev/null; e2fsck -fyD "$img" >/dev/null 2>&1 || :
	[ $hash = tea ] || printf 'ssv flags %d\n' $((1 + (${#index} > 0))) | debug
	index+=x; seed ext/index-$hash
done
# One level more: the root's entries move into a block of their own.
printf 'expand_dir /d\n' | debug
# shellcheck disable=SC2046
python3 - "$img" $(debugfs -R 'blocks /d' "$img" 2>/dev/null) <<'P'
import struct, sys
with open(sys.argv[1], 'r+b') as f:
    at = lambda block: f.seek(int(block) * 1024)
    at(sys.argv[2])
    root = bytearray(f.read(1024))
    count, last = struct.unpack_from('<H', root, 34)[0], len(sys.argv) - 3
    node = struct.pack('<IHH', 0, 1024, 0) + struct.pack('<HH', 127, count) + root[36:32 + 8 * count]
    root[30] = 1
    root[32:] = struct.pack('<HHI', 124, 1, last).ljust(1024 - 32, b'\0')
    at(sys.argv[2]); f.write(root)
    at(sys.argv[-1]); f.write(node.ljust(1024, b'\0'))
P
seed ext/index-levels
debugfs -R 'ls /d' "$img" 2>/dev/null | grep -q 30n || echo 'index-levels lost its names'
# Names without regard to case, encrypted ones, both; in one block, in a tree, in the inode.
flagged() { printf 'sif /%s flags %d\n' "$1" "$2" | debug; }
flags() { debugfs -R "stat /$1" "$img" 2>/dev/null | sed -n 's/.*Flags: \(0x[0-9a-f]*\).*/\1/p'; }
rm -rf "$tmp/case"; mkdir -p "$tmp/case/f"; : >"$tmp/case/f/Größe Ж Ā"; : >"$tmp/case/f/name"; cp -a "$names/d" "$tmp/case/d"
mkdir "$tmp/case/e"; ln "$tmp/case/d/0" "$tmp/case/e/$(printf 'n%.0s' {1..200})"; ln "$tmp/case/d/0" "$tmp/case/e/short name, 16 b"
ln -s 0123456789abcdefg "$tmp/case/e/l"
image 1M -t ext4 -O ^has_journal,^resize_inode,casefold -E encoding=utf8 -d "$tmp/case"
for d in f d e; do flagged $d $((0x40000000 | $(flags $d))); done; e2fsck -fyD "$img" >/dev/null 2>&1 || :; seed ext/ext4-casefold
image 1M -t ext4 -O ^has_journal,^resize_inode,encrypt -d "$tmp/case"; e2fsck -fyD "$img" >/dev/null 2>&1 || :
for d in d e e/l; do flagged $d $((0x800 | $(flags $d))); done; seed ext/ext4-encrypt
image 1M -t ext4 -O ^has_journal,^resize_inode,encrypt,casefold,inline_data -I 512 -E encoding=utf8 -d "$tmp/case"
for d in d e f; do flagged $d $((0x40000800 | $(flags $d))); done; seed ext/ext4-encrypt-casefold

# --- ext-journal: transactions of debugfs, whose blocks are a directory's and a file's
for kind in 'plain:' 'v2:-v 2' 'v3:-c'; do
	for wide in ^64bit 64bit; do
		image 3M -t ext4 -O ^resize_inode,^metadata_csum,$wide -J size=1 -d "$kinds"
		dir=$(debugfs -R 'blocks /dir' "$img" 2>/dev/null) file=$(debugfs -R 'blocks /file' "$img" 2>/dev/null)
		# shellcheck disable=SC2086
		set -- $dir $file
		dd if="$img" of="$tmp/block" bs=1024 skip="$1" count=1 status=none; sed -i 's/hard/soft/' "$tmp/block"
		cat "$tmp/block" <(printf '\300\073\071\230'; head -c 1020 /dev/zero) >"$tmp/two"
		debug <<-C
			jo ${kind#*:}
			jw -b $1,$3 $tmp/two
			jw -b $2,$4 $tmp/two
			jw -r $2
			jc
		C
		seed "ext-journal/debugfs-${kind%%:*}-${wide/^64bit/32bit}"
	done
done
# The kernel's own, copied while they are mounted. churn EACH: with a commit for each change, or one for all.
churn() {
	python3 - "$tmp/mnt" "$1" <<'P'
import ctypes, os, sys
os.chdir(sys.argv[1])
libc = ctypes.CDLL(None)


def sync(name, last=sys.argv[2] == 'each'):
    if not last:
        return
    fd = os.open(name, os.O_RDONLY)
    os.fsync(fd)
    os.close(fd)


def append(name, n=1024):
    with open(name, 'ab') as f:
        f.write(b'e' * n)


# What no fast commit can say comes first.
os.setxattr('file', b'user.k', b'v'); os.symlink('e' * 100, 'symbolic'); os.unlink('tiny'); sync('file')
append('new', 3000); sync('new')
os.rename('new', 'renamed'); os.link('file', 'hard'); os.unlink('fifo'); sync('renamed')
append('file', 5000); sync('file')
os.mkdir('made'); append('made/inside'); sync('made/inside')
with open('spread', 'wb') as f:
    for i in range(7):
        f.seek(i * 4096)
        f.write(b'e' * 1024)
sync('spread')
with open('spread', 'r+b') as f:
    libc.fallocate(f.fileno(), 3, ctypes.c_long(8192), ctypes.c_long(5000))
    sync('spread')
    libc.fallocate(f.fileno(), 0, ctypes.c_long(40960), ctypes.c_long(9000))
    sync('spread')
    f.truncate(5000)
    sync('spread')
os.link('made/inside', 'made/third'); sync('made/third')
os.unlink('made/third'); os.chmod('made/inside', 0o600); sync('made/inside')
os.rename('made/inside', 'made/other'); sync('made/other')
os.chmod('file', 0o600); sync('file', True)
P
}
while IFS='|' read -r name each options mounted; do
	# shellcheck disable=SC2086
	image 3M -t ext4 $options -J size=1 -d "$kinds"
	if ! mount -o "loop,commit=1000$mounted" "$img" "$tmp/mnt"; then
		echo "$name: the kernel does not mount it"
		continue
	fi
	churn "$each"
	cp --sparse=always "$img" "$tmp/copy"
	umount "$tmp/mnt"
	mv "$tmp/copy" "$img"
	seed "ext-journal/$name"
done <<'OPTIONS'
v3|all|-O ^resize_inode|
v1|all|-O ^resize_inode,^64bit,^metadata_csum|,journal_checksum
data|all|-O ^resize_inode,inline_data -I 512|,data=journal
fast|each|-O ^resize_inode,fast_commit|
fast-inline|each|-O ^resize_inode,fast_commit,inline_data,^metadata_csum -I 512|
OPTIONS
# The journal's inode is lost, the superblock knows its map; a journal on another device.
image 3M -t ext4 -O ^resize_inode -J size=1 -d "$kinds"
printf 'jo\njw -b 1 /dev/zero\njc\nclri <8>\nssv state 0\n' | debug; seed ext-journal/inode-lost
image 1M -t ext4 -O ^resize_inode,^has_journal -d "$kinds"
printf 'feature has_journal needs_recovery\nssv journal_dev 0x0801\n' | debug; seed ext-journal/elsewhere
ls -l "$out/ext" "$out/ext-journal"
