#!/bin/bash
# The n-th allocation fails, for every n: with each filesystem, and with what they can lie on.
# Mounts of our own: whoever copies the namespace while one is there would hold it, and what is behind it unwritten.
[ -n "${OWN_MOUNTS:-}" ] || ! unshare -m true 2>/dev/null || OWN_MOUNTS=1 exec unshare -m "$0" "$@"
. "$SENDENSE_SRC/tests/tap.sh"
export PATH=$PATH:/usr/sbin:/sbin LC_ALL=C.UTF-8
check=$SENDENSE_BUILD/tests/torture/memory-torture
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir" || exit 1

mkdir -p tree/docs/deep tree/many
seq 30000 >tree/docs/numbers
head -c 100000 /dev/urandom >tree/docs/noise
truncate -s 1M tree/docs/sparse
ln -s deep/none tree/docs/link
ln tree/docs/numbers tree/docs/deep/same
for i in $(seq 150); do echo "$i" >"tree/many/entry-$i-with-a-name-of-some-length"; done

# survives NAME IMAGE…
survives() {
	local out name=$1; shift
	if out=$("$check" "$@" 2>&1); then pass "$name: $out"; else flunk "$name" "$out"; fi
}
# have NAME TOOL…: are the tools there?
have() {
	local name=$1 tool; shift
	for tool; do command -v "$tool" >/dev/null || { skip "$name" "no $tool"; return 1; }; done
}

if have "ext4 in QCOW2" mke2fs qemu-img; then
	mke2fs -q -t ext4 -d tree ext.raw 24M >/dev/null
	survives "ext4" ext.raw
	qemu-img convert -c -O qcow2 ext.raw ext.qcow2
	survives "ext4 in compressed QCOW2" ext.qcow2
	truncate -s 32M disk.raw
	printf 'label: gpt\nstart=2048, size=49152\n' | sfdisk -q disk.raw
	dd if=ext.raw of=disk.raw bs=1M seek=1 conv=notrunc status=none
	survives "ext4 in a GPT partition" disk.raw
fi
if have "volume managers" mke2fs python3; then
	mke2fs -q -t ext4 -d tree small.raw 12M >/dev/null
	python3 "$SENDENSE_SRC/tests/torture/volumes" . small.raw
	survives "LVM" lvm-*.raw
	survives "LVM, a disk missing" lvm-disk1.raw
	survives "md" md-*.raw
	survives "md, degraded" md-0.raw md-2.raw
	survives "LDM" ldm-*.raw
	for image in bl-*.raw; do survives "BitLocker, unlocked, ${image#bl-}" -k bl.bek "$image"; done
fi
if have "LUKS" mke2fs cryptsetup; then
	"$SENDENSE_SRC/tests/load/make-vault" . "$SENDENSE_BUILD/tests/volume/encryptsectors" --pbkdf pbkdf2 --pbkdf-force-iterations 1000
	survives "LUKS, unlocked" -k secret vault.raw
fi
if have "XFS" mkfs.xfs; then
	truncate -s 320M xfs.raw
	{
		printf '/boot/x\n0 0\nd--755 0 0\n'
		for i in $(seq 40); do echo "entry-$i-with-a-name ---644 0 0 $dir/tree/docs/numbers"; done
		printf 'link l--777 0 0 entry-1\n$\n'
	} >proto
	mkfs.xfs -q -p proto xfs.raw
	survives "XFS" xfs.raw
fi
if have "btrfs" mkfs.btrfs; then
	truncate -s 128M btrfs.raw
	mkfs.btrfs -q -r tree btrfs.raw >/dev/null
	survives "btrfs" btrfs.raw
	truncate -s 200M two-0.raw two-1.raw
	if unshare -m bash -c '
		mkdir mnt && a=$(losetup -f --show two-0.raw) && b=$(losetup -f --show two-1.raw) || exit 1
		mkfs.btrfs -q -f -d raid0 -m raid1 "$a" "$b" && mount -t btrfs -o "device=$b" "$a" mnt && cp -a tree/. mnt && umount mnt
		r=$?
		btrfs device scan --forget "$a"; btrfs device scan --forget "$b"; losetup -d "$a" "$b"
		exit $r' >two.log 2>&1; then
		survives "btrfs on two devices" two-0.raw two-1.raw
	else
		skip "btrfs on two devices" "$(tail -1 two.log)"
	fi
fi
if have "NTFS" mkfs.ntfs ntfscp; then
	truncate -s 16M ntfs.raw
	mkfs.ntfs -q -F ntfs.raw 2>/dev/null
	for i in $(seq 20); do ntfscp -q ntfs.raw tree/docs/numbers "file-$i" 2>/dev/null; done
	survives "NTFS" ntfs.raw
fi
if have "FAT" mkfs.fat mcopy; then
	truncate -s 40M fat.raw
	mkfs.fat -F 32 fat.raw >/dev/null
	mcopy -s -i fat.raw tree/docs/numbers tree/many ::
	survives "FAT32" fat.raw
fi
if have "exFAT" mkfs.exfat; then
	truncate -s 16M exfat.raw
	mkfs.exfat exfat.raw >/dev/null
	python3 "$SENDENSE_SRC/tests/fs/exfat-fill" exfat.raw tree/many >/dev/null
	survives "exFAT" exfat.raw
fi
if have "ISO 9660" xorriso; then
	xorriso -as mkisofs -quiet -R -J -o disc.iso tree >/dev/null 2>&1
	survives "ISO 9660" disc.iso
fi
done_testing
