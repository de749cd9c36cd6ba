#!/bin/bash
# iso9660_test.sh [ROUNDS [SEED]]: random trees in ISO 9660 images by xorriso and genisoimage under many options, held against the
# tree, or against what bsdtar and isoinfo read; then images made by others. What no tool makes is in iso9660_odd_test.sh.
# Linux's own driver would be the better referee, but is not in every kernel.
set -u
. "$SENDENSE_SRC/tests/tap.sh"
export TZ=UTC LC_ALL=C.UTF-8
here=$SENDENSE_SRC/tests/fs fsdump=$SENDENSE_BUILD/tests/fs/fsdump fscheck=$SENDENSE_BUILD/tests/fs/fscheck
rounds=${1:-2} seed=${2:-1}
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
for tool in xorriso genisoimage isoinfo bsdtar mkzftree python3; do
	command -v $tool >/dev/null || { skip "ISO 9660" "no $tool"; done_testing; exit; }
done
# By the seed, the kind and the choice itself: a subshell's RANDOM starts anew.
pick() { local n; n=$(echo "$round $kind $*" | cksum); shift $((${n%% *} / 7 % $#)); echo "$1"; }
img=$tmp/img

same() { "$here/diff-manifest.sh" --no-dir-nlink --time-granularity 1000000000 "$@" "$img" "$tmp/tree"; }
conforms() { "$fscheck" "$img"; }
# Times of hard links and of directories on the way are those of the tree; genisoimage writes an rr_moved of its own.
relocated='--exclude rr_moved --exclude .rr_moved --no-root-time'

xorriso_to_img() { rm -f "$img"; xorriso -report_about SORRY -outdev "$img" "$@" -commit >"$tmp/log" 2>&1 || { cat "$tmp/log"; return 1; }; }
geniso_to_img() { rm -f "$img"; genisoimage -quiet -o "$img" "$@" "$tmp/tree" >"$tmp/log" 2>&1 || { cat "$tmp/log"; return 1; }; }

rock_round() {
	xorriso_to_img -padding "$(pick 0 300k)" -joliet "$(pick on off)" -compliance \
		"$(pick iso_9660_level=1 iso_9660_level=2 iso_9660_level=3):$(pick new_rr old_rr):$(pick deep_paths deep_paths_off):$(pick \
		lowercase lowercase_off):$(pick always_gmt iso_9660_1999)" \
		-hardlinks "$(pick on off)" -map "$tmp/tree" / && same $relocated && conforms
}

# zisofs packs nothing that does not shrink: the tree gets something that does.
zisofs_round() {
	local f
	for f in lines odd small; do yes "line of $f $round" | head -c $((${#f} * 40000 + round % 50000)) >"$tmp/tree/$f"; done
	head -c 400000 /dev/zero >"$tmp/tree/zeroes"
	{ yes 1 | head -c 65536; head -c 131072 /dev/zero; yes 2 | head -c 5; } >"$tmp/tree/hole"
	xorriso_to_img -zisofs "version_2=$(pick off on off):block_size=$(pick 32k 64k 128k):block_size_v2=$(pick 32k 128k 1m):$(pick susp_z2=on susp_z2=off)" \
		-map "$tmp/tree" / -set_filter_r --zisofs / -- && LC_ALL=C grep -qaP 'Z[F2]\x10[\x01\x02][pP][zZ]' "$img" && same $relocated && conforms
}

geniso_round() {
	geniso_to_img -input-charset utf-8 -R $(pick '' -J '-J -joliet-long') $(pick '' '-iso-level 3' -l -U) $(pick '' -d) $(pick '' -N) $(pick '' -D) \
		$(pick '' -no-pad) $(pick '' -allow-lowercase) && same $relocated && conforms
}

mkzftree_round() {
	local lines=$tmp/tree/lines
	yes "a line of $round" | head -c $((150000 + round % 70000)) >"$lines"
	find "$tmp/tree" -mindepth 1 ! -name lines -delete
	mv "$tmp/tree" "$tmp/plain"
	mkzftree -z $(pick 1 9) "$tmp/plain" "$tmp/tree" && geniso_to_img -R -z && rm -rf "$tmp/tree" && mv "$tmp/plain" "$tmp/tree" || return 1
	grep -qa 'ZF.*pz' "$img" && same --no-root-time && conforms
}

joliet_round() {
	if [ "$1" = xorriso ]; then
		xorriso_to_img -rockridge off -joliet on -compliance "$(pick joliet_long_names joliet_long_paths:joliet_long_names)" -map "$tmp/tree" /
	else
		geniso_to_img -input-charset utf-8 -J -joliet-long $(pick '' -l '-iso-level 3')
	fi && same --no-mode --no-owner --no-nlink --no-dir-time && conforms
}

# Against bsdtar, by Linux's rules for names: lower case, no version 1, no dot before it.
plain_round() {
	LC_ALL=C geniso_to_img -input-charset iso8859-1 $(pick '-iso-level 1' '-iso-level 2' '-iso-level 3' '-iso-level 4') $(pick '' -l) $(pick '' -N) $(pick '' -d) $(pick '' -allow-multidot) || return 1
	rm -rf "$tmp/other" && mkdir "$tmp/other"
	bsdtar -xf "$img" -C "$tmp/other" || return 1
	find "$tmp/other" -depth -mindepth 1 | while IFS= read -r f; do
		to=$(basename "$f" | tr 'A-Z;' 'a-z.')
		to=${to%.}
		[ "$(basename "$f")" = "$to" ] || mv -n "$f" "$(dirname "$f")/$to"
	done
	"$here/diff-manifest.sh" --no-mode --no-owner --no-nlink --no-dir-time --time-granularity 1000000000 "$img" "$tmp/other" && conforms
}

for ((round = seed; round < seed + rounds; round++)); do
	for kind in rock zisofs geniso mkzftree 'joliet xorriso' 'joliet geniso' plain; do
		rm -rf "$tmp"/*
		case $kind in rock | zisofs) tree=rock ;; geniso | mkzftree) tree=geniso ;; plain) tree=plain ;; *) tree=joliet ;; esac
		python3 "$here/random-iso-tree" "$tmp/tree" "$round" $tree
		ok "$kind, seed $round" ${kind%% *}_round ${kind#* }
	done
done
done_testing
