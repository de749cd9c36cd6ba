#!/bin/bash
# UDF volumes: those mkudf writes (apart from the driver, in every partition kind) held against the tree they were made of; bridge discs of
# genisoimage against the tree, too, and against 7-Zip; empty ones of mkudffs against blkid; and images made by others.
set -u
. "$SENDENSE_SRC/tests/tap.sh"
export TZ=UTC LC_ALL=C.UTF-8
PATH=$PATH:/usr/sbin:/sbin
here=$SENDENSE_SRC/tests/fs fsdump=$SENDENSE_BUILD/tests/fs/fsdump fscheck=$SENDENSE_BUILD/tests/fs/fscheck
fsattrs=$SENDENSE_BUILD/tests/fs/fsattrs seed=${SEED:-1}
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
warnings() { "$fsdump" --ident "$1" | grep '^# warning'; }
as_the_tree() { "$here/diff-manifest.sh" --no-dir-nlink --time-granularity 1000 "$tmp/img" "$tmp/tree"; }

# --- every kind of volume ---

mkdir "$tmp/tree"
# As root the tree has devices, owners and the rest; a user's has not.
if ! command -v python3 >/dev/null || ! python3 "$here/mkudftree" "$tmp/tree" "$seed" 600000 2>"$tmp/why"; then
	skip 'volumes by mkudf' 'no python3, or not root'
else
	truncate -s 3M "$tmp/tree/holes"
	printf end >>"$tmp/tree/holes"
	head -c 300000 /dev/zero | openssl enc -aes-128-ctr -K 00 -iv 00 2>/dev/null >"$tmp/tree/pieces"
	while IFS='|' read -r want options; do
		# shellcheck disable=SC2086
		python3 "$here/mkudf" "$tmp/img" "$tmp/tree" --seed "$seed" $options || { flunk "$options: mkudf"; continue; }
		ok "$options: as the tree" as_the_tree
		if [ -n "$want" ]; then
			like "$options: it says so" "$(warnings "$tmp/img")" "$want"
		else
			is "$options: no warnings" "$(warnings "$tmp/img" | grep -v 'its device at')" ''
		fi
		# libblkid knows neither the reserve sequence nor every place of an anchor.
		[[ $options == *main-vds* || $options == *'anchors before' ]] || is "$options: type, label and UUID as blkid says" "$("$fsdump" --ident "$tmp/img" | sed -n '1s/.*label=\(.*\) uuid=\(.*\) size.*/\1 \2/p')" \
			"$(blkid -p -o value -s LABEL "$tmp/img" | head -c -1 | python3 -c '
import sys
print("".join(chr(c) if 0x21 <= c <= 0x7e else "\\%03o" % c for c in sys.stdin.buffer.read()))') $(blkid -p -o value -s UUID "$tmp/img")"
		ok "$options: conformance" "$fscheck" "$tmp/img"
	done <<'END'
|--kind plain --streams
|--kind plain --ad short --block 512 --revision 102 --embed --pieces 1
|--kind plain --ad extended --block 1024 --pieces 2
|--kind plain --chain --revision 150 --plain-entries
|--kind virtual --revision 150 --set 0123abcdNoHexHere
|--kind virtual --revision 201 --ad short --embed
|--kind sparable --revision 201 --embed --zone 330
|--kind sparable --revision 150 --ad short --pieces 1 --set short_set
|--kind metadata --revision 250 --embed
|--kind metadata --revision 260 --ad short --duplicate --block 4096
|--kind metadata --revision 250 --duplicate --damage main-metadata
metadata file is damaged .*its mirror is used|--kind metadata --revision 250 --damage main-metadata-entry
reserve sequence is used|--kind plain --anchors last --damage main-vds --wide --zone -90
state is that of an earlier one|--kind virtual --damage last-vat --revision 201
|--kind plain --anchors before
|--kind plain --anchors 512
END
	rm -rf "$tmp/tree" && mkdir -p "$tmp/tree/dir" && seq 3000 >"$tmp/tree/file" && ln -s dir/x "$tmp/tree/link" && : >"$tmp/tree/dir/x"
	for kind in plain sparable virtual 'metadata --duplicate --revision 250'; do
		# shellcheck disable=SC2086
		python3 "$here/mkudf" "$tmp/img" "$tmp/tree" --streams --embed --pieces 2 --kind $kind
		ok "$kind: every failing read is said" "$fscheck" --torture "$tmp/img"
	done
	is 'named streams' "$("$fsattrs" "$tmp/img" | sort)" "./dir/x stream second $(printf 'stream of x' | od -An -tx1 | tr -d ' \n')
./file stream second $(printf 'stream of file' | od -An -tx1 | tr -d ' \n')"
	python3 "$here/mkudf" "$tmp/img" "$tmp/tree" --kind virtual --revision 201 --damage endless-vats
	# Seconds of work, not hours, and so whatever else the machine does.
	like 'tables without end at the end of the disc' "$(ulimit -t 120; "$fsdump" "$tmp/img" 2>&1)" 'FS_CORRUPT.*virtual allocation table'
fi

# --- what other tools write and read ---

rm -rf "$tmp/tree" && mkdir -p "$tmp/tree/dir/sub" "$tmp/out"
seq 20000 >"$tmp/tree/numbers"
: >"$tmp/tree/zero"
printf u >"$tmp/tree/файл ünïcödé 日本語.txt"
for i in $(seq 200); do printf '%d' "$i" >"$tmp/tree/dir/file number $i"; done
printf deep >"$tmp/tree/dir/sub/deep"
if ! command -v genisoimage >/dev/null; then
	skip 'a bridge disc' 'no genisoimage'
else
	genisoimage -quiet -input-charset utf-8 -udf -J -r -V BRIDGE -o "$tmp/img" "$tmp/tree"
	like 'bridge disc: it is taken for UDF' "$("$fsdump" --ident "$tmp/img")" 'ident type=udf label=BRIDGE'
	ok 'bridge disc: as the tree' "$here/diff-manifest.sh" --no-mode --no-owner --no-nlink --no-time "$tmp/img" "$tmp/tree"
	ok 'bridge disc: conformance' "$fscheck" "$tmp/img"
	if command -v 7z >/dev/null && 7z x -tudf -o"$tmp/out" "$tmp/img" >/dev/null; then
		ok 'bridge disc: as 7-Zip reads it' "$here/diff-manifest.sh" --no-mode --no-owner --no-nlink --no-dir-time --no-time "$tmp/img" "$tmp/out"
	else
		skip 'bridge disc: as 7-Zip reads it' 'no 7z'
	fi
fi
if ! command -v mkudffs >/dev/null; then
	skip 'volumes by mkudffs' 'no mkudffs'
else
	while read -r size options; do
		rm -f "$tmp/img"
		truncate -s "$size" "$tmp/img"
		# shellcheck disable=SC2086
		mkudffs --utf8 -l 'Größe' -u 0123456789abcdef $options "$tmp/img" >/dev/null 2>&1 || { flunk "mkudffs $options"; continue; }
		is "mkudffs $options: identity" "$("$fsdump" --ident "$tmp/img" | sed -n '1s/ size.*//p')" \
			"# ident type=udf label=Gr\\303\\266\\303\\237e uuid=$(blkid -p -o value -s UUID "$tmp/img")"
		is "mkudffs $options: its root" "$("$fsdump" "$tmp/img" | sed 's/ time=.*//')" '. type=dir mode=0750 uid=7 gid=8 nlink=2'
	done <<'END'
20M -b 512 -m hd -r 2.01 --mode=0750 --uid=7 --gid=8
20M -b 2048 -m hd -r 1.02 --bootarea=mbr --mode=0750 --uid=7 --gid=8
40M -b 4096 -m hd -r 1.50 --mode=0750 --uid=7 --gid=8
40M -b 2048 -m cdrw -r 1.50 --mode=0750 --uid=7 --gid=8
40M -b 2048 -m dvdrw -r 2.01 --mode=0750 --uid=7 --gid=8
40M -b 1024 -m dvdram -r 2.00 --ad=long --mode=0750 --uid=7 --gid=8
END
fi

# --- images made by others ---

corpus=${SENDENSE_CORPUS:-none} found=0
words() { for _ in $(seq 120); do printf syzkaller; done | head -c "$1" | sha256sum | cut -c-64; }
zeroes=$(head -c 9000 /dev/zero | sha256sum | cut -c-64)
want="./file.cold 100 $(words 100)
./file0/file0 1050 $(words 1050)
./file1 10 $(words 10)
./file2 9000 $zeroes
./file3 9000 $zeroes"
for image in "$corpus"/google+syzkaller/sys/linux/test/syz_mount_image_udf_*.img.zlib; do
	[ -e "$image" ] || continue
	found=1 name=$(basename "$image" .img.zlib)
	python3 -c 'import sys, zlib; sys.stdout.buffer.write(zlib.decompress(sys.stdin.buffer.read()))' <"$image" >"$tmp/img"
	if [ "$name" = syz_mount_image_udf_26 ]; then
		# Cut short: none of the places an anchor may have is in it. udfinfo does not open it either.
		like "$name: refused with the reason" "$("$fsdump" "$tmp/img")" 'FS_CORRUPT no anchor'
		continue
	fi
	is "$name: names, sizes, contents" \
		"$("$fsdump" "$tmp/img" | sed -nE 's/^(\S+) type=file .* size=([0-9]+) .*sha256=(\w+)/\1 \2 \3/p')" "$want"
	ok "$name: conformance" "$fscheck" "$tmp/img"
done
[ $found = 1 ] || skip syzkaller 'no corpus'
done_testing
