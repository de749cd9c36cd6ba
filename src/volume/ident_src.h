/* ident_src: what the probes of ident.h share. Internal to volume. */
#ifndef VOLUME_IDENT_SRC_H
#define VOLUME_IDENT_SRC_H

#include "base/bytes.h"
#include "volume/ident.h"

enum {
	IDENT_HEAD = 72 << 10,       /* read at once: nearly every magic lies there */
	IDENT_READ_MAX = 4096,
};

struct ident_src {
	struct blk *blk;
	uint64_t size;
	uint8_t *head;
	size_t head_len;
	uint64_t at;                 /* where the magic that was found lies */
	struct err *e;
	int failed;                  /* the first error of a read, sticky */
	uint8_t scratch[IDENT_READ_MAX];
};

/* len bytes at off, good until the next call; NULL beyond the end, or when a read failed. len <= IDENT_READ_MAX. */
const uint8_t *ident_at(struct ident_src *s, uint64_t off, size_t len);

/* Whether the bytes at off are these. */
bool ident_is(struct ident_src *s, uint64_t off, const void *magic, size_t len);

/* Label and UUID from places in the source; nothing where they are not there. */
void ident_label(struct ident_src *s, struct volume_content *c, uint64_t off, size_t len);
void ident_uuid(struct ident_src *s, struct volume_content *c, uint64_t off);

/* A kind of content. It is accepted where the magic matches (len 0: always) and `more`, where there is one, says so;
 * `more` also fills label and uuid. c->type is set to `type` beforehand and may be changed. */
struct ident_kind {
	const char *type;
	uint64_t off;
	const char *magic;
	size_t len;
	bool (*more)(struct ident_src *s, struct volume_content *c, uint64_t off);
};

/* In the order they are asked; type NULL ends a list. Containers first: what is in them may show through. */
extern const struct ident_kind ident_containers[];
extern const struct ident_kind ident_windows[];
extern const struct ident_kind ident_linux[];
extern const struct ident_kind ident_others[];

/* LUKS2 whose first header was overwritten: asked after the filesystems, since it may as well be a remnant. */
bool ident_luks2_second(struct ident_src *s, struct volume_content *c, uint64_t off);

/* ident_probe() that also says where the magic lies. */
int ident_probe_at(struct blk *b, struct volume_content *ret, uint64_t *ret_at, struct err *e);

#endif
