/* layer: how volume managers and encryption plug into discovery.
 *
 * Discovery (discover.c) works in rounds on one flat list of volumes:
 *
 *	     disks
 *	       │ partition tables
 *	       ▼
 *	 ┌─▶ examine   each new volume: what does it hold? (probe, then ident.h)
 *	 │     │       a filesystem                  → supported, done
 *	 │     │       a content type of a layer     → container; a *member* of that layer
 *	 │     │       an LV, array or opened container with a partition table → its partitions, new volumes
 *	 │     │       anything else                 → listed with a reason
 *	 │     ▼
 *	 │   assemble  each layer that got a new member since it was last asked, in the order of volume_layers,
 *	 │     │       is handed ALL its members of all disks, and adds children
 *	 │     │ volume_set_add_child()
 *	 └─────┘       until a round adds nothing                            (VOLUME_ROUNDS_MAX, VOLUME_DEPTH_MAX)
 *
 *	 unlock        a master key arrives: the layer gives the decrypted bytes, the engine adds them as
 *	               a VOLUME_CRYPT child, and the rounds go on from there.
 *
 * So every stack works without a layer knowing of another: LVM on LUKS on md on partitions is four rounds.
 *
 * What a layer has to keep to:
 *
 *   - Assembling is repeated with more members when later rounds (or an unlock) turn up more. It keeps no state between
 *     calls: each child carries an `identity` that is the same each time (the LV's UUID, say). A child whose identity is
 *     there already is dropped by the engine; one that was there without bytes (blk == NULL: a member was missing) gets
 *     them now and keeps its number.
 *   - Children are added in the order people know them by (the order in the metadata): it decides the numbers.
 *   - Missing or contradictory members are no failure: a child with blk == NULL and a reason, or volume_set_explain() on
 *     the members. The same member twice (two snapshots of one disk) is such a contradiction: the first one counts,
 *     with a warning.
 *   - Member bytes are hostile: sizes, counts and depths in them are checked before anything is derived from them. The
 *     child's blk maps ranges that lie inside the members, or reads fail with ERR_VOLUME_CORRUPT.
 *   - It holds its own references on member blks it maps (blk_ref).
 *
 * An encryption layer (LUKS, BitLocker) has `unlock` and `key_areas`. Its members are shown as locked. `assemble` is
 * optional for it: to open what needs no key (a suspended BitLocker volume has its key in the clear), by volume_set_add_opened().
 *
 * A new layer: a folder src/volume/<name>/ that defines `const struct volume_layer volume_<name>_layer`, one
 * line in layers.c, its sources in meson.build.
 */
#ifndef VOLUME_LAYER_H
#define VOLUME_LAYER_H

#include "volume/volume.h"

enum {
	VOLUME_LAYER_TYPES_MAX = 6,
	VOLUME_IDENTITY_MAX = 128,
	VOLUME_ROUNDS_MAX = 16,      /* of one discovery or unlock; a stack needs one a level */
};

/* A container that a layer claimed. Everything is borrowed for the call; blk may be kept by blk_ref(). */
struct volume_member {
	unsigned number;                 /* in the set: the child's parent, volume_set_explain() */
	const struct volume *volume;     /* type, uuid, partition …; its blk is below */
	struct blk *blk;                 /* the member's bytes, never NULL */
	struct blk *disk;                /* the whole disk it lies on: LDM keeps its database outside the partitions */
};

struct volume_child {
	enum volume_kind kind;
	unsigned parent;                         /* number of a member: of several, the first one */
	char identity[VOLUME_IDENTITY_MAX];      /* unique within the layer, not empty */
	char name[VOLUME_TEXT_MAX];              /* UTF-8, "vg/lv" */
	char uuid[40];                           /* the child's own (LV, array); shown as part_uuid; "" for none */
	uint64_t size;                           /* bytes; taken from blk where there is one */
	struct blk *blk;                         /* its bytes, or NULL with a reason */
	char reason[VOLUME_REASON_MAX];          /* why blk is NULL */
	bool incomplete;                         /* it is for want of a member: missing disks are named behind the reason */
};

struct volume_layer {
	const char *name;                                  /* "lvm", "md", "ldm", "luks", "bitlocker" */
	const char *types[VOLUME_LAYER_TYPES_MAX + 1];     /* content types it claims, NULL-terminated */

	/* Called with all members in order of their number, count >= 1. A failure (other than ERR_NO_MEMORY, ERR_CANCELLED,
	 * ERR_TIMEOUT, which end the discovery) becomes the reason of each member that has no child. */
	int (*assemble)(struct volume_set *s, const struct volume_member *members, unsigned count, struct err *e);

	/* As volume_set_key_areas(); the engine checks that the ranges lie inside the container and within the ceilings. */
	int (*key_areas)(struct blk *container, struct volume_range ret[VOLUME_KEY_AREAS_MAX], struct err *e);

	/* The decrypted bytes of the container as a new blk (a reference for the caller). ERR_KEY_WRONG where the key
	 * can be told to be wrong. */
	int (*unlock)(struct blk *container, const uint8_t *master_key, size_t len, struct blk **ret, struct err *e);
};

/* Every layer, NULL-terminated, in the order they are asked within a round. */
extern const struct volume_layer *const volume_layers[];

/* --- What a layer may call while it assembles -------------------------------------------------------- */

/* Adds or completes a child; takes its own reference on child->blk. Returns its number, > 0. A full list (VOLUME_MAX) or
 * a stack too deep (VOLUME_DEPTH_MAX) is ERR_LIMIT: a layer passes it on. */
int volume_set_add_child(struct volume_set *s, const struct volume_layer *layer, const struct volume_child *child,
                         struct err *e);

/* The VOLUME_CRYPT child of an encrypted container that is open without a key. Returns its number. */
int volume_set_add_opened(struct volume_set *s, const struct volume_layer *layer, unsigned container,
                          struct blk *decrypted, struct err *e);

/* Says why a member could not be used. Forgotten before each assembling: what holds must be said again. A member that is
 * not explained gets a reason of its own: that its volumes are listed, or that there are none. */
void volume_set_explain(struct volume_set *s, unsigned number, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* Adds a warning to the set; the same text is added once, those past the ceiling are dropped. */
void volume_set_warn(struct volume_set *s, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* volume_discover() with another list of layers: tests. */
int volume_discover_layers(struct blk *const *disks, unsigned disk_count, const struct volume_layer *const *layers,
                           volume_probe_fn *probe, void *arg, struct volume_set **ret, struct err *e);

#endif
