#!/bin/bash
# FAT volumes made by mkfs.vfat and filled by mtools, held against what mtools gives back; and images made by others.
set -u
. "$SENDENSE_SRC/tests/tap.sh"
export TZ=UTC LC_ALL=C.UTF-8 MTOOLS_SKIP_CHECK=1 MTOOLSRC=/dev/null
PATH=$PATH:/usr/sbin:/sbin
here=$SENDENSE_SRC/tests/fs fsdump=$SENDENSE_BUILD/tests/fs/fsdump fscheck=$SENDENSE_BUILD/tests/fs/fscheck
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT

make_tree() {
	mkdir -p "$1/A directory with a long name/a/b/c/d/e/f/g/h/i/j" "$1/many" "$1/EMPTY"
	seq 20000 >"$1/numbers.txt"
	head -c 3000000 /dev/zero | openssl enc -aes-128-ctr -K 00 -iv 00 2>/dev/null >"$1/LARGE.BIN"
	: >"$1/zero"
	printf x >"$1/A directory with a long name/one byte"
	printf deep >"$1/A directory with a long name/a/b/c/d/e/f/g/h/i/j/deep file.text"
	printf u >"$1/файл ünïcödé 日本語.txt"
	printf u >"$1/emoji 😀.txt"
	printf l >"$1/$(printf 'n%.0s' $(seq 251)).txt"
	printf s >"$1/SHORT.TXT"
	printf m >"$1/Mixed.Case"
	printf d >"$1/with.many.dots.in.it"
	for i in $(seq 300); do printf '%d' "$i" >"$1/many/file number $i of three hundred"; done
	find "$1" -exec touch -d '2024-02-29 12:34:56' {} +
	touch -d '1980-01-01 00:00:00' "$1/SHORT.TXT"
	touch -d '2099-12-31 23:59:58' "$1/Mixed.Case"
}

# volume NAME SIZE MKFS-OPTIONS…
volume() {
	local name=$1 size=$2 img=$tmp/img out=$tmp/out
	shift 2
	rm -rf "$img" "$out"
	mkdir "$out"
	truncate -s "$size" "$img"
	mkfs.vfat -i ABCD1234 -n 'SOME LABEL' "$@" "$img" >/dev/null 2>&1 || { flunk "$name: mkfs.vfat"; return; }
	# Something to be deleted again, so that chains have gaps.
	mcopy -i "$img" "$tmp/tree/numbers.txt" ::/gap1 && mcopy -i "$img" "$tmp/tree/SHORT.TXT" ::/keep &&
		mcopy -i "$img" "$tmp/tree/numbers.txt" ::/gap2 && mcopy -i "$img" "$tmp/tree/SHORT.TXT" ::/keep2 &&
		mdel -i "$img" ::/gap1 ::/gap2 && mcopy -s -m -i "$img" "$tmp"/tree/* ::/ && mattrib -i "$img" +r +h ::/SHORT.TXT ||
		{ flunk "$name: mtools cannot fill it"; return; }
	mcopy -s -m -n -i "$img" '::/*' "$out/" || { flunk "$name: mtools cannot read it"; return; }
	ok "$name: as mtools reads it" "$here/diff-manifest.sh" --no-mode --no-owner --no-nlink --no-dir-time \
		--time-granularity 2000000000 "$img" "$out"
	is "$name: type, label and serial as blkid says" "$("$fsdump" --ident "$img" | sed -n '1s/.*type=\(.*\) size.*/\1/p')" \
		"$(blkid -p -o value -s TYPE "$img") label=$(blkid -p -o value -s LABEL "$img" | sed 's/ /\\040/') uuid=$(blkid -p -o value -s UUID "$img")"
	is "$name: no warnings" "$("$fsdump" --ident "$img" | grep -c '^# warning')" 0
	like "$name: a read-only file" "$("$fsdump" "$img" /SHORT.TXT)" 'mode=0444'
	ok "$name: conformance" "$fscheck" "$img"
}

if ! command -v mkfs.vfat >/dev/null || ! command -v mcopy >/dev/null; then
	skip "volumes by mkfs.vfat" "no mkfs.vfat or no mtools"
else
	mkdir "$tmp/tree"
	make_tree "$tmp/tree"
	volume 'FAT12, 8 sectors a cluster' 15M -F 12 -s 8
	volume 'FAT12, 4096-byte sectors' 32M -F 12 -S 4096 -s 4
	volume 'FAT16' 20M -F 16 -s 1
	volume 'FAT16, 2048-byte sectors, large root' 64M -F 16 -S 2048 -s 2 -r 2048
	volume 'FAT32' 80M -F 32 -s 2
	volume 'FAT32, 32 KiB clusters' 2200M -F 32 -s 64
	volume 'FAT32, 4096-byte sectors, one table' 300M -F 32 -S 4096 -s 1 -f 1
	rm -rf "$tmp/tree" && mkdir "$tmp/tree" && seq 2000 >"$tmp/tree/a file" && mkdir "$tmp/tree/dir" && : >"$tmp/tree/dir/x"
	truncate -s 0 "$tmp/img" && truncate -s 1440K "$tmp/img" && mkfs.vfat "$tmp/img" >/dev/null &&
		mcopy -s -i "$tmp/img" "$tmp"/tree/* ::/
	ok 'every failing read is said' "$fscheck" --torture "$tmp/img"
fi

# --- images made by others ---

# expected TSV IMAGE: path, type, size, …, sha256 last
expected() {
	tail -n +2 "$1" | awk -F'\t' '{gsub(/ /, "\\040", $1); print "./" $1, ($2 == "d" ? "dir" : $3 " " $NF)}' | sort >"$tmp/want"
	"$fsdump" "$2" | grep -v '^\. ' | sed -E 's/^(\S+) type=dir .*/\1 dir/; s/^(\S+) type=file .* size=([0-9]+) .*sha256=(\w+)/\1 \2 \3/' |
		sort >"$tmp/got"
	diff "$tmp/want" "$tmp/got"
}

corpus=${SENDENSE_CORPUS:-none}
for bits in 16 32; do
	name=keramics.fat$bits image=$corpus/keramics+keramics/test_data/qcow/fat$bits.qcow2
	if [ -e "$image" ] && command -v qemu-img >/dev/null; then
		qemu-img convert -O raw "$image" "$tmp/img"
		ok "$name: the expected listing" expected "$corpus/expected/$name.tsv" "$tmp/img"
		ok "$name: conformance" "$fscheck" "$tmp/img"
	else
		skip "$name" 'no corpus or no qemu-img'
	fi
done

# What syzkaller puts into each of its images: "syzkaller" over and over, and a file of zeroes.
words() { for _ in $(seq 120); do printf syzkaller; done | head -c "$1" | sha256sum | cut -c-64; }
want="./file.cold 100 $(words 100)
./file0/file0 1050 $(words 1050)
./file1 10 $(words 10)
./file2 9000 $(head -c 9000 /dev/zero | sha256sum | cut -c-64)"
found=0
for image in "$corpus"/google+syzkaller/sys/linux/test/syz_mount_image_vfat_*.img.zlib; do
	[ -e "$image" ] || continue
	found=1 name=$(basename "$image" .img.zlib)
	python3 -c 'import sys, zlib; sys.stdout.buffer.write(zlib.decompress(sys.stdin.buffer.read()))' <"$image" >"$tmp/img"
	is "$name: names, sizes, contents" \
		"$("$fsdump" "$tmp/img" | sed -nE 's/^(\S+) type=file .* size=([0-9]+) .*sha256=(\w+)/\1 \2 \3/p')" "$want"
	ok "$name: conformance" "$fscheck" "$tmp/img"
done
[ $found = 1 ] || skip syzkaller 'no corpus'
done_testing
