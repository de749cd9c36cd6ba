#include "fs/btrfs/btrfs.h"

#include "base/utf8.h"

#include <stdio.h>

void btrfs_uuid_text(const uint8_t u[16], char ret[BTRFS_UUID_TEXT])
{
	(void)snprintf(ret, BTRFS_UUID_TEXT, "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", u[0], u[1],
	               u[2], u[3], u[4], u[5], u[6], u[7], u[8], u[9], u[10], u[11], u[12], u[13], u[14], u[15]);
}

/* Without the spaces at the end, as libblkid gives it. */
static void print_label(char *to, const uint8_t *label, size_t size)
{
	size_t len = strnlen((const char *)label, size - 1), out = 0;
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

int btrfs_probe(struct blk *b, struct fs_ident *ret, struct err *e)
{
	enum { SCORE_SURE = FS_PROBE_SURE, SCORE_MAGIC = 60 };
	struct btrfs_super s;
	struct err why = ERR_INIT;
	int r = btrfs_super_find(b, &s, &why, e);
	if (r < 0 || (r == 0 && !why.code))
		return r;
	struct fs_ident id = {.type = "btrfs"};
	if (r == 1) {
		print_label(id.label, s.label, sizeof(s.label));
		btrfs_uuid_text(s.fsid, id.uuid);
		id.size = s.total_bytes;
		id.devices = s.num_devices;
		id.device = s.devid;
		btrfs_uuid_text(s.dev_uuid, id.device_uuid);
		id.seed = s.flags & BTRFS_SEEDING;
	}
	*ret = id;
	return r == 1 && !why.code ? SCORE_SURE : SCORE_MAGIC;
}
