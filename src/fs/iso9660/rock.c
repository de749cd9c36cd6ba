/* RRIP, section 4. A number stands there twice, little-endian first; as Linux does, the first is taken. */
#include "fs/iso9660/iso9660.h"

#include "base/bytes.h"

enum nm_flag { NM_CURRENT = 2, NM_PARENT = 4, NM_HOST = 0x20 };
enum sl_flag { SL_CONTINUE = 1, SL_CURRENT = 2, SL_PARENT = 4, SL_ROOT = 8 };
enum tf_flag { TF_CREATION = 1, TF_MODIFY = 2, TF_ACCESS = 4, TF_ATTRIBUTES = 8, TF_LONG = 0x80 };
enum { TIME_SHORT = 7, TIME_LONG = 17, ZF1_SHIFT_MIN = 12, ZF1_SHIFT_MAX = 17, ZF2_SHIFT_MIN = 15, ZF2_SHIFT_MAX = 20 };

static void take_px(struct iso_rock *k, const uint8_t *p, size_t len)
{
	if (len < 36)
		return;
	k->has_px = true;
	k->mode = get_le32(p + 4);
	k->nlink = get_le32(p + 12);
	k->uid = get_le32(p + 20);
	k->gid = get_le32(p + 28);
}

/* The whole number may be in the low half: by the 16-bit form, of which glibc's for 64 bits is an extension. */
static void take_pn(struct iso_rock *k, const uint8_t *p, size_t len)
{
	if (len < 20)
		return;
	uint32_t high = get_le32(p + 4), low = get_le32(p + 12);
	bool packed = high == 0 && low > 0xff;
	k->has_pn = true;
	k->rdev_major = packed ? low >> 8 & 0xfff : high;
	k->rdev_minor = packed ? (low & 0xff) | (low >> 12 & 0xfff00) : low;
}

static void take_nm(struct iso_rock *k, const uint8_t *p, size_t len)
{
	if (len < 5 || (p[4] & (NM_CURRENT | NM_PARENT | NM_HOST)))
		return;
	size_t n = len - 5;
	if (n > sizeof(k->name) - k->name_len) {
		k->damage = "its Rock Ridge name is too long";
		return;
	}
	memcpy(k->name + k->name_len, p + 5, n);
	k->name_len += n;
}

static void add_link(struct iso_rock *k, const void *text, size_t len)
{
	k->link_len += len;
	if (k->link_len > FS_LINK_MAX)
		k->damage = "its Rock Ridge link target is too long";
	else if (k->link)
		buf_add(k->link, text, len);
}

static void take_component(struct iso_rock *k, unsigned flags, const uint8_t *text, size_t len)
{
	if (k->link_slash && !k->link_part)
		add_link(k, "/", 1);
	k->link_slash = true;
	switch (flags & ~SL_CONTINUE) {
	case 0:
		add_link(k, text, len);
		break;
	case SL_CURRENT:
		add_link(k, ".", 1);
		break;
	case SL_PARENT:
		add_link(k, "..", 2);
		break;
	case SL_ROOT:
		add_link(k, "/", 1);
		k->link_slash = false;
		break;
	default:
		k->damage = "its Rock Ridge link target has a component of an unknown kind";
	}
	k->link_part = flags & SL_CONTINUE;
}

static void take_sl(struct iso_rock *k, const uint8_t *p, size_t len)
{
	struct rdr r = rdr_init(p, len);
	rdr_skip(&r, 5);
	k->has_sl = true;
	while (rdr_left(&r) >= 2) {
		unsigned flags = rdr_u8(&r);
		size_t n = rdr_u8(&r);
		const uint8_t *text = rdr_take(&r, n);
		if (!text) {
			k->damage = "its Rock Ridge link target is cut short";
			return;
		}
		take_component(k, flags, text, n);
	}
}

/* Linux shows the time of creation as that of the last change of attributes where that is not recorded: some writers
 * meant it so. */
static void take_tf(struct iso_rock *k, const uint8_t *p, size_t len)
{
	if (len < 5)
		return;
	unsigned flags = p[4];
	size_t step = flags & TF_LONG ? TIME_LONG : TIME_SHORT;
	struct rdr r = rdr_init(p, len);
	rdr_skip(&r, 5);
	for (unsigned bit = TF_CREATION; bit <= TF_ATTRIBUTES; bit <<= 1) {
		if (!(flags & bit))
			continue;
		struct fs_time t;
		const uint8_t *raw = rdr_take(&r, step);
		if (!raw)
			return;
		if (!(flags & TF_LONG ? iso_time_long(raw, &t) : iso_time_short(raw, &t)))
			continue;
		switch (bit) {
		case TF_CREATION:
			k->btime = k->ctime = t;
			k->times |= FS_HAS_BTIME | FS_HAS_CTIME;
			break;
		case TF_MODIFY:
			k->mtime = t;
			k->times |= FS_HAS_MTIME;
			break;
		case TF_ACCESS:
			k->atime = t;
			k->times |= FS_HAS_ATIME;
			break;
		case TF_ATTRIBUTES:
			k->ctime = t;
			k->times |= FS_HAS_CTIME;
			break;
		}
	}
}

/* Two kinds share the name ZF; the second may be called Z2 as well, for readers that know only the first. */
static void take_zf(struct iso_rock *k, const uint8_t *p, size_t len)
{
	if (len < 16)
		return;
	bool second = memcmp(p + 4, "PZ", 2) == 0;
	if (!second && memcmp(p + 4, "pz", 2) != 0) {
		k->refused = "it is compressed in an unknown way";
		return;
	}
	unsigned shift = p[7];
	if (second ? shift < ZF2_SHIFT_MIN || shift > ZF2_SHIFT_MAX : shift < ZF1_SHIFT_MIN || shift > ZF1_SHIFT_MAX) {
		k->refused = "it is compressed in blocks of an unknown size";
		return;
	}
	k->zf = (struct iso_zf){
		.version = second ? 2 : 1,
		.header_size = p[6] * 4u,
		.block_shift = shift,
		.size = second ? get_le64(p + 8) : get_le32(p + 8),
	};
}

void iso_rock_entry(void *arg, const uint8_t *p, size_t len)
{
	struct iso_rock *k = arg;
	switch (p[0] << 8 | p[1]) {
	case 'P' << 8 | 'X': take_px(k, p, len); break;
	case 'P' << 8 | 'N': take_pn(k, p, len); break;
	case 'N' << 8 | 'M': take_nm(k, p, len); break;
	case 'S' << 8 | 'L': take_sl(k, p, len); break;
	case 'T' << 8 | 'F': take_tf(k, p, len); break;
	case 'R' << 8 | 'E': k->relocated = true; break;
	case 'S' << 8 | 'F': k->refused = "it is stored as a Rock Ridge sparse file"; break;
	case 'Z' << 8 | 'F':
	case 'Z' << 8 | '2': take_zf(k, p, len); break;
	case 'C' << 8 | 'L':
		if (len >= 12) {
			k->has_cl = true;
			k->child = get_le32(p + 4);
		}
		break;
	default: break;
	}
}
