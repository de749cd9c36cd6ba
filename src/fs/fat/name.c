#include "base/bytes.h"
#include "fs/fat/fat.h"
#include "fs/text.h"

enum {
	LAST_SLOT = 0x40,
	SLOT_MASK = 0x3f,
	LOWER_BASE = 0x08,           /* byte 12, as Windows NT writes it */
	LOWER_EXT = 0x10,
	BASE_LEN = 8,
};

/* Code page 437, the upper half: https://www.unicode.org/Public/MAPPINGS/VENDORS/MICSFT/PC/CP437.TXT */
static const uint16_t cp437[128] = {
	0x00c7, 0x00fc, 0x00e9, 0x00e2, 0x00e4, 0x00e0, 0x00e5, 0x00e7, 0x00ea, 0x00eb, 0x00e8, 0x00ef,
	0x00ee, 0x00ec, 0x00c4, 0x00c5, 0x00c9, 0x00e6, 0x00c6, 0x00f4, 0x00f6, 0x00f2, 0x00fb, 0x00f9,
	0x00ff, 0x00d6, 0x00dc, 0x00a2, 0x00a3, 0x00a5, 0x20a7, 0x0192, 0x00e1, 0x00ed, 0x00f3, 0x00fa,
	0x00f1, 0x00d1, 0x00aa, 0x00ba, 0x00bf, 0x2310, 0x00ac, 0x00bd, 0x00bc, 0x00a1, 0x00ab, 0x00bb,
	0x2591, 0x2592, 0x2593, 0x2502, 0x2524, 0x2561, 0x2562, 0x2556, 0x2555, 0x2563, 0x2551, 0x2557,
	0x255d, 0x255c, 0x255b, 0x2510, 0x2514, 0x2534, 0x252c, 0x251c, 0x2500, 0x253c, 0x255e, 0x255f,
	0x255a, 0x2554, 0x2569, 0x2566, 0x2560, 0x2550, 0x256c, 0x2567, 0x2568, 0x2564, 0x2565, 0x2559,
	0x2558, 0x2552, 0x2553, 0x256b, 0x256a, 0x2518, 0x250c, 0x2588, 0x2584, 0x258c, 0x2590, 0x2580,
	0x03b1, 0x00df, 0x0393, 0x03c0, 0x03a3, 0x03c3, 0x00b5, 0x03c4, 0x03a6, 0x0398, 0x03a9, 0x03b4,
	0x221e, 0x03c6, 0x03b5, 0x2229, 0x2261, 0x00b1, 0x2265, 0x2264, 0x2320, 0x2321, 0x00f7, 0x2248,
	0x00b0, 0x2219, 0x00b7, 0x221a, 0x207f, 0x00b2, 0x25a0, 0x00a0,
};

static uint16_t oem_unit(uint8_t c)
{
	return c < 0x80 ? c : cp437[c - 0x80];
}

void fat_oem_to_utf16(const uint8_t *bytes, size_t len, uint16_t *to)
{
	for (size_t i = 0; i < len; i++)
		to[i] = oem_unit(bytes[i]);
}

/* Lower case within the code page: of its letters, those that have both forms there. */
static uint8_t oem_lower(uint8_t c)
{
	if (c >= 'A' && c <= 'Z')
		return (uint8_t)(c + ('a' - 'A'));
	switch (c) {
	case 0x80: return 0x87;      /* c cedilla */
	case 0x8e: return 0x84;      /* a diaeresis */
	case 0x8f: return 0x86;      /* a ring */
	case 0x90: return 0x82;      /* e acute */
	case 0x92: return 0x91;      /* ae */
	case 0x99: return 0x94;      /* o diaeresis */
	case 0x9a: return 0x81;      /* u diaeresis */
	case 0xa5: return 0xa4;      /* n tilde */
	default: return c;
	}
}

static size_t trimmed(const uint8_t *s, size_t len)
{
	while (len > 0 && s[len - 1] == ' ')
		len--;
	return len;
}

static size_t put_part(const uint8_t *s, size_t len, bool lower, uint16_t *to)
{
	for (size_t i = 0; i < len; i++)
		to[i] = oem_unit(lower ? oem_lower(s[i]) : s[i]);
	return len;
}

size_t fat_short_name(const uint8_t raw[FAT_ENTRY_SIZE], bool with_case, uint16_t *to)
{
	uint8_t name[FAT_SHORT_LEN];
	memcpy(name, raw, sizeof(name));
	/* 0xE5 as first byte means "deleted", so a name that starts with that letter has 0x05 there. */
	if (name[0] == 0x05)
		name[0] = 0xe5;
	uint8_t flags = with_case ? raw[12] : 0;
	size_t n = put_part(name, trimmed(name, BASE_LEN), flags & LOWER_BASE, to);
	size_t ext = trimmed(name + BASE_LEN, FAT_SHORT_LEN - BASE_LEN);
	if (ext > 0) {
		to[n++] = '.';
		n += put_part(name + BASE_LEN, ext, flags & LOWER_EXT, to + n);
	}
	return n;
}

void fat_label(const char raw[FAT_SHORT_LEN], char *to)
{
	uint8_t bytes[FAT_SHORT_LEN];
	uint16_t units[FAT_SHORT_LEN];
	memcpy(bytes, raw, sizeof(bytes));
	if (bytes[0] == 0x05)
		bytes[0] = 0xe5;
	size_t len = strnlen(raw, FAT_SHORT_LEN);
	len = trimmed(bytes, len);
	fat_oem_to_utf16(bytes, len, units);
	to[text_from_utf16(units, len, to)] = '\0';
}

/* --- long names ----------------------------------------------------------------------------------- */

/* Slots come last part first. Whatever does not follow on from the slot before makes them all orphans. */
void fat_long_name_add(struct fat_long_name *l, const uint8_t raw[FAT_ENTRY_SIZE])
{
	unsigned number = raw[0] & SLOT_MASK;
	uint8_t checksum = raw[13];
	if (raw[0] & LAST_SLOT) {
		l->slots = number <= FAT_LFN_SLOTS ? number : 0;
		l->checksum = checksum;
	} else if (number != l->expect || checksum != l->checksum) {
		l->slots = 0;
	}
	if (number == 0 || l->slots == 0) {
		l->slots = 0;
		l->expect = 0;
		return;
	}
	l->expect = number - 1;
	static const struct {
		uint8_t at, count;
	} parts[] = {{1, 5}, {14, 6}, {28, 2}};
	uint16_t *to = l->units + (number - 1) * FAT_LFN_SLOT_UNITS;
	for (size_t i = 0; i < sizeof(parts) / sizeof(*parts); i++)
		for (size_t k = 0; k < parts[i].count; k++)
			*to++ = get_le16(raw + parts[i].at + 2 * k);
}

/* Spec, "Checksum calculation". */
static uint8_t short_checksum(const uint8_t *name)
{
	uint8_t sum = 0;
	for (size_t i = 0; i < FAT_SHORT_LEN; i++)
		sum = (uint8_t)((sum << 7 | sum >> 1) + name[i]);
	return sum;
}

size_t fat_long_name_for(const struct fat_long_name *l, const uint8_t raw[FAT_ENTRY_SIZE])
{
	if (l->slots == 0 || l->expect != 0 || l->checksum != short_checksum(raw))
		return 0;
	size_t max = l->slots * FAT_LFN_SLOT_UNITS, n = 0;
	while (n < max && l->units[n] != 0)
		n++;
	return n <= FAT_NAME_UNITS ? n : 0;
}
