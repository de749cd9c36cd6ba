#!/bin/bash
# exFAT volumes made by mkfs.exfat, filled by exfat-fill and approved by fsck.exfat, held against the tree they were filled
# with; and images made by others, sound and damaged.
set -u
. "$SENDENSE_SRC/tests/tap.sh"
export TZ=UTC LC_ALL=C.UTF-8
PATH=$PATH:/usr/sbin:/sbin
here=$SENDENSE_SRC/tests/fs fsdump=$SENDENSE_BUILD/tests/fs/fsdump fscheck=$SENDENSE_BUILD/tests/fs/fscheck
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT

make_tree() {
	mkdir -p "$1/A directory/b/c/d/e/f" "$1/many" "$1/empty"
	seq 20000 >"$1/numbers.txt"
	head -c 700000 /dev/zero | openssl enc -aes-128-ctr -K 00 -iv 00 2>/dev/null >"$1/large.bin"
	{ printf 'valid data'; head -c 300000 /dev/zero; } >"$1/mostly unwritten"
	head -c 50000 /dev/zero >"$1/wholly unwritten"
	: >"$1/zero"
	printf x >"$1/A directory/one byte"
	printf deep >"$1/A directory/b/c/d/e/f/deep"
	printf u >"$1/файл ünïcödé 日本語.txt"
	printf u >"$1/emoji 😀.txt"
	printf l >"$1/$(printf 'n%.0s' $(seq 255))"
	for n in 1 14 15 16 30 31; do printf '%d' "$n" >"$1/$(printf 'm%.0s' $(seq $n))"; done
	for i in $(seq 300); do printf '%d' "$i" >"$1/many/file number $i of three hundred"; done
	chmod 0444 "$1/numbers.txt"
	find "$1" -exec touch -d '2024-02-29 12:34:57.89' {} +
	touch -d '1980-01-02 00:00:00' "$1/zero"
	touch -d '2107-12-30 23:59:59' "$1/large.bin"
}

# volume NAME SIZE FILL-OPTION MKFS-OPTIONS…
volume() {
	local name=$1 size=$2 fill=$3 img=$tmp/img
	shift 3
	rm -f "$img"
	truncate -s "$size" "$img"
	mkfs.exfat -L 'Übung 7' -U 0xABCD1234 "$@" "$img" >/dev/null 2>&1 || mkfs.exfat -L 'Übung 7' "$@" "$img" >/dev/null ||
		{ flunk "$name: mkfs.exfat"; return; }
	ok "$name: filled" python3 "$here/exfat-fill" "$img" "$tmp/tree" $fill
	ok "$name: fsck.exfat approves" fsck.exfat -n "$img"
	ok "$name: as the tree it was filled with" "$here/diff-manifest.sh" --no-mode --no-owner --no-nlink --no-root-time \
		--time-granularity 10000000 "$img" "$tmp/tree"
	is "$name: type, label and serial as blkid says" "$("$fsdump" --ident "$img" | sed -n '1s/.*type=\(.*\) size.*/\1/p')" \
		"exfat label=\\303\\234bung\\0407 uuid=$(blkid -p -o value -s UUID "$img")"
	is "$name: no warnings" "$("$fsdump" --ident "$img" | grep -c '^# warning')" 0
	like "$name: a read-only file" "$("$fsdump" "$img" /NUMBERS.txt)" 'mode=0444'
	like "$name: the volume's own upper case" "$("$fsdump" "$img" '/ФАЙЛ ÜNÏCÖDÉ 日本語.TXT')" 'size=1'
	ok "$name: conformance" "$fscheck" "$img"
}

# damage IMAGE OFFSET BYTES
damage() { printf "$3" | dd of="$1" bs=1 seek="$2" conv=notrunc status=none; }
warnings() { "$fsdump" --ident "$1" | grep '^# warning'; }

if ! command -v mkfs.exfat >/dev/null || ! command -v python3 >/dev/null; then
	skip "volumes by mkfs.exfat" "no mkfs.exfat or no python3"
else
	mkdir "$tmp/tree"
	make_tree "$tmp/tree"
	volume 'in one piece' 16M ''
	volume 'scattered' 16M --scatter
	volume 'scattered, 512-byte clusters' 8M --scatter -c 512
	volume 'in one piece, 512-byte clusters' 8M '' -c 512
	volume 'scattered, 128 KiB clusters' 200M --scatter -c 128K
	ok 'every failing read is said' "$fscheck" --torture "$tmp/img"

	"$fsdump" "$tmp/img" >"$tmp/sound"
	damage "$tmp/img" 3 'XXXX'
	like 'main boot sector overwritten: the backup is used' "$(warnings "$tmp/img")" 'its backup is used'
	ok 'and all is read' sh -c "'$fsdump' '$tmp/img' | diff - '$tmp/sound'"
	damage "$tmp/img" 3 'EXFA'
	is 'restored' "$(warnings "$tmp/img")" ''
	damage "$tmp/img" 5000 'XXXX'
	like 'main region damaged elsewhere' "$(warnings "$tmp/img")" 'its backup is used'
	damage "$tmp/img" $((5000 + 12 * 512)) 'YYYY'
	like 'both regions damaged' "$(warnings "$tmp/img")" 'checksums of both'
	ok 'and all is read' sh -c "'$fsdump' '$tmp/img' | diff - '$tmp/sound'"
	damage "$tmp/img" 106 '\002'
	like 'dirty' "$(warnings "$tmp/img")" 'in use'
fi

# --- images made by others ---

corpus=${SENDENSE_CORPUS:-none}
words() { for _ in $(seq 120); do printf syzkaller; done | head -c "$1" | sha256sum | cut -c-64; }
image=$corpus/google+syzkaller/sys/linux/test/syz_mount_image_exfat_0.img.zlib
if [ -e "$image" ]; then
	python3 -c 'import sys, zlib; sys.stdout.buffer.write(zlib.decompress(sys.stdin.buffer.read()))' <"$image" >"$tmp/img"
	is 'syzkaller: names, sizes, contents' \
		"$("$fsdump" "$tmp/img" | sed -nE 's/^(\S+) type=file .* size=([0-9]+) .*sha256=(\w+)/\1 \2 \3/p')" \
		"./file.cold 100 $(words 100)
./file0/file0 1050 $(words 1050)
./file1 10 $(words 10)
./file2 9000 $(head -c 9000 /dev/zero | sha256sum | cut -c-64)"
	ok 'syzkaller: conformance' "$fscheck" "$tmp/img"
else
	skip syzkaller 'no corpus'
fi

# What fsck.exfat is tested with: NAME | how many lines of complaint match, at least | what. The entries meant to be bad bear
# names that say so.
while IFS='|' read -r name count want; do
	archive=$corpus/exfatprogs+exfatprogs/tests/$name/exfat.img.tar.xz
	if ! [ -e "$archive" ]; then
		skip "$name" 'no corpus'
		continue
	fi
	rm -f "$tmp/exfat.img"
	tar -xSf "$archive" -C "$tmp" exfat.img 2>/dev/null || tar -xSf "$archive" -C "$tmp" ./exfat.img
	timeout 60 "$fsdump" --ident "$tmp/exfat.img" >"$tmp/got"
	grep '^# [.w]' "$tmp/got" >"$tmp/complaints"
	if [ "$count" = 0 ]; then
		is "$name: nothing to complain about" "$(cat "$tmp/complaints")" ''
	else
		ok "$name: $want" [ "$(grep -cE "$want" "$tmp/complaints")" -ge "$count" ]
	fi
	ok "$name: something is read" grep -q '^\. type=dir' "$tmp/got"
	ok "$name: conformance" timeout 60 "$fscheck" --damaged "$tmp/exfat.img"
done <<'END'
bad_bitmap|0|
bad_bitmap_size|0|
bad_dentries|1|fe_count/file_02_bad: FILE_CORRUPT .*incomplete
bad_dentries2|2|_vendor.*: FILE_(CORRUPT|UNSUPPORTED)
bad_file_size|1|bad_child_01: FILE_CORRUPT .*end after
bad_first_clu|2|bad_child_0[12]: FILE_CORRUPT
bad_num_chain|2|bad_child_0[12]: FILE_CORRUPT
bs_bad_csum|1|main boot region is damaged
de_bad_csum|1|FILE_CORRUPT .*checksum
duplicate_clu|0|
duplicated_name|0|
file_invalid_clus|1|file_invalid_clus: FILE_CORRUPT .*free cluster
invalid_name|2|FILE_CORRUPT .*name
large_file_invalid_clus|1|file_192m: FILE_CORRUPT .*free cluster
loop_chain|2|bad_child_0[12]: FILE_CORRUPT .*circle
rename_dot_entry|2|no file may have
unused-dentries|0|
END
done_testing
