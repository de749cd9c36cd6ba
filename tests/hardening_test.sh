#!/bin/bash
# Each installed program: position-independent, full RELRO, no executable stack, fortified, with stack protector and marked for shadow
# stacks; no RPATH. And every source file was compiled so.
. "$SENDENSE_SRC/tests/tap.sh"
export LC_ALL=C
for tool in readelf meson jq; do
	command -v $tool >/dev/null || { echo "1..0 # SKIP $tool is not installed"; exit 0; }
done
case $(meson introspect --buildoptions "$SENDENSE_BUILD" | jq -r '.[] | select(.name == "b_sanitize").value') in
none) ;;
*) echo "1..0 # SKIP a build with sanitizers is not what is shipped"; exit 0 ;;
esac
T=$(mktemp -d "${TMPDIR:-/tmp}/sendense-hardening.XXXXXX")
trap 'rm -rf "$T"' EXIT
ok "the programs are installed" meson install -C "$SENDENSE_BUILD" --no-rebuild --quiet --destdir "$T"
mapfile -t programs < <(find "$T" -type f -perm -u+x -name 'sendense*' | sort)
is "seven programs" "${#programs[@]}" 7

CRT=$("${CC:-cc}" -print-file-name=Scrt1.o 2>/dev/null)
X86=$(readelf -hW "${programs[0]}" | grep -c X86-64)
has() { grep -cE "$1" <<<"$2"; }
for p in "${programs[@]}"; do
	n=${p##*/}
	dynamic=$(readelf -dW "$p") segments=$(readelf -lW "$p") symbols=$(readelf --dyn-syms -W "$p") notes=$(readelf -nW "$p" 2>/dev/null)
	like "$n: position-independent" "$dynamic" 'FLAGS_1.*PIE'
	is "$n: RELRO" "$(has GNU_RELRO "$segments")" 1
	like "$n: … full: everything is bound at the start" "$dynamic" 'FLAGS_1.*NOW'
	like "$n: the stack is not executable" "$segments" 'GNU_STACK .* RW +0x'
	is "$n: nothing is writable and executable" "$(has 'LOAD .* RWE ' "$segments")" 0
	is "$n: no text relocations" "$(has TEXTREL "$dynamic")" 0
	is "$n: no RPATH" "$(has 'RPATH|RUNPATH' "$dynamic")" 0
	like "$n: stack protector" "$symbols" ' __stack_chk_fail@'
	like "$n: fortified" "$symbols" ' __[a-z]+_chk@'
	if [ "$X86" = 0 ]; then
		skip "$n: CET" "this is not x86-64"
		continue
	fi
	like "$n: fit for a shadow stack" "$notes" 'x86 feature: .*SHSTK'
	if readelf -nW "$CRT" 2>/dev/null | grep -q 'x86 feature:.*IBT'; then
		like "$n: fit for indirect branch tracking" "$notes" 'x86 feature: .*IBT'
	else
		skip "$n: fit for indirect branch tracking" "the start files of this system's C library are not"
	fi
done

# What a program does not show: the level of fortify, and that no file was left out.
mapfile -t bare < <(jq -r '.[] | select(.file | test("(^|/)src/")) | select((.command | contains("-D_FORTIFY_SOURCE=3") and
	contains("-fstack-protector-strong") and contains("-fstack-clash-protection")) | not).file' "$SENDENSE_BUILD/compile_commands.json")
if echo 'unsigned long f(char *p) { return __builtin_dynamic_object_size(p, 0); }' | "${CC:-cc}" -xc -c -o /dev/null - 2>/dev/null; then
	is "every file has _FORTIFY_SOURCE=3, stack protector and stack clash protection" "${bare[*]}" ""
else
	skip "every file has _FORTIFY_SOURCE=3" "this compiler knows 2 only"
fi
if [ "$X86" != 0 ]; then
	is "every object of ours is fit for CET" "$(for a in "$SENDENSE_BUILD"/lib*.a; do readelf -nW "$a" 2>/dev/null |
		awk '/^File:/ {file = $0} /x86 feature:/ {if ($0 ~ /IBT/ && $0 ~ /SHSTK/) good[file] = 1} /^File:/ {all[file]}
		     END {for (f in all) if (!(f in good)) print f}'; done)" ""
fi
done_testing
