#!/bin/bash
# Damaged and unclean NTFS volumes: what is readable is read, what is not says so, and the volume says what it is.
set -u
. "$SENDENSE_SRC/tests/tap.sh"
. "$SENDENSE_SRC/tests/fs/ntfs/lib.sh"
img=$tmp/img
why=$(lacking)
[ -z "$why" ] || { skip 'damaged volumes' "$why"; done_testing; exit; }

make "$tmp/good" 20M
mount_ntfs "$tmp/good" compression
mkdir "$mnt/dir" "$mnt/z"
for i in $(seq 100 299); do echo "$i" >"$mnt/dir/entry number $i with a name of some length"; done
mkdir "$mnt/Names"
for n in 'Ärger größer.txt' 'ФАЙЛ.doc' Zebra $(seq -f 'file %g' 300 | tr ' ' _); do echo "$n" >"$mnt/Names/$n"; done
seq 5000 >"$mnt/file"
seq 9000 >"$mnt/other"
setfattr -h -n system.ntfs_attrib -v 0x00080000 "$mnt/z"
seq 20000 >"$mnt/z/packed"
file=$(ino file) dir=$(ino dir) packed=$(ino z/packed)
unmount

# damaged NAME WHAT… : a copy of the good volume, poked; its dump in $tmp/dump
damaged() { cp "$tmp/good" "$img"; "$here/ntfs/poke" "$img" "$@"; "$fsdump" --ident "$img" >"$tmp/dump"; }
warns() { grep '^# warning' "$tmp/dump"; }
other() { like "$1: other files are read" "$(grep '^\./other ' "$tmp/dump")" "sha256=$(seq 9000 | sha256sum | cut -c-64)"; }

damaged volume-flags 0
is 'good: no warning' "$(warns)" ''
is 'good: all entries' "$(grep -c '^\./dir/' "$tmp/dump")" 200
found() { "$fsdump" "$img" "$2" 2>&1 | grep -q "sha256=$(echo "$1" | sha256sum | cut -c-64)"; }
ok 'good: a name in ASCII, in another case' found Zebra /nAMES/zEBRA
ok 'good: among names beyond it' found 'file_77' /names/FILE_77
ok 'good: letters beyond ASCII in another case' found 'Ärger größer.txt' '/names/äRGER GRÖßER.TXT'
ok 'good: Cyrillic ones' found 'ФАЙЛ.doc' /Names/файл.DOC
ok 'good: as they are' found 'ФАЙЛ.doc' /Names/ФАЙЛ.doc
damaged boot
like 'boot sector lost: said' "$(warns)" 'copy at the end'
is 'boot sector lost: all entries' "$(grep -c '^\./dir/' "$tmp/dump")" 200
damaged magic 0
like 'MFT record 0 lost: said' "$(warns)" 'MFT record 0 is damaged'
other 'MFT record 0 lost'
damaged torn 3
like 'MFT record 3 torn: said' "$(warns)" 'MFT record 3 is damaged'
damaged magic 10
like '$UpCase lost: said' "$(warns)" 'UpCase'
is '$UpCase lost: said once' "$("$fsdump" --ident "$img" '/names/Ärger größer.txt' | grep -c 'UpCase')" 1
other '$UpCase lost'
ok '$UpCase lost: a name in ASCII, in another case' found Zebra /nAMES/zEBRA
ok '$UpCase lost: letters beyond ASCII as they are' found 'Ärger größer.txt' '/names/Ärger größer.txt'
ok '$UpCase lost: not in another case' sh -c '! "$0" "$1" "/names/ärger größer.txt" >/dev/null 2>&1' "$fsdump" "$img"
damaged torn "$file"
like 'torn record' "$(grep '^# ./file:' "$tmp/dump")" 'FILE_CORRUPT .*partly written'
other 'torn record'
ok 'torn record: conformance' "$fscheck" --damaged "$img"
damaged run "$file"
like 'a run outside the volume' "$(grep '^# ./file:' "$tmp/dump")" 'FILE_CORRUPT .*leaves the volume'
damaged index "$dir" 2
is 'index block lost: one broken entry' "$(grep -c '^# ./dir.*FILE_CORRUPT' "$tmp/dump")" 1
left=$(grep -c '^\./dir/' "$tmp/dump")
ok "index block lost: $left entries left" test "$left" -gt 100 -a "$left" -lt 200
lost=$(grep '^\./dir/' "$tmp/dump" | tail -n 1 | sed 's/ .*//; s/^\.//; s/\\040/ /g')
like 'index block lost: an entry elsewhere is found' "$("$fsdump" "$img" "$lost")" 'type=file'
ok 'index block lost: conformance' "$fscheck" --damaged "$img"
damaged packed "$packed"
like 'damaged LZNT1' "$(grep '^# ./z/packed:' "$tmp/dump")" 'FILE_CORRUPT .*compressed'
other 'damaged LZNT1'
damaged volume-flags 1
like 'dirty flag: said' "$(warns)" 'marked dirty'
damaged log-dirty
like 'log with work in it: said' "$(warns)" 'not shut down properly'
other 'log with work in it'

cp "$tmp/good" "$img" && mount_ntfs "$img" rw && { printf hibr; head -c 8192 /dev/zero; } >"$mnt/hiberfil.sys" && unmount
"$fsdump" --ident "$img" >"$tmp/dump"
like 'hibernated: said' "$(warns)" 'hibernated'
other 'hibernated'
cp "$tmp/good" "$img" && mount_ntfs "$img" rw && head -c 8192 /dev/zero >"$mnt/hiberfil.sys" && unmount
"$fsdump" --ident "$img" >"$tmp/dump"
is 'hibernation file without a session: no warning' "$(warns)" ''

cp "$tmp/good" "$img" && truncate -s 15M "$img"
"$fsdump" --ident "$img" >"$tmp/dump"
like 'cut off: said' "$(warns)" 'cut off'
ok 'cut off: conformance' "$fscheck" --damaged "$img"
done_testing
