#!/bin/bash
# Volumes the machine stopped on: $LogFile is replayed. Two states of a volume are made with ntfs-3g; an independent
# writer (ntfs/make-log) makes the one in between, with the log that leads on; the replay must show what ntfs-3g shows of
# the later state, or of the earlier one where the transaction had no end. NTFS_LOG_ROUNDS=N: more choices of what was
# written in time.
set -u
. "$SENDENSE_SRC/tests/tap.sh"
. "$SENDENSE_SRC/tests/fs/ntfs/lib.sh"
why=$(lacking)
[ -z "$why" ] || { skip 'logs' "$why"; done_testing; exit; }
before=$tmp/before after=$tmp/after img=$tmp/img

warns() { "$fsdump" --ident "$img" /nothing 2>/dev/null | grep '^# warning'; }
# reads_as NAME STATE: $img reads as ntfs-3g reads STATE, and nothing is said
reads_as() {
	mount_ntfs "$2" ro
	ok "$1" "$here/diff-manifest.sh" "$img" "$mnt"
	unmount
	is "$1: no warning" "$(warns)" ''
}
differs() { ! "$here/diff-manifest.sh" "$img" "$mnt" >/dev/null 2>&1; }
# log NAME OPTIONS…: makes $img
log() {
	local name=$1; shift
	"$here/ntfs/make-log" "$before" "$after" "$img" "$@" >"$tmp/said" 2>&1 ||
		{ flunk "$name: make-log" "$(cat "$tmp/said")"; return; }
	cp "$img" "$tmp/copy"
	printf '# %s: %s\n' "$name" "$(cat "$tmp/said")"
}

first() {
	mkdir "$mnt/dir" "$mnt/big" "$mnt/gone" "$mnt/few"
	echo 1 >"$mnt/few/1"
	echo 2 >"$mnt/few/2"
	seq 5000 >"$mnt/dir/long"
	for i in 1 2 3 4 5; do echo "$i" >"$mnt/dir/small $i"; done
	for i in $(seq 100 199); do : >"$mnt/big/entry $i with a name of some length"; done
	echo x >"$mnt/gone/file"
	seq 90000 >"$mnt/shrinks"
	echo old >"$mnt/renamed"
	echo a >"$mnt/linked"
}
second() {
	seq 50000 >"$mnt/dir/new"
	echo tiny >"$mnt/dir/new tiny"
	seq 9000 >>"$mnt/dir/long"
	rm "$mnt/dir/small 1" "$mnt/dir/small 3"
	echo 'more than before, and then some' >>"$mnt/dir/small 2"
	touch -d @1000000000 "$mnt/dir/small 4"
	for i in $(seq 150 160); do rm "$mnt/big/entry $i with a name of some length"; done
	for i in $(seq 300 340); do : >"$mnt/big/entry $i with a name of some length"; done
	rm -r "$mnt/gone" "$mnt/few/1"
	echo 3 >"$mnt/few/3"
	touch -d @1000000000 "$mnt/few/2"
	: >"$mnt/shrinks"
	mv "$mnt/renamed" "$mnt/dir/renamed too"
	ln "$mnt/linked" "$mnt/dir/link"
	mkdir -p "$mnt/a/b/c"
	echo deep >"$mnt/a/b/c/file"
	setfattr -n user.stream -v value "$mnt/dir/small 5"
}
states() {
	make "$before" 12M "$@" && mount_ntfs "$before" streams_interface=xattr && first && unmount &&
		cp "$before" "$after" && mount_ntfs "$after" streams_interface=xattr && second && unmount
}

for options in '' '-c 1024' '-c 512'; do
	# shellcheck disable=SC2086
	states $options || { flunk "mkntfs $options"; continue; }
	log "${options:-plain}: nothing written in time"
	reads_as "${options:-plain}: nothing written in time" "$after"
	ok 'the image is untouched' cmp "$img" "$tmp/copy"
	log "${options:-plain}: version 2.0" --version 2 --half 1
	reads_as "${options:-plain}: version 2.0, half written" "$after"
	log "${options:-plain}: records of other kinds" --also
	reads_as "${options:-plain}: records of other kinds" "$after"
	log "${options:-plain}: no end" --abort
	reads_as "${options:-plain}: a transaction without an end" "$before"
done
for seed in $(seq 2 $((3 + ${NTFS_LOG_ROUNDS:-0}))); do
	log 'half written' --half "$seed" --near-end
	reads_as "half written, round the end of the log ($seed)" "$after"
done
ok 'conformance' "$fscheck" "$img"

log 'unknown' --unknown
like 'an operation nobody knows: said' "$(warns)" 'not replayed.*unknown kind 36'
ok 'an operation nobody knows: conformance' "$fscheck" --damaged "$img"
mount_ntfs "$after" ro
ok 'an operation nobody knows: nothing is replayed' differs
unmount
log 'hole' --hole
like 'a page of the log is lost: said' "$(warns)" 'not replayed.*(missing|ends at record|lacks|reach back)'
ok 'a page of the log is lost: conformance' "$fscheck" --damaged "$img"

# Hibernated: Windows goes on with what it has in memory.
mount_ntfs "$before" rw && printf 'MARK%4096s' '' >"$mnt/hiberfil.sys" && unmount
cp "$before" "$after" && mount_ntfs "$after" rw && echo later >"$mnt/later" && unmount
log 'hibernated'
LC_ALL=C sed -i 's/MARK    /hibr    /' "$img"
like 'hibernated: not replayed' "$(warns)" 'not replayed.*hibernated'
is 'hibernated: read as it lies' "$("$fsdump" "$img" / | grep -c '^\./later ')" 0

make "$before" 2M -c 512 && mount_ntfs "$before" rw && mkdir "$mnt/d" && seq 30 >"$mnt/d/f" && unmount
cp "$before" "$after" && mount_ntfs "$after" rw && echo new >"$mnt/d/new" && rm "$mnt/d/f" && unmount
log 'small'
reads_as 'a small volume' "$after"
ok 'every failing read is said' "$fscheck" --torture "$img"

# Records that Windows 7 wrote. The volume has all their changes; doing them again from any checkpoint on must fit and
# change nothing.
image=${SENDENSE_CORPUS:-/nowhere}/log2timeline+dfvfs/test_data/hist-4f4c434a/vsstest.qcow2
if [ -e "$image" ] && command -v qemu-img >/dev/null; then
	qemu-img convert -O raw "$image" "$img"
	"$fsdump" --ident "$img" >"$tmp/clean"
	is "Windows' own log: clean" "$(grep -c '^# warning' "$tmp/clean")" 0
	for checkpoint in 2110914 2113617 2132915 2155104; do
		"$here/ntfs/rewind-log" "$img" $checkpoint 2099208 2155442 40
		"$fsdump" --ident "$img" >"$tmp/again"
		ok "Windows' own log: again from record $checkpoint" diff "$tmp/clean" "$tmp/again"
	done
else
	skip "Windows' own log" 'no corpus or no qemu-img'
fi
done_testing
