/* Texts in OSTA's Compressed Unicode (UDF 2.1.1): a byte that says 8 or 16 bits a character, then these, big-endian. */
#include "fs/udf/udf.h"

#include "base/utf8.h"
#include "fs/text.h"

enum {
	COMPONENT_HEADER = 4,
	COMPONENT_RESERVED_ROOT = 1, /* where it has a length, a root agreed on otherwise */
	COMPONENT_ROOT = 2,
	COMPONENT_PARENT = 3,
	COMPONENT_CURRENT = 4,
	COMPONENT_NAME = 5,
};

bool udf_name(const uint8_t *p, size_t len, char *to, size_t *ret_len)
{
	uint16_t units[UDF_NAME_BYTES];
	size_t count = 0;
	if (len < 1 || len > UDF_NAME_BYTES + 1)
		return false;
	if (p[0] == 8) {
		for (size_t i = 1; i < len; i++)
			units[count++] = p[i];
	} else if (p[0] == 16 && len % 2 == 1) {
		for (size_t i = 1; i < len; i += 2)
			units[count++] = get_be16(p + i);
	} else {
		return false;
	}
	*ret_len = text_from_utf16(units, count, to);
	return true;
}

void udf_dstring(const char *p, size_t len, char *to)
{
	uint8_t raw[UDF_NAME_BYTES + 1];
	size_t used = (uint8_t)p[len - 1], out = 0;
	if (used > 0 && used < len) {
		memcpy(raw, p, used);
		if (!udf_name(raw, used, to, &out))
			out = 0;
	}
	to[out] = '\0';
	/* A label is UTF-8 and ends where it says it does. */
	for (size_t i = 0; i < out;) {
		unsigned n = utf8_sequence((const uint8_t *)to + i, out - i);
		if (n == 0)
			to[i] = '?';
		i += n ? n : 1;
	}
}

static int add_component(unsigned type, const uint8_t *ident, size_t len, struct buf *ret, struct err *e)
{
	char name[3 * UDF_NAME_BYTES];
	size_t name_len = 0;
	switch (type) {
	case COMPONENT_RESERVED_ROOT:
		if (len > 0)
			return 0;
		buf_reset(ret);
		buf_addc(ret, '/');
		return 0;
	case COMPONENT_ROOT:
		buf_reset(ret);
		buf_addc(ret, '/');
		return 0;
	case COMPONENT_PARENT: buf_adds(ret, "../"); return 0;
	case COMPONENT_CURRENT: buf_adds(ret, "./"); return 0;
	case COMPONENT_NAME:
		if (!udf_name(ident, len, name, &name_len))
			return err_set(e, ERR_FILE_CORRUPT, "udf",
			               "a component of the link's target is not in OSTA Unicode");
		buf_add(ret, name, name_len);
		buf_addc(ret, '/');
		return 0;
	default: return err_set(e, ERR_FILE_CORRUPT, "udf", "the link's target has a component of unknown kind %u", type);
	}
}

int udf_link_target(const uint8_t *p, size_t len, struct buf *ret, struct err *e)
{
	struct rdr r = rdr_init(p, len);
	struct buf target = BUF_INIT(FS_LINK_MAX);
	int result = 0;
	while (result == 0 && rdr_left(&r) > 0) {
		unsigned type = rdr_u8(&r);
		size_t ident_len = rdr_u8(&r);
		rdr_skip(&r, COMPONENT_HEADER - 2);
		const uint8_t *ident = rdr_take(&r, ident_len);
		if (r.bad)
			result = err_set(e, ERR_FILE_CORRUPT, "udf", "the link's target ends within a component");
		else
			result = add_component(type, ident, ident_len, &target, e);
	}
	if (result == 0 && target.failed)
		result = buf_ok(&target, "udf", e);
	/* The last component has no slash behind it. */
	if (result == 0 && target.len > 0)
		buf_add(ret, target.data, target.len - (target.len > 1));
	buf_free(&target);
	return result;
}
