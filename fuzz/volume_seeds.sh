#!/bin/bash
# Makes the seeds of the volume target anew, with the usual tools: tables and contents in pieces, file data left out.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
out=$here/corpus/volume
export PATH=$PATH:/usr/sbin:/sbin
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
mkdir -p "$out"
raw() { rm -f image; truncate -s "$1" image; }
# The first and the last KiB given are kept.
seed() { local name=$1 head=$2 tail=$3; python3 - "$head" "$tail" <<-'END'
	import sys, os
	head, tail = (int(x) * 1024 for x in sys.argv[1:])
	size = os.path.getsize('image')
	with open('image', 'r+b') as f:
	    for at in range(head, size - tail, 1 << 16):
	        f.seek(at)
	        n = min(1 << 16, size - tail - at)
	        if f.read(n).strip(b'\0'):
	            f.seek(at)
	            f.write(bytes(n))
	END
	"$here/make-seed" image 64 >"$out/$name"; }
raw 64M
sfdisk -q image <<<$'label: dos\n,10M,7\n,10M,83\n,,E\n,2M,82\n,2M,8e\n'
"$here/make-seed" image 64 >"$out/mbr-logical"
raw 64M
sfdisk -q image <<<$'label: gpt\ntable-length: 4\nsize=10M, type=U, name="EFI"\nsize=10M, type=L\n'
"$here/make-seed" image 64 >"$out/gpt"
dd if=/dev/zero of=image bs=512 seek=1 count=1 conv=notrunc status=none
"$here/make-seed" image 64 >"$out/gpt-backup"
raw 64M; printf 'g\nn\n1\n\n+50M\nw\n' | fdisk -b 4096 image >/dev/null; "$here/make-seed" image 64 >"$out/gpt-4096"
raw 20M; mke2fs -q -F -t ext4 -L label image; seed ext4 4 0
raw 20M; mkfs.ntfs -q -F -f -L label image >/dev/null 2>&1; seed ntfs 1 0
raw 5M; mkfs.vfat -F 12 -n LABEL image >/dev/null; seed vfat 20 0
raw 20M; mkfs.exfat -L label image >/dev/null; seed exfat 2 0
raw 320M; mkfs.xfs -q -f image; seed xfs 1 0
raw 120M; mkfs.btrfs -q image; seed btrfs 68 0
raw 5M; mkswap -q image; seed swap 4 0
raw 20M; mkfs.udf -l label image >/dev/null; seed udf 300 0
raw 20M; printf x | cryptsetup -q luksFormat --type luks2 --pbkdf pbkdf2 --pbkdf-force-iterations 1000 image - ; seed luks2 1 0
rm image; mkdir tree; echo x >tree/x; xorriso -as mkisofs -quiet -J -R -o image tree 2>/dev/null; "$here/make-seed" image 64 >"$out/iso9660"
# More that is only named, eight disks an input.
corpus=$here/../../shared/corpus/util-linux+util-linux/tests/ts/blkid/images-fs
unpack() { xz -dc "$corpus/$1.img.xz" | cp --sparse=always /dev/stdin image; }
for name in mdraid mdraid-1 lvm2 bcache-B drbd-v08 hfs; do
	[ -f "$corpus/$name.img.xz" ] || continue
	unpack $name
	seed $name 8 68
done
# named NAME IMAGE…: as volume_fuzz.c takes the disks of a machine.
named() {
	local to=$out/$1
	shift
	[ -f "$corpus/$1.img.xz" ] || return 0
	printf MACH >"$to"
	for name in "$@"; do
		unpack "$name"
		head=8
		case $name in
		reiser* | gfs2 | ufs) head=68 ;;
		vmfs_volume) head=1028 ;;
		iso* | jfs) head=36 ;;
		minix* | hpfs | ocfs2 | xfs-log | tuxonice | ubi) head=2 ;;
		esac
		seed one "$head" 8
		python3 -c 'import struct, sys; sys.stdout.buffer.write(struct.pack("<BI", 0, int(sys.argv[1])))' "$(stat -c %s "$out/one")" >>"$to"
		cat "$out/one" >>"$to"
		rm "$out/one"
	done
}
named contents-1 reiser3 reiser4 jfs f2fs nilfs2 erofs squashfs3 squashfs4
named contents-2 cramfs romfs gfs2 ocfs2 ext3 xfs-log tuxonice minix-LE
named contents-3 iso-joliet iso-rr-joliet hfsplus hpfs ufs vxfs-le ubi
named contents-4 bcachefs-2 vmfs vmfs_volume vdo ddf-raid isw-raid bluestore swap0
