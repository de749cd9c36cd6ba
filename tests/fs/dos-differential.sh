#!/bin/bash
# dos-differential.sh [ROUNDS [SEED]]: random trees on FAT and exFAT volumes of random geometry, after files were made and
# deleted to leave gaps; both are held against the tree (mtools shows some names otherwise than it was given them: letters
# beyond ASCII in 8.3 names stay in upper case). A failing round names its seed.
set -u
. "$SENDENSE_SRC/tests/tap.sh"
export TZ=UTC LC_ALL=C.UTF-8 MTOOLS_SKIP_CHECK=1
PATH=$PATH:/usr/sbin:/sbin
here=$SENDENSE_SRC/tests/fs fscheck=$SENDENSE_BUILD/tests/fs/fscheck
rounds=${1:-2} seed=${2:-1}
tmp=$(mktemp -d)
export MTOOLSRC=$tmp.mtoolsrc
echo 'default_codepage=437' >"$MTOOLSRC"
trap 'rm -rf "$tmp" "$MTOOLSRC"' EXIT
for tool in mkfs.vfat mcopy mkfs.exfat python3; do
	command -v $tool >/dev/null || { skip "FAT and exFAT" "no $tool"; done_testing; exit; }
done
pick() { shift $((RANDOM % $#)); echo "$1"; }

fat_round() {
	local geometry
	geometry=$(pick '-F 12 -s 8 12M' '-F 12 -S 4096 -s 8 60M' '-F 16 -s 8 60M' '-F 16 -s 64 500M' '-F 16 -S 1024 -s 2 40M' \
		'-F 32 -s 2 120M' '-F 32 -s 8 400M' '-F 32 -S 2048 -s 1 200M')
	truncate -s "${geometry##* }" "$tmp/img"
	mkfs.vfat ${geometry% *} -r 2048 "$tmp/img" >/dev/null 2>&1 || mkfs.vfat ${geometry% *} "$tmp/img" >/dev/null
	for i in $(seq 12); do head -c $((i * 9000)) /dev/zero >"$tmp/gap$i" && mcopy -i "$tmp/img" "$tmp/gap$i" ::/; done
	for i in 2 4 5 8 11; do mdel -i "$tmp/img" "::/gap$i"; done
	(cd "$tmp/tree" && find . -mindepth 1 -maxdepth 1 -print0 | xargs -0 -r -n 50 sh -c 'mcopy -s -m -i "$0" "$@" ::/' "$tmp/img") || return 1
	set --
	for i in $(seq 12); do set -- "$@" --exclude "gap$i"; done
	"$here/diff-manifest.sh" --no-mode --no-owner --no-nlink --no-dir-time "$@" "$tmp/img" "$tmp/tree" && "$fscheck" "$tmp/img"
}

exfat_round() {
	truncate -s "$(pick 64M 100M 300M)" "$tmp/img"
	mkfs.exfat -c "$(pick 512 4K 32K)" "$tmp/img" >/dev/null || return 1
	python3 "$here/exfat-fill" "$tmp/img" "$tmp/tree" $(pick --scatter '') && fsck.exfat -n "$tmp/img" &&
		"$here/diff-manifest.sh" --no-mode --no-owner --no-nlink --no-root-time --time-granularity 10000000 "$tmp/img" "$tmp/tree" &&
		"$fscheck" "$tmp/img"
}

for ((round = seed; round < seed + rounds; round++)); do
	for kind in fat exfat; do
		RANDOM=$round
		rm -rf "$tmp"/*
		python3 "$here/random-dos-tree" "$tmp/tree" "$round" $kind
		ok "$kind, seed $round" ${kind}_round
	done
done
done_testing
