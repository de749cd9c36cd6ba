/* Records: volumes, components, extents (Windows: partitions), disks. Their fields have no fixed places: numbers and
 * strings begin with a byte that says how long they are. */
#include "volume/ldm/ldm.h"

#include "base/bytes.h"
#include "volume/text.h"

#include <string.h>

enum {
	PENDING_DELETION = 1,
	PENDING_ACTIVATION = 2,
	TYPE_NONE = 0,
	TYPE_COMPONENT_3 = 0x32,
	TYPE_EXTENT_3 = 0x33,
	TYPE_DISK_3 = 0x34,
	TYPE_DISK_4 = 0x44,
	TYPE_GROUP_3 = 0x35,
	TYPE_GROUP_4 = 0x45,
	TYPE_VOLUME_5 = 0x51,
	VOLUME_HINT = 0x02,              /* optional fields, by the record's flags */
	VOLUME_ID_1 = 0x08,
	VOLUME_ID_2 = 0x20,
	VOLUME_COLUMN_SIZE = 0x80,
	COMPONENT_STRIPES = 0x10,
	EXTENT_COLUMN = 0x08,
	VOLUME_CRASHED = 1 << 2,         /* flags of the thing itself */
	COMPONENT_BAD = 0x02 | 0x04 | 0x08,      /* recover, iofail, pending */
	EXTENT_BAD = 0x08 | 0x10,                /* recover, kdetach */
	DISK_BAD = 0x100 | 0x200,                /* removed, detached */
	STATE_BYTES = 14,
	BINARY_GUID = 16,
};

/* --- Fields ------------------------------------------------------------------------------------------------------- */

static const uint8_t *var_bytes(struct rdr *r, size_t *ret_len)
{
	*ret_len = rdr_u8(r);
	return rdr_take(r, *ret_len);
}

static void var_skip(struct rdr *r)
{
	size_t len;
	(void)var_bytes(r, &len);
}

static uint64_t var_number(struct rdr *r, size_t max)
{
	size_t len;
	const uint8_t *p = var_bytes(r, &len);
	uint64_t v = 0;
	if (!p || len > max) {
		r->bad = true;
		return 0;
	}
	for (size_t i = 0; i < len; i++)
		v = v << 8 | p[i];
	return v;
}

static uint64_t var_u64(struct rdr *r)
{
	return var_number(r, 8);
}

static uint32_t var_u32(struct rdr *r)
{
	return (uint32_t)var_number(r, 4);
}

static void var_text(struct rdr *r, char to[LDM_NAME_MAX])
{
	size_t len;
	const uint8_t *p = var_bytes(r, &len);
	to[0] = '\0';
	if (p)
		text_label(to, LDM_NAME_MAX, p, len);
}

static uint64_t bytes_of(struct rdr *r, uint64_t blocks)
{
	if (blocks > INT64_MAX / LDM_BLOCK)
		r->bad = true;
	return r->bad ? 0 : blocks * LDM_BLOCK;
}

/* --- Records: rdr stands behind the record's head ----------------------------------------------------------------- */

static void volume_decode(struct rdr *r, unsigned flags, struct ldm_volume *v)
{
	v->id = var_u64(r);
	var_text(r, v->name);
	var_skip(r);
	var_skip(r);
	char state[STATE_BYTES + 1] = {0};
	rdr_copy(r, state, STATE_BYTES);
	rdr_skip(r, 1);
	(void)var_u32(r);
	v->crashed = (rdr_be32(r) & VOLUME_CRASHED) || strcmp(state, "ACTIVE") != 0;
	v->components = var_u32(r);
	rdr_skip(r, 16);
	v->size = bytes_of(r, var_u64(r));
	rdr_skip(r, 5);
	const uint8_t *guid = rdr_take(r, BINARY_GUID);
	if (guid)
		text_uuid(v->uuid, guid);
	if (flags & VOLUME_ID_1)
		var_skip(r);
	if (flags & VOLUME_ID_2)
		var_skip(r);
	if (flags & VOLUME_COLUMN_SIZE)
		var_skip(r);
	if (flags & VOLUME_HINT)
		var_text(r, v->hint);
}

static void component_decode(struct rdr *r, unsigned flags, struct ldm_component *c)
{
	char state[LDM_NAME_MAX];
	c->id = var_u64(r);
	var_skip(r);
	var_text(r, state);
	c->layout = rdr_u8(r);
	c->stale = (rdr_be32(r) & COMPONENT_BAD) || strcmp(state, "ACTIVE") != 0;
	c->extents = var_u32(r);
	rdr_skip(r, 16);
	c->volume = var_u64(r);
	(void)var_u64(r);
	if (flags & COMPONENT_STRIPES) {
		c->chunk = bytes_of(r, var_u64(r));
		c->columns = var_u32(r);
	}
}

static void extent_decode(struct rdr *r, unsigned flags, struct ldm_extent *x)
{
	x->id = var_u64(r);
	var_text(r, x->name);
	x->stale = rdr_be32(r) & EXTENT_BAD;
	rdr_skip(r, 8);
	x->start = bytes_of(r, rdr_be64(r));
	x->offset = bytes_of(r, rdr_be64(r));
	x->size = bytes_of(r, var_u64(r));
	x->component = var_u64(r);
	x->disk = var_u64(r);
	if (flags & EXTENT_COLUMN)
		x->column = var_u32(r);
	if (x->size == 0)
		r->bad = true;
}

static void disk_decode(struct rdr *r, unsigned type, struct ldm_disk_record *d)
{
	d->id = var_u64(r);
	var_text(r, d->name);
	if (type == TYPE_DISK_3) {
		size_t len;
		const uint8_t *p = var_bytes(r, &len);
		if (!p || !ldm_guid_text(d->uuid, p, len))
			r->bad = true;
	} else {
		const uint8_t *guid = rdr_take(r, BINARY_GUID);
		if (guid)
			text_uuid(d->uuid, guid);
		rdr_skip(r, BINARY_GUID);
	}
	var_skip(r);
	d->detached = rdr_be32(r) & DISK_BAD;
}

/* --- Into the database -------------------------------------------------------------------------------------------- */

/* list_at: the address of a list of db, for things of size `each`. A thing that was not all there is counted instead. */
static int keep(struct ldm_db *db, const struct rdr *r, void *list_at, unsigned *count, unsigned *cap, const void *thing,
                size_t each, struct err *e)
{
	void *list;
	if (r->bad) {
		db->damaged++;
		return 0;
	}
	memcpy(&list, list_at, sizeof(list));
	if (*count == *cap) {
		unsigned more = *cap ? *cap * 2 : 16;
		list = reallocarray(list, more, each);
		if (!list)
			return err_no_memory(e, "ldm");
		memcpy(list_at, &list, sizeof(list));
		*cap = more;
	}
	memcpy((char *)list + each * (*count)++, thing, each);
	return 0;
}

static int add(struct ldm_db *db, struct rdr *r, unsigned type, unsigned flags, struct err *e)
{
	struct ldm_volume v = {0};
	struct ldm_component c = {0};
	struct ldm_extent x = {0};
	struct ldm_disk_record d = {0};
	switch (type) {
	case TYPE_VOLUME_5:
		volume_decode(r, flags, &v);
		return keep(db, r, &db->volumes, &db->volume_count, &db->volume_cap, &v, sizeof(v), e);
	case TYPE_COMPONENT_3:
		component_decode(r, flags, &c);
		return keep(db, r, &db->components, &db->component_count, &db->component_cap, &c, sizeof(c), e);
	case TYPE_EXTENT_3:
		extent_decode(r, flags, &x);
		return keep(db, r, &db->extents, &db->extent_count, &db->extent_cap, &x, sizeof(x), e);
	case TYPE_DISK_3:
	case TYPE_DISK_4:
		disk_decode(r, type, &d);
		return keep(db, r, &db->disks, &db->disk_count, &db->disk_cap, &d, sizeof(d), e);
	case TYPE_GROUP_3:
	case TYPE_GROUP_4:
	case TYPE_NONE:
		return 0;
	default:
		db->unknown++;
		return 0;
	}
}

int ldm_record_add(struct ldm_db *db, const uint8_t *p, size_t len, bool committing, struct err *e)
{
	struct rdr r = rdr_init(p, len);
	unsigned status = rdr_be16(&r), flags = rdr_u8(&r), type = rdr_u8(&r);
	uint32_t size = rdr_be32(&r);
	if (status == (committing ? PENDING_DELETION : PENDING_ACTIVATION))
		return 0;
	if (r.bad || size > rdr_left(&r)) {
		db->damaged++;
		return 0;
	}
	if (db->volume_count + db->component_count + db->extent_count + db->disk_count == LDM_RECORDS_MAX)
		return err_set(e, ERR_VOLUME_UNSUPPORTED, "ldm",
		               "the database of the dynamic disk has more than %d records",
		               LDM_RECORDS_MAX);
	struct rdr body = rdr_init(p + r.off, size);
	return add(db, &body, type, flags, e);
}
