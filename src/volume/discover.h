/* discover: what the files of volume share with each other; layer.h is what layers may use. Internal to volume. */
#ifndef VOLUME_DISCOVER_H
#define VOLUME_DISCOVER_H

#include "volume/layer.h"
#include "volume/table.h"

enum { VOLUME_LAYERS_MAX = 16 };

/* Kept beside each volume. */
struct volume_state {
	unsigned depth;                          /* containers above it */
	bool examined;
	const struct volume_layer *member_of;    /* the layer that claimed it */
	const struct volume_layer *made_by;      /* the layer whose child it is */
	char identity[VOLUME_IDENTITY_MAX];
};

struct volume_engine {
	const struct volume_layer *const *layers;
	volume_probe_fn *probe;
	void *arg;
	struct volume_state *states;             /* VOLUME_MAX, as volumes, and behind them in their block */
	unsigned assembled[VOLUME_LAYERS_MAX];   /* members each layer had when it was last asked */
	const char *about;                       /* the disk being looked at, of several: warnings begin with its name */
	unsigned missing_count;                  /* disks that are not there */
	char missing[VOLUME_TEXT_MAX];           /* their names */
	char missing_why[VOLUME_TEXT_MAX];       /* of the first one */
};

/* Errors that end a discovery; all others become the reason of a volume. */
bool volume_fatal(const struct err *e);

/* A new volume, numbered, zeroed otherwise; NULL and ERR_LIMIT past VOLUME_MAX. */
struct volume *volume_set_new(struct volume_set *s, struct err *e);

/* What b holds, by the probe of the caller, then by ident. As volume_probe_fn. */
int volume_look(struct volume_set *s, struct blk *b, struct volume_content *ret, struct err *e);

enum whole_kind {
	WHOLE_UNKNOWN,       /* neither; *ret_why says more where there is more */
	WHOLE_CONTENT,
	WHOLE_TABLE,
};

/* A block source that may be partitioned or hold one thing. Fills *ret_content or *ret_table (for table_free). */
int whole_examine(struct volume_set *s, struct blk *b, enum whole_kind *ret_kind, struct volume_content *ret_content,
                  struct table *ret_table, const char **ret_why, struct err *e);

/* Examines what is new and assembles, until nothing is added. */
int volume_set_run(struct volume_set *s, struct err *e);

#endif
