#!/bin/bash
# The manual pages against the programs, the unit and the sample configuration against the hub.
. "$(dirname "$0")/../tap.sh"
man=$SENDENSE_SRC/man

lint() {
	local found
	# Whether other pages are installed, and known to mandoc, is this machine's affair.
	found=$(mandoc -T lint "$man/$1" 2>&1 | grep -vE 'referenced manual not found|outdated mandoc.db')
	[ -z "$found" ] || { echo "$found"; return 1; }
}

# documents PAGE HELP: each --option and -o in the help's text stands in the page as Fl.
documents() {
	local page=$man/$1 missing='' option options
	options=$(grep -oE -- '(^|[^[:alnum:]-])--?[[:alpha:]][[:alpha:]-]*' <<<"$2" | grep -oE -- '-.*' | sort -u)
	[ -n "$options" ] || { echo "the help names no option"; return 1; }
	for option in $options; do
		grep -qE -- "Fl ([-a-z]+ )*${option#-}( |\$)|Fl [[:alpha:]]*${option#-}[[:alpha:]]* " "$page" || missing="$missing $option"
	done
	[ -z "$missing" ] || { echo "not in $1:$missing"; return 1; }
}

# Each setting of the sample is one the hub takes: with all of them switched on, it fails for the certificate, not for a key.
settings() {
	local dir said
	dir=$(mktemp -d)
	sed -n 's/^#\([a-z_]* = \)/\1/p' "$SENDENSE_SRC/packaging/sendense-hub.conf" >"$dir/conf"
	[ "$(wc -l <"$dir/conf")" -ge 10 ] || { echo "too few settings"; rm -r "$dir"; return 1; }
	said=$("$SENDENSE_HUB" --config "$dir/conf" --help 2>&1)
	local r=$?
	for key in $(cut -d' ' -f1 "$dir/conf"); do
		grep -q "^\\.It Cm.*\\b$key\\b" "$man/sendense-hub.8" || { said="$key is not in the manual"; r=1; }
	done
	rm -r "$dir"
	[ $r -eq 0 ] || { echo "$said"; return 1; }
}

for page in sendense.1 sendense-hub.8 sendense-worker.8 sendense-imagehelper.8 sendense-keyhelper.8; do
	if command -v mandoc >/dev/null; then ok "$page is clean mdoc" lint $page; else skip "$page is clean mdoc" "no mandoc"; fi
done
ok "options of sendense are described" documents sendense.1 "$("$SENDENSE_CLI" --help)"
ok "options of sendense image are described" documents sendense.1 "$("$SENDENSE_CLI" image --help)"
ok "options of sendense-hub are described" documents sendense-hub.8 "$("$SENDENSE_HUB" --help)"
for command in "$("$SENDENSE_CLI" --help | sed -nE 's/^(usage:|      ) sendense ([a-z]+( [a-z]+)?).*/\2/p')"; do
	while read -r group name; do
		ok "$group $name is described" grep -qE "^\\.It Cm $group${name:+ $name}\\b" "$man/sendense.1"
	done <<<"$command"
done
ok "the sample's settings are the hub's" settings

if command -v systemd-analyze >/dev/null; then
	dir=$(mktemp -d)
	sed "s|^ExecStart=[^ ]*|ExecStart=$SENDENSE_HUB|" "$SENDENSE_UNIT" >"$dir/sendense-hub.service"
	is "the unit is valid" "$(systemd-analyze verify --man=no "$dir/sendense-hub.service" 2>&1 | grep sendense)" ""
	rm -r "$dir"
else
	skip "the unit is valid" "no systemd-analyze"
fi
ok "the unit leaves the workers' sandbox alone" bash -c '! grep -E "^(RestrictNamespaces|PrivateUsers|ProcSubset|ProtectProc)=" "$1"' - "$SENDENSE_UNIT"
done_testing
