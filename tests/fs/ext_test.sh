#!/bin/bash
# ext2/3/4 against the kernel's own mount (as root, where loop mounts work), else against the tree the image was made of.
# SENDENSE_EXT_SEED=N makes other contents.
# Mounts of our own: whoever copies the namespace while one is there would hold it, and what is behind it unwritten.
[ -n "${OWN_MOUNTS:-}" ] || ! unshare -m true 2>/dev/null || OWN_MOUNTS=1 exec unshare -m "$0" "$@"
. "$SENDENSE_SRC/tests/tap.sh"
here=$SENDENSE_SRC/tests/fs dump=$SENDENSE_BUILD/tests/fs/fsdump check=$SENDENSE_BUILD/tests/fs/fscheck
for tool in mke2fs e2fsck debugfs dumpe2fs python3; do
	command -v $tool >/dev/null || PATH=$PATH:/sbin:/usr/sbin
	command -v $tool >/dev/null || { skip "ext" "no $tool"; done_testing; exit; }
done
tmp=$(mktemp -d)
mounted=
cleanup() { [ -z "$mounted" ] || umount "$tmp/mnt"; rm -rf "$tmp"; }
trap cleanup EXIT
cd "$tmp" || exit 1
mkdir mnt tree
python3 "$here/mkexttree" tree "${SENDENSE_EXT_SEED:-1}"

attach() { mount -o loop,ro "$1" mnt 2>/dev/null && mounted=1; }
detach() { umount mnt && mounted=; }
make() { local img=$1 size=$2; shift 2; rm -f "$img"; truncate -s "$size" "$img"; mke2fs -qF "$@" "$img" >mke2fs.log 2>&1; }

# What the tree itself can vouch for: not the times of changes, not what is on disk.
by_tree() {
	python3 "$here/referee-manifest" --no-time --no-dir-nlink tree | sort >want
	"$dump" "$1" | python3 "$here/referee-manifest" --filter --no-time --no-dir-nlink \
		--exclude lost+found | sort >got
	diff want got | cut -c1-300
}

compare() {
	if attach "$1"; then
		python3 "$here/referee-manifest" --all mnt >want
		detach
		"$dump" --all "$1" >got
		diff want got | cut -c1-300
	else
		by_tree "$1"
	fi
}

# Every kind of filesystem mke2fs makes.
while read -r opts; do
	# shellcheck disable=SC2086
	if ! make o.img 96M $opts -d tree; then
		skip "mke2fs $opts" "$(tail -1 mke2fs.log)"
		continue
	fi
	is "mke2fs $opts" "$(compare o.img)" ""
	case $opts in *4096* | *65536* | *bigalloc*) ok "conformance: $opts" "$check" o.img ;; esac
done <<'OPTS'
-t ext2 -b 4096
-t ext2 -b 1024
-t ext2 -b 2048 -I 128 -O ^filetype,^dir_index
-t ext3 -b 1024
-t ext3 -r 0
-t ext4 -b 4096
-t ext4 -b 1024 -E hash_seed=01234567-89ab-cdef-0123-456789abcdef
-t ext4 -b 8192
-t ext4 -b 65536 -N 4000
-t ext2 -b 65536 -N 4000
-t ext4 -O ^64bit,^metadata_csum,uninit_bg
-t ext4 -O meta_bg,^resize_inode -b 1024
-t ext4 -O ^flex_bg,^extents,^64bit
-t ext4 -O bigalloc -b 1024 -C 8192
-t ext4 -b 4096 -O sparse_super2,metadata_csum_seed,orphan_file,stable_inodes
-t ext4 -b 4096 -O inline_data -I 512
-t ext4 -b 4096 -O ea_inode,casefold,project,quota,mmp,large_dir,verity,encrypt -E encoding=utf8
OPTS

# One read that fails, anywhere: an error, never something missing in silence.
rm -rf small; mkdir -p small/a/b; cp -a tree/links tree/attrs tree/dev small/; cp tree/files/holes small/a/b
make t.img 8M -t ext4 -b 1024 -O inline_data -d small
ok "torture" "$check" --torture t.img

# Identity, as libblkid sees it.
for t in ext2 ext3 ext4; do
	make i.img 8M -t $t -L "label $t" -U 01234567-89ab-cdef-0123-456789abcdef
	is "identity of $t" "$("$dump" --ident i.img | head -1)" \
		"# ident type=$t label=label\\040$t uuid=01234567-89ab-cdef-0123-456789abcdef size=8388608"
done
make i.img 8M -O journal_dev
like "a journal of another filesystem" "$("$dump" --ident i.img)" 'FS_UNSUPPORTED this is the journal'

# A feature nobody knows.
make i.img 8M -t ext4 -O ^metadata_csum
printf '\302\0\002\200' | dd of=i.img bs=1 seek=$((1024 + 0x60)) conv=notrunc status=none
like "unknown features are named" "$("$dump" i.img)" 'FS_UNSUPPORTED .*bit 0x80000000'

# Damage: the copies step in.
make o.img 64M -t ext4 -b 1024 -d tree; "$dump" o.img >before
dd if=/dev/zero of=o.img bs=1024 seek=1 count=1 conv=notrunc status=none
is "superblock gone: its copy is used" "$("$dump" o.img | diff before - | head -3)" ""
like "and said" "$("$dump" --ident o.img | grep '^# warning')" 'copy in block group 1'
make o.img 64M -t ext4 -b 1024 -d tree; "$dump" o.img >before
dd if=/dev/zero of=o.img bs=1024 seek=2 count=1 conv=notrunc status=none
is "descriptors gone: their copies are used" "$("$dump" o.img | diff before - | head -3)" ""
printf '\377' | dd of=o.img bs=1 seek=$((1024 + 0x100)) conv=notrunc status=none
is "superblock checksum wrong: the copy is used" "$("$dump" o.img | diff before - | head -3)" ""

# Damage to one object stays that object's.
make o.img 64M -t ext4 -b 4096 -d tree; "$dump" o.img >before
ino=$(debugfs -R 'stat /files/1' o.img 2>/dev/null | sed -n 's/^Inode: \([0-9]*\).*/\1/p')
where=$(debugfs -R "imap <$ino>" o.img 2>/dev/null | sed -n 's/.*located at block \([0-9]*\), offset 0x\(.*\)/\1 \2/p')
printf '\377' | dd of=o.img bs=1 seek=$((${where% *} * 4096 + 0x${where#* } + 24)) conv=notrunc status=none
is "inode checksum wrong: that file alone" "$("$dump" o.img | diff before - | grep '^[<>]' | cut -d' ' -f2-4)" \
	"./files/1 type=file mode=0644
# ./files/1: FILE_CORRUPT"
debugfs -w -R 'clri /files/59' o.img 2>/dev/null
like "a name that leads to a deleted inode" "$("$dump" o.img | grep '^# ./files/59')" 'FILE_CORRUPT .*(deleted|checksum)'
blk=$(debugfs -R 'blocks /names' o.img 2>/dev/null | cut -d' ' -f1)
printf '\377\377' | dd of=o.img bs=1 seek=$((blk * 4096 + 28)) conv=notrunc status=none
like "a damaged directory block is listed as such" "$("$dump" o.img | grep -c '^# ./names/')" '^[1-9]'
debugfs -w -R 'sif /files/70001 block[5] 0' o.img 2>/dev/null
like "an extent cannot begin at block 0" "$("$dump" o.img | grep '^# ./files/70001')" 'FILE_CORRUPT .*cannot be its own'
# What a directory's map says wrongly of one block hides the names of that block alone: each has 16 at most.
rm -rf dirs; mkdir -p dirs/d; (cd dirs/d && printf 'a name of some length, number %d\n' {1..400} | xargs -d '\n' touch)
make d.img 16M -t ext2 -b 1024 -O ^dir_index -d dirs
debugfs -w -R 'sif /d block[2] 99999999' d.img 2>/dev/null
"$dump" d.img >got
is "one bad block of a directory's map: one damaged place" "$(grep -c '^# ./d/(damaged' got)" 1
ok "one bad block of a directory's map: the names of the others" test "$(grep -c '^./d/' got)" -ge 376
debugfs -w -R 'sif /d block[IND] 99999999' d.img 2>/dev/null
"$dump" d.img >got
ok "a bad table of a directory's map: the names of other blocks" test "$(grep -c '^./d/' got)" -ge 240
make d.img 16M -t ext4 -b 1024 -d dirs
read -r start len < <(debugfs -R 'ex /d' d.img 2>/dev/null | awk 'NR == 2 { print $8, $11 }')
printf 'sif /d block[%s] %s\n' 0 0x3F30A 4 1 6 1 7 1 8 0 9 2 10 $((len - 2)) 11 $((start + 2)) >split
debugfs -w -f split d.img >/dev/null 2>&1
"$dump" d.img >got
is "one bad extent of a directory: one damaged place" "$(grep -c '^# ./d/(damaged' got)" 1
ok "one bad extent of a directory: the names of the others" test "$(grep -c '^./d/' got)" -ge 376
truncate -s 20M o.img
"$dump" o.img >after; is "an image cut off ends cleanly" "$?" 1

# A large directory is searched by its tree.
mkdir many; (cd many && seq -f 'a file with some name, number %.0f' 1 20000 | xargs -d '\n' touch)
for opts in '-b 4096' '-b 1024 -O ^metadata_csum'; do
	# shellcheck disable=SC2086
	make m.img 128M -N 40000 -t ext4 $opts -d many; e2fsck -fyD m.img >/dev/null 2>&1
	got=$("$SENDENSE_BUILD/tests/fs/extlookup" m.img /)
	like "20000 names found: $opts" "$got" 'names=20001 wrong=0'
	ok "by few reads: $got" test "${got##*=}" -le 40000
done

# What others made.
corpus=$SENDENSE_CORPUS/tytso+e2fsprogs/tests
if [ -d "$corpus" ]; then
	# f_baddir holds a directory that contains itself through another: its walk does not end.
	bad=
	for gz in "$corpus"/{j_,f_bad,f_h2,f_inl}*/image.gz; do
		case $gz in */f_baddir/*) continue ;; esac
		gunzip -c "$gz" | cp --sparse=always /dev/stdin c.img
		timeout 20 "$dump" c.img >c.out 2>&1; r=$?
		[ $r -le 1 ] || bad="$bad $(basename "$(dirname "$gz")"):$r"
	done
	is "damaged images of e2fsprogs: nothing crashes or hangs" "$bad" ""
	for n in f_jnl_32bit j_recover_fast_commit; do
		gunzip -c "$corpus/$n/image.gz" >c.img
		"$dump" c.img | python3 "$here/corpus-diff" "$SENDENSE_CORPUS/expected/e2fsprogs.$n.AFTER_REPLAY.tsv" >c.out
		is "$n after replay" "$(cat c.out)" ""
	done
else
	skip "damaged images of e2fsprogs" "no corpus"
fi
done_testing
