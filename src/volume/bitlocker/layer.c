#include "volume/bitlocker/bitlocker.h"

#include "base/bytes.h"

enum { SECTOR_0 = 512 };

/* Things people should know of a volume that could be read. */
static void warn(struct volume_set *s, unsigned number, const struct bitlocker_meta *m)
{
	if (m->unchecked)
		volume_set_warn(s, "volume %u: no copy of the BitLocker metadata has a good checksum; the first is used as it is",
		                number);
	else if (m->damaged > 0)
		volume_set_warn(s, "volume %u: %u of the %d copies of the BitLocker metadata are damaged", number, m->damaged,
		                BITLOCKER_COPIES);
	if (m->between_len > 0)
		volume_set_warn(s,
		                "volume %u: BitLocker was converting it when the backup was taken; %llu bytes at %llu were in between "
		                "and read as zeroes",
		                number, (unsigned long long)m->between_len, (unsigned long long)m->plain_from);
	if (m->on_write && m->state != BITLOCKER_DECRYPTED)
		volume_set_warn(s,
		                "volume %u: BitLocker was encrypting it when the backup was taken; what was being written at that "
		                "moment may read wrong",
		                number);
}

/* 1: open without a key; 0: it needs one. */
static int open_without_key(struct blk *b, const struct bitlocker_meta *m, struct blk **ret, struct err *e)
{
	if (m->state == BITLOCKER_DECRYPTED) {
		int r = bitlocker_crypt_open(b, m, NULL, 0, ret, e);
		return r < 0 ? r : 1;
	}
	struct bitlocker_key key;
	int r = bitlocker_open_clear(m, &key, e);
	if (r > 0) {
		r = bitlocker_crypt_open(b, m, key.bytes, key.len, ret, e);
		r = r < 0 ? r : 1;
	}
	explicit_bzero(&key, sizeof(key));
	return r;
}

static int look_at(struct volume_set *s, const struct volume_member *v, struct err *e)
{
	CLEANUP(free_ptr) struct bitlocker_meta *m = NULL;
	CLEANUP(blk_unref_p) struct blk *open = NULL;
	int r = bitlocker_meta_read(v->blk, &m, e);
	if (r == 0)
		r = open_without_key(v->blk, m, &open, e);
	if (r < 0)
		return r;
	warn(s, v->number, m);
	if (r > 0) {
		r = volume_set_add_opened(s, &volume_bitlocker_layer, v->number, open, e);
		return r < 0 ? r : 0;
	}
	char by[VOLUME_TEXT_MAX];
	bitlocker_describe(m, by, sizeof(by));
	volume_set_explain(s, v->number, "it is encrypted; it opens with %s", by);
	return 0;
}

/* Suspended and decrypted volumes open here; of the others it is said which keys they take. */
static int assemble(struct volume_set *s, const struct volume_member *members, unsigned count, struct err *e)
{
	for (unsigned i = 0; i < count; i++) {
		if (!members[i].volume->locked)
			continue;
		int r = look_at(s, &members[i], e);
		if (r < 0 && bitlocker_fatal(e))
			return r;
		if (r < 0) {
			volume_set_explain(s, members[i].number, "%.*s", VOLUME_TEXT_MAX - 1, e->msg);
			err_clear(e);
		}
	}
	return 0;
}

static int key_areas(struct blk *container, struct volume_range ret[VOLUME_KEY_AREAS_MAX], struct err *e)
{
	CLEANUP(free_ptr) struct bitlocker_meta *m = NULL;
	int r = bitlocker_meta_read(container, &m, e);
	if (r < 0)
		return r;
	int n = 0;
	ret[n++] = (struct volume_range){.off = 0, .len = SECTOR_0};
	for (unsigned i = 0; i < BITLOCKER_COPIES; i++) {
		uint64_t off = m->named_off[i];
		if (off != 0 && off < container->size && !m->unreadable[i])
			ret[n++] = (struct volume_range){.off = off, .len = min_u64(BITLOCKER_BLOCK, container->size - off)};
	}
	return n;
}

static int unlock(struct blk *container, const uint8_t *master_key, size_t len, struct blk **ret, struct err *e)
{
	CLEANUP(free_ptr) struct bitlocker_meta *m = NULL;
	int r = bitlocker_meta_read(container, &m, e);
	return r < 0 ? r : bitlocker_crypt_open(container, m, master_key, len, ret, e);
}

const struct volume_layer volume_bitlocker_layer = {
	.name = "bitlocker",
	.types = {"BitLocker"},
	.assemble = assemble,
	.key_areas = key_areas,
	.unlock = unlock,
};
