#include "volume/ident.h"

#include "volume/ident_src.h"
#include "volume/text.h"

#include <assert.h>
#include <stdio.h>

const uint8_t *ident_at(struct ident_src *s, uint64_t off, size_t len)
{
	assert(len <= IDENT_READ_MAX);
	if (s->failed != 0 || !range_inside(off, len, s->size))
		return NULL;
	if (range_inside(off, len, s->head_len))
		return s->head + off;
	s->failed = blk_read(s->blk, off, s->scratch, len, s->e);
	return s->failed == 0 ? s->scratch : NULL;
}

bool ident_is(struct ident_src *s, uint64_t off, const void *magic, size_t len)
{
	const uint8_t *p = ident_at(s, off, len);
	return p && memcmp(p, magic, len) == 0;
}

void ident_label(struct ident_src *s, struct volume_content *c, uint64_t off, size_t len)
{
	const uint8_t *p = ident_at(s, off, len);
	if (p)
		text_label(c->label, sizeof(c->label), p, len);
}

void ident_uuid(struct ident_src *s, struct volume_content *c, uint64_t off)
{
	const uint8_t *p = ident_at(s, off, 16);
	if (p)
		text_uuid(c->uuid, p);
}

static bool is_kind(struct ident_src *s, const struct ident_kind *k, struct volume_content *c)
{
	if (k->len > 0 && !ident_is(s, k->off, k->magic, k->len))
		return false;
	*c = (struct volume_content){0};
	(void)snprintf(c->type, sizeof(c->type), "%s", k->type);
	s->at = k->off;
	return (!k->more || k->more(s, c, k->off)) && s->failed == 0;
}

/* With `arrays`, only what spreads over several devices and has its signature at the end. */
static int look(struct ident_src *s, bool arrays, struct volume_content *ret)
{
	static const struct ident_kind *const lists[] = {ident_containers, ident_windows, ident_linux, ident_others};
	struct volume_content c;
	for (size_t i = 0; i < sizeof(lists) / sizeof(*lists); i++) {
		for (const struct ident_kind *k = lists[i]; k->type; k++) {
			if (arrays && strcmp(k->type, "linux_raid_member") != 0)
				continue;
			if (is_kind(s, k, &c)) {
				*ret = c;
				return 1;
			}
			if (s->failed < 0)
				return s->failed;
		}
	}
	return 0;
}

static int probe(struct blk *b, bool arrays, struct volume_content *ret, uint64_t *ret_at, struct err *e)
{
	CLEANUP(free_ptr) struct ident_src *s = calloc(1, sizeof(*s));
	/* Of an array only a few small pieces are looked at. */
	CLEANUP(free_ptr) uint8_t *head = arrays ? NULL : malloc(IDENT_HEAD);
	if (!s || (!head && !arrays))
		return err_no_memory(e, "ident");
	s->blk = b;
	s->size = b->size;
	s->head = head;
	s->head_len = arrays ? 0 : (size_t)min_u64(b->size, IDENT_HEAD);
	s->e = e;
	int r = blk_read(b, 0, head, s->head_len, e);
	if (r == 0)
		r = look(s, arrays, ret);
	if (r > 0)
		*ret_at = s->at;
	return r;
}

int ident_probe_at(struct blk *b, struct volume_content *ret, uint64_t *ret_at, struct err *e)
{
	return probe(b, false, ret, ret_at, e);
}

int ident_probe_array(struct blk *b, struct volume_content *ret, struct err *e)
{
	uint64_t at = 0;
	return probe(b, true, ret, &at, e);
}

int ident_probe(struct blk *b, struct volume_content *ret, struct err *e)
{
	uint64_t at = 0;
	return ident_probe_at(b, ret, &at, e);
}

const char *ident_human_name(const char *type)
{
	static const struct {
		const char *type;
		const char *name;
	} names[] = {
		{"LVM2_member", "LVM physical volume"},
		{"LVM1_member", "LVM physical volume (format 1)"},
		{"linux_raid_member", "Linux RAID member"},
		{"crypto_LUKS", "LUKS encrypted container"},
		{"BitLocker", "BitLocker encrypted volume"},
		{"LDM", "Windows dynamic disk"},
		{"storage_spaces", "Windows Storage Spaces pool"},
		{"bcache", "bcache device"},
		{"ddf_raid_member", "firmware RAID member (DDF)"},
		{"isw_raid_member", "firmware RAID member (Intel)"},
		{"drbd", "DRBD device"},
		{"vdo", "VDO device"},
		{"stratis", "Stratis pool"},
		{"zfs_member", "ZFS pool"},
		{"DM_verity_hash", "dm-verity hash tree"},
		{"VMFS", "VMware VMFS"},
		{"VMFS_volume_member", "VMware VMFS"},
		{"cs_fvault2", "FileVault encrypted volume"},
		{"swsuspend", "hibernation image in swap space"},
		{"xfs", "XFS"},
		{"xfs_external_log", "XFS journal"},
		{"jbd", "ext journal"},
		{"vfat", "FAT"},
		{"ntfs", "NTFS"},
		{"exfat", "exFAT"},
		{"apfs", "APFS"},
		{"hfs", "HFS"},
		{"hfsplus", "HFS+"},
		{"iso9660", "ISO 9660"},
		{"udf", "UDF"},
		{"ufs", "UFS"},
		{"squashfs", "SquashFS"},
		{"squashfs3", "SquashFS 3"},
		{"f2fs", "F2FS"},
		{"jfs", "JFS"},
		{"nilfs2", "NILFS2"},
		{"reiserfs", "ReiserFS"},
		{"reiser4", "Reiser4"},
		{"erofs", "EROFS"},
		{"minix", "Minix"},
		{"ocfs2", "OCFS2"},
		{"gfs2", "GFS2"},
	};
	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		if (strcmp(names[i].type, type) == 0)
			return names[i].name;
	}
	return type;
}
