#!/bin/bash
# Other programs read our archives: archive_referees.sh MKARCHIVE
. "$SENDENSE_SRC/tests/tap.sh"
make=$(realpath "$1")
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir" || exit 1
export LC_ALL=C.UTF-8 TZ=UTC

have() { command -v "$1" >/dev/null; }
# referee NAME PROGRAM COMMAND…: skipped where the program is missing
referee() { local name=$1 prog=$2; shift 2; if have "$prog"; then ok "$name" "$@"; else skip "$name" "no $prog"; fi; }
quiet() { "$@" >/dev/null; }
zips() {
	python3 - "$1" <<-'P'
	import sys, zipfile
	z = zipfile.ZipFile(sys.argv[1])
	bad = z.testzip()
	sys.exit(f"damaged: {bad}" if bad else 0)
	P
}
modes() { (cd "$1" && find . -mindepth 1 -printf '%P %y %m %s %Ts %l\n' | sort); }
sums() { (cd "$1" && find . -type f -print0 | sort -z | xargs -0 sha256sum); }

for c in tree names broken many; do
	for f in zip tar tar.gz tar.zst; do "$make" $f 1 $c >$c.$f || flunk "$c.$f is written"; done
	for f in zip tar.gz; do ok "$c.$f: two threads, the same bytes" sh -c "'$make' $f 2 $c | cmp - $c.$f"; done
	[ $c = names ] || referee "$c.zip: unzip" unzip unzip -tqq $c.zip
	referee "$c.zip: python" python3 zips $c.zip
	referee "$c.zip: 7z" 7z 7z t $c.zip
	referee "$c.zip: bsdtar" bsdtar quiet bsdtar -xOf $c.zip
	# from a pipe libarchive goes by local headers and descriptors alone
	referee "$c.zip: bsdtar, streamed" bsdtar sh -c "cat $c.zip | bsdtar -xOf - >/dev/null"
	referee "$c.tar.gz: pigz" pigz pigz -t $c.tar.gz
	referee "$c.tar.gz: python" python3 python3 -c "import gzip; gzip.open('$c.tar.gz').read()"
	referee "$c.tar.gz: one member, nothing behind it" python3 python3 -c "
import zlib; z = zlib.decompressobj(31); z.decompress(open('$c.tar.gz', 'rb').read()); assert z.eof and not z.unused_data"
	ok "$c: gzip holds the tar" sh -c "gzip -dc $c.tar.gz | cmp - $c.tar"
	ok "$c: zstd holds the tar" sh -c "zstd -dcq $c.tar.zst | cmp - $c.tar"
	ok "$c: zstd with two threads holds the tar" sh -c "'$make' tar.zst 2 $c | zstd -dcq | cmp - $c.tar"
	referee "$c.tar: python" python3 python3 -c "import tarfile; [t.isfile() for t in tarfile.open('$c.tar')]"
done
referee "zip -T" zip zip -Tq tree.zip

# what comes out, against tar's view of the plain archive and against each other
mkdir tar bsd zip 7z bsdzip
ok "GNU tar extracts" tar --same-owner -xpf tree.tar -C tar
ok "bsdtar extracts" bsdtar -xpf tree.tar -C bsd
ok "unzip extracts" unzip -qq tree.zip -d zip
ok "7z extracts" quiet 7z x -o7z tree.zip
ok "bsdtar extracts the zip" bsdtar -xpf tree.zip -C bsdzip
is "GNU tar and bsdtar: type, mode, size, time, link" "$(modes bsd)" "$(modes tar)"
is "bsdtar, of the zip: type, mode, size, time, link" "$(modes bsdzip)" "$(modes tar | grep -v '^dir/hard ')"
# unzip sets no time on links
is "unzip: type, mode, size, time" "$(modes zip | grep -v ' l ')" "$(modes tar | grep -v -e '^dir/hard ' -e ' l ')"
for d in bsd zip 7z bsdzip; do
	is "$d: content" "$(sums $d | grep -v dir/hard)" "$(sums tar | grep -v dir/hard)"
done
is "content is what was meant" "$(head -c 20 tar/dir/text)" "Ahe quick brown fox "
is "a hard link is one" "$(stat -c %h tar/dir/hard)" 2
is "mode, time" "$(stat -c '%a %.Y' tar/dir/mode)" "751 1000000000.123456700"
is "a zip's symlink" "$(readlink zip/dir/link)" text
like "a zip has the owner" "$(zipinfo -v tree.zip dir/mode)" "Unix UID/GID"
like "noise is stored" "$(zipinfo tree.zip dir/noise-small)" " stor "
like "text is deflated" "$(zipinfo tree.zip dir/text)" " def"
if [ "$(id -u)" = 0 ]; then is "owner" "$(stat -c '%u %g' tar/dir/mode)" "1234 4321"; else skip owner "not root"; fi

# names
mkdir ntar nbsd nzip
ok "GNU tar extracts the names" tar --warning=no-unknown-keyword -xf names.tar -C ntar
ok "bsdtar extracts the names" bsdtar -xf names.tar -C nbsd
list() { (cd "$1" && find . -mindepth 1 -printf '%P %y %l\n' | LC_ALL=C sort | sha256sum); }
is "all names arrive, byte for byte" "$(list nbsd)" "$(list ntar)"
is "the Latin-1 name" "$(cat ntar/latin1-$'\xe4'.txt)" "$(cat ntar/back\\slash)"
is "the long symlink" "$(readlink ntar/link-long | wc -c)" 301
is "the long path" "$(cd ntar && find . -type f -printf '%P\n' | LC_ALL=C awk '{print length}' | sort -n | tail -1)" 4000
rm -rf ntar/pp* # longer than a system call's path
if have python3; then
	is "python: names of the zip" "$(python3 - <<-'P'
	import zipfile
	n = [i.orig_filename.encode('utf-8' if i.flag_bits & 0x800 else 'cp437') for i in zipfile.ZipFile('names.zip').infolist()]
	print(b'utf8-\xc3\xa4\xe2\x82\xac.txt' in n, b'latin1-\xe4.txt' in n, b'new\nline\ttab\x01.txt' in n, b'back\\slash' in n, b'n' * 255 in n)
	P
	)" "True True True True True"
fi

# attributes
"$make" tar 1 attributes >attr.tar
ok "attributes: bsdtar lists" quiet bsdtar -tvf attr.tar
is "attributes: python reads them" "$(python3 - <<-'P'
	import tarfile
	t = tarfile.open('attr.tar')
	m = t.getmember('attr'); p = m.pax_headers
	print(m.uid, m.mtime, p['SCHILY.xattr.user.plain'], p['SCHILY.acl.access'], p['SCHILY.xattr.user.eq%3Dal%25'])
	b = t.getmember('block')
	print(b.isblk(), b.devmajor, b.devminor, t.getmember('char').ischr(), t.getmember('fifo').isfifo())
	P
	)" "3000000 -4.75 value user::rw-,user:1000:r--,group::r--,mask::rw-,other::--- x
True 8 17 True True"
mkdir attr
if [ "$(id -u)" = 0 ] && setfattr -n user.try -v 1 attr 2>/dev/null; then
	# devices may be forbidden to a container: the file alone
	ok "attributes: GNU tar extracts" tar --xattrs --xattrs-include='user.*' --acls -xpf attr.tar -C attr attr fifo
	is "attributes: user.plain" "$(getfattr --only-values -n user.plain attr/attr 2>/dev/null)" value
	is "attributes: user.binary" "$(getfattr -e hex -n user.binary attr/attr 2>/dev/null | grep =)" "user.binary=0x6100620a3d"
	is "attributes: a key with = and %" "$(getfattr --only-values -n user.eq=al% attr/attr 2>/dev/null)" x
	is "attributes: time before 1970" "$(stat -c %.Y attr/attr)" "-4.750000000"
	if have getfacl; then like "attributes: ACL" "$(getfacl -nc attr/attr 2>/dev/null)" "user:1000:r--"; else skip "attributes: ACL" "no getfacl"; fi
else
	skip "attributes: extracted" "not root, or no user attributes here"
fi

# sparse
"$make" tar 1 sparse >sparse.tar
mkdir star sbsd
ok "sparse: GNU tar" tar --warning=no-unknown-keyword -xf sparse.tar -C star
ok "sparse: bsdtar" bsdtar -xf sparse.tar -C sbsd
for d in star sbsd; do
	is "sparse: size, $d" "$(stat -c %s $d/sparse/file)" 67108864
	ok "sparse: few blocks, $d" test "$(stat -c %b $d/sparse/file)" -lt 1000
	is "sparse: a hole of 20 GiB, $d" "$(stat -c '%s' $d/sparse/hole-$'\xe4')" 21474836480
	ok "sparse: the hole has few blocks, $d" test "$(stat -c %b $d/sparse/hole-$'\xe4')" -lt 1000
done
is "sparse: same content" "$(sha256sum <star/sparse/file)" "$(sha256sum <sbsd/sparse/file)"
is "sparse: data lies where it belongs" "$(python3 -c "
f = open('star/sparse/file', 'rb').read(); d = [i for i in range(0, 4096) if f[i] == 0]
print(len(d), f[4096:1 << 20].count(0) == (1 << 20) - 4096, f[1 << 20:(1 << 20) + 8192].count(0), f[(64 << 20) - 5000:(64 << 20) - 4000].count(0), f[-4000:].count(0))
")" "0 True 0 0 4000"

# broken entries
mkdir btar bzip
ok "broken: tar extracts" tar -xf broken.tar -C btar
ok "broken: unzip extracts" unzip -qq broken.zip -d bzip
is "broken: tar pads" "$(stat -c %s btar/broken0 btar/broken1 btar/broken2 btar/broken3 | uniq -c | tr -s ' ')" " 4 1048576"
is "broken: zip ends" "$(stat -c %s bzip/broken0 bzip/broken1 bzip/broken2 bzip/broken3 | paste -sd' ')" "0 1000 262144 700000"
ok "broken: the same bytes up to there" cmp -n 700000 btar/broken3 bzip/broken3
is "broken: what follows is whole" "$(cat bzip/RESTORE-ERRORS.txt btar/RESTORE-ERRORS.txt | uniq)" broken

# empty, and more entries and bytes than 16 and 32 bits count
for f in zip tar tar.gz tar.zst; do "$make" $f 1 empty >empty.$f; done
is "empty zip: python" "$(python3 -c "import zipfile; print(zipfile.ZipFile('empty.zip').namelist())")" "[]"
is "empty tar" "$(tar tf empty.tar; tar tzf empty.tar.gz; tar --zstd -tf empty.tar.zst)" ""
is "70,000 entries: python" "$(python3 -c "import zipfile; print(len(zipfile.ZipFile('many.zip').namelist()))")" 70000
is "70,000 entries: unzip" "$(unzip -Z1 many.zip | wc -l)" 70000
"$make" zip 2 huge >huge.zip
referee "4 GiB entry: unzip" unzip unzip -tqq huge.zip
referee "4 GiB entry: 7z" 7z 7z t huge.zip
referee "4 GiB entry: bsdtar, streamed" bsdtar sh -c 'cat huge.zip | bsdtar -tf - >/dev/null'
is "4 GiB entry: its size" "$(python3 -c "import zipfile; print(zipfile.ZipFile('huge.zip').getinfo('zeroes').file_size)")" 4294979641
is "4 GiB entry in a tar" "$("$make" tar 1 huge | tar tvf - | awk '{print $3}' | paste -sd' ')" "4294979641 1000"
done_testing
