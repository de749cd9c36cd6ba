#!/bin/bash
# btrfs_log_seeds.sh DIR: makes the seeds log-* of the target btrfs in DIR/btrfs (as root: the kernel writes the log trees).
set -eu
[ -n "${OWN_MOUNTS:-}" ] || OWN_MOUNTS=1 exec unshare -m "$0" "$@"
here=$(cd "$(dirname "$0")" && pwd) out=$1/btrfs tmp=$(mktemp -d)
trap 'umount -q "$tmp/mnt" || :; rm -rf "$tmp"' EXIT
mkdir -p "$out" "$tmp/mnt"
# seed NAME OPTIONS: what the function NAME changes is in the log only.
seed() {
	truncate -s 130M "$tmp/img"
	mkfs.btrfs -qf -n 4096 -m single -d single "${@:2}" "$tmp/img" >/dev/null 2>&1
	mount -o loop,commit=300 "$tmp/img" "$tmp/mnt"
	cd "$tmp/mnt"
	mkdir a b gone; seq 9 >a/moved; seq 8 >a/linked; seq 7 >a/lost; seq 200 >a/large; seq 5 >gone/file; seq 4 >b/taken
	setfattr -n user.old -v 1 a/linked
	sync -f .
	"$1"
	cd /
	cp --sparse=always "$tmp/img" "$tmp/copy"
	umount "$tmp/mnt"
	python3 "$here/make-seed" "$tmp/copy" 64 >"$out/log-$1"
	rm "$tmp/img"
}
names() {
	mv a/moved b/moved; sync b/moved
	ln a/linked b/link; for i in {1..40}; do ln a/linked "b/$(printf 'n%.0s' {1..90})$i"; done; sync a/linked
	rm a/lost b/taken; mv a/large b/taken; sync b/taken; sync a
	mkdir c; seq 3 >c/new; mv b/moved c/moved; ln -s target c/link; sync c; sync c/new
}
contents() {
	fallocate -l 20000 a/large; fallocate -p -o 4096 -l 4096 a/large; sync a/large
	truncate -s 3000 a/lost; sync a/lost; seq 100 200 >>a/moved; sync a/moved
	setfattr -x user.old a/linked; setfattr -n user.new -v 2 a/linked; chmod 600 a/linked; sync a/linked
	rm -r gone; sync .; fallocate -l 20000 b/taken; sync b/taken
}
seed names; seed contents -O ^no-holes
ls -l "$out"
