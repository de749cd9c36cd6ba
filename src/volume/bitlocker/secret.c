/* What a person has: a password, the digits of a recovery key, the file with a start-up key. */
#include "volume/bitlocker/bitlocker.h"

#include "base/bytes.h"
#include "base/utf8.h"
#include "crypto/crypto.h"

#include <stdio.h>
#include <string.h>

enum {
	PASSWORD_MAX = 1024,         /* bytes of UTF-8; Windows takes 256 characters */
	GROUPS = 8,
	DIGITS = 6,                  /* a group */
	CHECK = 11,                  /* a group is a multiple of it */
	BEK_HEAD = 48,
	EXTERNAL_HEAD = 24,
};

static int wrong(const struct bitlocker_meta *m, const char *what, struct err *e)
{
	char text[VOLUME_TEXT_MAX];
	bitlocker_describe(m, text, sizeof(text));
	return err_set(e, ERR_KEY_WRONG, "bitlocker", "this volume does not open with that %s; it opens with %s", what, text);
}

/* Tries the hash of a secret on all protectors of a kind. */
static int try_stretched(const struct bitlocker_meta *m, unsigned kind, const char *what, const uint8_t initial[32],
                         struct bitlocker_key *ret, struct err *e)
{
	struct bitlocker_protector p;
	size_t at = 0;
	bool other_way = false;
	int r = 0;
	for (unsigned i = 0; i < BITLOCKER_PROTECTORS_MAX && r == 0 && bitlocker_protector_next(m, &at, &p); i++) {
		uint8_t key[32];
		if (p.kind != kind || !p.salt || !p.vmk.data)
			continue;
		other_way = other_way || p.pbkdf2;
		if (p.pbkdf2)
			continue;
		bitlocker_stretch(initial, p.salt, key);
		r = bitlocker_unseal(m, &p, key, ret, e);
		explicit_bzero(key, sizeof(key));
	}
	if (r == 0 && other_way)
		return err_set(e, ERR_VOLUME_UNSUPPORTED, "bitlocker", "its %s is hashed with PBKDF2, which is not known here", what);
	return r == 0 ? wrong(m, what, e) : r < 0 ? r : 0;
}

/* --- password ------------------------------------------------------------------------------------- */

/* UTF-16, little-endian, of valid UTF-8. The number of bytes. */
static size_t to_utf16(const uint8_t *p, size_t len, uint8_t *to)
{
	size_t n = 0;
	for (size_t i = 0; i < len;) {
		unsigned used = utf8_sequence(p + i, len - i);
		uint32_t c = used == 1 ? p[i] : p[i] & (0x7fU >> used);
		for (unsigned k = 1; k < used; k++)
			c = c << 6 | (p[i + k] & 0x3f);
		i += used;
		if (c >= 0x10000) {
			put_le16(to + n, (uint16_t)(0xd7c0 + (c >> 10)));
			put_le16(to + n + 2, (uint16_t)(0xdc00 + (c & 0x3ff)));
			n += 4;
		} else {
			put_le16(to + n, (uint16_t)c);
			n += 2;
		}
	}
	return n;
}

int bitlocker_open_password(const struct bitlocker_meta *m, const uint8_t *utf8, size_t len, struct bitlocker_key *ret,
                            struct err *e)
{
	uint8_t utf16[2 * PASSWORD_MAX], once[32], twice[32];
	if (len == 0 || len > PASSWORD_MAX || !utf8_valid(utf8, len))
		return err_set(e, ERR_KEY_WRONG, "bitlocker", "a password of BitLocker is text in UTF-8, of at most %d bytes",
		               PASSWORD_MAX);
	hash_sha256(utf16, to_utf16(utf8, len, utf16), once);
	hash_sha256(once, sizeof(once), twice);
	int r = try_stretched(m, BITLOCKER_BY_PASSWORD, "password", twice, ret, e);
	explicit_bzero(utf16, sizeof(utf16));
	explicit_bzero(once, sizeof(once));
	explicit_bzero(twice, sizeof(twice));
	return r;
}

/* --- recovery key --------------------------------------------------------------------------------- */

static int group_wrong(unsigned group, struct err *e)
{
	return err_set(e, ERR_INVALID, "bitlocker", "group %u of the recovery key is mistyped", group);
}

/* Eight groups of six digits, dashes or blanks between them or not: 16 bits each. */
static int parse_recovery(const uint8_t *text, size_t len, uint8_t ret[2 * GROUPS], struct err *e)
{
	unsigned digits = 0;
	uint32_t group = 0;
	for (size_t i = 0; i < len; i++) {
		if (text[i] == '-' || text[i] == ' ' || text[i] == '\r' || text[i] == '\n') {
			if (digits % DIGITS != 0)
				return group_wrong(digits / DIGITS + 1, e);
			continue;
		}
		if (text[i] < '0' || text[i] > '9' || digits == GROUPS * DIGITS)
			return err_set(e, ERR_INVALID, "bitlocker", "a recovery key is %d digits, in %d groups", GROUPS * DIGITS, GROUPS);
		group = group * 10 + (text[i] - '0');
		if (++digits % DIGITS != 0)
			continue;
		if (group % CHECK != 0 || group / CHECK > UINT16_MAX)
			return group_wrong(digits / DIGITS, e);
		put_le16(ret + 2 * (digits / DIGITS - 1), (uint16_t)(group / CHECK));
		group = 0;
	}
	if (digits != GROUPS * DIGITS)
		return err_set(e, ERR_INVALID, "bitlocker", "a recovery key has %d digits, this one %u", GROUPS * DIGITS, digits);
	return 0;
}

int bitlocker_open_recovery(const struct bitlocker_meta *m, const uint8_t *text, size_t len, struct bitlocker_key *ret,
                            struct err *e)
{
	uint8_t raw[2 * GROUPS], once[32];
	int r = parse_recovery(text, len, raw, e);
	if (r == 0) {
		hash_sha256(raw, sizeof(raw), once);
		r = try_stretched(m, BITLOCKER_BY_RECOVERY_KEY, "recovery key", once, ret, e);
	}
	explicit_bzero(raw, sizeof(raw));
	explicit_bzero(once, sizeof(once));
	return r;
}

/* --- start-up key --------------------------------------------------------------------------------- */

struct startup {
	const uint8_t *id, *key;     /* in the file */
};

/* A .BEK file is a list like the metadata's, with one external key in it. */
static bool parse_startup(const uint8_t *file, size_t len, struct startup *ret)
{
	struct bitlocker_entry n, key;
	size_t at = 0;
	if (len < BEK_HEAD || get_le32(file) > len || get_le32(file) < BEK_HEAD || get_le32(file + 8) != BEK_HEAD)
		return false;
	size_t list = get_le32(file) - BEK_HEAD;
	while (bitlocker_entry_next(file + BEK_HEAD, list, &at, &n)) {
		if (n.value != BITLOCKER_VALUE_EXTERNAL || n.len < EXTERNAL_HEAD)
			continue;
		size_t in = 0;
		while (bitlocker_entry_next(n.data + EXTERNAL_HEAD, n.len - EXTERNAL_HEAD, &in, &key)) {
			if (key.value == BITLOCKER_VALUE_KEY && key.len == 4 + BITLOCKER_VMK) {
				*ret = (struct startup){.id = n.data, .key = key.data + 4};
				return true;
			}
		}
	}
	return false;
}

int bitlocker_open_startup(const struct bitlocker_meta *m, const uint8_t *file, size_t len, struct bitlocker_key *ret,
                           struct err *e)
{
	struct startup s;
	struct bitlocker_protector p;
	size_t at = 0;
	int r = 0;
	if (!parse_startup(file, len, &s))
		return err_set(e, ERR_KEY_WRONG, "bitlocker", "this is not a start-up key of BitLocker (a .BEK file)");
	for (unsigned i = 0; i < BITLOCKER_PROTECTORS_MAX && r == 0 && bitlocker_protector_next(m, &at, &p); i++) {
		if (p.kind == BITLOCKER_BY_STARTUP_KEY && memcmp(p.id, s.id, BITLOCKER_GUID) == 0)
			r = bitlocker_unseal(m, &p, s.key, ret, e);
	}
	if (r != 0)
		return r < 0 ? r : 0;
	char guid[37], what[64];
	bitlocker_guid_text(s.id, guid);
	(void)snprintf(what, sizeof(what), "start-up key, %s", guid);
	return wrong(m, what, e);
}
