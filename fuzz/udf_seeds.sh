#!/bin/bash
# udf_seeds.sh DIR: makes the seeds of the target udf in DIR.
set -eu
here=$(cd "$(dirname "$0")" && pwd) out=$1 tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
mkdir -p "$out" "$tmp/tree/d"
echo x >"$tmp/tree/d/x"; ln -s d/x "$tmp/tree/l"; seq 300 >"$tmp/tree/f"; head -c 5000 /dev/zero >"$tmp/tree/z"
while read -r name options; do
	# shellcheck disable=SC2086
	python3 "$here/../tests/fs/mkudf" "$tmp/img" "$tmp/tree" --block 512 --embed --label L $options
	python3 "$here/make-seed" "$tmp/img" 32 >"$out/$name"
done <<'END'
streams --kind plain --streams
sparable --kind sparable
virtual --kind virtual
virtual-150 --kind virtual --revision 150
metadata --kind metadata --duplicate --revision 250
metadata-mirror --kind metadata --revision 250 --damage main-metadata-entry
chain --kind plain --chain --revision 150
extended --kind plain --ad extended --pieces 1
END
