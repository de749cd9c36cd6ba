/* Attributes. A file whose attributes do not fit one MFT record has an attribute list: for each attribute (and
 * each piece of a long run list) the record that holds it. */
#include "fs/ntfs/ntfs.h"

#include <inttypes.h>
#include <stdlib.h>

enum { ATTR_END = 0xFFFFFFFF, ATTR_HEADER = 24, ATTR_HEADER_NONRES = 64, LIST_ENTRY = 26 };

static int bad(uint64_t no, const char *what, struct err *e)
{
	return err_set(e, ERR_FILE_CORRUPT, "ntfs", "MFT record %" PRIu64 ": %s", no, what);
}

static int decode_nonresident(const uint8_t *p, uint32_t len, uint64_t no, struct ntfs_attr *a, struct err *e)
{
	if (len < ATTR_HEADER_NONRES)
		return bad(no, "an attribute is too short", e);
	uint16_t pairs = get_le16(p + 32);
	a->lowest = get_le64(p + 16);
	a->highest = get_le64(p + 24);
	a->unit_shift = p[34];
	a->allocated = get_le64(p + 40);
	a->size = get_le64(p + 48);
	a->initialised = get_le64(p + 56);
	a->stored = a->allocated;
	if (pairs < ATTR_HEADER_NONRES || pairs > len)
		return bad(no, "an attribute's run list lies outside it", e);
	a->pairs = p + pairs;
	a->pairs_len = len - pairs;
	if (a->lowest != 0)
		return 0;
	if ((a->flags & (NTFS_ATTR_COMPRESSED | NTFS_ATTR_SPARSE)) && len >= 72 && pairs >= 72)
		a->stored = get_le64(p + 64);
	if (a->size > INT64_MAX || a->allocated > INT64_MAX || a->stored > INT64_MAX)
		return bad(no, "an attribute has an impossible size", e);
	a->initialised = min_u64(a->initialised, a->size);
	return 0;
}

int ntfs_attr_decode(const uint8_t *rec, uint32_t used, size_t off, uint64_t no, struct ntfs_attr *ret,
                     uint32_t *ret_len, struct err *e)
{
	if (!range_inside(off, 4, used))
		return bad(no, "its attributes have no end", e);
	const uint8_t *p = rec + off;
	if (get_le32(p) == ATTR_END) {
		*ret_len = 0;
		return 0;
	}
	if (!range_inside(off, ATTR_HEADER, used))
		return bad(no, "an attribute is cut off", e);
	uint32_t len = get_le32(p + 4);
	if (len < ATTR_HEADER || len % 8 != 0 || len > used - off)
		return bad(no, "an attribute has an impossible length", e);
	struct ntfs_attr a = {
		.type = get_le32(p),
		.resident = p[8] == 0,
		.name_units = p[9],
		.flags = get_le16(p + 12),
		.instance = get_le16(p + 14),
	};
	uint16_t name_off = get_le16(p + 10);
	if (a.name_units > 0) {
		if (!range_inside(name_off, 2 * a.name_units, len))
			return bad(no, "an attribute's name lies outside it", e);
		a.name = p + name_off;
	}
	if (a.resident) {
		uint16_t value_off = get_le16(p + 20);
		a.value_len = get_le32(p + 16);
		if (!range_inside(value_off, a.value_len, len))
			return bad(no, "an attribute's value lies outside it", e);
		a.value = p + value_off;
		a.size = a.initialised = a.value_len;
	} else {
		int r = decode_nonresident(p, len, no, &a, e);
		if (r < 0)
			return r;
	}
	*ret = a;
	*ret_len = len;
	return 0;
}

static bool same_name(const uint8_t *a, unsigned a_units, const uint8_t *b, unsigned b_units)
{
	return a_units == b_units && (a_units == 0 || memcmp(a, b, 2 * a_units) == 0);
}

bool ntfs_attr_named(const struct ntfs_attr *a, const char *ascii)
{
	return ntfs_name_is(a->name, a->name_units, ascii);
}

/* One step through a single record. */
static int next_in_record(const uint8_t *rec, const struct ntfs_record *head, uint64_t no, uint32_t type, size_t *off,
                          struct ntfs_attr *ret, struct err *e)
{
	for (;;) {
		uint32_t len;
		int r = ntfs_attr_decode(rec, head->used, *off, no, ret, &len, e);
		if (r < 0 || len == 0)
			return r;
		*off += len;
		if (type == 0 || ret->type == type)
			return 1;
	}
}

/* Makes ino->ext the record that `ref` names, which has to belong to this file. */
static int load_extension(struct ntfs_inode *ino, uint64_t ref, struct err *e)
{
	uint64_t no = ntfs_ref_no(ref);
	if (ino->ext && ino->ext_no == no)
		return 0;
	if (!ino->ext && !(ino->ext = malloc(NTFS_RECORD_MAX)))
		return err_no_memory(e, "ntfs");
	ino->ext_no = UINT64_MAX;
	int r = ntfs_record_read(ino->ntfs, no, ino->ext, &ino->ext_head, e);
	if (r < 0)
		return r;
	if (!(ino->ext_head.flags & NTFS_RECORD_IN_USE) || ntfs_ref_no(ino->ext_head.base) != ino->no ||
	    (ntfs_ref_seq(ref) != 0 && ino->ext_head.seq != ntfs_ref_seq(ref)))
		return err_set(e, ERR_FILE_CORRUPT, "ntfs",
		               "MFT record %" PRIu64 " names record %" PRIu64 " as its extension, which is not", ino->no,
		               no);
	ino->ext_no = no;
	return 0;
}

struct list_entry {
	uint32_t type;
	uint16_t len, instance;
	unsigned name_units;
	const uint8_t *name;
	uint64_t lowest, ref;
};

/* 1, or 0 at the end. */
static int next_in_list(const struct ntfs_inode *ino, size_t *off, struct list_entry *ret, struct err *e)
{
	size_t left = ino->list_len - *off;
	if (left < LIST_ENTRY)
		return 0;
	const uint8_t *p = ino->list + *off;
	struct list_entry le = {
		.type = get_le32(p),
		.len = get_le16(p + 4),
		.name_units = p[6],
		.name = p + p[7],
		.lowest = get_le64(p + 8),
		.ref = get_le64(p + 16),
		.instance = get_le16(p + 24),
	};
	if (le.type == 0 || le.type == ATTR_END)
		return 0;
	if (le.len < LIST_ENTRY || le.len > left || (le.name_units && !range_inside(p[7], 2 * le.name_units, le.len)))
		return bad(ino->no, "its attribute list is malformed", e);
	*off += le.len;
	*ret = le;
	return 1;
}

static int attr_of_entry(struct ntfs_inode *ino, const struct list_entry *le, struct ntfs_attr *ret, struct err *e)
{
	const uint8_t *rec = ino->rec;
	const struct ntfs_record *head = &ino->head;
	uint64_t no = ino->no;
	if (ntfs_ref_no(le->ref) != ino->no) {
		int r = load_extension(ino, le->ref, e);
		if (r < 0)
			return r;
		rec = ino->ext;
		head = &ino->ext_head;
		no = ino->ext_no;
	}
	size_t off = head->first;
	for (;;) {
		int r = next_in_record(rec, head, no, le->type, &off, ret, e);
		if (r < 0)
			return r;
		if (r == 0)
			return bad(ino->no, "its attribute list names an attribute that is not there", e);
		if (ret->instance == le->instance && same_name(ret->name, ret->name_units, le->name, le->name_units) &&
		    (ret->resident ? le->lowest == 0 : ret->lowest == le->lowest))
			return 1;
	}
}

static bool wanted(const struct ntfs_attrs *it, uint32_t type, const uint8_t *name, unsigned name_units)
{
	if (it->type != 0 && it->type != type)
		return false;
	return !it->by_name || same_name(it->name, it->name_units, name, name_units);
}

int ntfs_attrs_next(struct ntfs_attrs *it, struct ntfs_attr *ret, struct err *e)
{
	struct ntfs_inode *ino = it->ino;
	if (it->seen++ >= NTFS_ATTRS_MAX)
		return err_set(e, ERR_LIMIT, "ntfs", "MFT record %" PRIu64 " has more than %d attributes", ino->no,
		               NTFS_ATTRS_MAX);
	int r;
	if (!ino->list) {
		if (it->off == 0)
			it->off = ino->head.first;
		while ((r = next_in_record(ino->rec, &ino->head, ino->no, it->type, &it->off, ret, e)) > 0)
			if (wanted(it, ret->type, ret->name, ret->name_units))
				break;
		return r;
	}
	/* By the list's own words, so that records of other attributes are not read. */
	struct list_entry le = {.type = 0};
	while ((r = next_in_list(ino, &it->off, &le, e)) > 0)
		if (wanted(it, le.type, le.name, le.name_units))
			return attr_of_entry(ino, &le, ret, e);
	return r;
}

int ntfs_attr_find(struct ntfs_inode *ino, uint32_t type, const uint8_t *name, unsigned name_units,
                   struct ntfs_attr *ret, struct err *e)
{
	struct ntfs_attrs it = {.ino = ino, .type = type, .by_name = true, .name = name, .name_units = name_units};
	int r = ntfs_attrs_next(&it, ret, e);
	/* Only the first piece of a run list knows the attribute's sizes. */
	if (r > 0 && !ret->resident && ret->lowest != 0)
		return bad(ino->no, "the first piece of an attribute is missing", e);
	return r;
}

int ntfs_inode_get(struct ntfs *ntfs, uint64_t no, uint16_t seq, struct ntfs_inode *ret, struct err *e)
{
	ret->ntfs = ntfs;
	ret->no = no;
	ret->list = ret->ext = NULL;
	ret->list_len = 0;
	int r = ntfs_record_read(ntfs, no, ret->rec, &ret->head, e);
	if (r < 0)
		return r;
	if (!(ret->head.flags & NTFS_RECORD_IN_USE))
		return bad(no, "the file it held is deleted", e);
	if (ret->head.base != 0)
		return bad(no, "it belongs to another file", e);
	if (seq != 0 && ret->head.seq != seq)
		return bad(no, "the file it held is gone, another took its place", e);
	uint8_t *list;
	size_t len;
	r = ntfs_attr_load(ret, NTFS_AT_ATTRIBUTE_LIST, "", NTFS_LIST_MAX, &list, &len, e);
	if (r <= 0)
		return r;
	ret->list = list;
	ret->list_len = len;
	return 0;
}

int ntfs_inode_get_id(struct ntfs *ntfs, struct fs_id id, struct ntfs_inode *ret, struct err *e)
{
	return ntfs_inode_get(ntfs, id.ino, (uint16_t)id.tree, ret, e);
}

void ntfs_inode_put(struct ntfs_inode *ino)
{
	free(ino->list);
	free(ino->ext);
	ino->list = ino->ext = NULL;
}
