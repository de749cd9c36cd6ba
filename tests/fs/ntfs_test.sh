#!/bin/bash
# NTFS volumes made by mkntfs and filled through ntfs-3g, held against what ntfs-3g reads; compressed system files held
# against what wimlib packed; images made by others. NTFS_SEEDS="7 8 9" runs more random trees.
set -u
. "$SENDENSE_SRC/tests/tap.sh"
. "$SENDENSE_SRC/tests/fs/ntfs/lib.sh"

# ntfs-3g cannot show the root's own descriptor.
attrs() { diff <("$here/ntfs/referee-attrs" "$mnt" | grep -v '^\. xattr' | sort) <("$fsattrs" "$1" | grep -v '^\. xattr' | sort); }

# volume NAME SEED SIZE MKNTFS-OPTIONS…
volume() {
	local name="$1, seed $2" seed=$2 size=$3 img=$tmp/img
	shift 3
	make "$img" "$size" -L 'Lábel€' "$@" || { flunk "$name: mkntfs"; return; }
	mount_ntfs "$img" compression,streams_interface=xattr && "$here/ntfs/populate" "$mnt" "$seed" 1500 && unmount ||
		{ flunk "$name: ntfs-3g cannot fill it"; return; }
	mount_ntfs "$img" ro,streams_interface=xattr
	ok "$name: as ntfs-3g reads it" "$here/diff-manifest.sh" "$img" "$mnt"
	ok "$name: streams, descriptors, reparse data" attrs "$img"
	unmount
	"$fsdump" --ident "$img" /hole-only | grep '^# [iw]' >"$tmp/ident"
	is "$name: type, label and serial as blkid says, no warnings" "$(sed 's/.*type=\(.*\) size.*/\1/' "$tmp/ident")" \
		"$(blkid -p -o value -s TYPE "$img") label=L\303\241bel\342\202\254 uuid=$(blkid -p -o value -s UUID "$img")"
	ok "$name: conformance" "$fscheck" "$img"
}

# What syzkaller puts into each of its images: "syzkaller" over and over, and a file of zeroes.
words() { for _ in $(seq 120); do printf syzkaller; done | head -c "$1" | sha256sum | cut -c-64; }

# expected TSV IMAGE: path, type, size, mode, owner, links, time, sha256
expected() {
	tail -n +2 "$1" | awk -F'\t' '{gsub(/ /, "\\040", $1); print "./" $1, ($2 == "d" ? "dir" : $3 " " $6 " " $8), $7}' | sort >"$tmp/want"
	"$fsdump" "$2" | grep -v '^\. ' |
		sed -E 's/^(\S+) type=dir .*time=([0-9]+).*/\1 dir \2/; s/^(\S+) type=file .*nlink=(\S+) size=([0-9]+) time=([0-9]+)\S* sha256=(\w+)/\1 \3 \2 \5 \4/' |
		sort >"$tmp/got"
	diff "$tmp/want" "$tmp/got"
}

why=$(lacking)
if [ -n "$why" ]; then
	skip 'volumes filled through ntfs-3g' "$why"
else
	volume '4 KiB clusters' 1 300M
	volume '512-byte clusters' 2 300M -c 512
	volume '4096-byte sectors, 4 KiB records' 3 300M -s 4096 -c 4096
	volume '64 KiB clusters' 4 600M -c 65536
	volume '2 MiB clusters' 5 12G -c 2097152
	for seed in ${NTFS_SEEDS:-}; do
		cluster=$((512 << RANDOM % 8))
		volume "clusters of $cluster" "$seed" 700M -c $cluster
	done
	make "$tmp/img" 20M -c 512 -z 1 && mount_ntfs "$tmp/img" rw && "$here/ntfs/populate-full" "$mnt" && unmount
	like 'an MFT in pieces: it has an attribute list' "$(ntfsinfo -i 0 "$tmp/img" 2>/dev/null)" 'ATTRIBUTE_LIST'
	mount_ntfs "$tmp/img" ro
	ok 'an MFT in pieces: as ntfs-3g reads it' "$here/diff-manifest.sh" "$tmp/img" "$mnt"
	unmount
	make "$tmp/img" 2M && mount_ntfs "$tmp/img" compression && mkdir "$mnt/d" && seq 3000 >"$mnt/d/a file" &&
		for i in $(seq 40); do : >"$mnt/d/$i with a name that fills blocks of the index"; done && ln -s d/1 "$mnt/link" && unmount
	ok 'every failing read is said' "$fscheck" --torture "$tmp/img"
fi

if [ -z "$why" ] && command -v wimcapture >/dev/null; then
	make "$tmp/img" 100M && mkdir "$tmp/originals" && mount_ntfs "$tmp/img" streams_interface=windows &&
		"$here/ntfs/populate-wof" "$mnt" "$tmp/originals" && unmount
	"$fsdump" "$tmp/img" | sed -n 's|^\./\(\S*\) .*sha256=\(.*\)|\2  \1|p' >"$tmp/sums"
	for how in xpress4k xpress8k xpress16k lzx; do
		is "$how: all files were packed" "$(grep -c "  $how-" "$tmp/sums")" 9
		ok "$how: as wimlib packed it" sh -c "cd '$tmp/originals' && grep '  $how-' '$tmp/sums' | sha256sum -c --quiet"
	done
	is 'the compressed stream is not listed' "$("$fsattrs" "$tmp/img" | grep -c ' stream ')" 0
	ok 'packed files: conformance' "$fscheck" "$tmp/img"
else
	skip 'files packed by wimlib' "${why:-no wimcapture}"
fi

# --- images made by others ---

corpus=${SENDENSE_CORPUS:-none}
for name in windows_volume hist-4f4c434a/vsstest; do
	image=$corpus/log2timeline+dfvfs/test_data/$name.qcow2 name=dfvfs.${name##*/}
	if [ -e "$image" ] && command -v qemu-img >/dev/null; then
		qemu-img convert -O raw "$image" "$tmp/img"
		ok "$name: the expected listing" expected "$corpus/expected/$name.tsv" "$tmp/img"
		ok "$name: conformance" "$fscheck" "$tmp/img"
	else
		skip "$name" 'no corpus or no qemu-img'
	fi
done
want="./file.cold 100 $(words 100)
./file0/file0 1050 $(words 1050)
./file1 10 $(words 10)
./file2 9000 $(head -c 9000 /dev/zero | sha256sum | cut -c-64)
./file3 9000 $(head -c 9000 /dev/zero | sha256sum | cut -c-64)"
seen=0
for z in "$corpus"/google+syzkaller/sys/linux/test/syz_mount_image_ntfs*.img.zlib; do
	[ -e "$z" ] || continue
	seen=$((seen + 1)) name=$(basename "$z" .img.zlib)
	python3 -c 'import sys, zlib; sys.stdout.buffer.write(zlib.decompress(sys.stdin.buffer.read()))' <"$z" >"$tmp/img"
	is "$name: the files" "$("$fsdump" "$tmp/img" | sed -nE 's/^(\S+) type=file .*size=([0-9]+) .*sha256=(\w+)/\1 \2 \3/p')" "$want"
	like "$name: the link" "$("$fsdump" "$tmp/img" | grep type=link)" 'link=/tmp/syz-imagegen[0-9]*/file0/file0$'
	ok "$name: conformance" "$fscheck" "$tmp/img"
done
[ "$seen" -gt 0 ] || skip 'syzkaller images' 'no corpus'
done_testing
