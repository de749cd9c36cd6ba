#!/bin/bash
# ISO 9660 images that no tool makes, by mkiso-odd, what they hold being known from there; whole disks made to start from USB sticks; a
# directory of 100,000 entries; images made by others, sound and damaged.
set -u
. "$SENDENSE_SRC/tests/tap.sh"
export TZ=UTC LC_ALL=C.UTF-8
here=$SENDENSE_SRC/tests/fs fsdump=$SENDENSE_BUILD/tests/fs/fsdump fscheck=$SENDENSE_BUILD/tests/fs/fscheck
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
command -v python3 >/dev/null || { skip "ISO 9660" "no python3"; done_testing; exit; }
img=$tmp/img

odd() { "$here/mkiso-odd" "$1" "$img" && "$fsdump" --ident --all "$img" >"$tmp/out"; }
# The words of PATH's line that match.
words() { grep -F -- "./$1 " "$tmp/out" | tr ' ' '\n' | grep -E "^($2)=" | tr '\n' ' '; }
error() { sed -n "s|^# \./$1: ||p" "$tmp/out"; }
names() { sed -n 's|^\./\(\S*\) .*|\1|p' "$tmp/out" | tr '\n' ' '; }
sha() { python3 -c 'import hashlib, sys
def pattern(n, salt): return bytes((i * 7 + i // 251 + salt) % 256 for i in range(n))
print(hashlib.sha256('"$1"').hexdigest())'; }

odd sections
is 'a file in sections' "$(words big 'size|sha256')" "size=6244 sha256=$(sha 'pattern(2048, 1) + pattern(4096, 2) + pattern(100, 3)') "
is 'the file behind it' "$(words next size)" 'size=5 '
is 'sections that are not whole blocks' "$(words two 'size|sha256')" "size=30 sha256=$(sha 'pattern(10, 1) + pattern(20, 2)') "
ok 'conformance' "$fscheck" "$img"
odd interleaved
is 'an interleaved file' "$(words mixed sha256)" "sha256=$(sha 'pattern(4096, 0) + pattern(4096, 1) + pattern(2055, 2)') "
like 'a gap without units' "$(error unknown)" 'FILE_UNSUPPORTED.*interleaved'
like 'its last unit is beyond the end' "$(error outside)" 'FILE_CORRUPT'
odd attributes
is 'extended attribute records are passed over' "$(words file sha256)$(words dir/inner sha256)" \
	"$(printf "sha256=$(sha 'pattern(3000, 9)') %.0s" 1 2)"
odd names
is 'plain names' "$(names)" 'a.b bare dot. hidden low nodot one.txt two.txt.2 \304 '
like 'a name of which nothing is left' "$(error '?')" 'empty'

odd rock
is 'the root has its own attributes' "$(head -2 "$tmp/out" | tail -1 | cut -d' ' -f1-6)" '. type=dir mode=1777 uid=6 gid=7 nlink=5'
# The fourth time is all zeroes: none.
is 'a name in three pieces, all that is in continuations' "$(words 'continued\040name' 'mode|uid|gid|nlink|time|atime|ctime|btime')" \
	"mode=0640 uid=100000 gid=200000 nlink=2 time=$(date -d '2024-02-29 11:34:56' +%s).780000000 atime=$(date -d '2030-01-02 04:04:05' +%s).060000000 ctime=-1.500000000 btime=-1.500000000 "
is 'a link in pieces' "$(words link link)" 'link=/first//.././last '
is 'a relocated directory, and not where it is' "$(words place 'type|mode')$(words place/in type)$(grep -c '^./rr_moved/' "$tmp/out")" \
	'type=dir mode=0700 type=file 0'
like 'sparse' "$(error sparse)" 'FILE_UNSUPPORTED.*sparse'
like 'packed in an unknown way' "$(error packed)" 'FILE_UNSUPPORTED.*compressed'
is 'device numbers' "$(words old 'type|rdev')$(words new 'type|rdev')" 'type=char rdev=5,1 type=block rdev=259,70000 '
is 'entries end at ST' "$(words stop type)" 'type=file '
ok 'conformance' "$fscheck" --damaged "$img"
odd xa
is 'CD-ROM XA attributes first' "$(sed -n 2p "$tmp/out" | cut -d' ' -f3) $(words 'a\040name' mode)$(words short mode)" 'mode=0711 mode=0600 mode=0555 '
odd set
like 'a volume of a set' "$(cat "$tmp/out")" '# warning this is volume 1 of a set of 2'
is 'what is here is read' "$(words here size)" 'size=7 '
like 'what is elsewhere is not' "$(error there)" 'FILE_UNSUPPORTED.*another volume'
odd halves
like 'byte orders that differ' "$(cat "$tmp/out")" '# warning .*little-endian'
odd empty-root
is 'Joliet, where the plain root is empty' "$(names)" 'Joliet '
like 'a name in other case' "$("$fsdump" "$img" /jOLIET)" 'size=7'
odd both
is 'Rock Ridge before Joliet' "$(names)" 'rock '
odd blocks
is 'blocks of 512 bytes' "$(words file sha256)$(words sub/inner sha256)" "sha256=$(sha 'pattern(3000, 5)') sha256=$(sha 'pattern(612, 5)[512:]') "
ok 'conformance' "$fscheck" "$img"
odd rootless
like 'no root' "$(cat "$tmp/out")" 'FS_CORRUPT .*root'

odd damaged
while IFS='|' read -r name want; do
	like "damaged: $name" "$(error "$name")" "FILE_CORRUPT.*$want"
done <<'END'
loop|more than 128
far|beyond the volume
huge|more than is possible
kind|directory to Rock Ridge
cut|cut short
what|unknown kind
empty|no target
part|next section is missing
alone|last section
dir/self|holds itself
dir/root|holds itself
dir/beyond|beyond
dir/notdir|no directory
dir/outside|beyond
dir2/?|too short
END
is 'damaged: the rest is read' "$(names)" 'dir dir/good dir2 dir2/after dir2/good other '
ok 'damaged: conformance' "$fscheck" --damaged "$img"

odd many
is '100,000 entries' "$(grep -c '^\./file\\040number\\040[0-9]*\\040x\{100\} type=file' "$tmp/out")" 100000

# --- by xorriso ---

if command -v xorriso >/dev/null; then
	mkdir -p "$tmp/tree/sub"
	seq 5000 >"$tmp/tree/numbers"; ln -s numbers "$tmp/tree/sub/$(printf 'l%.0s' $(seq 255))"
	rm -f "$img"
	xorriso -report_about SORRY -zisofs version_2=on -outdev "$img" -volid 'A label' -map "$tmp/tree" / -set_filter --zisofs /numbers -- -commit >/dev/null 2>&1
	ok 'every failing read is said' "$fscheck" --torture "$img"
	is 'a name of 255 bytes' "$("$fsdump" "$img" | awk '/type=link/ { print length($1) }')" 261
	if command -v blkid >/dev/null; then
		is 'label and time as blkid says' "$("$fsdump" --ident "$img" | sed -n '1s/.*type=\(.*\) size.*/\1/p')" \
			"iso9660 label=$(blkid -p -o value -s LABEL "$img" | sed 's/ /\\040/g') uuid=$(blkid -p -o value -s UUID "$img")"
	fi
	truncate -s 120K "$img"
	like 'cut off' "$("$fsdump" --ident "$img")" '# warning .*its volume only'
else
	skip 'images by xorriso' 'no xorriso'
fi

# --- made by others ---

corpus=${SENDENSE_CORPUS:-none}
repeat() { for _ in $(seq 120); do printf syzkaller; done | head -c "$1" | sha256sum | cut -c-64; }
for n in 0 2 4 6 8 10 12 14 16; do
	image=$corpus/google+syzkaller/sys/linux/test/syz_mount_image_iso9660_$n.img.zlib
	[ -e "$image" ] || { skip "syzkaller $n" 'no corpus'; continue; }
	python3 -c 'import sys, zlib; sys.stdout.buffer.write(zlib.decompress(sys.stdin.buffer.read()))' <"$image" >"$img"
	# Where there is UDF as well, that may be what is read.
	is "syzkaller $n: sizes and contents" \
		"$("$fsdump" "$img" | sed -nE 's/^(\S+) type=file .* size=([0-9]+) .*sha256=(\w+)/\1 \2 \3/p' | sed 's/file\.col /file.cold /' | grep -E 'cold|/file0|file1|file2' | grep -v file0/file1)" \
		"./file.cold 100 $(repeat 100)
./file0/file0 1050 $(repeat 1050)
./file1 10 $(repeat 10)
./file2 9000 $(head -c 9000 /dev/zero | sha256sum | cut -c-64)"
	ok "syzkaller $n: conformance" timeout 300 "$fscheck" "$img"
done

# Against bsdtar, whose own tests these are: names but for case, and contents. NAME | whether it is damaged.
while IFS='|' read -r name damaged; do
	image=$(ls "$corpus/libarchive+libarchive/libarchive/test/$name.iso"* 2>/dev/null | head -1)
	[ -e "$image" ] || { skip "$name" 'no corpus'; continue; }
	case $image in *.Z) gzip -dc "$image" >"$img" ;; *) cp "$image" "$img" ;; esac
	timeout 60 "$fsdump" "$img" >"$tmp/out"
	ok "$name: conformance" timeout 300 "$fscheck" ${damaged:+--damaged} "$img"
	[ -z "$damaged" ] || { like "$name" "$(cat "$tmp/out")" "$damaged"; continue; }
	command -v bsdtar >/dev/null || { skip "$name: as bsdtar reads it" 'no bsdtar'; continue; }
	rm -rf "$tmp/other"
	mkdir "$tmp/other"
	bsdtar -xf "$img" -C "$tmp/other" 2>/dev/null
	is "$name: as bsdtar reads it" "$(python3 "$here/referee-manifest" --no-mode --no-owner --no-nlink --no-time --filter <"$tmp/out" | tr A-Z a-z | sort)" \
		"$(python3 "$here/referee-manifest" --no-mode --no-owner --no-nlink --no-time "$tmp/other" | tr A-Z a-z | sort)"
done <<'END'
test_read_format_iso|
test_read_format_iso_2|
test_read_format_iso_3|type=file
test_read_format_iso_joliet|
test_read_format_iso_joliet_by_nero|
test_read_format_iso_joliet_long|
test_read_format_iso_joliet_rockridge|
test_read_format_iso_multi_extent|
test_read_format_iso_rockridge|
test_read_format_iso_rockridge_ce|
test_read_format_iso_rockridge_new|
test_read_format_iso_rockridge_rr_moved|
test_read_format_iso_xorriso|
test_read_format_iso_zisofs|
test_fuzz_1|type=dir
test_read_format_iso_joliet_utf16be_overflow|type=file
test_read_format_iso_rockridge_ce_loop|go on in more than
test_read_format_iso_rockridge_zf_overflow|FILE_CORRUPT
test_read_format_iso_zisofs_overflow|FILE_UNSUPPORTED
END
done_testing
