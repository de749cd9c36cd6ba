#!/bin/bash
# Partition tables and contents made by the tools everybody uses, held against what other tools read from them.
set -u
cd "$(dirname "$0")" || exit 1
. ../tap.sh
export PATH=$PATH:/usr/sbin:/sbin
dump=$SENDENSE_BUILD/tests/volume/voldump
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir" || exit 1

have() { command -v "$1" >/dev/null; }

# number start size type uuid name, one partition a line, in bytes; sorted by number
ours() { "$dump" "$1" | python3 -c '
import sys
for block in sys.stdin.read().split("\n\n"):
    v = dict(l.split("=", 1) for l in block.splitlines() if "=" in l)
    if v.get("kind") == "partition":
        print(v["partition"], v["offset"], v["size"], v["part_type"], v["part_uuid"], v["name"])' | sort -n; }
by_sfdisk() { sfdisk --json "$1" 2>/dev/null | python3 -c '
import sys, json, re
t = json.load(sys.stdin)["partitiontable"]
s = int(t.get("sectorsize", 512))
for p in t.get("partitions", []):
    n = int(re.search(r"(\d+)$", p["node"])[1])
    if t["label"] == "gpt":
        print(n, p["start"] * s, p["size"] * s, p["type"].lower(), p["uuid"].lower(), p.get("name", ""))
    elif p["type"] not in ("5", "f", "85"):
        print(n, p["start"] * s, p["size"] * s, "0x%02x" % int(p["type"], 16), "%08x-%02x" % (int(t["id"], 16), n), "")' | sort -n; }
# Of the only volume, or of the first one.
field() { "$dump" "$1" | sed -n "s/^$2=//p" | head -1; }
count() { "$dump" "$1" | grep -c '^number='; }
warnings() { "$dump" "$1" | sed -n 's/^warning=//p'; }
make() { rm -f "$1"; truncate -s "$2" "$1"; }

# --- tables ---------------------------------------------------------------------------------------------

if have sfdisk; then
	make mbr 300M
	sfdisk -q mbr <<-END
		label: dos
		2048,20M,7,*
		,20M,83
		,20M,82
		,,E
		,10M,83
		,10M,8e
		,33K,c
		,10M,fd
	END
	is "MBR with four logical partitions as sfdisk reads it" "$(ours mbr)" "$(by_sfdisk mbr)"
	is "… seven of them" "$(count mbr)" 7
	make mbr-order 100M
	sfdisk -q mbr-order <<-END
		label: dos
		4 : start=2048, size=20480, type=83
		1 : start=40960, size=20480, type=7
		2 : start=81920, size=81920, type=f
		6 : start=122880, size=2048, type=83
		5 : start=92160, size=2048, type=83
	END
	is "MBR out of order as sfdisk reads it" "$(ours mbr-order)" "$(by_sfdisk mbr-order)"
	make gpt 300M
	sfdisk -q gpt <<-END
		label: gpt
		1 : size=20M, type=U, name="EFI system partition"
		5 : size=1M, type=21686148-6449-6E6F-744E-656564454649, name="Grüße 日本"
		3 : size=16M, type=E3C9E316-0B5C-4DB8-817D-F92DF00215AE
		128 : size=50M, type=V
	END
	is "GPT as sfdisk reads it" "$(ours gpt)" "$(by_sfdisk gpt)"
	is "… four of them" "$(count gpt)" 4
	is "a GPT alone has no warning" "$(warnings gpt)" ""
	is "type names" "$("$dump" gpt | sed -n 's/^part_type_name=//p' | tr '\n' '|')" \
	   "EFI System|Microsoft reserved|BIOS boot|Linux LVM|"
	like "a BIOS boot partition says so" "$("$dump" gpt)" "no filesystem recognised; it holds the boot loader"
	want=$(by_sfdisk gpt)
	cp --sparse=always gpt damaged
	dd if=/dev/zero of=damaged bs=512 seek=1 count=1 conv=notrunc status=none
	is "GPT without its primary header" "$(ours damaged)" "$want"
	like "… warns" "$(warnings damaged)" "backup is used"
	truncate -s 500M damaged
	is "… on a disk that was grown afterwards" "$(ours damaged)" "$want"
	cp --sparse=always gpt grown && truncate -s 500M grown
	is "GPT on a disk that was grown" "$(ours grown)" "$want"
	cp --sparse=always gpt lost
	dd if=/dev/urandom of=lost bs=512 seek=2 count=1 conv=notrunc status=none
	dd if=/dev/urandom of=lost bs=512 seek=$((300 * 2048 - 33)) count=1 conv=notrunc status=none
	is "GPT damaged twice: the disk is listed" "$(field lost kind)" disk
	like "… with the reason" "$(field lost reason)" "damaged, and so is the backup"
	cp --sparse=always gpt short && truncate -s 30M short
	is "GPT of a truncated image: every partition is listed" "$(ours short)" "$want"
	like "… those that are not there have a reason" "$("$dump" short)" "beyond the end of the disk"
else
	skip "tables by sfdisk" "no sfdisk"
fi

if have sgdisk; then
	make sg 200M
	sgdisk -o -n 1:2048:+10M -t 1:8300 -c 1:root -n 2:0:+20M -t 2:0700 -n 3:0:0 -t 3:fd00 -h 1:2:EE sg >/dev/null
	is "GPT with a hybrid MBR by sgdisk" "$(ours sg | wc -l)" 3
	is "… is read as GPT" "$("$dump" sg | grep -c '^table=gpt')" 3
	make sg2 200M
	sgdisk -o -S 256 -n 1:0:+10M -n 200:0:+10M sg2 >/dev/null
	is "GPT with 256 entries" "$(ours sg2 | cut -d' ' -f1 | tr '\n' ' ')" "1 200 "
else
	skip "tables by sgdisk" "no sgdisk"
fi

if have parted; then
	make parted 200M
	parted -s parted mklabel msdos mkpart primary ext4 1MiB 50MiB mkpart extended 50MiB 150MiB \
		mkpart logical ntfs 51MiB 80MiB mkpart logical 81MiB 149MiB mkpart primary fat32 150MiB 100%
	got=$(ours parted | while read -r n off size _; do echo "$n:$off:$((off + size - 1)):$size"; done)
	want=$(parted -ms parted unit B print | grep '^[0-9]' | tr -d B | cut -d: -f1-4 | grep -v '^2:' | sort)
	is "MBR by parted as parted reads it" "$got" "$want"
else
	skip "tables by parted" "no parted"
fi

if have fdisk; then
	make gpt4k 400M
	printf 'g\nn\n1\n\n+50M\nn\n2\n\n+60M\nn\n7\n\n\nw\n' | fdisk -b 4096 gpt4k >/dev/null 2>&1
	got=$(ours gpt4k | while read -r n off size _ uuid _; do echo "$n $((off / 4096)) $((size / 4096)) $uuid"; done)
	want=$(fdisk -b 4096 -o Device,Start,Sectors,UUID -l gpt4k | sed -n 's/^gpt4k//p' | tr -s ' ' | tr A-F a-f)
	is "GPT with sectors of 4096 bytes as fdisk reads it" "$got" "$want"
	is "… the volumes know their sector size" "$(field gpt4k sector_size)" 4096
	cp --sparse=always gpt4k damaged4k
	dd if=/dev/zero of=damaged4k bs=4096 seek=1 count=1 conv=notrunc status=none
	is "… and without its primary header" "$(ours damaged4k)" "$(ours gpt4k)"
else
	skip "GPT with sectors of 4096 bytes" "no fdisk"
fi

# --- contents ---------------------------------------------------------------------------------------------

# LABEL, TYPE, UUID of a file, as blkid says.
same_as_blkid() {
	local name=$1 image=$2 key got want
	got=$("$dump" --ident "$image" | tr -d '\0')
	for key in TYPE LABEL UUID; do
		want+="$key=$(blkid -c /dev/null -p -s $key -o value "$image" 2>/dev/null | tr -d '\0')"$'\n'
	done
	want=${want%$'\n'}
	# Nothing known at all is an empty answer.
	[ "$want" = $'TYPE=\nLABEL=\nUUID=' ] && want=
	is "$name" "$got" "$want"
}
# tool, name, size, command…: the image is appended
content() {
	local tool=$1 name=$2 size=$3
	shift 3
	have "$tool" || { skip "$name" "no $tool"; return; }
	make image "$size"
	"$@" image >/dev/null 2>&1 || { flunk "$name is made" "$*"; return; }
	same_as_blkid "$name as blkid sees it" image
	is "$name fills the disk" "$(field image kind) $(count image)" "disk 1"
}
if have blkid; then
	for t in 2 3 4; do content mke2fs ext$t 20M mke2fs -q -F -t ext$t -L größe; done
	content mkfs.xfs XFS 320M mkfs.xfs -q -f -L label
	content mkfs.btrfs btrfs 120M mkfs.btrfs -q -f -L "a label"
	content mkfs.ntfs NTFS 20M mkfs.ntfs -q -F -f -L "Größe 日本"
	content mkfs.vfat FAT12 4M mkfs.vfat -F 12 -n LABEL
	content mkfs.vfat FAT16 20M mkfs.vfat -F 16 -n "A LABEL"
	content mkfs.vfat FAT32 100M mkfs.vfat -F 32 -n LABEL32
	content mkfs.vfat "FAT32 without a label" 100M mkfs.vfat -F 32
	content mkfs.exfat exFAT 20M mkfs.exfat -L Größe
	content mkswap swap 20M mkswap -L label
	content mkfs.udf UDF 20M mkfs.udf -l label
	content mkfs.f2fs F2FS 100M mkfs.f2fs -l label
	content mkfs.minix Minix 5M mkfs.minix
	content mkfs.minix "Minix 3" 5M mkfs.minix -3
	if have cryptsetup; then
		for v in 1 2; do
			make image 20M
			printf secret | cryptsetup -q luksFormat --type luks$v --pbkdf pbkdf2 --pbkdf-force-iterations 1000 \
				image - 2>/dev/null
			same_as_blkid "LUKS$v as blkid sees it" image
		done
	else
		skip LUKS "no cryptsetup"
	fi
else
	skip contents "no blkid"
fi

if have xorriso; then
	mkdir tree && echo content >tree/file
	xorriso -as mkisofs -quiet -V LABEL -J -R -partition_offset 16 --protective-msdos-label -o hybrid.iso tree 2>/dev/null
	is "an ISO image with an MBR is one filesystem" "$(field hybrid.iso kind) $(field hybrid.iso TYPE)" "disk iso9660"
else
	skip "hybrid ISO" "no xorriso"
fi

# --- images of others ---------------------------------------------------------------------------------------

# Not looked for, rare in virtual machines (…_raid_member, befs, …), or seen better than this blkid does.
skipped='^(adaptec-raid|hpt3|hpt45|jmicron|lsi-raid|nvidia|promise|silicon|via-raid|bcachefs|befs|bfs|drbdmanage|hpfs|mpool|netware|ubi|vxfs|zonefs)'
# Its identifier is raw bytes, its label needs a catalogue or a merge of two.
skipped+='|^(ddf-raid|fat32_cp850|hfsplus|iso-unicode|udf-hdd-mkudffs-1.0.0-2|erofs-minix)'
corpus=$SENDENSE_CORPUS/util-linux+util-linux/tests/ts/blkid
if [ -d "$corpus" ] && have blkid; then
	for f in "$corpus"/images-fs/*.img.xz; do
		name=$(basename "$f" .img.xz)
		[[ $name =~ $skipped ]] && continue
		xz -dc "$f" | cp --sparse=always /dev/stdin image
		same_as_blkid "corpus: $name" image
	done
	xz -dc "$corpus/images-pt/gpt.img.xz" >image
	is "corpus: gpt" "$(ours image)" "$(by_sfdisk image)"
else
	skip "images of util-linux" "no corpus or no blkid"
fi

done_testing
