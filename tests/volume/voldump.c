/* Lists what discovery finds on disks, for the shell tests. No filesystem drivers: the names are those of ident.h.
 *
 *	voldump IMAGE…          key=value lines, an empty line between volumes; warnings as "warning=…"
 *	voldump --cat NAME IMAGE…   the bytes of the volume of that name, by reads of odd sizes; then by extents, which must agree; and
 *	                            reads at odd places, which must agree with sectors read one by one
 *	voldump --ident IMAGE   the whole file as one content: TYPE=, LABEL=, UUID=
 */
#include "volume/ident.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static struct blk *open_image(const char *path)
{
	struct err e = ERR_INIT;
	struct stat st;
	struct blk *b = NULL;
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) < 0 || blk_fd_open(fd, (uint64_t)st.st_size, &b, &e) < 0) {
		(void)fprintf(stderr, "voldump: cannot open %s %s\n", path, e.msg);
		return NULL;
	}
	return b;
}

static int ident(struct blk *b)
{
	struct err e = ERR_INIT;
	struct volume_content c = {0};
	int r = ident_probe(b, &c, &e);
	if (r < 0)
		(void)fprintf(stderr, "voldump: %s\n", e.msg);
	if (r > 0)
		printf("TYPE=%s\nLABEL=%s\nUUID=%s\n", c.type, c.label, c.uuid);
	return r < 0 ? 1 : 0;
}

static void print(const struct volume *v)
{
	printf("number=%u\ndisk=%u\nparent=%u\nkind=%s\npartition=%u\ntable=%s\nname=%s\n", v->number, v->disk, v->parent,
	       volume_kind_name(v->kind), v->partition, v->table, v->name);
	printf("part_type=%s\npart_type_name=%s\npart_uuid=%s\noffset=%" PRIu64 "\nsize=%" PRIu64 "\n", v->part_type,
	       v->part_type_name, v->part_uuid, v->offset, v->size);
	printf("TYPE=%s\nLABEL=%s\nUUID=%s\nlocked=%d\ncontainer=%d\nbytes=%d\nsector_size=%u\nreason=%s\n\n", v->content.type,
	       v->content.label, v->content.uuid, v->locked, v->container, v->blk != NULL,
	       v->blk ? v->blk->sector_size : 0, v->reason);
}

static bool reads_agree(struct blk *b, uint64_t off, const uint8_t *want, size_t len, struct err *e)
{
	static uint8_t again[1 << 20];
	for (size_t at = 0; at < len;) {
		struct blk_extent ext;
		size_t n = len - at;
		if (blk_extent(b, off + at, n, &ext, e) < 0)
			return false;
		n = (size_t)ext.len;
		if (ext.kind != BLK_DATA)
			memset(again, 0, n);
		else if (ext.fd >= 0 ? pread(ext.fd, again, n, (off_t)ext.host_off) != (ssize_t)n :
		                       blk_read(b, off + at, again, n, e) < 0)
			return false;
		if (memcmp(again, want + at, n) != 0)
			return false;
		at += n;
	}
	return true;
}

/* What a read gives does not hang on where it begins and ends. */
static bool places_agree(struct blk *b, struct err *e)
{
	enum { ROUNDS = 64, LEN_MAX = 192 << 10, PIECE = 512 };
	static uint8_t whole[LEN_MAX], piece[PIECE];
	uint64_t x = 0x9e3779b97f4a7c15;
	for (unsigned i = 0; i < ROUNDS && b->size > 1; i++) {
		x = x * 6364136223846793005U + 1442695040888963407U;
		uint64_t off = (x >> 20) % b->size;
		size_t len = 1 + (size_t)(x >> 40) % (i % 4 == 0 ? LEN_MAX : LEN_MAX / 16);
		len = b->size - off < len ? (size_t)(b->size - off) : len;
		if (blk_read(b, off, whole, len, e) < 0)
			return false;
		for (size_t at = 0, n; at < len; at += n) {
			n = PIECE - (size_t)((off + at) % PIECE);
			n = n < len - at ? n : len - at;
			if (blk_read(b, off + at, piece, n, e) < 0 || memcmp(piece, whole + at, n) != 0)
				return false;
		}
	}
	return true;
}

static int cat(const struct volume_set *s, const char *name)
{
	static uint8_t buf[1 << 20];
	struct err e = ERR_INIT;
	const struct volume *v = NULL;
	for (unsigned i = 0; i < s->count && !v; i++)
		v = strcmp(s->volumes[i].name, name) == 0 ? &s->volumes[i] : NULL;
	if (!v || !v->blk) {
		(void)fprintf(stderr, "voldump: %s has no bytes: %s\n", name, v ? v->reason : "not there");
		return 1;
	}
	size_t step = 1013;
	for (uint64_t off = 0; off < v->blk->size; step = step * 7 % (sizeof(buf) - 1) + 1) {
		size_t n = v->blk->size - off < step ? (size_t)(v->blk->size - off) : step;
		if (blk_read(v->blk, off, buf, n, &e) < 0 || !reads_agree(v->blk, off, buf, n, &e) || fwrite(buf, 1, n, stdout) != n) {
			(void)fprintf(stderr, "voldump: %s at %" PRIu64 ": %s\n", name, off, e.code ? e.msg : "extents and reads differ");
			return 1;
		}
		off += n;
	}
	if (!places_agree(v->blk, &e)) {
		(void)fprintf(stderr, "voldump: %s: %s\n", name, e.code ? e.msg : "reads at odd places differ");
		return 1;
	}
	return fflush(stdout) == 0 ? 0 : 1;
}

static int volumes(struct blk **disks, unsigned n, const char *name)
{
	struct err e = ERR_INIT;
	struct volume_set *s = NULL;
	if (volume_discover(disks, n, NULL, NULL, &s, &e) < 0) {
		(void)fprintf(stderr, "voldump: %s\n", e.msg);
		return 1;
	}
	int status = name ? cat(s, name) : 0;
	for (unsigned i = 0; !name && i < s->count; i++)
		print(&s->volumes[i]);
	for (unsigned i = 0; !name && i < s->warning_count; i++)
		printf("warning=%s\n", s->warnings[i]);
	volume_set_free(s);
	return status;
}

int main(int argc, char **argv)
{
	struct blk *disks[VOLUME_DISKS_MAX];
	unsigned n = 0;
	bool whole = argc == 3 && strcmp(argv[1], "--ident") == 0;
	const char *name = argc > 3 && strcmp(argv[1], "--cat") == 0 ? argv[2] : NULL;
	for (int i = whole ? 2 : name ? 3 : 1; i < argc && n < VOLUME_DISKS_MAX; i++, n++) {
		disks[n] = open_image(argv[i]);
		if (!disks[n])
			return 1;
	}
	if (n == 0)
		return 2;
	int status = whole ? ident(disks[0]) : volumes(disks, n, name);
	for (unsigned i = 0; i < n; i++)
		blk_unref(disks[i]);
	return status;
}
