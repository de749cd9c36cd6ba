#!/bin/bash
# What is read next of a file is brought into memory while its reader has only begun: of an image in which the kernel cannot guess it.
. "$SENDENSE_SRC/tests/e2e/lib.sh"
tool=$SENDENSE_SRC/tests/e2e/backwards-image
mkdir "$T/in"
head -c 24M /dev/urandom >"$T/in/big"
truncate -s 64M "$T/raw"
mke2fs -q -t ext4 -d "$T/in" "$T/raw" >/dev/null 2>&1
HALF=524288
part() { "$tool" resident "$T/raw" "$T/image.qcow2" "$T/in/big" $(($1 * HALF / 2)) $HALF; }
none_yet() { [ "$(part 0)" = 0 ] && [ "$(part 7)" = 0 ]; }
make_cold() { "$tool" make "$T/raw" "$T/image.qcow2" && none_yet; }
announced() { [ "$(part 7)" = $HALF ]; }

if ! eventually make_cold; then
	skip "what is read next" "this filesystem's pages do not leave the page cache"
	done_testing; exit 0
fi
# The reader takes one byte. The stream holds a mebibyte, and a quarter is on its way: what begins at 1.75 is not read by anybody.
for how in "image cat" "image tar"; do
	ok "$how: nothing is in memory" eventually make_cold
	exec 9< <(exec sendense $how "$T/image.qcow2" /big 2>/dev/null)
	pid=$!
	head -c 1 <&9 >/dev/null
	ok "$how: what is read next is brought in" eventually announced
	is "$how: not what is far behind" "$(part 80)" 0
	exec 9<&-
	kill $pid 2>/dev/null; wait $pid 2>/dev/null
done
is "and it is the file" "$(sendense image cat "$T/image.qcow2" /big | sha256sum)" "$(sha256sum <"$T/in/big")"
done_testing
