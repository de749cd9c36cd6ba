#!/bin/sh
# diff-manifest.sh [OPTIONS of referee-manifest] [--offset N] RAWFILE DIR
# Holds what fsdump reads in RAWFILE against DIR, the same filesystem mounted or unpacked by another reader. Prints the
# difference; exit status 0: none.
set -eu
here=$(dirname "$0") offset=0 opts=
while [ $# -gt 2 ]; do
	case $1 in
	--offset) offset=$2; shift 2 ;;
	--time-granularity | --exclude) opts="$opts $1 $2"; shift 2 ;;
	--*) opts="$opts $1"; shift ;;
	*) echo "usage: $0 [OPTIONS] [--offset N] RAWFILE DIR" >&2; exit 2 ;;
	esac
done
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
status=0
"${FSDUMP:-$SENDENSE_BUILD/tests/fs/fsdump}" --offset "$offset" "$1" >"$tmp/raw" || status=$?
# The words of $opts hold no spaces.
# shellcheck disable=SC2086
python3 "$here/referee-manifest" $opts --filter <"$tmp/raw" >"$tmp/ours"
# shellcheck disable=SC2086
python3 "$here/referee-manifest" $opts "$2" >"$tmp/theirs"
diff -u --label referee --label ours "$tmp/theirs" "$tmp/ours" || status=1
exit $status
