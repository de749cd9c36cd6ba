#!/bin/bash
# Signing in by cookie, and the page's files: what a browser relies on.
. "$SENDENSE_SRC/tests/e2e/lib.sh"
mkdir -p "$T/page/assets"
printf '<!doctype html><title>page</title>\n' >"$T/page/index.html"
printf 'export {};\n' >"$T/page/assets/main-abc.js"
printf 'secret\n' >"$T/secret"
ln -s "$T/secret" "$T/link"
hub_start --web-dir "$T/page" || { flunk "the hub starts" "$(cat "$T/hub.log")"; done_testing; exit 1; }
SITE=${URL%/api/v1}
head_of() { curl -s -o /dev/null -D - "$@" | tr -d '\r'; }
code_of() { curl -s -o "$T/body" -w '%{http_code}' "$@"; }

# --- files ---
H=$(head_of "$SITE/")
like "the page is HTML" "$H" '^Content-Type: text/html; charset=utf-8$'
like "… that runs nothing but its own files" "$H" "^Content-Security-Policy: default-src 'none'; script-src 'self'; style-src 'self';"
like "… in no frame" "$H" "frame-ancestors 'none'"
like "… asked for anew each time" "$H" '^Cache-Control: no-cache$'
E=$(printf '%s\n' "$H" | sed -n 's/^ETag: //p')
is "an unchanged page is 304" "$(code_of -H "If-None-Match: $E" "$SITE/")" 304
for p in /restore /restore/some-id/2/home/anna /vms /backups /repositories /sign-in; do
	is "$p is the page too" "$(curl -s "$SITE$p")" "$(cat "$T/page/index.html")"
done
H=$(head_of "$SITE/assets/main-abc.js")
like "a script is a script" "$H" '^Content-Type: text/javascript'
like "… kept for ever" "$H" 'immutable'
is "a file that is not there" "$(code_of "$SITE/assets/none.js")" 404
for p in /assets/../../secret /assets/..%2f..%2fsecret /assets/%2e%2e/%2e%2e/secret /../secret //etc/passwd; do
	case $(code_of --path-as-is "$SITE$p") in 400|404) pass "nothing outside: $p" ;; *) flunk "nothing outside: $p" "$(cat "$T/body")" ;; esac
done
is "an unknown call is no page" "$(code_of "$URL/nope" -H "Authorization: Bearer $TOKEN")" 404
ln -s "$T/secret" "$T/page/link.txt"
like "a page with a symbolic link is refused" "$("$SENDENSE_BUILD/src/cmd/sendense-hub" --data-dir "$T/h2" --listen 127.0.0.1:0 --web-dir "$T/page" 2>&1)" 'link.txt'
like "a folder without a page is refused" "$("$SENDENSE_BUILD/src/cmd/sendense-hub" --data-dir "$T/h2" --listen 127.0.0.1:0 --web-dir "$T/page/assets" 2>&1)" 'index.html'

# --- signing in ---
CSRF='X-Sendense-CSRF: 1'
JAR=$T/jar
is "nobody is signed in" "$(curl -s "$URL/session" | jq .signed_in)" false
is "a wrong token" "$(code_of -H "$CSRF" -d '{"token":"wrong"}' "$URL/session")" 401
is "neither token nor code" "$(code_of -H "$CSRF" -d '{}' "$URL/session")" 400
is "no header" "$(code_of -d "{\"token\":\"$TOKEN\"}" "$URL/session")" 403
is "another site's page" "$(code_of -H "$CSRF" -H 'Origin: http://evil.example' -d "{\"token\":\"$TOKEN\"}" "$URL/session")" 403
like "the token gives a cookie" "$(head_of -c "$JAR" -H "$CSRF" -H "Origin: $SITE" -d "{\"token\":\"$TOKEN\"}" "$URL/session")" \
	'^Set-Cookie: sendense_session=[A-Za-z0-9_-]{43}; Path=/; Max-Age=43200; HttpOnly; SameSite=Strict$'
is "the cookie is good" "$(curl -s -b "$JAR" "$URL/session" | jq .signed_in)" true
is "… for reading" "$(code_of -b "$JAR" "$URL/backups")" 200
is "… for changes with the header" "$(code_of -b "$JAR" -H "$CSRF" -X POST "$URL/restore/cleanup")" 200
is "… not without" "$(code_of -b "$JAR" -X POST "$URL/restore/cleanup")" 403
is "… not for another site's page" "$(code_of -b "$JAR" -H "$CSRF" -H 'Origin: http://evil.example' -X POST "$URL/restore/cleanup")" 403
is "… nor for a page without an origin" "$(code_of -b "$JAR" -H "$CSRF" -H 'Origin: null' -X POST "$URL/restore/cleanup")" 403
is "… nor for making links" "$(code_of -b "$JAR" -H "$CSRF" -X POST "$URL/session/links")" 401
is "a wrong token beside it is wrong" "$(code_of -b "$JAR" -H 'Authorization: Bearer wrong' "$URL/backups")" 401
cp "$JAR" "$T/old"
like "signing out takes the cookie" "$(head_of -b "$JAR" -c "$JAR" -H "$CSRF" -X DELETE "$URL/session")" 'sendense_session=; Path=/; Max-Age=0'
is "… and ends the session" "$(code_of -b "$T/old" "$URL/backups")" 401
is "a made-up cookie" "$(code_of -b 'sendense_session=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA' "$URL/backups")" 401

# --- links ---
is "a link needs the token" "$(code_of -X POST "$URL/session/links")" 401
L=$(curl -s -H "Authorization: Bearer $TOKEN" -X POST "$URL/session/links" | jq -r .url)
like "a link" "$L" '^/sign-in#[A-Za-z0-9_-]{43}$'
is "it signs in" "$(code_of -c "$JAR" -H "$CSRF" -d "{\"code\":\"${L#*#}\"}" "$URL/session")" 200
is "… for reading" "$(code_of -b "$JAR" "$URL/backups")" 200
is "once" "$(code_of -H "$CSRF" -d "{\"code\":\"${L#*#}\"}" "$URL/session")" 401
is "a link of nobody" "$(code_of -H "$CSRF" -d '{"code":"x"}' "$URL/session")" 401
hub_stop
done_testing
