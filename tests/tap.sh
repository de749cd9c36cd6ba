# TAP for shell tests: source it, then `ok NAME COMMAND…`, `is NAME GOT WANT`, `skip NAME WHY`, at the end `done_testing`.
tap_n=0 tap_bad=0
pass() { tap_n=$((tap_n + 1)); echo "ok $tap_n - $1"; }
flunk() { tap_n=$((tap_n + 1)); tap_bad=$((tap_bad + 1)); echo "not ok $tap_n - $1"; shift; [ $# -eq 0 ] || printf '%s\n' "$@" | sed 's/^/# /'; }
skip() { tap_n=$((tap_n + 1)); echo "ok $tap_n - $1 # SKIP $2"; }
ok() { local name=$1 out; shift; if out=$("$@" 2>&1); then pass "$name"; else flunk "$name" "exit $?: $*" "$out"; fi; }
is() { if [ "$2" = "$3" ]; then pass "$1"; else flunk "$1" "got:  $2" "want: $3"; fi; }
like() { if printf '%s' "$2" | grep -qE -- "$3"; then pass "$1"; else flunk "$1" "got:  $2" "want: /$3/"; fi; }
# eventually COMMAND…: until it succeeds; a minute is no measure of speed but the end of waiting.
eventually() {
	local end=$((SECONDS + 60))
	until "$@"; do
		[ $SECONDS -lt $end ] || return 1
		sleep 0.05
	done
}
# copy_of_a_moment FROM TO: of a file behind a mount in use. A write meanwhile (anybody's sync starts some) would tear the copy: it
# counts where the file is the same still.
copy_of_a_moment() {
	for _ in {1..20}; do
		rm -f "$2"
		cp --sparse=always "$1" "$2" && cmp -s "$1" "$2" && return
	done
	flunk "a copy of one moment of $1" "it was written to during each of 20 copies"
	return 1
}
# A directory in memory where there is one: a filesystem on a loop device then waits for no disk when it flushes.
memory_dir() { mktemp -d -p /dev/shm 2>/dev/null || mktemp -d; }
done_testing() { echo "1..$tap_n"; [ "$tap_bad" -eq 0 ]; }
