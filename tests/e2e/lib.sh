# For end-to-end tests: a hub of the build on a port of its own, its data in a folder that goes away, and curl on it.
. "$SENDENSE_SRC/tests/tap.sh"
export PATH=$SENDENSE_BUILD/src/cmd:$PATH:/usr/sbin:/sbin LC_ALL=C.UTF-8
T=$(mktemp -d "${TMPDIR:-/tmp}/sendense-e2e.XXXXXX")
HUB=
cleanup() {
	[ -z "$HUB" ] || { kill "$HUB" 2>/dev/null; wait "$HUB" 2>/dev/null; }
	rm -rf "$T"
}
trap cleanup EXIT
trap 'exit 1' INT TERM

# hub_start [OPTION…]: sets HUB, URL, TOKEN.
hub_start() {
	rm -f "$T/hub/hub.url"
	sendense-hub --data-dir "$T/hub" --listen 127.0.0.1:0 "$@" 2>>"$T/hub.log" &
	HUB=$!
	for _ in $(seq 300); do
		URL=$(cat "$T/hub/hub.url" 2>/dev/null)/api/v1
		[ "$URL" != /api/v1 ] && curl -fs "$URL/healthz" >/dev/null 2>&1 && break
		kill -0 $HUB 2>/dev/null || return 1
		sleep 0.1
	done
	TOKEN=$(cat "$T/hub/admin.token")
}
hub_stop() {
	kill "$HUB"; wait "$HUB"; local status=$?; HUB=
	return $status
}

# api PATH [CURL-ARGUMENT…]: the body on standard output, the status in $T/status.
api() {
	local path=$1; shift
	curl -s --max-time 60 -o "$T/body" -w '%{http_code}' -H "Authorization: Bearer $TOKEN" "$@" "$URL$path" >"$T/status"
	local rc=$?
	cat "$T/body" 2>/dev/null
	return $rc
}
status() { cat "$T/status"; }
code() { jq -r '.code // empty' "$T/body" 2>/dev/null; }

# expect NAME STATUS CODE PATH [CURL-ARGUMENT…]: an error with that status and code, in the contract's shape.
expect() {
	local name=$1 want=$2 want_code=$3; shift 3
	: >"$T/body"
	api "$@" >/dev/null
	is "$name: status" "$(status)" "$want"
	is "$name: code" "$(code)" "$want_code"
	ok "$name: one sentence and details" jq -e '(.error | length > 10) and (.details | type == "object")' "$T/body"
	# No path of this machine in any error.
	if grep -qF "$T" "$T/body"; then flunk "$name: names a path of the hub's machine" "$(cat "$T/body")"; fi
}

add_repository() {
	api /repositories -d "{\"name\":\"$1\",\"location\":\"$2\"}" | jq -r .id
}
mount() {
	api /restore/mount -d "{\"backup_id\":\"$1\",\"disk_index\":${2:-0}}" | jq -r .mount_id
}
# downloads MOUNT PATH WANT: whether that is what comes.
downloads() { [ "$(api "/restore/$1/download?path=$2")" = "$3" ]; }
# gone PID: it has ended, whoever is to reap it.
gone() { ! kill -0 "$1" 2>/dev/null || grep -qs 'State:.Z' "/proc/$1/status"; }
none() { [ -z "$("$@")" ]; }
# Of this run alone: what is searched for everywhere must not be there because of another test.
nonce() { od -An -N8 -tx8 /dev/urandom | tr -d ' '; }
# Live workers of this hub (a zombie that nobody has reaped yet is none).
workers() {
	ps -o pid=,stat=,comm= --ppid "$HUB" 2>/dev/null | awk '$3 ~ /sendense-worker/ && $2 !~ /Z/' | wc -l
}
