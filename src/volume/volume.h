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
	VOLUME_REASON_MAX = 512,
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
	/* From the probe, for whoever gave it; zero otherwise: */
	const void *reader;                  /* that driver */
	uint64_t devices;                    /* the filesystem lies on; 0: never more than one */
	bool seed;                           /* other filesystems may be based on it */
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
	char reason[VOLUME_REASON_MAX];      /* why it is not supported, "" where it is */
	struct blk *blk;                     /* its bytes; NULL where they cannot be had */
};

struct volume_set {
	struct volume *volumes;              /* volumes[number - 1]; they do not move when the set grows */
	unsigned count;
	char *warnings[16];                  /* "primary GPT header damaged, backup used" …; owned */
	unsigned warning_count;
	struct blk **disks;                  /* references; NULL: missing */
	unsigned disk_count;
	/* private: what discovery has to remember to go on after an unlock */
	struct volume_engine *engine;
};

/* Says what b holds: > 0 known (*ret filled), 0 not known, < 0 the source failed. */
typedef int volume_probe_fn(void *arg, struct blk *b, struct volume_content *ret, struct err *e);

/* `probe` is asked first for every block source (the worker passes the filesystem drivers); what it does
 * not know is looked up in the table of ident.h. `probe` and `arg` must outlive the set: unlocking goes on
 * discovering. The sector_size of a disk is set to 4096 where its partition table shows that. */
int volume_discover(struct blk *const *disks, unsigned disk_count, volume_probe_fn *probe, void *arg,
                    struct volume_set **ret, struct err *e);

/* A disk of a machine. */
struct volume_disk {
	struct blk *blk;             /* borrowed; NULL: missing */
	const char *name;            /* what people call it, "disk 1" */
	const char *missing;         /* why it has no blk */
	bool sealed;                 /* its image is encrypted: it is one locked container until volume_set_add_crypt() */
};

/* The same for the disks of one machine, some of which may be missing: such a one is a volume of its own without bytes, and a
 * warning; what needs it and cannot do without says so. A disk whose first sectors cannot be read counts as missing, unless it is
 * the only one. ERR_IMAGE_UNREADABLE: all are missing. */
int volume_discover_machine(const struct volume_disk *disks, unsigned disk_count, volume_probe_fn *probe, void *arg,
                            struct volume_set **ret, struct err *e);
void volume_set_free(struct volume_set *s);
CLEANUP_DEFINE(volume_set_free, struct volume_set *)

/* --- Encrypted containers (volume->locked) ----------------------------------------------------------
 *
 * Turning what a person knows into the key of the data is slow and hungry (argon2id: 1 GiB), and is done with
 * libcryptsetup, which the worker does not link. So there are two steps:
 *
 *	worker                                   helper process
 *	volume_set_key_areas() ── those bytes ─▶ a sparse file of the container's size
 *	                                         + struct volume_key ─▶ master key
 *	volume_set_unlock() ◀─────────────────── master key, no guest bytes
 *
 * Both may be repeated with another key after ERR_KEY_WRONG. Numbers never change: what is found inside gets
 * new ones behind those in use.
 */
enum volume_key_kind {
	VOLUME_KEY_PASSPHRASE,
	VOLUME_KEY_RECOVERY,         /* BitLocker: 48 digits, with or without dashes */
	VOLUME_KEY_FILE,             /* the bytes of a key file */
	VOLUME_KEY_STARTUP,          /* BitLocker: the bytes of a .BEK file */
};

struct volume_key {
	enum volume_key_kind kind;
	const uint8_t *bytes;        /* borrowed; wiped by its owner */
	size_t len;
};

enum {
	VOLUME_KEY_AREAS_MAX = 8,
	VOLUME_KEY_AREA_BYTES_MAX = 32 << 20,    /* all areas of a container together */
	VOLUME_MASTER_KEY_MAX = 512,
};

/* Bytes of a container, from its start. */
struct volume_range {
	uint64_t off;
	uint64_t len;
};

/* Which bytes of container `number` hold its encryption header and key slots. Returns how many of ret were
 * filled, at most VOLUME_KEY_AREAS_MAX; they lie inside the container and within the ceiling.
 * ERR_VOLUME_NOT_FOUND, ERR_INVALID (is no locked container), ERR_VOLUME_CORRUPT, … */
int volume_set_key_areas(struct volume_set *s, unsigned number, struct volume_range ret[VOLUME_KEY_AREAS_MAX],
                         struct err *e);

/* Opens container `number` with the raw key of its data (checked against the header's digest where it has one:
 * ERR_KEY_WRONG) and discovers what is inside. Returns the number of the VOLUME_CRYPT volume, > 0; the number it
 * already had where the container is open. */
int volume_set_unlock(struct volume_set *s, unsigned number, const uint8_t *master_key, size_t len, struct err *e);

/* The same for bytes decrypted elsewhere: attaches them as the child of container `number`. Takes its own
 * reference on `decrypted`. */
int volume_set_add_crypt(struct volume_set *s, unsigned number, struct blk *decrypted, struct err *e);

#endif
