/* ECMA 8: volume descriptors. */
#include "fs/iso9660/iso9660.h"

#include "base/bytes.h"
#include "fs/text.h"

#include <stdio.h>
#include <strings.h>

enum descriptor_type { BOOT_RECORD = 0, PRIMARY = 1, SUPPLEMENTARY = 2, TERMINATOR = 255 };
enum { VERSION = 6, LABEL = 40, LABEL_LEN = 32, SPACE = 80, ESCAPE = 88, SET_SIZE = 120, SEQUENCE = 124, BLOCK = 128,
       ROOT = 156, ROOT_LEN = 34, CREATED = 813, MODIFIED = 830, DATE_LEN = 16, JOLIET_LABEL_UNITS = LABEL_LEN / 2 };

/* ECMA 7.2.3, 7.3.3: both byte orders. As in Linux, the little-endian half counts. */
static uint16_t both16(const uint8_t *p, bool *differ)
{
	*differ |= get_le16(p) != get_be16(p + 2);
	return get_le16(p);
}

static uint32_t both32(const uint8_t *p, bool *differ)
{
	*differ |= get_le32(p) != get_be32(p + 4);
	return get_le32(p);
}

/* There is no UUID: libblkid shows the time of the last change, or else of the making. */
static bool uuid_from(const uint8_t *d, char *to, size_t size)
{
	bool zero = true;
	for (size_t i = 0; i < DATE_LEN; i++) {
		if (d[i] < '0' || d[i] > '9')
			return false;
		zero = zero && d[i] == '0';
	}
	if (!zero)
		(void)snprintf(to, size, "%.4s-%.2s-%.2s-%.2s-%.2s-%.2s-%.2s", d, d + 4, d + 6, d + 8, d + 10, d + 12, d + 14);
	return !zero;
}

static size_t trimmed(const char *s, size_t len)
{
	while (len > 0 && (s[len - 1] == ' ' || s[len - 1] == '\0'))
		len--;
	return len;
}

/* The label is said to be ASCII; what is none in it becomes "?". */
static void plain_label(const uint8_t *p, char *to)
{
	size_t len = trimmed((const char *)p, LABEL_LEN);
	for (size_t i = 0; i < len; i++)
		to[i] = (char)(p[i] >= 0x20 && p[i] < 0x7f ? p[i] : '?');
	to[len] = '\0';
}

/* The label as it was given, unless only the beginning of it found room. */
static void joliet_label(const uint8_t *p, char *label)
{
	uint16_t units[JOLIET_LABEL_UNITS];
	char text[JOLIET_LABEL_UNITS * TEXT_UNIT_BYTES + 1];
	for (size_t i = 0; i < JOLIET_LABEL_UNITS; i++) {
		units[i] = get_be16(p + 2 * i);
		if (units[i] == 0)
			units[i] = ' ';
	}
	size_t len = text_from_utf16(units, JOLIET_LABEL_UNITS, text);
	len = trimmed(text, len);
	text[len] = '\0';
	bool cut = len == JOLIET_LABEL_UNITS && strlen(label) > len && strncasecmp(text, label, len) == 0;
	if (len > 0 && !cut)
		memcpy(label, text, len + 1);
}

/* The root directory's place, from its record in a descriptor; 0: none. */
static uint64_t root_from(const uint8_t *d, uint32_t block_size, bool *differ)
{
	const uint8_t *p = d + ROOT;
	if (p[0] < ROOT_LEN)
		return 0;
	return ((uint64_t)both32(p + 2, differ) + p[1]) * block_size;
}

static bool take_primary(const uint8_t *d, struct iso_volume *v)
{
	v->block_size = both16(d + BLOCK, &v->halves_differ);
	if (!is_pow2(v->block_size) || v->block_size < 512 || v->block_size > ISO_SECTOR)
		return false;
	v->size = (uint64_t)both32(d + SPACE, &v->halves_differ) * v->block_size;
	v->set_size = both16(d + SET_SIZE, &v->halves_differ);
	v->sequence = both16(d + SEQUENCE, &v->halves_differ);
	v->root = root_from(d, v->block_size, &v->halves_differ);
	if (!uuid_from(d + MODIFIED, v->uuid, sizeof(v->uuid)))
		(void)uuid_from(d + CREATED, v->uuid, sizeof(v->uuid));
	plain_label(d + LABEL, v->label);
	return v->root != 0;
}

static bool is_joliet(const uint8_t *d)
{
	const uint8_t *s = d + ESCAPE;
	return d[VERSION] == 1 && s[0] == '%' && s[1] == '/' && (s[2] == '@' || s[2] == 'C' || s[2] == 'E');
}

/* The first primary descriptor and the first of Joliet count. Enhanced descriptors (version 2) show the tree of the
 * primary one under longer names; as Linux does, they are passed over. */
int iso_volume_read(struct blk *b, struct iso_volume *ret, struct err *e)
{
	struct iso_volume v = {0};
	bool primary = false;
	for (unsigned i = 0; i < ISO_DESCRIPTORS_MAX && v.joliet_root == 0; i++) {
		uint8_t d[ISO_SECTOR];
		uint64_t off = (uint64_t)(ISO_FIRST_DESCRIPTOR + i) * ISO_SECTOR;
		if (!range_inside(off, sizeof(d), b->size))
			break;
		int r = blk_read(b, off, d, sizeof(d), e);
		if (r < 0)
			return r;
		/* Other standards' descriptors may stand in between; what stands there first must be ours. */
		if (memcmp(d + 1, "CD001", 5) != 0) {
			if (i == 0)
				return 0;
			continue;
		}
		if (d[0] == TERMINATOR)
			break;
		if (d[0] == PRIMARY && !primary)
			primary = take_primary(d, &v);
		else if (d[0] == SUPPLEMENTARY && primary && is_joliet(d)) {
			v.joliet_root = root_from(d, v.block_size, &v.halves_differ);
			joliet_label(d + LABEL, v.label);
		}
	}
	if (!primary)
		return 0;
	*ret = v;
	return 1;
}
