/* The first bytes, LUKS1's header, and the layer. */
#include "volume/luks/luks.h"

#include "base/bytes.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static const uint8_t magic[6] = {'L', 'U', 'K', 'S', 0xba, 0xbe};

enum {
	LUKS1_HEADER = 592,
	LUKS1_SLOTS = 8,
	LUKS1_SLOT = 48,
	LUKS1_SLOTS_AT = 208,
	LUKS1_ACTIVE = 0x00ac71f3,
	LUKS1_STRIPES_MAX = 1 << 16,
	SECTOR = 512,
};

/* A text field of fixed length: printable ASCII, NUL-terminated inside it. */
static bool get_text(const uint8_t *p, size_t room, char *to, size_t size)
{
	size_t n = strnlen((const char *)p, room);
	if (n == room || n == 0 || n >= size)
		return false;
	for (size_t i = 0; i < n; i++)
		if (p[i] <= ' ' || p[i] > '~')
			return false;
	memcpy(to, p, n + 1);
	return true;
}

/* Where the last key slot in use ends. */
static int luks1_key_end(const uint8_t *p, uint32_t key_bytes, uint64_t *ret, struct err *e)
{
	uint64_t end = LUKS1_HEADER;
	for (unsigned i = 0; i < LUKS1_SLOTS; i++) {
		const uint8_t *slot = p + LUKS1_SLOTS_AT + i * LUKS1_SLOT;
		if (get_be32(slot) != LUKS1_ACTIVE)
			continue;
		uint32_t stripes = get_be32(slot + 44);
		if (stripes == 0 || stripes > LUKS1_STRIPES_MAX)
			return err_set(e, ERR_VOLUME_CORRUPT, "luks", "key slot %u of the LUKS header has %" PRIu32 " stripes", i,
			               stripes);
		uint64_t bytes = (uint64_t)key_bytes * stripes;
		bytes = (bytes + SECTOR - 1) / SECTOR * SECTOR;
		uint64_t slot_end = (uint64_t)get_be32(slot + 40) * SECTOR + bytes;
		if (slot_end > end)
			end = slot_end;
	}
	*ret = end;
	return 0;
}

static int luks1_header(struct blk *b, const uint8_t *p, struct luks_header *ret, struct err *e)
{
	char name[33], mode[33];
	struct luks_header h = {.version = 1, .sector_size = SECTOR};
	if (!get_text(p + 8, 32, name, sizeof(name)) || !get_text(p + 40, 32, mode, sizeof(mode)))
		return err_set(e, ERR_VOLUME_CORRUPT, "luks", "the LUKS header does not name its cipher");
	(void)snprintf(h.cipher, sizeof(h.cipher), "%.30s-%.32s", name, mode);
	h.key_bytes = get_be32(p + 108);
	if (h.key_bytes == 0 || h.key_bytes > VOLUME_MASTER_KEY_MAX)
		return err_set(e, ERR_VOLUME_CORRUPT, "luks", "the LUKS header says the key has %" PRIu32 " bytes", h.key_bytes);
	h.offset = (uint64_t)get_be32(p + 104) * SECTOR;
	if (h.offset == 0)
		return err_set(e, ERR_VOLUME_UNSUPPORTED, "luks", "this is a detached LUKS header: the data lies elsewhere");
	int r = luks1_key_end(p, h.key_bytes, &h.key_area_end, e);
	if (r < 0)
		return r;
	if (h.offset >= b->size || h.key_area_end > b->size)
		return err_set(e, ERR_VOLUME_CORRUPT, "luks", "the LUKS header names places behind the end of the volume");
	h.size = (b->size - h.offset) / SECTOR * SECTOR;
	*ret = h;
	return 0;
}

static int check_data(const struct luks_header *h, struct err *e)
{
	if (h->size < h->sector_size)
		return err_set(e, ERR_VOLUME_CORRUPT, "luks", "there is no data behind the LUKS header");
	return luks_cipher_check(h->cipher, e);
}

int luks_header_read(struct blk *b, struct luks_header *ret, struct err *e)
{
	uint8_t p[LUKS1_HEADER];
	struct luks_header h;
	if (b->size < sizeof(p))
		return err_set(e, ERR_VOLUME_CORRUPT, "luks", "the volume is too small for a LUKS header");
	int r = blk_read(b, 0, p, sizeof(p), e);
	if (r < 0)
		return r;
	if (memcmp(p, magic, sizeof(magic)) == 0 && get_be16(p + 6) == 1)
		r = luks1_header(b, p, &h, e);
	else
		r = luks2_header_read(b, &h, e);
	if (r == 0)
		r = check_data(&h, e);
	if (r == 0)
		*ret = h;
	return r;
}

/* --- the layer ------------------------------------------------------------------------------------ */

static int key_areas(struct blk *container, struct volume_range ret[VOLUME_KEY_AREAS_MAX], struct err *e)
{
	struct luks_header h;
	int r = luks_header_read(container, &h, e);
	if (r < 0)
		return r;
	ret[0] = (struct volume_range){.off = 0, .len = h.key_area_end};
	return 1;
}

static int unlock(struct blk *container, const uint8_t *master_key, size_t len, struct blk **ret, struct err *e)
{
	struct luks_header h;
	int r = luks_header_read(container, &h, e);
	return r < 0 ? r : luks_crypt_open(container, &h, master_key, len, ret, e);
}

const struct volume_layer volume_luks_layer = {
	.name = "luks",
	.types = {"crypto_LUKS"},
	.key_areas = key_areas,
	.unlock = unlock,
};
