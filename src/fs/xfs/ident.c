#include "fs/xfs/xfs.h"

#include "base/utf8.h"

#include <stdio.h>

static void print_uuid(char *to, size_t size, const uint8_t *u)
{
	static const uint8_t zero[16];
	to[0] = '\0';
	if (memcmp(u, zero, sizeof(zero)) == 0)
		return;
	(void)snprintf(to, size, "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", u[0], u[1], u[2], u[3],
	               u[4], u[5], u[6], u[7], u[8], u[9], u[10], u[11], u[12], u[13], u[14], u[15]);
}

/* Without the spaces at the end, as libblkid gives it. */
static void print_label(char *to, const uint8_t *label, size_t size)
{
	size_t len = strnlen((const char *)label, size), out = 0;
	while (len > 0 && (label[len - 1] == ' ' || (label[len - 1] >= '\t' && label[len - 1] <= '\r')))
		len--;
	for (size_t i = 0; i < len;) {
		unsigned n = utf8_sequence(label + i, len - i);
		if (n == 0)
			to[out++] = '?';
		else
			memcpy(to + out, label + i, n);
		out += n;
		i += n ? n : 1;
	}
	to[out] = '\0';
}

static void fill(struct fs_ident *ret, const struct xfs_super *s)
{
	struct fs_ident id = {.type = "xfs"};
	print_label(id.label, s->label, sizeof(s->label));
	print_uuid(id.uuid, sizeof(id.uuid), s->uuid);
	if (!u64_mul(s->dblocks, s->block_size, &id.size))
		id.size = 0;
	*ret = id;
}

int xfs_probe(struct blk *b, struct fs_ident *ret, struct err *e)
{
	enum { SCORE_SURE = FS_PROBE_SURE, SCORE_MAGIC = 60, SCORE_COPY = 10 };
	struct xfs_super s = {0};
	struct err why = ERR_INIT;
	int r = xfs_super_find(b, &s, &why, e);
	if (r < 0)
		return r;
	if (r == 1) {
		fill(ret, &s);
		return why.code ? SCORE_COPY : s.v5 ? SCORE_SURE : SCORE_SURE - 5;
	}
	if (why.code != ERR_FS_UNSUPPORTED)
		return 0;
	/* Ours, but not to be opened. */
	uint8_t raw[XFS_SUPER_SIZE];
	r = blk_read(b, 0, raw, sizeof(raw), e);
	if (r < 0)
		return r;
	xfs_super_names(raw, &s);
	fill(ret, &s);
	return SCORE_MAGIC;
}
