/* Is it partitioned, or does one filesystem or container fill it? The first sector of a FAT, NTFS or exFAT volume looks
 * much like an MBR, remains of earlier uses lie about on disks, and an ISO image made for USB sticks is both. What
 * decides, in this order:
 *
 *	a GPT with its protective MBR        is one: two checksums.
 *	but: a RAID superblock in the back half, in no partition: the disk is a member of an array,
 *	     and the table belongs to the array;
 *	     an ISO 9660 or UDF filesystem, where an entry begins within its descriptors: a hybrid image.
 *	an MBR with entries                  is a table, with the same exceptions, and:
 *	     where the sector is the boot sector of a FAT, NTFS, exFAT, ReFS or BitLocker volume as well, only
 *	     a partition that holds something known makes it a table;
 *	     the same (for a GPT, too) where a RAID superblock lies in front of all partitions: mdadm leaves an older table.
 *	anything known to the probes         fills the disk.
 *	a GPT without its protective MBR     is one, with a warning.
 */
#include "volume/discover.h"

#include "base/bytes.h"
#include "volume/ident_src.h"

#include <inttypes.h>

enum { CONTENT_LOOKS_MAX = 16 };     /* partitions looked into to decide a tie */

struct whole {
	struct volume_set *set;
	struct blk *blk;
	struct mbr mbr;
	struct table table;              /* kind NULL: none */
	bool gpt_damaged;
};

static bool is_one_of(const char *type, const char *const *list)
{
	for (; *list; list++) {
		if (strcmp(type, *list) == 0)
			return true;
	}
	return false;
}

static bool covered(const struct table *t, uint64_t off)
{
	for (unsigned i = 0; i < t->count; i++) {
		const struct table_entry *n = &t->entries[i];
		if (!n->bad && off >= n->off && off - n->off < n->len)
			return true;
	}
	return false;
}

/* 1: some partition of t holds something known. */
static int holds_known(struct whole *w, const struct table *t, struct err *e)
{
	for (unsigned i = 0; i < t->count && i < CONTENT_LOOKS_MAX; i++) {
		const struct table_entry *n = &t->entries[i];
		struct volume_content content = {0};
		CLEANUP(blk_unref_p) struct blk *part = NULL;
		/* One that begins in the sector of the table itself would answer for the whole disk. */
		if (n->bad || n->off < TABLE_SECTOR || n->off >= w->blk->size)
			continue;
		int r = blk_slice_open(w->blk, n->off, min_u64(n->len, w->blk->size - n->off), &part, e);
		if (r == 0)
			r = volume_look(w->set, part, &content, e);
		if (r > 0)
			return 1;
		if (r < 0 && volume_fatal(e))
			return r;
		if (r < 0)
			err_clear(e);
	}
	return 0;
}

/* 1: although there is a table, the whole of it is one thing. */
static int content_wins(struct whole *w, struct err *e)
{
	static const char *const boot_sector[] = {"vfat", "ntfs", "exfat", "ReFS", "BitLocker", NULL};
	static const char *const hybrid[] = {"iso9660", "udf", NULL};
	const struct table *t = &w->table;
	struct volume_content c = {0};
	uint64_t at = 0;
	int r = ident_probe_at(w->blk, &c, &at, e);
	if (r < 0) {
		if (volume_fatal(e))
			return r;
		err_clear(e);
		return 0;
	}
	if (r == 0)
		return 0;
	bool array = strcmp(c.type, "linux_raid_member") == 0;
	if (array && (at > w->blk->size / 2 || covered(t, at)))
		return !covered(t, at);
	if (is_one_of(c.type, hybrid))
		return t->at_start;
	if (!array && (!is_one_of(c.type, boot_sector) || strcmp(t->kind, "gpt") == 0))
		return 0;
	r = holds_known(w, t, e);
	return r < 0 ? r : r == 0;
}

static bool fits(const struct table *t, uint64_t size)
{
	for (unsigned i = 0; i < t->count; i++) {
		if (t->entries[i].bad || !range_inside(t->entries[i].off, t->entries[i].len, size))
			return false;
	}
	return true;
}

/* An MBR does not say how large its sectors are. Where nothing is found with the usual ones, but something with 4096,
 * and all of it on the disk, these are meant. */
static int read_mbr(struct whole *w, struct err *e)
{
	int r = mbr_read(w->set, w->blk, &w->mbr, w->blk->sector_size, &w->table, e);
	if (r < 0 || w->blk->sector_size != 512 || w->table.count == 0)
		return r;
	r = holds_known(w, &w->table, e);
	if (r != 0)
		return r < 0 ? r : 0;
	/* Only the entries of the first sector: a chain read with the wrong size would add warnings. */
	struct mbr plain = w->mbr;
	for (unsigned i = 0; i < 4; i++) {
		if (plain.slots[i].type == 0x05 || plain.slots[i].type == 0x0f || plain.slots[i].type == 0x85)
			plain.slots[i].count = 0;
	}
	struct table large = {0};
	r = mbr_read(w->set, w->blk, &plain, 4096, &large, e);
	if (r < 0)
		return r;
	r = large.count > 0 && fits(&large, w->blk->size) ? holds_known(w, &large, e) : 0;
	table_free(&large);
	if (r <= 0)
		return r;
	volume_set_warn(w->set, "the partition table counts in sectors of 4096 bytes");
	table_free(&w->table);
	return mbr_read(w->set, w->blk, &w->mbr, 4096, &w->table, e);
}

/* What the first sector promises. */
static int find_table(struct whole *w, struct err *e)
{
	int r = 0;
	if (w->mbr.signature && w->mbr.protective)
		r = gpt_read(w->set, w->blk, &w->mbr, &w->table, &w->gpt_damaged, e);
	if (r != 0 || !w->mbr.sane || w->mbr.used == 0)
		return r < 0 ? r : 0;
	r = read_mbr(w, e);
	/* A protective MBR alone protects nothing that could be shown. */
	if (r == 0 && w->table.count == 0 && w->mbr.protective)
		table_free(&w->table);
	return r;
}

/* No table that the first sector vouches for, nothing known to the probes. */
static int last_resort(struct whole *w, const char **ret_why, struct err *e)
{
	if (!w->mbr.protective || !w->mbr.signature) {
		int r = gpt_read(w->set, w->blk, &w->mbr, &w->table, &w->gpt_damaged, e);
		if (r != 0)
			return r;
	}
	if (w->gpt_damaged)
		*ret_why = "its GUID partition table is damaged, and so is the backup of it";
	else if (w->mbr.signature && w->mbr.protective)
		*ret_why = "it has a protective MBR, but neither the GUID partition table nor the backup of it is there";
	else if (w->mbr.sane && w->mbr.used == 0)
		*ret_why = "it has a boot sector without partitions, and no filesystem is recognised";
	return 0;
}

static void say_what_is_odd(struct whole *w)
{
	if (w->table.backup)
		volume_set_warn(w->set, "the primary GPT header or its table is damaged; the backup is used");
	if (w->table.kind && w->table.no_protective && strcmp(w->table.kind, "gpt") == 0)
		volume_set_warn(w->set, "the GPT has no protective MBR");
	for (unsigned i = 0; i < w->table.count; i++) {
		for (unsigned k = 0; k < i; k++) {
			const struct table_entry *a = &w->table.entries[k], *b = &w->table.entries[i];
			if (!a->bad && !b->bad && a->off < b->off + b->len && b->off < a->off + a->len) {
				volume_set_warn(w->set, "partitions %u and %u overlap", a->number, b->number);
				return;
			}
		}
	}
}

static int read_first_sector(struct whole *w, struct err *e)
{
	uint8_t sector[TABLE_SECTOR];
	if (w->blk->size < sizeof(sector))
		return 0;
	int r = blk_read(w->blk, 0, sector, sizeof(sector), e);
	if (r == 0)
		mbr_decode(sector, &w->mbr);
	return r;
}

static int decide(struct whole *w, enum whole_kind *ret_kind, struct volume_content *ret_content, const char **ret_why,
                  struct err *e)
{
	*ret_kind = WHOLE_UNKNOWN;
	int r = read_first_sector(w, e);
	if (r == 0)
		r = find_table(w, e);
	if (r < 0)
		return r;
	if (w->table.kind) {
		r = content_wins(w, e);
		if (r < 0)
			return r;
		if (r == 0) {
			*ret_kind = WHOLE_TABLE;
			return 0;
		}
	}
	r = volume_look(w->set, w->blk, ret_content, e);
	if (r < 0 && volume_fatal(e))
		return r;
	if (r < 0) {
		volume_set_warn(w->set, "it cannot be told what fills the disk: %s", e->msg);
		err_clear(e);
		*ret_content = (struct volume_content){0};
	}
	if (r > 0) {
		*ret_kind = WHOLE_CONTENT;
		return 0;
	}
	if (w->table.kind) {
		*ret_kind = WHOLE_TABLE;
		return 0;
	}
	r = last_resort(w, ret_why, e);
	if (r > 0)
		*ret_kind = WHOLE_TABLE;
	return r < 0 ? r : 0;
}

int whole_examine(struct volume_set *s, struct blk *b, enum whole_kind *ret_kind, struct volume_content *ret_content,
                  struct table *ret_table, const char **ret_why, struct err *e)
{
	struct whole w = {.set = s, .blk = b};
	int r = decide(&w, ret_kind, ret_content, ret_why, e);
	if (r < 0 || *ret_kind != WHOLE_TABLE) {
		table_free(&w.table);
		return r;
	}
	say_what_is_odd(&w);
	*ret_table = w.table;
	return 0;
}
