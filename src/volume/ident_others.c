/* Optical media, Apple, BSD, the database of a Windows dynamic disk. */
#include "volume/ident_src.h"
#include "volume/text.h"

#include "crypto/crypto.h"

#include <ctype.h>
#include <stdio.h>
#include <strings.h>

#define M(text) (text), sizeof(text) - 1

enum {
	ISO_SECTOR = 2048,
	ISO_FIRST = 16,                      /* sector of the first volume descriptor */
	ISO_DESCRIPTORS_MAX = 32,
	UDF_SEQUENCE_MAX = 64,
};

/* --- ISO 9660 (ECMA-119) -------------------------------------------------------------------------------- */

static bool is_digits(const uint8_t *p, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (p[i] < '0' || p[i] > '9')
			return false;
	}
	return true;
}

/* There is no UUID: libblkid shows the time of the last change, or of the making. */
static void iso_uuid(struct volume_content *c, const uint8_t *modified, const uint8_t *created)
{
	const uint8_t *d = is_digits(modified, 16) && memcmp(modified, "0000000000000000", 16) != 0 ? modified : created;
	if (is_digits(d, 16) && memcmp(d, "0000000000000000", 16) != 0)
		(void)snprintf(c->uuid, sizeof(c->uuid), "%.4s-%.2s-%.2s-%.2s-%.2s-%.2s-%.2s", d, d + 4, d + 6, d + 8, d + 10,
		               d + 12, d + 14);
}

/* Whether a Joliet name is only the beginning of the plain one. */
static bool iso_is_cut(const char *joliet, const char *plain)
{
	return strlen(joliet) == 16 && strlen(plain) > 16 && strncasecmp(joliet, plain, 16) == 0;
}

static bool iso9660(struct ident_src *s, struct volume_content *c, uint64_t off)
{
	(void)off;
	for (unsigned i = 0; i < ISO_DESCRIPTORS_MAX; i++) {
		const uint8_t *p = ident_at(s, (uint64_t)(ISO_FIRST + i) * ISO_SECTOR, ISO_SECTOR);
		if (!p || memcmp(p + 1, "CD001", 5) != 0 || p[0] == 255)
			break;
		if (p[0] == 1) {
			iso_uuid(c, p + 830, p + 813);
			text_label(c->label, sizeof(c->label), p + 40, 32);
		} else if (p[0] == 2 && p[88] == '%' && p[89] == '/' && (p[90] == '@' || p[90] == 'C' || p[90] == 'E')) {
			/* Joliet: the name as it was given, but at most 16 characters of it. */
			char joliet[VOLUME_TEXT_MAX];
			text_utf16(joliet, sizeof(joliet), p + 40, 32, true);
			if (joliet[0] != '\0' && !iso_is_cut(joliet, c->label))
				memcpy(c->label, joliet, sizeof(c->label));
		}
	}
	return true;
}

/* --- UDF (ECMA-167, OSTA UDF) ------------------------------------------------------------------------------ */

/* A dstring: its length in the last byte, 8 or 16 bits a character. */
static void udf_text(char *to, size_t cap, const uint8_t *p, size_t len)
{
	size_t used = p[len - 1];
	if (used < 2 || used >= len)
		return;
	if (p[0] == 16) {
		text_utf16(to, cap, p + 1, used - 1, true);
	} else if (p[0] == 8) {
		/* Latin-1: as UTF-16 it needs no guess. */
		uint8_t wide[256] = {0};
		for (size_t i = 1; i < used; i++)
			wide[2 * (i - 1) + 1] = p[i];
		text_utf16(to, cap, wide, 2 * (used - 1), true);
	}
}

/* libblkid's rule: 16 characters of the volume set's name; where the second 8 are no hexadecimal digits, only the first
 * 8 count, or the bytes of the first 4 where these are none either. */
static void udf_uuid(struct volume_content *c, const uint8_t *p, size_t len)
{
	char id[VOLUME_TEXT_MAX] = "";
	udf_text(id, sizeof(id), p, len);
	size_t n = strnlen(id, 16), hex = 0;
	if (n < 8)
		return;
	while (hex < n && isxdigit((unsigned char)id[hex]))
		hex++;
	if (hex >= 16)
		(void)snprintf(c->uuid, sizeof(c->uuid), "%.16s", id);
	else if (hex >= 8)
		(void)snprintf(c->uuid, sizeof(c->uuid), "%.8s%02x%02x%02x%02x", id, (uint8_t)id[8], (uint8_t)id[9],
		               (uint8_t)id[10], (uint8_t)id[11]);
	else
		(void)snprintf(c->uuid, sizeof(c->uuid), "%02x%02x%02x%02x%02x%02x%02x%02x", (uint8_t)id[0], (uint8_t)id[1],
		               (uint8_t)id[2], (uint8_t)id[3], (uint8_t)id[4], (uint8_t)id[5], (uint8_t)id[6], (uint8_t)id[7]);
	for (char *q = c->uuid; *q; q++)
		*q = (char)tolower((unsigned char)*q);
}

/* Label (of the logical volume) and identifier (of the set) are in the main descriptor sequence; the anchor says where. */
static bool udf_names(struct ident_src *s, struct volume_content *c, uint32_t block)
{
	const uint8_t *p = ident_at(s, 256 * (uint64_t)block, 32);
	if (!p || get_le16(p) != 2 || get_le32(p + 12) != 256)
		return false;
	uint32_t count = get_le32(p + 16) / block, first = get_le32(p + 20);
	for (uint32_t i = 0; i < count && i < UDF_SEQUENCE_MAX; i++) {
		p = ident_at(s, ((uint64_t)first + i) * block, 512);
		if (!p || get_le16(p) == 8)
			break;
		if (get_le16(p) == 1)
			udf_uuid(c, p + 72, 128);
		else if (get_le16(p) == 6)
			udf_text(c->label, sizeof(c->label), p + 84, 128);
	}
	return true;
}

/* Where the recognition sequence, of descriptors `step` apart, names UDF; 0 where it does not. */
static uint64_t udf_recognised(struct ident_src *s, uint64_t step)
{
	static const char *const others[] = {"BEA01", "CD001", "CDW02", "BOOT2"};
	for (unsigned i = 0; i < ISO_DESCRIPTORS_MAX; i++) {
		const uint8_t *p = ident_at(s, 32768 + i * step, 8);
		if (!p)
			return 0;
		if (memcmp(p + 1, "NSR02", 5) == 0 || memcmp(p + 1, "NSR03", 5) == 0)
			return 32768 + i * step;
		bool known = false;
		for (unsigned k = 0; k < 4; k++)
			known |= memcmp(p + 1, others[k], 5) == 0;
		if (!known)
			return 0;
	}
	return 0;
}

/* Descriptors lie 2 KiB apart, or a block where that is larger. */
static bool udf(struct ident_src *s, struct volume_content *c, uint64_t off)
{
	static const uint32_t small[] = {2048, 512, 1024, 0}, large[] = {4096, 0};
	(void)off;
	for (uint64_t step = ISO_SECTOR; step <= 4096; step *= 2) {
		s->at = udf_recognised(s, step);
		if (s->at == 0)
			continue;
		for (const uint32_t *block = step == 4096 ? large : small; *block; block++) {
			if (udf_names(s, c, *block))
				break;
		}
		return true;
	}
	return false;
}

/* --- Apple, BSD --------------------------------------------------------------------------------------------- */

/* Apple's rule: a version 3 UUID of the 8 bytes the Finder keeps, in a name space of its own. */
static void hfs_uuid(struct volume_content *c, const uint8_t *finder_id)
{
	static const uint8_t space[16] = {0xb3, 0xe2, 0x0f, 0x39, 0xf2, 0x92, 0x11, 0xd6,
	                                  0x97, 0xa4, 0x00, 0x30, 0x65, 0x43, 0xec, 0xac};
	static const uint8_t unset[8];
	uint8_t name[24], digest[HASH_BYTES_MAX];
	if (memcmp(finder_id, unset, sizeof(unset)) == 0)
		return;
	memcpy(name, space, sizeof(space));
	memcpy(name + sizeof(space), finder_id, 8);
	struct err no_memory = ERR_INIT;
	if (hash_once(HASH_MD5, name, sizeof(name), digest, &no_memory) < 0)
		return;
	digest[6] = (uint8_t)(0x30 | (digest[6] & 0x0f));
	digest[8] = (uint8_t)(0x80 | (digest[8] & 0x3f));
	text_uuid(c->uuid, digest);
}

static bool hfsplus(struct ident_src *s, struct volume_content *c, uint64_t off)
{
	const uint8_t *p = ident_at(s, off, 112);
	if (!p || !is_pow2(get_be32(p + 40)) || get_be32(p + 40) < 512)
		return false;
	hfs_uuid(c, p + 104);
	return true;
}

/* Plain HFS, or the wrapper some HFS+ volumes lie in. */
static bool hfs(struct ident_src *s, struct volume_content *c, uint64_t off)
{
	const uint8_t *p = ident_at(s, off, 162);
	if (!p || get_be32(p + 20) == 0 || get_be32(p + 20) % 512 != 0)
		return false;
	if (memcmp(p + 124, "H+", 2) == 0 || memcmp(p + 124, "HX", 2) == 0) {
		(void)snprintf(c->type, sizeof(c->type), "hfsplus");
		return true;
	}
	hfs_uuid(c, p + 116);
	if (p[36] < 28)
		text_label(c->label, sizeof(c->label), p + 37, p[36]);
	return true;
}

static bool apfs(struct ident_src *s, struct volume_content *c, uint64_t off)
{
	uint64_t start = off - 32;
	const uint8_t *p = ident_at(s, start, 88);
	/* A superblock of object type 1 with a sensible block size. */
	if (!p || get_le16(p + 24) != 1 || !is_pow2(get_le32(p + 36)) || get_le32(p + 36) < 4096)
		return false;
	text_uuid(c->uuid, p + 72);
	return true;
}

/* The superblock is at one of four places, in either byte order. */
static bool ufs(struct ident_src *s, struct volume_content *c, uint64_t off)
{
	static const uint64_t places[] = {8192, 65536, 0, 262144};
	(void)off;
	for (unsigned i = 0; i < 4; i++) {
		const uint8_t *p = ident_at(s, places[i], 1380);
		if (!p)
			continue;
		uint32_t le = get_le32(p + 1372), be = get_be32(p + 1372);
		bool little = le == 0x00011954 || le == 0x19540119;
		if (!little && be != 0x00011954 && be != 0x19540119)
			continue;
		s->at = places[i] + 1372;
		uint32_t id[2] = {little ? get_le32(p + 144) : get_be32(p + 144), little ? get_le32(p + 148) : get_be32(p + 148)};
		if (id[0] != 0 || id[1] != 0)
			(void)snprintf(c->uuid, sizeof(c->uuid), "%08x%08x", id[0], id[1]);
		text_label(c->label, sizeof(c->label), p + 680, 32);
		return true;
	}
	return false;
}

/* What a file of zeroes with one sector of magic is not: the private header of a dynamic disk names its own format. */
static bool ldm(struct ident_src *s, struct volume_content *c, uint64_t off)
{
	const uint8_t *p = ident_at(s, off, 512);
	if (!p || get_be16(p + 12) != 2)
		return false;
	text_label(c->uuid, sizeof(c->uuid), p + 48, 36);
	return true;
}

const struct ident_kind ident_others[] = {
	{"udf", 0, NULL, 0, udf},
	{"iso9660", ISO_FIRST * ISO_SECTOR + 1, M("CD001"), iso9660},
	{"hfsplus", 1024, M("H+"), hfsplus},
	{"hfsplus", 1024, M("HX"), hfsplus},
	{"hfs", 1024, M("BD"), hfs},
	{"apfs", 32, M("NXSB"), apfs},
	{"ufs", 0, NULL, 0, ufs},
	{"LDM", 6 * 512, M("PRIVHEAD"), ldm},
	{0},
};
