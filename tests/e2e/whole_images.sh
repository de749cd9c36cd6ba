# Sourced behind lib.sh: machine_images FOLDER makes disks of machines whose volumes lie on several of them, raw, in FOLDER:
#
#	wide.img narrow.img data.img            ext filesystems: /name says which, wide.img has /big, too
#	vg-0 vg-1                               volume group vg: vg/wide on both disks, vg/narrow on the first
#	mirror-0 mirror-1, stripe-0 stripe-1    arrays "data" of narrow.img and wide.img
#	gpt-0 data-1                            a GPT disk with wide.img and narrow.img; a disk that is data.img
machine_images() {
	local d=$1 make="python3 -B $SENDENSE_SRC/tests/volume/mkmachine.py" n
	mkdir -p "$d"/{wide,narrow,data} "$d"/wide/{etc,usr}
	for n in wide narrow data; do echo $n >"$d/$n/name"; done
	head -c 5000000 /dev/urandom >"$d/wide/big"
	mke2fs -q -F -t ext4 -b 1024 -L wide -d "$d/wide" "$d/wide.img" 12M >/dev/null 2>&1
	mke2fs -q -F -t ext4 -b 1024 -L narrow -d "$d/narrow" "$d/narrow.img" 4M >/dev/null 2>&1
	mke2fs -q -F -t ext2 -b 1024 -L data -d "$d/data" "$d/data.img" 4M >/dev/null 2>&1
	$make vg "$d/wide.img" "$d/narrow.img" "$d/vg-0" "$d/vg-1" && $make raid1 "$d/narrow.img" "$d/mirror-0" "$d/mirror-1" &&
		$make raid0 "$d/wide.img" "$d/stripe-0" "$d/stripe-1" || return 1
	truncate -s 20M "$d/gpt-0"
	printf 'label: gpt\nstart=2048, size=24576, name="system"\nstart=26624, size=8192, name="small"\n' | sfdisk -q "$d/gpt-0" || return 1
	dd if="$d/wide.img" of="$d/gpt-0" bs=1M seek=1 conv=notrunc status=none
	dd if="$d/narrow.img" of="$d/gpt-0" bs=1M seek=13 conv=notrunc status=none
	cp "$d/data.img" "$d/data-1"
}

# btrfs_images FOLDER: btrfs-0 btrfs-1, data striped over both, metadata on each; /name says "striped", /big is wide's. In mounts of its
# own. Fails where there are no loop devices.
btrfs_images() {
	command -v mkfs.btrfs losetup >/dev/null || return 1
	truncate -s 200M "$1/btrfs-0" "$1/btrfs-1"
	unshare -m bash -c '
		cd "$1" && mkdir -p mnt && a=$(losetup -f --show btrfs-0) && b=$(losetup -f --show btrfs-1) || exit 1
		mkfs.btrfs -q -f -L striped -d raid0 -m raid1 "$a" "$b" && mount -t btrfs -o "device=$b" "$a" mnt && {
			mkdir mnt/etc mnt/usr; cp wide/big mnt/; echo striped >mnt/name
			umount mnt && rmdir mnt
		}
		r=$?
		btrfs device scan --forget "$a"; btrfs device scan --forget "$b"; losetup -d "$a" "$b"
		exit $r' - "$1" >"$1/btrfs.log" 2>&1
}
