/* Discovery with all layers: tables, contents, assembling; then every volume is read here and there, and every locked
 * one is given a key. An input is a disk as pieces.h takes it, or a machine's disks: "MACH", then for each a byte (bit 0: it is missing,
 * bit 1: its image is sealed), four bytes with its length, little endian, and its bytes. */
#include "pieces.h"
#include "volume/ident.h"
#include "volume_read.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum {
	KEY_BYTES = 64,
	DISKS_MAX = 8,
	DECRYPTED_MAX = 2,           /* containers that are said to hold what the first disk does */
	DISK_MISSING = 1,
	DISK_SEALED = 2,
};

struct machine {
	struct volume_disk disks[DISKS_MAX];
	unsigned count;
};

static void parse(const uint8_t *data, size_t size, struct machine *ret)
{
	static const char *const names[DISKS_MAX] = {"disk 0", "disk 1", "disk 2", "disk 3", "disk 4", "disk 5", "disk 6", "disk 7"};
	struct rdr r = rdr_init(data, size);
	ret->count = 0;
	if (size < 4 || memcmp(data, "MACH", 4) != 0) {
		ret->disks[ret->count++] = (struct volume_disk){.blk = pieces_open(data, size), .name = names[0]};
		return;
	}
	rdr_skip(&r, 4);
	while (ret->count < DISKS_MAX && rdr_left(&r) >= 5) {
		unsigned how = rdr_u8(&r);
		size_t said = rdr_le32(&r), n = min_size(said, rdr_left(&r));
		const uint8_t *p = rdr_take(&r, n);
		struct volume_disk *d = &ret->disks[ret->count];
		*d = (struct volume_disk){.blk = how & DISK_MISSING ? NULL : pieces_open(p, n), .name = names[ret->count]};
		d->sealed = d->blk && how & DISK_SEALED;
		if (!d->blk)
			d->missing = "it was left at home";
		ret->count++;
	}
}

/* Stands for the filesystem drivers. */
static int probe(void *arg, struct blk *b, struct volume_content *ret, struct err *e)
{
	uint8_t magic[2];
	(void)arg;
	if (b->size < 2048)
		return 0;
	int r = blk_read(b, 1080, magic, sizeof(magic), e);
	if (r < 0 || get_le16(magic) != 0xef53)
		return r;
	*ret = (struct volume_content){.type = "ext4", .supported = true};
	return 1;
}

static bool unlock(struct volume_set *s, unsigned number)
{
	static const uint8_t key[KEY_BYTES] = {1, 2, 3};
	struct volume_range areas[VOLUME_KEY_AREAS_MAX];
	struct err e = ERR_INIT;
	(void)volume_set_key_areas(s, number, areas, &e);
	for (size_t len = 16; len <= KEY_BYTES; len *= 2) {
		err_clear(&e);
		if (volume_set_unlock(s, number, key, len, &e) > 0)
			return true;
	}
	return false;
}

static void look(struct volume_set *s, struct blk *decrypted)
{
	unsigned given = 0;
	for (unsigned i = 0; i < s->count; i++) {
		const struct volume *v = &s->volumes[i];
		if (v->content.type[0])
			(void)ident_human_name(v->content.type);
		if (v->blk)
			volume_read_some(v->blk);
		if (!v->locked || unlock(s, i + 1) || given == DECRYPTED_MAX || !decrypted)
			continue;
		struct err e = ERR_INIT;
		given++;
		(void)volume_set_add_crypt(s, i + 1, decrypted, &e);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct machine m;
	struct volume_set *s = NULL;
	struct err e = ERR_INIT;
	parse(data, size, &m);
	if (m.count > 0 && (m.count > 1 || m.disks[0].blk) &&
	    volume_discover_machine(m.disks, m.count, probe, NULL, &s, &e) == 0)
		look(s, m.disks[0].blk);
	volume_set_free(s);
	for (unsigned i = 0; i < m.count; i++)
		blk_unref(m.disks[i].blk);
	return 0;
}
