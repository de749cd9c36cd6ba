#!/bin/bash
# iso9660_seeds.sh DIR: makes the seeds of the target iso9660 in DIR/iso9660.
set -eu
here=$(cd "$(dirname "$0")" && pwd) out=$1/iso9660 tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
export TZ=UTC LC_ALL=C.UTF-8 SOURCE_DATE_EPOCH=1700000000
mkdir -p "$out" "$tmp/tree/dir/sub" "$tmp/deep/1/2/3/4/5/6/7/8/9" "$tmp/zisofs"
seq 300 >"$tmp/tree/file"; ln "$tmp/tree/file" "$tmp/tree/dir/hard"; ln -s ../dir/./file "$tmp/tree/link"
ln -s "/$(printf "yyyyyyyy/%.0s" $(seq 50))y" "$tmp/tree/long link"
mkfifo "$tmp/tree/dir/fifo"; mknod "$tmp/tree/dir/node" c 4 300 || :; echo x >"$tmp/tree/dir/sub/ünï"
: >"$tmp/tree/$(head -c 240 /dev/zero | tr '\0' n)"
echo x >"$tmp/deep/1/2/3/4/5/6/7/8/9/x"
yes "a line" | head -c 100000 >"$tmp/zisofs/lines"; head -c 70000 /dev/zero >"$tmp/zisofs/zeroes"
seed() { python3 "$here/make-seed" "$tmp/img" 64 >"$out/$1"; rm -f "$tmp/img"; }
geniso() { genisoimage -quiet -input-charset utf-8 -no-pad -o "$tmp/img" "$@" 2>/dev/null; }
xorriso_() { xorriso -report_about FAILURE -padding 0 -outdev "$tmp/img" "$@" -commit; }
geniso -R "$tmp/deep"; seed rock-relocated
geniso -J -joliet-long "$tmp/tree"; seed joliet
geniso -iso-level 1 "$tmp/deep"; seed plain
xorriso_ -map "$tmp/tree" /; seed rock
xorriso_ -joliet on -map "$tmp/deep" / ; seed rock-joliet
mkzftree -z 9 "$tmp/zisofs" "$tmp/z1"
geniso -R -z "$tmp/z1"; seed zisofs
xorriso_ -zisofs version_2=on:level=9 -map "$tmp/zisofs" / -set_filter_r --zisofs / --; seed zisofs2
ls -l "$out"
