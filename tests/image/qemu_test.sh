#!/bin/bash
# Random images of every kind, made with qemu-img and qemu-io, read by us and compared with qemu-img convert.
# SEED=… repeats a run; ROUNDS=… makes it longer.
. "$SENDENSE_SRC/tests/tap.sh"
dump=$SENDENSE_BUILD/tests/image/chain-dump
rounds=${ROUNDS:-1}

if ! command -v qemu-img >/dev/null || ! command -v qemu-io >/dev/null; then
	skip "images of qemu-img" "no qemu-img or qemu-io"
	done_testing
	exit
fi
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir" || exit 1

# rnd N: a number below N, in $r. Not bash's RANDOM: that is seeded anew in each subshell.
state=${SEED:-4711}
rnd() {
	state=$(((state * 1103515245 + 12345) & 0x7fffffffffff))
	r=$(((state >> 12) % $1))
}

# same NAME IMAGE: equal to qemu-img convert, whole, at random places and by extents
same() {
	local out
	if ! out=$(qemu-img convert -O raw "$2" want.raw 2>&1); then
		flunk "$1" "qemu-img convert: $out"
		return
	fi
	if out=$("$dump" compare "$2" want.raw "${SEED:-4711}" 2>&1); then pass "$1"; else flunk "$1" "$out" "SEED=${SEED:-4711}"; fi
	rm -f want.raw
}

# scribble IMAGE SIZE N: N random writes, zeroes, discards
scribble() {
	local image=$1 size=$2 n=$3 off len
	for ((i = 0; i < n; i++)); do
		rnd $((size / 512)) && off=$((r * 512))
		rnd 400 && len=$(((r + 1) * 512))
		[ $((off + len)) -le "$size" ] || len=$((size - off))
		rnd 2048
		case $((r % 8)) in
		0) echo "write -z $off $len" ;;
		1) echo "write -z -u $off $len" ;;
		2) echo "discard $off $len" ;;
		*) echo "write -P $((r / 8 % 255 + 1)) $off $len" ;;
		esac
	done >script
	qemu-io "$image" <script >/dev/null 2>&1
}

# compress IMAGE SIZE CLUSTER N: N whole compressed clusters
compress() {
	local cluster=$3
	[ "$2" -ge "$cluster" ] || return
	for ((i = 0; i < $4; i++)); do
		rnd $(($2 / cluster))
		echo "write -c -P $((r % 254 + 1)) $((r * cluster)) $cluster"
	done >script
	qemu-io "$1" <script >/dev/null 2>&1
}

noise() { head -c "$1" /dev/zero | openssl enc -aes-128-ctr -K "$(printf '%032x' "$state")" -iv 0 2>/dev/null; }

for ((round = 0; round < rounds; round++)); do
	for bits in 9 10 11 12 13 14 15 16 17 18 19 20 21; do
		cluster=$((1 << bits))
		rnd 4000 && size=$(((4 << 20) + r * 512 + cluster))
		for compat in 0.10 1.1; do
			rm -f a.qcow2
			qemu-img create -q -f qcow2 -o cluster_size=$cluster,compat=$compat a.qcow2 $size
			scribble a.qcow2 $size 40
			compress a.qcow2 $size $cluster 6
			same "clusters of $cluster, compat $compat" a.qcow2
		done
		for type in zlib zstd; do
			rm -f a.qcow2 in.raw
			# half noise, half text: some clusters compress, some are stored plainly
			{ noise 700000; seq 1 200000; head -c 100000 /dev/zero; noise 300000; seq 1 9999; } >in.raw
			qemu-img convert -q -f raw -c -O qcow2 -o cluster_size=$cluster,compression_type=$type in.raw a.qcow2
			same "compressed $type, clusters of $cluster" a.qcow2
			scribble a.qcow2 $((1 << 20)) 10
			same "compressed $type and written over, clusters of $cluster" a.qcow2
		done
		[ $bits -ge 14 ] || continue
		rm -f a.qcow2 b.qcow2
		qemu-img create -q -f qcow2 -o cluster_size=$cluster,extended_l2=on a.qcow2 $size
		scribble a.qcow2 $size 60
		same "extended L2, clusters of $cluster" a.qcow2
		qemu-img create -q -f qcow2 -o cluster_size=$cluster,extended_l2=on -b a.qcow2 -F qcow2 b.qcow2
		scribble b.qcow2 $size 40
		compress b.qcow2 $size $cluster 3
		same "extended L2 over extended L2, clusters of $cluster" b.qcow2
	done
	for raw in off on; do
		rm -f d.qcow2 d.data
		size=$(((3 << 20) + 512 * 7))
		qemu-img create -q -f qcow2 -o data_file=d.data,data_file_raw=$raw d.qcow2 $size
		scribble d.qcow2 $size 40
		same "external data file, data_file_raw=$raw" d.qcow2
		rm -f d.qcow2 d.data
		qemu-img create -q -f qcow2 -o data_file=d.data,data_file_raw=$raw,extended_l2=on,cluster_size=64k d.qcow2 $size
		scribble d.qcow2 $size 40
		same "external data file, data_file_raw=$raw, extended L2" d.qcow2
	done
	# chains: every layer its own cluster size, length, version
	for chain in 1 2 3 4; do
		rm -f c*.qcow2 base.raw
		rnd 1500000 && noise $((r + 250000)) >base.raw
		prev=base.raw fmt=raw
		for ((k = 1; k <= 7; k++)); do
			rnd 13 && bits=$((9 + r))
			rnd 6000 && size=$(((r + 100) * 512))
			opts=cluster_size=$((1 << bits))
			rnd 6
			if [ $bits -ge 14 ] && [ $r -lt 3 ]; then
				opts=$opts,extended_l2=on
			elif [ $r = 5 ]; then
				opts=$opts,compat=0.10
			fi
			qemu-img create -q -f qcow2 -o "$opts" -b $prev -F $fmt c$k.qcow2 $size
			scribble c$k.qcow2 $size 12
			compress c$k.qcow2 $size $((1 << bits)) 2
			prev=c$k.qcow2 fmt=qcow2
			same "chain $chain of differing cluster sizes and lengths, $((k + 1)) layers" c$k.qcow2
		done
	done
done

# 220 layers. Made with one create and rebase -u each: no layer of it is opened to be written but once.
rm -f ./*.qcow2
size=$((8 << 20))
noise $size >base.raw
prev=base.raw fmt=raw
for ((k = 1; k <= 220; k++)); do
	opts=cluster_size=$((1 << (12 + k % 6)))
	qemu-img create -q -f qcow2 -o $opts l$k.qcow2 $size
	qemu-io -c "write -P $((k % 255 + 1)) $((k * 33000 / 512 * 512)) 24064" -c "write -z $((k * 7 * 4096)) 4096" l$k.qcow2 >/dev/null
	qemu-img rebase -u -b $prev -F $fmt l$k.qcow2
	prev=l$k.qcow2 fmt=qcow2
done
same "a chain of 221 layers" l220.qcow2

# raw
noise 100000 >odd.raw
same "raw, 100000 bytes" odd.raw
truncate -s 1234567 odd.raw
same "raw with a hole" odd.raw

# dirty: the writer is killed with lazy refcounts
qemu-img create -q -f qcow2 -o lazy_refcounts=on dirty.qcow2 4M
(
	ulimit -c 0
	exec qemu-io -c 'write -P 7 1M 64k' -c 'flush' -c 'abort' dirty.qcow2
) >/dev/null 2>&1
cp dirty.qcow2 copy.qcow2
ok "a dirty image is read" "$dump" read dirty.qcow2
is "reading left the dirty image as it was" "$(cmp dirty.qcow2 copy.qcow2 && echo same)" same
is "the image is in fact marked dirty" "$(dd if=copy.qcow2 bs=1 skip=79 count=1 2>/dev/null | od -An -tu1 | tr -d ' ')" 1
qemu-img convert -O raw copy.qcow2 want.raw 2>/dev/null || qemu-img check -q -r all copy.qcow2
qemu-img convert -O raw copy.qcow2 want.raw
ok "a dirty image equals qemu-img convert" "$dump" compare dirty.qcow2 want.raw 1

# internal snapshots: the active table counts
qemu-img create -q -f qcow2 snap.qcow2 2M
qemu-io -c 'write -P 1 0 1M' snap.qcow2 >/dev/null
qemu-img snapshot -c one snap.qcow2
qemu-io -c 'write -P 2 512k 1M' snap.qcow2 >/dev/null
same "an image with an internal snapshot" snap.qcow2

# preallocated
for p in metadata falloc full; do
	rm -f p.qcow2
	qemu-img create -q -f qcow2 -o preallocation=$p p.qcow2 3000k
	scribble p.qcow2 $((3000 << 10)) 10
	same "preallocation=$p" p.qcow2
done
# sparse and huge: must be quick, and memory must not follow the virtual size
qemu-img create -q -f qcow2 -o cluster_size=2M huge.qcow2 60T
if [ "$(bash -c "ulimit -v 200000; $dump info snap.qcow2" 2>/dev/null)" = $((2 << 20)) ]; then
	is "60 TiB of nothing opens" "$(bash -c "ulimit -v 200000; $dump info huge.qcow2")" $((60 << 40))
else
	skip "60 TiB of nothing opens" "this build cannot run within 200 MB of addresses (sanitizer)"
fi

# compressed clusters are unpacked ahead of whoever reads in order; one that is damaged is told to the reads that touch it,
# and to no other
noise 3000000 | xxd -p >order.raw
truncate -s 6M order.raw
for type in zlib zstd; do
	qemu-img convert -q -f raw -c -O qcow2 -o compression_type=$type order.raw order.qcow2
	for piece in 700 20000 65536 100000 1000000; do
		is "compressed $type in pieces of $piece" "$("$dump" order order.qcow2 order.raw $piece)" "0 failed"
	done
	# (damage within a zstd frame need not show: QEMU writes them without a checksum)
	[ $type = zlib ] || continue
	at=$(stat -c %s order.qcow2)
	printf 'damaged damaged damaged damaged damaged' | dd of=order.qcow2 bs=1 seek=$((at / 2)) conv=notrunc status=none
	out=$("$dump" order order.qcow2 order.raw 65536)
	ok "a damaged cluster ($type) fails alone: $out" [ "$out" = "2 failed" ]
	out=$("$dump" order order.qcow2 order.raw 16384)
	ok "and in pieces of a quarter: $out" [ "$out" = "8 failed" ]
done

# how many reads: a run that lies in one piece is read in one piece, a long chain is opened with few
calls() { strace -o trace -c -e "trace=$1" "${@:2}" >/dev/null 2>&1 && awk -v names=",$1," 'index(names, "," $NF ",") { n += $4 } END { print n + 0 }' trace; }
preads() { calls pread64,preadv2 "$@"; }
if [ -n "$(preads "$dump" info snap.qcow2)" ]; then
	noise $((24 << 20)) >big.raw
	qemu-img convert -q -f raw -O qcow2 -o cluster_size=4k,preallocation=metadata big.raw big.qcow2
	qemu-img map --output=json big.qcow2 >map.json
	n=$(preads "$dump" read big.qcow2)
	# 3 header reads, 8 pieces of 3 MiB, 1 L1 window, 3 stretches of 8 MiB with 4 L2 tables each; and the breaks
	ok "24 MiB in $(grep -c '"data": true' map.json) runs take $n reads" [ "$n" -le $((3 + 8 + 1 + 12 + $(grep -c '"data": true' map.json))) ]
	n=$(preads "$dump" info l220.qcow2)
	ok "221 layers are opened with $n reads" [ "$n" -le 225 ]
	qemu-img create -q -f qcow2 -b l220.qcow2 -F qcow2 top.qcow2
	a=$(preads "$dump" read top.qcow2)
	# each layer has one L2 table of 8 MiB or more, or up to four of 2 MiB, and one L1 window; each layer wrote two runs
	ok "8 MiB through 222 layers take $a reads" [ "$a" -le $((225 + 222 * (1 + 4 + 3))) ]
	qemu-io -f qcow2 -c 'write -q -P 7 1M 64k' top.qcow2 >/dev/null
	n=$(preads "$dump" info top.qcow2)
	a=$(preads "$dump" peek top.qcow2 1048576 65536)
	# its L1 window, its L2 table, and the bytes: none of the 221 layers below is looked at
	ok "what the newest of 222 layers has is read with $((a - n)) reads" [ $((a - n)) -le 6 ]

	# tables that are not in memory are fetched side by side, and are the same
	forget() { sync "$@" && for f in "$@"; do dd if="$f" iflag=nocache count=0 status=none; done; }
	qemu-img convert -O raw top.qcow2 want.raw
	forget base.raw l*.qcow2 top.qcow2
	n=$(calls fadvise64 "$dump" peek top.qcow2 4096 4096)
	if [ "$n" -gt 0 ]; then
		ok "a place that is looked for through 222 cold layers announces tables of $n" [ "$n" -ge 220 ]
		is "warm, none" "$(calls fadvise64 "$dump" peek top.qcow2 4096 4096)" 0
		forget base.raw l*.qcow2 top.qcow2
		ok "a cold chain reads the same" "$dump" compare top.qcow2 want.raw 1
	else
		skip "a cold chain" "files here stay in memory"
	fi
else
	skip "how many reads" "no strace here"
fi

# A map that grows: 1,200 stretches of 512 granules, far more than a chain begins with.
qemu-img create -q -f qcow2 -o cluster_size=512 many.qcow2 300M
for i in $(seq 0 39); do echo "write -q -P $((i + 1)) $((i * 7864320)) 70000"; done | qemu-io many.qcow2 >/dev/null
same 'a map of 1,200 stretches' many.qcow2

# Damage of an older layer is of no concern to what newer ones have.
noise $((2 << 20)) >old.raw
qemu-img convert -q -f raw -O qcow2 old.raw old.qcow2
qemu-img create -q -f qcow2 -b old.qcow2 -F qcow2 new.qcow2
qemu-io -f qcow2 -c 'write -q -P 9 512k 128k' new.qcow2 >/dev/null
head -c 131072 /dev/zero | tr '\0' '\11' >want
python3 -c "
import struct
f = open('old.qcow2', 'r+b')
l1 = struct.unpack('>Q', f.read()[40:48])[0]
f.seek(l1)
f.write(struct.pack('>Q', 1 << 40))"
is "a newer cluster over a damaged layer" "$("$dump" peek new.qcow2 524288 131072 | cmp - want && echo same)" same
ok "beside it the damage shows" sh -c '! "$0" peek new.qcow2 393216 131072 >/dev/null 2>&1' "$dump"
ok "and where both are asked for" sh -c '! "$0" peek new.qcow2 524288 196608 >/dev/null 2>&1' "$dump"

# public images
if [ -d "$SENDENSE_CORPUS" ]; then
	while read -r image; do
		if qemu-img info "$image" >/dev/null 2>&1 && [ "$(qemu-img info --output=json "$image" | grep -c '"format": "qcow2"')" -gt 0 ]; then
			same "corpus: ${image#"$SENDENSE_CORPUS"/}" "$image"
		fi
	done < <(find -L "$SENDENSE_CORPUS" -name '*.qcow2' | sort)
else
	skip "corpus images" "no corpus"
fi
done_testing
