#!/bin/bash
# XFS volumes made by mkfs.xfs and filled by the kernel, held against what the kernel shows of them; version 4, which new
# kernels refuse, made from a prototype file; dirty ones, copied while they were written, against the kernel's own recovery;
# and images made by others. SEED and ROUNDS (0: the fixed set only) add random ones.
set -u
# Mounts of our own: whoever copies the namespace while one is there would hold it, and what is behind it unwritten.
[ -n "${OWN_MOUNTS:-}" ] || ! unshare -m true 2>/dev/null || OWN_MOUNTS=1 exec unshare -m "$0" "$@"
. "$SENDENSE_SRC/tests/tap.sh"
. "$SENDENSE_SRC/tests/fs/xfs.sh"

# as_kernel IMAGE: everything the kernel shows of a clean image, and nothing else
as_kernel() {
	attach ro,norecovery,nouuid "$1" "$tmp/kernel" || return 2
	referee >"$tmp/theirs"
	umount "$tmp/kernel"
	ours "$1" >"$tmp/ours"
	as_theirs
}

# as_recovered IMAGE: as the kernel shows a copy of it after it has replayed the log
as_recovered() {
	cp --sparse=always "$1" "$tmp/copy"
	attach nouuid "$tmp/copy" "$tmp/kernel" && umount "$tmp/kernel" &&
		attach ro,norecovery,nouuid "$tmp/copy" "$tmp/kernel" || return 2
	referee >"$tmp/theirs"
	umount "$tmp/kernel"
	ours "$1" >"$tmp/ours"
	as_theirs
}

dirty() { xfs_logprint -t "$1" 2>/dev/null | grep -q 'state: <DIRTY>'; }

ident() {
	is "$1: label and UUID as blkid says" "$("$fsdump" --ident "$2" / | sed -n '1s/.*\(type=.*\) size.*/\1/p')" \
		"type=xfs label=$(blkid -p -o value -s LABEL "$2" | sed 's/ /\\040/g') uuid=$(blkid -p -o value -s UUID "$2")"
}

# volume NAME LARGE SEED MKFS-OPTIONS…: a full tree
volume() {
	local name=$1 large=$2 s=$3
	shift 3
	make "$tmp/img" 400M "$@" || { skip "$name" 'mkfs.xfs here cannot make it'; return; }
	attach nouuid "$tmp/img" "$tmp/live" 2>/dev/null || { skip "$name" 'this kernel cannot mount it'; return; }
	python3 "$here/mkxfstree" "$tmp/live" "$s" "$large" || flunk "$name: mkxfstree"
	umount "$tmp/live"
	ok "$name: as the kernel shows it" as_kernel "$tmp/img"
	is "$name: no warnings" "$(warnings "$tmp/img")" ''
}

# stopped NAME SEED FLAGS LOGBSIZE MKFS-OPTIONS…: shut down without a word while two programs write
stopped() {
	local name=$1 s=$2 flags=$3 size=$4 a b
	shift 4
	make "$tmp/img" 400M "$@" && attach "nouuid,logbsize=$size" "$tmp/img" "$tmp/live" || { skip "$name" 'cannot be made or mounted here'; return; }
	"$here/xfs_churn" "$tmp/live" "$s" 60 & a=$!
	"$here/xfs_churn" "$tmp/live" $((s + 1)) 60 & b=$!
	# On a busy machine they take longer to begin than all of this: not before there is something in the log.
	while kill -0 $a 2>/dev/null && [ -z "$(ls -A "$tmp/live")" ]; do sleep 0.1; done
	sync -f "$tmp/live"
	sleep "1.$((s % 10))"
	# shellcheck disable=SC2086
	xfs_io -x -c "shutdown $flags" "$tmp/live"
	wait $a $b 2>/dev/null
	umount "$tmp/live"
	ok "$name: the log is dirty" dirty "$tmp/img"
	ok "$name: as the kernel recovers it" as_recovered "$tmp/img"
	is "$name: no warnings" "$(warnings "$tmp/img")" ''
	cp --sparse=always "$tmp/img" "$tmp/last-dirty"
}

# snapshots NAME SEED COUNT MKFS-OPTIONS…: copies of one moment each of a disk in use, made by sharing its file's blocks
snapshots() {
	local name=$1 s=$2 n=$3 a b i
	shift 3
	if [ ! -e "$tmp/host.img" ]; then
		make "$tmp/host.img" 6G -m reflink=1 && attach nouuid "$tmp/host.img" "$tmp/host" || { skip "$name" 'no reflinks here'; return; }
	fi
	rm -f "$tmp"/host/*
	make "$tmp/host/disk" 300M "$@" && attach nouuid "$tmp/host/disk" "$tmp/live" || { skip "$name" 'cannot be made or mounted here'; return; }
	"$here/xfs_churn" "$tmp/live" "$s" 300 & a=$!
	"$here/xfs_churn" "$tmp/live" $((s + 1)) 300 & b=$!
	for i in $(seq "$n"); do
		sleep 0.$((5 + (s + i) % 5))
		cp --reflink=always "$tmp/host/disk" "$tmp/host/snapshot$i"
	done
	kill $a $b
	wait $a $b 2>/dev/null
	umount "$tmp/live"
	for i in $(seq "$n"); do
		ok "$name: moment $i as the kernel recovers it" as_recovered "$tmp/host/snapshot$i"
		is "$name: moment $i, no warnings" "$(warnings "$tmp/host/snapshot$i")" ''
	done
}

# small NAME TREE MKFS-OPTIONS…: without a mount, the tree itself is the referee; it cannot show times
small() {
	local name=$1 tree=$2
	shift 2
	rm -f "$tmp/img"; truncate -s 320M "$tmp/img"
	mkfs.xfs -q -f "$@" -p "$tmp/proto" "$tmp/img" >/dev/null 2>&1 || { skip "$name" 'mkfs.xfs here cannot make it'; return; }
	ok "$name: as the tree it was made of" "$here/diff-manifest.sh" --no-time --no-nlink "$tmp/img" "$tree"
	ok "$name: conformance" "$fscheck" "$tmp/img"
}

plain_tree() {
	mkdir -p "$1"/{few,block,many,links,files,deep/a/b/c}
	for i in $(seq 12); do echo "$i" >"$1/few/f$i"; done
	for i in $(seq 90); do : >"$1/block/entry$i"; done
	: >"$1/block/Größe"
	for i in $(seq 3000); do : >"$1/many/entry-number-$i-of-three-thousand"; done
	for n in 1 50 155 156 157 255 336 337 455 457 900 1023; do ln -s "$(head -c "$n" /dev/zero | tr '\0' y)" "$1/links/l$n"; done
	for n in 0 1 511 512 513 4095 4096 4097 65536 3000000; do head -c "$n" /dev/urandom >"$1/files/f$n"; done
	chmod 4711 "$1/files/f1"; chmod 0 "$1/files/f0"
	mkfifo "$1/few/fifo"
	mknod "$1/few/null" c 1 3 2>/dev/null; mknod "$1/few/sda" b 8 0 2>/dev/null
	chown 70000:100000 "$1/files/f512" 2>/dev/null
	: >"$1/deep/a/b/c/$(printf 'n%.0s' $(seq 255))"
}

if ! command -v mkfs.xfs >/dev/null; then
	skip 'volumes by mkfs.xfs' 'no mkfs.xfs'
else
	plain_tree "$tmp/tree"
	"$here/xfs_proto" "$tmp/tree" >"$tmp/proto"
	small 'version 4' "$tmp/tree" -m crc=0
	small 'version 4, 512-byte blocks, 256-byte inodes, no types' "$tmp/tree" -m crc=0 -b size=512 -i size=256 -n ftype=0
	small 'version 4, large directory blocks, old attributes' "$tmp/tree" -m crc=0 -b size=2048 -i size=512,attr=1 -n size=16384
	small 'version 4, no case' "$tmp/tree" -m crc=0 -n version=ci
	is 'no case: another spelling is found' "$("$fsdump" "$tmp/img" /FILES/F513 | cut -d' ' -f2)" type=file
	ident 'version 4' "$tmp/img"
	# Longer targets mkfs.xfs writes without a header, so that the kernel refuses them, too.
	rm "$tmp"/tree/links/l{337,455,457,900,1023}
	"$here/xfs_proto" "$tmp/tree" >"$tmp/proto"
	small 'version 5, 1024-byte blocks' "$tmp/tree" -b size=1024 -L ' two words  '
	ident 'spaces in the label' "$tmp/img"
	small 'version 5, 64 KiB blocks, 4096-byte sectors' "$tmp/tree" -b size=65536 -s size=4096 -m reflink=0
	mkfs.xfs -q -f -m uuid=11111111-2222-3333-4444-555555555555 "$tmp/img" 2>/dev/null
	xfs_db -x -c 'uuid 99999999-2222-3333-4444-555555555555' "$tmp/img" >/dev/null 2>&1
	ident 'a UUID that was changed' "$tmp/img"
	ok 'a UUID that was changed: conformance' "$fscheck" "$tmp/img"
fi

# --- damage ---

# poke IMAGE OFFSET BYTES: changes them, and nothing else
poke() { printf "$3" | dd of="$1" bs=1 seek="$2" conv=notrunc status=none; }

if command -v mkfs.xfs >/dev/null; then
	rm -f "$tmp/img"; truncate -s 320M "$tmp/img"; mkfs.xfs -q -f -p "$tmp/proto" "$tmp/img"
	"$fsdump" "$tmp/img" >"$tmp/want"
	cp --sparse=always "$tmp/img" "$tmp/bad"
	poke "$tmp/bad" 300 x
	ok 'superblock damaged: opens by a copy' test "$("$fsdump" "$tmp/bad" | cmp - "$tmp/want" && echo same)" = same
	like 'superblock damaged: says so' "$(warnings "$tmp/bad")" 'checksum of the superblock is wrong; its copy'
	dd if=/dev/zero of="$tmp/bad" bs=4096 count=1 conv=notrunc status=none
	ok 'superblock wiped: opens by a copy' test "$("$fsdump" "$tmp/bad" | cmp - "$tmp/want" && echo same)" = same

	ino=$(xfs_db -r -c 'path /many' -c 'print v3.inumber' "$tmp/img" | sed 's/.*= *//')
	cp --sparse=always "$tmp/img" "$tmp/bad"
	at=$(xfs_db -r -c "inode $ino" -c 'dblock 0' -c daddr "$tmp/img" | sed 's/[^0-9]//g')
	poke "$tmp/bad" $((at * 512 + 700)) '\377\377\377'
	"$fsdump" "$tmp/bad" >"$tmp/got"
	like 'a damaged directory block: its names are lost, with an error' "$(grep '^#' "$tmp/got")" 'FILE_CORRUPT the checksum in block 0 of directory'
	ok 'a damaged directory block: the others are there' test "$(grep -c '^./many/' "$tmp/got")" -gt 2800
	ok 'a damaged directory block: conformance' "$fscheck" --damaged "$tmp/bad"

	cp --sparse=always "$tmp/img" "$tmp/bad"
	at=$(xfs_db -r -c "inode $ino" -c 'dblock 8388608' -c daddr "$tmp/img" | sed 's/[^0-9]//g')
	poke "$tmp/bad" $((at * 512 + 100)) '\377\377\377'
	ok 'a damaged index: all is found still' test "$("$fsdump" "$tmp/bad" | cmp - "$tmp/want" && "$fsdump" "$tmp/bad" /many/entry-number-77-of-three-thousand | wc -l)" = 1
	ok 'a damaged index: conformance' "$fscheck" "$tmp/bad"

	cp --sparse=always "$tmp/img" "$tmp/bad"
	xfs_db -x -c "path /files/f513" -c 'write -c core.size 77' "$tmp/bad" >/dev/null 2>&1
	like 'a damaged inode is that file'\''s error' "$("$fsdump" "$tmp/bad" | grep '^#')" '^# ./files/f513: FILE_CORRUPT inode [0-9]+ is damaged: its checksum is wrong$'

	cp --sparse=always "$tmp/img" "$tmp/bad"
	xfs_db -x -c 'sb 0' -c 'write -d features_incompat 0x40000003' "$tmp/bad" >/dev/null 2>&1
	like 'unknown features are named' "$("$fsdump" "$tmp/bad" 2>&1 | head -1)" 'FS_UNSUPPORTED.*0x40000000'
	cp --sparse=always "$tmp/img" "$tmp/bad"
	xfs_db -x -c 'sb 0' -c 'write features_incompat 0x13' "$tmp/bad" >/dev/null 2>&1
	like 'needsrepair is named' "$("$fsdump" "$tmp/bad" 2>&1 | head -1)" 'FS_UNSUPPORTED.*needsrepair'

	rm -rf "$tmp/tree" "$tmp/bad" && mkdir -p "$tmp/tree/dir" && seq 3000 >"$tmp/tree/file" && ln -s file "$tmp/tree/link"
	for i in $(seq 60); do : >"$tmp/tree/dir/$i"; done
	"$here/xfs_proto" "$tmp/tree" >"$tmp/proto"
	rm -f "$tmp/img"; truncate -s 32M "$tmp/img"
	mkfs.xfs --unsupported -q -f -b size=512 -m crc=0 -i size=256 -p "$tmp/proto" "$tmp/img" >/dev/null 2>&1
	ok 'every failing read is said' "$fscheck" --torture "$tmp/img"
fi

# --- the kernel as referee ---

rm -f "$tmp/img"
if ! command -v mkfs.xfs >/dev/null || ! make "$tmp/img" 320M || ! attach nouuid "$tmp/img" "$tmp/live" 2>/dev/null; then
	skip 'volumes filled by the kernel' 'XFS cannot be mounted here'
else
	umount "$tmp/live"
	volume 'as mkfs makes it' 20000 "$seed"
	volume '1024-byte blocks, large counters' 1000 $((seed + 1)) -b size=1024 -i nrext64=1 -m rmapbt=1
	volume 'large directory blocks, 2048-byte inodes, old times' 500 $((seed + 2)) -n size=65536 -i size=2048,sparse=0 -m bigtime=0,finobt=0
	volume '16 KiB blocks' 500 $((seed + 3)) -b size=16384 -m reflink=0
	# A directory in more extents than one leaf of its map holds.
	make "$tmp/img" 320M -b size=1024 -m rmapbt=0,reflink=0 && attach nouuid "$tmp/img" "$tmp/live" && mkdir "$tmp/live/dir"
	(cd "$tmp/live" && python3 -c 'for i in range(9000):
		open("dir/a name of some length, number %d" % i, "w").close()
		if i % 4 == 0:
			f = open("between%d" % i, "w"); f.write("x"); f.flush(); __import__("os").fsync(f.fileno())')
	umount "$tmp/live"
	ino=$(xfs_db -r -c 'path /dir' -c 'print v3.inumber' "$tmp/img" | sed 's/.*= *//')
	like 'a directory in many extents' "$(xfs_db -r -c "inode $ino" -c 'print u3.bmbt.numrecs' "$tmp/img")" '= [2-9]'
	at=$(xfs_db -r -c "inode $ino" -c 'addr u3.bmbt.ptrs[1]' -c daddr "$tmp/img" | sed 's/[^0-9]//g')
	poke "$tmp/img" $((at * 512 + 500)) x
	"$fsdump" "$tmp/img" /dir >"$tmp/got"
	is 'a damaged leaf of a directory'\''s map: one damaged place' "$(grep -c '^# .*(damaged' "$tmp/got")" 1
	ok 'a damaged leaf of a directory'\''s map: the names behind it are there' test "$(grep -c '^[^#]*number' "$tmp/got")" -gt 1000
	# An index whose leaf goes on in itself, with entries all over the directory: without a bound a name takes minutes.
	make "$tmp/img" 320M -n size=65536 && attach nouuid "$tmp/img" "$tmp/live" && mkdir "$tmp/live/dir" &&
		(cd "$tmp/live/dir" && python3 -c 'for i in range(40000): open("file-name-number-%05d" % i, "w").close()')
	umount "$tmp/live"
	ino=$(xfs_db -r -c 'path /dir' -c 'print v3.inumber' "$tmp/img" | sed 's/.*= *//')
	leaf=$(xfs_db -r -c "inode $ino" -c 'dblock 8388608' -c 'print nbtree[0].before' "$tmp/img" | sed 's/.*= *//')
	at=$(xfs_db -r -c "inode $ino" -c "dblock $leaf" -c daddr "$tmp/img" | sed 's/[^0-9]//g')
	name=$("$here/xfslog" leaf "$tmp/img" "$at" "$leaf" 65536)
	like 'an endless leaf: a name is given up' "$(timeout 60 "$fsdump" "$tmp/img" "/dir/${name:-no name}" | sed -n 1p)" "NOT_FOUND .*$name"
	if make "$tmp/img" 320M && "$here/xfslog" incompat "$tmp/img" 0x80 && attach nouuid "$tmp/img" "$tmp/live" 2>/dev/null; then
		(cd "$tmp/live" && touch file && setfattr -n user.test -v value file &&
			python3 -c 'import os; [os.link("file", "link%d" % i) for i in range(4200)]')
		umount "$tmp/live"
		is 'many parent pointers: not counted as attributes' "$("$fsdump" --all "$tmp/img" /file | grep -o 'FILE_CORRUPT.*\|xattr.*')" \
			'xattr:user.test=76616c7565'
	else
		skip 'many parent pointers' 'this kernel does not know them'
	fi
	stopped 'stopped, log written' $((seed + 10)) -f 32k
	stopped 'stopped, log in memory lost' $((seed + 20)) '' 256k -i size=1024 -b size=2048
	if [ -e "$tmp/last-dirty" ]; then
		# The same with the log's last records damaged: it ends where the first damaged one starts.
		at=$(xfs_db -r -c 'sb 0' -c 'print logstart blocklog agblklog agblocks' "$tmp/last-dirty" | sed 's/.*= *//' | tr '\n' ' ')
		read -r start bits agbits agblocks <<<"$at"
		log=$((((start >> agbits) * agblocks + (start & ((1 << agbits) - 1))) << bits))
		head=$(xfs_logprint -t "$tmp/last-dirty" 2>/dev/null | sed -n 's/.*head: \([0-9]*\).*/\1/p')
		poke "$tmp/last-dirty" $((log + (head - 3) * 512 + 77)) '\377\376\375\374'
		ok 'the last record is torn: as the kernel recovers it' as_recovered "$tmp/last-dirty"
	fi
	stopped 'stopped, long records' $((seed + 21)) -f 256k
	snapshots 'a small log' $((seed + 30)) 3 --unsupported -l size=6m
	for i in $(seq "$rounds"); do
		s=$((seed * 1000 + i))
		options=(-b "size=$((1024 << s % 3))" -i "size=$((512 << s / 3 % 3)),nrext64=$((s % 2))" -n "size=$((4096 << s / 2 % 5))" -m "bigtime=$((s / 2 % 2)),rmapbt=$((s / 4 % 2)),reflink=$((1 - s / 8 % 2))")
		volume "random $s (${options[*]})" $((s % 7 == 0 ? 100000 : 3000)) $s "${options[@]}"
		stopped "random, stopped $s" $s "$([ $((s % 2)) = 0 ] && echo -f)" $((32 << s % 4))k "${options[@]}"
		snapshots "random, moments $s" $s 4 --unsupported -l "size=$((8 + s % 9))m,su=$((32 << s % 4))k" "${options[@]}"
	done
	umount -q "$tmp/host"
fi

# --- images made by others ---

corpus=${SENDENSE_CORPUS:-none}
words() { for _ in $(seq 120); do printf syzkaller; done | head -c "$1" | sha256sum | cut -c-64; }
want="./file.cold 100 $(words 100)
./file0/file0 1050 $(words 1050)
./file1 10 $(words 10)
./file2 9000 $(head -c 9000 /dev/zero | sha256sum | cut -c-64)
./file3 9000 $(head -c 9000 /dev/zero | sha256sum | cut -c-64)"
found=0
for image in "$corpus"/google+syzkaller/sys/linux/test/syz_mount_image_xfs_*.img.zlib; do
	[ -e "$image" ] || continue
	found=1 name=$(basename "$image" .img.zlib)
	python3 -c 'import sys, zlib; sys.stdout.buffer.write(zlib.decompress(sys.stdin.buffer.read()))' <"$image" >"$tmp/img"
	is "$name: names, sizes, contents" \
		"$("$fsdump" "$tmp/img" | sed -nE 's/^(\S+) type=file .* size=([0-9]+) .*sha256=(\w+)/\1 \2 \3/p')" "$want"
	like "$name: attributes" "$("$fsdump" --all "$tmp/img" | tr ' ' '\n' | grep -c 'xattr:user.xattr[12]=')" '^[24]$'
done
[ $found = 1 ] || skip syzkaller 'no corpus'
done_testing
