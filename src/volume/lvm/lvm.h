/* lvm: volume groups of LVM2.
 *
 *	PV label ─▶ metadata areas ─▶ text, newest seqno of each VG ─▶ LVs ─▶ segments ─▶ blk
 *	 pv.c            pv.c           text.c, vg.c                    lv.c   segment.c, pool.c
 *
 * Every visible LV becomes a child "vg/lv"; hidden ones (images, metadata of pools, pvmove) only carry others. An LV
 * is put together at most once and remembered, with its bytes or with the reason why it has none: a loop between
 * LVs is found by that, and the depth is bounded.
 *
 * Sources: lvm2, lib/format_text/layout.h and lib/label/label.h (on-disk structures), lib/format_text/export.c (the text),
 * the segment types' *_text_export; lvmraid(7), lvmthin(7), lvmcache(7).
 */
#ifndef VOLUME_LVM_LVM_H
#define VOLUME_LVM_LVM_H

#include "volume/layer.h"
#include "volume/lvm/text.h"

enum {
	LVM_UUID_LEN = 38,               /* "xxxxxx-xxxx-xxxx-xxxx-xxxx-xxxx-xxxxxx" */
	LVM_AREAS_MAX = 8,               /* metadata areas of one PV; lvm2 makes at most 2 */
	LVM_LVS_MAX = 8192,
	LVM_PVS_MAX = 4096,              /* of a VG, present or not */
	LVM_VGS_MAX = VOLUME_MAX,
	LVM_TEXT_TOTAL_MAX = 64 << 20,   /* of all metadata read in one go */
	LVM_SEGMENTS_MAX = 1 << 18,      /* of one LV */
	LVM_AREAS_OF_SEGMENT_MAX = 256,
	LVM_LV_DEPTH_MAX = 12,           /* LVs in LVs: thin → pool → raid → image is 4 */
	LVM_SECTOR = 512,
};

extern const struct volume_layer volume_lvm_layer;

/* --- A physical volume (pv.c) ------------------------------------------------------------------------------- */

struct lvm_pv {
	const struct volume_member *member;
	char uuid[LVM_UUID_LEN + 1];
	struct volume_range areas[LVM_AREAS_MAX];
	unsigned area_count;
};

/* Reads the label and the PV header. */
int lvm_pv_read(const struct volume_member *m, struct lvm_pv *ret, struct err *e);

/* The committed metadata in an area: a malloc'ed text. 0: none there. 1: *ret filled. A damaged area is ERR_VOLUME_CORRUPT. */
int lvm_area_read(struct blk *b, const struct volume_range *area, char **ret_text, size_t *ret_len, struct err *e);

uint32_t lvm_crc(uint32_t crc, const void *p, size_t len);

/* --- A volume group (vg.c) ------------------------------------------------------------------------------------ */

struct lvm_vg_pv {
	struct lvm_str name;             /* "pv0" */
	char uuid[LVM_UUID_LEN + 1];
	char device[VOLUME_TEXT_MAX];    /* where it was last seen: "/dev/sdb" */
	uint64_t start;                  /* byte of its first extent */
	uint64_t extents;
	const struct volume_member *member;    /* NULL: missing */
};

enum lvm_lv_state { LVM_LV_NEW, LVM_LV_BUSY, LVM_LV_DONE };

struct lvm_lv {
	struct lvm_str name;
	char uuid[LVM_UUID_LEN + 1];
	uint32_t node;
	bool visible;
	uint64_t extents;
	struct lvm_lv *snapshot;         /* the hidden LV "snapshotN" whose exceptions this one stores */
	struct lvm_lv *merging;          /* the same, where it is merging back into this one */
	/* The outcome: */
	enum lvm_lv_state state;
	struct blk *blk;                 /* owned reference, or NULL with why */
	struct err why;
};

struct lvm_vg {
	char *text;                      /* owned; everything points into it */
	size_t text_len;
	uint32_t crc;                    /* of the text as it was: copies of it need not be parsed again */
	struct lvm_tree tree;
	uint32_t node;                   /* the VG's section */
	char name[LVM_NAME_MAX];
	char uuid[LVM_UUID_LEN + 1];
	int64_t seqno;
	uint64_t extent_size;            /* bytes */
	struct lvm_vg_pv *pvs;           /* sorted by name */
	unsigned pv_count;
	struct lvm_lv *lvs;              /* in the order of the metadata */
	struct lvm_lv **by_name;         /* sorted */
	unsigned lv_count;
	struct volume_set *set;          /* for warnings; borrowed for one assemble */
};

/* Takes over text (also where it fails). Reads the head of the VG only: name, UUID, seqno. */
int lvm_vg_parse(char *text, size_t len, struct lvm_vg *ret, struct err *e);
/* Reads PVs and LVs. */
int lvm_vg_load(struct lvm_vg *vg, struct err *e);
void lvm_vg_free(struct lvm_vg *vg);

struct lvm_vg_pv *lvm_vg_pv(const struct lvm_vg *vg, struct lvm_str name);
struct lvm_lv *lvm_vg_lv(const struct lvm_vg *vg, struct lvm_str name);

/* --- Logical volumes (lv.c) and their segments (segment.c, raid.c, pool.c) ------------------------------------- */

struct lvm_segment {
	uint32_t node;
	struct lvm_str type;             /* flags behind a "+" cut off */
	uint64_t start, extents;
	uint64_t size;                   /* bytes */
};

/* The LV's bytes, borrowed from it. Fails with what stands in the way; the same each time. */
int lvm_lv_blk(struct lvm_vg *vg, struct lvm_lv *lv, unsigned depth, struct blk **ret, struct err *e);

/* The same by name. */
int lvm_lv_blk_named(struct lvm_vg *vg, struct lvm_str name, unsigned depth, struct blk **ret, struct err *e);

/* The segment described at a node of the tree, checked. */
int lvm_segment_read(const struct lvm_vg *vg, const struct lvm_lv *lv, uint32_t node, struct lvm_segment *ret, struct err *e);

/* The bytes of one segment: a range of *ret, which is a reference for the caller. NULL: it reads as zeroes. */
int lvm_segment_open(struct lvm_vg *vg, struct lvm_lv *lv, const struct lvm_segment *s, unsigned depth, struct blk **ret,
                     uint64_t *ret_off, struct err *e);

/* Where a segment lies: in a PV, or in another LV. */
struct lvm_area {
	struct lvm_str name;
	uint64_t extent;
};

/* For the types the name says; each makes a blk of the segment's size. */
int lvm_raid_open(struct lvm_vg *vg, struct lvm_lv *lv, const struct lvm_segment *s, unsigned depth, struct blk **ret,
                  struct err *e);

int lvm_thin_open(struct lvm_vg *vg, const struct lvm_segment *s, unsigned depth, struct blk **ret, struct err *e);
int lvm_cache_open(struct lvm_vg *vg, const struct lvm_segment *s, unsigned depth, struct blk **ret, struct err *e);
int lvm_snapshot_open(struct lvm_vg *vg, const struct lvm_segment *s, unsigned depth, struct blk **ret, struct err *e);

/* While a snapshot merges back into lv, whose own bytes are `base`, lv reads as the snapshot. */
int lvm_merging_open(struct lvm_vg *vg, const struct lvm_lv *lv, struct blk *base, unsigned depth, struct blk **ret,
                     struct err *e);

#endif
