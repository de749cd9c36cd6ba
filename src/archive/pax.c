#include "archive/pax.h"

#include "base/bytes.h"
#include "base/cleanup.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum {
	NSEC = 1000000000,
	/* The kernel's form of a POSIX ACL, linux/posix_acl_xattr.h. */
	ACL_VERSION = 2, ACL_HEADER = 4, ACL_ENTRY = 8,
	ACL_USER_OBJ = 1, ACL_USER = 2, ACL_GROUP_OBJ = 4, ACL_GROUP = 8, ACL_MASK = 16, ACL_OTHER = 32,
	ACL_TEXT_MAX = 256 << 10,
};

static size_t digits(size_t v)
{
	size_t n = 1;
	for (; v >= 10; v /= 10)
		n++;
	return n;
}

void pax_record(struct buf *b, const char *key, const void *value, size_t len)
{
	size_t rest = strlen(key) + len + 3;             /* ' ', '=', '\n' */
	size_t total = rest + digits(rest);
	/* The length counts its own digits, one more where they carry over. */
	if (digits(total) != digits(rest))
		total = rest + digits(total);
	buf_addf(b, "%zu ", total);
	buf_adds(b, key);
	buf_addc(b, '=');
	buf_add(b, value, len);
	buf_addc(b, '\n');
}

void pax_number(struct buf *b, const char *key, uint64_t v)
{
	char s[24];
	pax_record(b, key, s, (size_t)snprintf(s, sizeof(s), "%" PRIu64, v));
}

void pax_time(struct buf *b, const char *key, int64_t sec, uint32_t nsec)
{
	char s[48];
	const char *sign = "";
	uint64_t whole = (uint64_t)sec;
	if (sec < 0) {
		sign = "-";
		whole = 0 - whole;
		if (nsec) {
			whole--;
			nsec = NSEC - nsec;
		}
	}
	int n = nsec ? snprintf(s, sizeof(s), "%s%" PRIu64 ".%09" PRIu32, sign, whole, nsec)
	             : snprintf(s, sizeof(s), "%s%" PRIu64, sign, whole);
	while (nsec && s[n - 1] == '0')
		n--;
	pax_record(b, key, s, (size_t)n);
}

/* The text of one entry; false where it is none this code knows. */
static bool acl_entry(struct buf *b, unsigned tag, unsigned perm, uint32_t id)
{
	const char *name = tag & (ACL_USER_OBJ | ACL_USER) ? "user" : tag & (ACL_GROUP_OBJ | ACL_GROUP) ? "group"
	                 : tag == ACL_MASK ? "mask" : "other";
	if (tag == 0 || tag > ACL_OTHER || !is_pow2(tag) || perm > 7)
		return false;
	if (b->len)
		buf_addc(b, ',');
	if (tag == ACL_USER || tag == ACL_GROUP)
		buf_addf(b, "%s:%" PRIu32 ":", name, id);
	else
		buf_addf(b, "%s::", name);
	buf_addf(b, "%c%c%c", perm & 4 ? 'r' : '-', perm & 2 ? 'w' : '-', perm & 1 ? 'x' : '-');
	return true;
}

/* An ACL that is damaged gets no text; its raw form is kept all the same. */
static void pax_acl(struct buf *b, const char *key, const uint8_t *p, size_t len)
{
	if (len < ACL_HEADER || (len - ACL_HEADER) % ACL_ENTRY != 0 || get_le32(p) != ACL_VERSION)
		return;
	CLEANUP(buf_free) struct buf text = BUF_INIT(ACL_TEXT_MAX);
	for (size_t off = ACL_HEADER; off < len; off += ACL_ENTRY)
		if (!acl_entry(&text, get_le16(p + off), get_le16(p + off + 2), get_le32(p + off + 4)))
			return;
	if (text.failed)
		b->failed = true;
	if (text.len)
		pax_record(b, key, text.data, text.len);
}

void pax_xattrs(struct buf *b, const struct archive_xattr *x, size_t count)
{
	CLEANUP(buf_free) struct buf key = BUF_INIT(1024);
	for (size_t i = 0; i < count; i++) {
		buf_reset(&key);
		buf_adds(&key, "SCHILY.xattr.");
		/* '=' would end the key: percent-encoded, as GNU tar reads it. */
		for (const char *s = x[i].name; *s; s++) {
			if (*s == '=' || *s == '%')
				buf_addf(&key, "%%%02X", (unsigned)*s);
			else
				buf_addc(&key, *s);
		}
		if (key.failed)
			b->failed = true;
		pax_record(b, buf_str(&key), x[i].value, x[i].len);
		if (strcmp(x[i].name, "system.posix_acl_access") == 0)
			pax_acl(b, "SCHILY.acl.access", x[i].value, x[i].len);
		else if (strcmp(x[i].name, "system.posix_acl_default") == 0)
			pax_acl(b, "SCHILY.acl.default", x[i].value, x[i].len);
	}
}
