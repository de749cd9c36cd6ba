/* volume: what lies on a disk: partitions, volumes of volume managers, encrypted containers,
 * filesystems, found by looking at the bytes, as one flat list in which each entry names its parent.
 *
 *	disk → GPT / MBR partition → (LVM, md, LUKS, BitLocker, …) → filesystem
 *
 * Discovery never fails for what it finds: a damaged table or an unknown content is an entry with
 * `supported == false` and a reason. It fails only where a disk cannot be read at all, or without memory.
 *
 * Ownership: the set owns its volumes and holds references on the disks.
 * Threads: as blk.
 */
#ifndef VOLUME_VOLUME_H
#define VOLUME_VOLUME_H

#include "base/err.h"
#include "blk/blk.h"

#include <stdbool.h>
#include <stdint.h>

enum {
	VOLUME_MAX = 512,            /* volumes of one set */
	VOLUME_DEPTH_MAX = 8,        /* containers in containers */
	VOLUME_DISKS_MAX = 64,
	VOLUME_TEXT_MAX = 256,
};

enum volume_kind {
	VOLUME_DISK,                 /* a filesystem (or container) on the whole disk */
	VOLUME_PARTITION,
	VOLUME_LV,                   /* LVM logical volume */
	VOLUME_MD,                   /* Linux md array */
	VOLUME_CRYPT,                /* the opened inside of an encrypted container */
	VOLUME_LDM,                  /* volume of a Windows dynamic disk */
};

const char *volume_kind_name(enum volume_kind k);    /* "disk", "partition", "lv", "md", "crypt", "ldm" */

/* What a block source holds, said by whoever can tell (the filesystem drivers, then ident_probe). */
struct volume_content {
	char type[24];                       /* "ext4", "LVM2_member", "crypto_LUKS", "swap", … as libblkid; "" unknown */
	char label[VOLUME_TEXT_MAX];         /* UTF-8 */
	char uuid[40];
	bool supported;                      /* a filesystem driver reads it */
};

struct volume {
	unsigned number;                     /* 1 …, the `volume` of the API, in discovery order */
	unsigned disk;                       /* 0-based, index into the disks passed in */
	unsigned parent;                     /* number of the container it lies in, 0 for the disk itself */
	enum volume_kind kind;
	unsigned partition;                  /* number in its table (MBR logical ones from 5), 0 for none */
	char table[8];                       /* "gpt", "mbr", "" */
	char name[VOLUME_TEXT_MAX];          /* GPT partition name, "vg/lv", md name */
	char part_type[40];                  /* GPT type GUID or "0x07" */
	char part_type_name[48];             /* "EFI System", "Microsoft basic data", … "" unknown */
	char part_uuid[40];
	uint64_t offset;                     /* bytes from the start of its parent; 0 for what has no such place */
	uint64_t size;                       /* bytes */
	struct volume_content content;
	bool locked;                         /* encrypted container, no key yet */
	bool container;                      /* holds further volumes, has no files of its own */
	char reason[VOLUME_TEXT_MAX];        /* why it is not supported, "" where it is */
	struct blk *blk;                     /* its bytes; NULL where they cannot be had */
};

struct volume_set {
	struct volume *volumes;
	unsigned count;
	char *warnings[16];                  /* "primary GPT header damaged, backup used" …; owned */
	unsigned warning_count;
	/* private: references on the disks */
	struct blk **disks;
	unsigned disk_count;
};

/* Says what b holds: > 0 known (*ret filled), 0 not known, < 0 the source failed. */
typedef int volume_probe_fn(void *arg, struct blk *b, struct volume_content *ret, struct err *e);

/* `probe` is asked first for every block source (the worker passes the filesystem drivers); what it does
 * not know is looked up in the table of ident.h. */
int volume_discover(struct blk *const *disks, unsigned disk_count, volume_probe_fn *probe, void *arg,
                    struct volume_set **ret, struct err *e);
void volume_set_free(struct volume_set *s);
CLEANUP_DEFINE(volume_set_free, struct volume_set *)

#endif
