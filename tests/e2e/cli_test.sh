#!/bin/bash
# `sendense image …`: every option, the fixed exit statuses, what backing files may be followed, broken pipes; and that neither the
# command line nor the hub links a parser of guest bytes.
. "$SENDENSE_SRC/tests/e2e/lib.sh"
REFEREE=$SENDENSE_SRC/tests/fs/referee-manifest
mkdir -p "$T/tree"/{etc,usr,docs/deep/er} "$T/a/sub" "$T/b"
echo host >"$T/tree/etc/hostname"
seq 200000 >"$T/tree/docs/numbers"
ln "$T/tree/docs/numbers" "$T/tree/docs/deep/hard"
ln -s ../etc/hostname "$T/tree/docs/soft"
mkfifo "$T/tree/docs/pipe"
printf 'x' >"$T/tree/docs/na
me #\\"
head -c 5000000 /dev/zero >"$T/tree/docs/zeros"
for i in $(seq 300); do echo "$i" >"$T/tree/docs/deep/er/file-$i"; done
mke2fs -q -t ext4 -d "$T/tree" "$T/a/e.raw" 64M >/dev/null 2>&1
qemu-img convert -O qcow2 "$T/a/e.raw" "$T/a/base.qcow2"
I="sendense image"
A=$T/a/base.qcow2
run() { "$@" >"$T/out" 2>"$T/err"; echo $?; }

# --- what it shows ---
is "info" "$(run $I info "$A")" 0
like "… for people" "$(cat "$T/out")" 'ext4'
is "info --json" "$($I info --json "$A" | jq -c '[.format, .virtual_size, .layer_count, .default_volume, .volumes[0].filesystem_type]')" '["qcow2",67108864,1,1,"ext4"]'
is "ls" "$($I ls "$A" / | sort | tr '\n' ' ')" 'docs etc lost+found usr '
is "ls of a raw image" "$($I ls "$T/a/e.raw" /etc)" hostname
like "ls -l" "$($I ls -l "$A" /docs | grep soft)" '^lrwx.*soft -> \.\./etc/hostname'
is "ls -R" "$($I ls -R "$A" /docs | grep -c 'file-')" 300
# Of a tree, each directory is what it is alone; its own directories come behind it.
$I ls -lR "$A" / >"$T/tree.txt"
: >"$T/one-by-one.txt"
below() {
	[ ! -s "$T/one-by-one.txt" ] || echo
	echo "$1:"
	$I ls -l "$A" "$1" | tee "$T/dir.$2"
	local name
	while read -r name; do below "${1%/}/$name" $(($2 + 1)) >>"$T/one-by-one.txt"; done < <(sed -n 's/^d.*Z *//p' "$T/dir.$2")
}
below / 0 >"$T/head.txt"
is "ls -lR: as many directories" "$(grep -c '^/.*:$' "$T/tree.txt")" "$(find "$T/tree" -type d | wc -l | awk '{print $1 + 1}')"
ok "ls -lR: what the listings of each say" cmp "$T/tree.txt" <(cat "$T/head.txt"; echo; cat "$T/one-by-one.txt")
is "ls --json" "$($I ls --json "$A" /etc | jq -r '.files[0].path')" /etc/hostname
is "ls -R --json" "$($I ls -R --json "$A" /docs/deep | jq -r '.files[].path' | grep -c /docs/deep/er/file-)" 300
is "ls of a file" "$($I ls "$A" /etc/hostname)" hostname
is "stat --json" "$($I stat --json "$A" /docs/deep/hard | jq -c '[.type, .size, .links]')" "[\"file\",$(stat -c %s "$T/tree/docs/numbers"),2]"
like "stat" "$($I stat "$A" /docs/soft)" 'etc/hostname'
is "cat" "$($I cat "$A" /docs/numbers | sha256sum)" "$(sha256sum <"$T/tree/docs/numbers")"
like "a terminal is given no newline of a name" "$(python3 -c 'import pty, sys; pty.spawn(sys.argv[1:])' $I ls "$A" /docs)" 'na\\x0ame'
is "cat through a link" "$($I cat "$A" /docs/soft)" host
is "--volume 1" "$($I cat --volume 1 "$A" /etc/hostname)" host
for f in tar tar.gz tar.zst zip; do $I tar --format $f "$A" /docs >"$T/x.$f"; is "tar --format $f" $? 0; done
is "… tar is the default" "$($I tar "$A" /etc | tar xO etc/hostname)" host
is "… gz" "$(tar xzOf "$T/x.tar.gz" docs/numbers | sha256sum)" "$(sha256sum <"$T/tree/docs/numbers")"
is "… zst" "$(zstd -dc "$T/x.tar.zst" | tar t | grep -c file-)" 300
ok "… zip" python3 -c "import zipfile; assert zipfile.ZipFile('$T/x.zip').testzip() is None"

# --- exit statuses ---
is "2: no command" "$(run sendense image)" 2
is "2: no image" "$(run $I ls)" 2
is "2: no path" "$(run $I cat "$A")" 2
is "2: an unknown option" "$(run $I ls --frobnicate "$A" /)" 2
is "2: an option of another command" "$(run $I cat -R "$A" /etc/hostname)" 2
is "2: an unknown format" "$(run $I tar --format rar "$A" /)" 2
is "2: a volume that is no number" "$(run $I ls --volume x "$A" /)" 2
is "2: too many arguments" "$(run $I ls "$A" / /etc /usr)" 2
is "2: an unknown command" "$(run $I frob "$A")" 2
for c in ls stat cat tar; do is "3: $c of what is not there" "$(run $I $c "$A" /nope)" 3; done
is "3: manifest of what is not there" "$(run $I manifest "$A" /nope)" 3
is "4: no such image" "$(run $I ls "$T/nope.qcow2" /)" 4
echo text >"$T/a/text.qcow2"; is "4: not an image" "$(run $I ls "$T/a/text.qcow2" /)" 4
head -c 300000 "$A" >"$T/a/short.qcow2"; is "4: a truncated one" "$(run $I ls "$T/a/short.qcow2" /)" 4
qemu-img create -q -f qcow2 "$T/a/empty.qcow2" 10M
is "4: nothing on it" "$(run $I ls "$T/a/empty.qcow2" /)" 4
like "errors are one line" "$(wc -l <"$T/err")" '^1$'
cp "$T/a/e.raw" "$T/a/broken.raw"
cp "$T/a/e.raw" "$T/a/tree.raw"
debugfs -w -R 'ln /docs /docs/deep/again' "$T/a/tree.raw" >/dev/null 2>&1
debugfs -w -R 'set_inode_field /usr block[0] 0' "$T/a/tree.raw" >/dev/null 2>&1
is "1: ls -R of a damaged tree" "$(run $I ls -R "$T/a/tree.raw" /)" 1
like "… says what is lost" "$(cat "$T/err")" '^sendense: /usr/.damaged directory block.*: the extent tree .*FILE_CORRUPT\]'
like "… and which directory holds itself" "$(cat "$T/err")" '^sendense: /docs/deep/again: the directory contains itself \[FILE_CORRUPT\]'
is "… and goes on behind them" "$(grep -c '^hostname$' "$T/out")" 1
debugfs -w -R 'set_inode_field /docs/numbers block[1] 0xffffffff' "$T/a/broken.raw" >/dev/null 2>&1
debugfs -w -R 'set_inode_field /docs/numbers flags 0' "$T/a/broken.raw" >/dev/null 2>&1
like "1: a damaged file" "$(run $I manifest "$T/a/broken.raw")" '^1$'
is "… is a line with its reason" "$(grep -c '^# .*numbers' "$T/out")" 1
is "1: a tar of it" "$(run $I tar "$T/a/broken.raw" /docs)" 1
is "… names it inside" "$(tar xOf "$T/out" RESTORE-ERRORS.txt 2>/dev/null | grep -c numbers)" 1

# --- backing files ---
cd "$T/a" && qemu-img create -q -f qcow2 -b base.qcow2 -F qcow2 over.qcow2 && cd "$T/a/sub" &&
	qemu-img create -q -f qcow2 -b ../base.qcow2 -F qcow2 up.qcow2 && cd "$T/b" &&
	qemu-img create -q -f qcow2 -b ../a/base.qcow2 -F qcow2 other.qcow2 &&
	qemu-img create -q -f qcow2 -b "$T/a/base.qcow2" -F qcow2 absolute.qcow2 &&
	qemu-img create -q -f qcow2 -u -b /etc/passwd -F raw passwd.qcow2 1M && ln -s ../a inside && ln -s /etc/passwd link.raw &&
	qemu-img create -q -f qcow2 -u -b inside/base.qcow2 -F qcow2 through.qcow2 64M &&
	qemu-img create -q -f qcow2 -u -b link.raw -F raw linked.qcow2 1M &&
	qemu-img create -q -f qcow2 -u -b gone.qcow2 -F qcow2 gone-over.qcow2 1M
cd "$T" || exit 1
is "beside the image" "$(run $I ls "$T/a/over.qcow2" /etc)" 0
is "by a relative name" "$(cd "$T/a" && $I cat over.qcow2 /etc/hostname)" host
for n in a/sub/up b/other b/absolute b/passwd b/through b/linked; do
	is "refused without leave: $n" "$(run $I ls "$T/$n.qcow2" /)" 4
	like "… and says how" "$(cat "$T/err")" 'allow-backing|outside'
done
for n in a/sub/up b/other b/absolute; do is "with leave: $n" "$(run $I ls --allow-backing "$T/a" "$T/$n.qcow2" /etc)" 0; done
is "no leave for another folder" "$(run $I ls --allow-backing "$T/b" "$T/b/passwd.qcow2" /)" 4
is "a missing backing file" "$(run $I ls "$T/b/gone-over.qcow2" /)" 4
like "… is named" "$(cat "$T/err")" 'gone.qcow2'

# --- the disk as it is ---
is "dump through a pipe" "$($I dump "$A" | sha256sum)" "$(sha256sum <"$T/a/e.raw")"
$I dump "$A" >"$T/dump.raw"
is "dump into a file" "$(sha256sum <"$T/dump.raw")" "$(sha256sum <"$T/a/e.raw")"
ok "… has holes" [ "$(($(stat -c '%b * %B' "$T/dump.raw")))" -lt $((32 << 20)) ]
is "dump of a volume" "$($I dump --volume 1 "$A" | sha256sum)" "$(sha256sum <"$T/a/e.raw")"
qemu-img convert -c -O qcow2 "$T/a/e.raw" "$T/a/packed.qcow2"
is "dump of a compressed image" "$($I dump "$T/a/packed.qcow2" | sha256sum)" "$(sha256sum <"$T/a/e.raw")"
printf 'before' >"$T/behind"; $I dump "$A" >>"$T/behind"
is "appended" "$(tail -c +7 "$T/behind" | sha256sum)" "$(sha256sum <"$T/a/e.raw")"
yes old | head -c 70000000 >"$T/over"; $I dump "$A" 1<>"$T/over"
is "over what was there" "$(head -c 67108864 "$T/over" | sha256sum)" "$(sha256sum <"$T/a/e.raw")"
is "dump of a volume that is not there" "$(run $I dump --volume 9 "$A")" 3
is "dump of two disks" "$(run $I dump --disk "$A" --disk "$T/a/e.raw")" 2
is "dump takes no path" "$(run $I dump "$A" /)" 2
rm -f "$T/dump.raw" "$T/behind" "$T/over" "$T/a/packed.qcow2"

# --- broken pipes, rights ---
$I cat "$A" /docs/numbers | head -c 10 >/dev/null; is "cat | head does not end well" "$([ "${PIPESTATUS[0]}" -ne 0 ] && echo so)" so
$I tar "$A" / | head -c 10 >/dev/null; is "tar | head" "$([ "${PIPESTATUS[0]}" -ne 0 ] && echo so)" so
is "a full disk is noticed" "$($I cat "$A" /docs/numbers >/dev/full 2>/dev/null; [ $? -ne 0 ] && echo so)" so
is "ls to a full disk as well" "$($I ls -R "$A" / >/dev/full 2>/dev/null; [ $? -ne 0 ] && echo so)" so
if [ "$(id -u)" = 0 ] && setpriv --reuid=65534 --regid=65534 --clear-groups test -x "$(command -v sendense)" -a -x "$SENDENSE_BUILD"; then
	chmod -R a+rX "$T"
	is "without root" "$(setpriv --reuid=65534 --regid=65534 --clear-groups $I cat "$A" /etc/hostname)" host
else
	skip "without root" "not root, or nobody cannot reach the build folder"
fi

# --- the kernel's view ---
if [ "$(id -u)" = 0 ] && mkdir -p "$T/m" && command mount -o ro,noload,loop "$T/a/e.raw" "$T/m" 2>/dev/null; then
	python3 "$REFEREE" "$T/m" >"$T/want"; umount "$T/m"
	$I manifest "$A" | grep -v '^#' | sort >"$T/got.all"
	is "as many entries as the kernel sees" "$(wc -l <"$T/got.all")" "$(grep -vc '^#' "$T/want")"
	norm() { python3 -c '
import sys
for l in sys.stdin:
    w = l.rstrip("\n").split(" ")
    if not w[0].startswith("#"): print(w[0].removeprefix("./") or ".", *sorted(w[1:]))' | sort; }
	norm <"$T/got.all" >"$T/got.norm"; norm <"$T/want" >"$T/want.norm"
	is "the manifest is the kernel's" "$(diff "$T/got.norm" "$T/want.norm" | head -5)" ""
else
	skip "the manifest is the kernel's" "no loop mount here"
fi

# --- descriptors that are closed ---
is "without standard input and error" "$($I cat "$A" /etc/hostname <&- 2>&-)" host
is "without standard output" "$($I cat "$A" /etc/hostname 2>"$T/err" >&-; echo $?)" 1
like "… it says so" "$(cat "$T/err")" 'Bad file descriptor'

# --- a command that is killed ---
# Its worker ends with it, whatever it does: writing into a ring nobody empties, or nothing at all.
for state in busy stopped; do
	mkfifo "$T/pipe.$state"
	$I tar "$A" / >"$T/pipe.$state" & CMD=$!
	exec 9<"$T/pipe.$state"
	W=
	is_busy() { W=$(pgrep -P $CMD sendense-worker) && [ -n "$(head -c 1 <&9)" ]; }
	eventually is_busy
	[ $state = busy ] || kill -STOP "$W"
	kill -9 $CMD; wait $CMD 2>/dev/null
	ok "a command is killed, its worker was $state" eventually gone "${W:?}"
	exec 9<&-
done

# --- what is linked ---
for p in sendense sendense-hub sendense-client; do
	B=$(command -v $p) || continue
	is "$p links no parser" "$(nm "$B" | grep -cE ' [Tt] (image_layer_open|image_chain_open|fs_open|fs_probe|volume_discover|archive_open|worker_main|sandbox_enter)$')" 0
done
ok "the worker does" bash -c "nm '$SENDENSE_BUILD/src/cmd/sendense-worker' | grep -q ' T image_layer_open$'"
done_testing
