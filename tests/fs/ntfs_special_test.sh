#!/bin/bash
# Reparse points, extended attributes, WSL's and Interix' special files, as Windows writes them. What is expected follows
# from [MS-FSCC] and the rule in docs/fs/ntfs.md: ntfs-3g itself needs plug-ins for most of these.
set -u
. "$SENDENSE_SRC/tests/tap.sh"
. "$SENDENSE_SRC/tests/fs/ntfs/lib.sh"
img=$tmp/img
why=$(lacking)
[ -z "$why" ] || { skip 'special files' "$why"; done_testing; exit; }

make "$img" 20M
mount_ntfs "$img" compression,special_files=wsl,streams_interface=xattr && "$here/ntfs/populate-special" "$mnt"
secret=$(ino secret)
unmount
"$here/ntfs/poke" "$img" data-flag "$secret" 0x4000
"$fsdump" "$img" >"$tmp/dump"

# link NAME TARGET (as fsdump quotes it)
link() { is "link $1" "$(sed -n "s|^\./$1 type=link .*link=||p" "$tmp/dump")" "$2"; }
line() { grep -F -- "./$1" "$tmp/dump"; }
link j-here '/Target\040Dir'
link j-slash '/Target\040Dir'
link j-case '/TARGET\040dir/FILE'
link j-through '/j-here/file'
link j-elsewhere '\134??\134D:\134Not\040Here'
link j-root '\134??\134D:\134'
link j-volume '\134??\134Volume{12345678-1234-1234-1234-123456789abc}\134'
link j-system '\134??\134C:\134Gone'
link s-rel '../a/b.txt'
link s-rel-dir 'Target\040Dir'
link s-rooted '/Target\040Dir/file'
link s-abs '/Target\040Dir/file'
link s-unc '\134??\134UNC\134server\134share'
link s-utf16 '\303\274n\303\257\360\237\230\200'
link lx-link '/usr/l\303\257b'
link lx-own '/wsl/target'
like 'a junction is followed without regard to case' "$("$fsdump" "$img" '/J-HERE/FILE')" 'type=file .*size=7'
like 'WSL fifo' "$(line lx-fifo)" 'type=fifo mode=0644'
like 'WSL socket' "$(line lx-socket)" 'type=socket mode=0644'
if [ "$(id -u)" = 0 ]; then
	like 'WSL character device' "$(line lx-char)" 'type=char mode=0644 .* rdev=4,64$'
	like 'WSL block device' "$(line lx-block)" 'type=block mode=0644 .* rdev=259,300$'
else
	skip 'WSL devices' 'needs root to make them'
fi
like 'WSL owner and mode' "$(line wsl)" 'mode=4751 uid=1000 gid=1001'
like 'a cloud file that is here' "$(line cloud-here)" "sha256=$(printf downloaded | sha256sum | cut -c-64)"
like 'a compressed cloud file that is here' "$(line packed/cloud-here)" "sha256=$(yes downloaded | head -n 20000 | sha256sum | cut -c-64)"
like 'a cloud file that is away' "$(line cloud-away)" 'FILE_OFFLINE .*placeholder'
like 'a deduplicated file' "$(line dedup)" 'FILE_OFFLINE .*deduplication'
like 'single instance storage' "$(line single-instance)" 'FILE_OFFLINE .*tag 0x80000007'
like "another maker's archive" "$(line archived)" 'FILE_OFFLINE .*tag 0x00000010'
like 'WIMBoot' "$(line wimboot)" 'FILE_UNSUPPORTED .*WIM archive'
like 'an overlay method of the future' "$(line wof-unknown)" 'FILE_UNSUPPORTED .*method 9'
like 'a compressed stream that is lost' "$(line wof-lost)" 'FILE_CORRUPT .*stream is missing'
like 'an unknown tag leaves a file a file' "$(line unknown-tag)" "sha256=$(printf 'plain after all' | sha256sum | cut -c-64)"
like 'EFS' "$(line secret)" 'FILE_ENCRYPTED .*EFS'
is 'extended attributes' "$("$fsattrs" "$img" | grep ' xattr user\.' | sort)" './ea xattr user.COLOUR 677265656e
./ea xattr user.EMPTY.NOT 000102'
ok 'conformance, of what can be read' "$fscheck" --damaged "$img"

# 8.3 aliases: found in any case, not listed.
mount_ntfs "$img" rw && mkdir "$mnt/Long Names" && for i in $(seq 300); do
	echo "$i" >"$mnt/Long Names/a file with number $i.text"
	setfattr -h -n system.ntfs_dos_name -v "F$i~1.TEX" "$mnt/Long Names/a file with number $i.text" || break
done && setfattr -h -n system.ntfs_dos_name -v 'LONGNA~1' "$mnt/Long Names"
mount_ls=$(ls "$mnt/Long Names") && unmount
"$fsdump" "$img" >"$tmp/dump"
is 'files with an alias are listed once' "$(sed -nE 's|^\./Long.040Names/(\S+) .*|\1|p' "$tmp/dump" | sed 's/\\040/ /g' | sort)" "$(echo "$mount_ls" | sort)"
like 'an alias is found' "$("$fsdump" "$img" '/longna~1/f77~1.tex')" "nlink=2 size=3 .*sha256=$(echo 77 | sha256sum | cut -c-64)"

# With \Windows\System32 the volume is C:, and no other drive.
mount_ntfs "$img" rw && mkdir -p "$mnt/windows/SYSTEM32" && unmount
"$fsdump" "$img" >"$tmp/dump"
link j-system '/Gone'
link j-here '\134??\134D:\134Target\040Dir'
done_testing
