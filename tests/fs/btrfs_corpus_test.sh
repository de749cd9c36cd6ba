#!/bin/bash
# btrfs images made by others, sound and damaged: SENDENSE_CORPUS.
. "$SENDENSE_SRC/tests/tap.sh"
dump=$SENDENSE_BUILD/tests/fs/fsdump check=$SENDENSE_BUILD/tests/fs/fscheck corpus=${SENDENSE_CORPUS:-$SENDENSE_SRC/../shared/corpus}
[ -d "$corpus/kdave+btrfs-progs" ] || { skip "btrfs corpus" "no corpus"; done_testing; exit; }
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
cd "$tmp" || exit 1

unpack() {
	rm -rf x.img x; mkdir x
	case $1 in
	*.tar.xz) tar xJf "$1" -C x && mv "$(find x -type f | head -1)" x.img ;;
	*.xz) xz -dc "$1" | dd of=x.img conv=sparse bs=64k iflag=fullblock status=none ;;
	*.zlib) python3 -c 'import sys, zlib; sys.stdout.buffer.write(zlib.decompress(open(sys.argv[1], "rb").read()))' "$1" |
		dd of=x.img conv=sparse bs=64k iflag=fullblock status=none ;;
	esac
}

# The sound ones: what each of them is known to hold.
for n in 12 30; do
	f=$corpus/google+syzkaller/sys/linux/test/syz_mount_image_btrfs_$n.img.zlib
	[ -f "$f" ] || continue
	unpack "$f"
	"$dump" x.img >out
	is "syzkaller $n" "$(sed -nE 's/^\.\/(file0\/file0|file1|file2|file3|file.cold) type=file .* size=([0-9]*) .*/\1 \2/p' out | tr '\n' ' ')" \
		"file.cold 100 file0/file0 1050 file1 10 file2 9000 file3 9000 "
done

# The damaged ones: an answer within the time, never a crash.
bad=
for f in $(find "$corpus/kdave+btrfs-progs/tests/fuzz-tests" "$corpus/kdave+btrfs-progs/tests/fsck-tests" -name '*.xz' -size -100k | sort); do
	unpack "$f"
	status=0
	timeout 20 "$dump" x.img >out 2>&1 || status=$?
	# What can be opened must keep the front's promises.
	grep -q '^\. ' out && { timeout 20 "$check" --damaged x.img >/dev/null 2>&1 || status=9; }
	[ $status -le 1 ] || bad="$bad ${f##*/}:$status"
done
is "damaged images: nothing crashes or hangs" "$bad" ""
done_testing
