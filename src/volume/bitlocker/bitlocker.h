/* bitlocker: BitLocker and BitLocker To Go volumes of Windows Vista to 11.
 *
 * There is no specification by Microsoft. The facts are those of "BitLocker Drive Encryption (BDE) format specification"
 * (libbde), of Ferguson's "AES-CBC + Elephant diffuser" (2006) and of what dislocker and dissect.fve document of
 * volumes that are being converted.
 *
 *	sector 0                 names the places of three copies of the metadata ("-FVE-FS-", or a FAT boot sector: To Go)
 *	metadata                 what is encrypted and how; per protector (password, recovery key, …) the volume master key (VMK),
 *	                         sealed; the key of the data (FVEK), sealed with the VMK
 *	the first sectors        lie elsewhere, encrypted like all others; their own place is taken by sector 0
 *
 *	meta.c      sector 0, the best copy          eow.c        maps of a used-space-only conversion under way
 *	entry.c     the entries in it, protectors    elephant.c   the diffuser
 *	unseal.c    from a protector to the FVEK     crypt.c      the decrypting blk
 *	secret.c    what a person has                layer.c
 *
 * unseal.c and secret.c work in the key helper; in the worker only for a clear key, which is no secret.
 */
#ifndef VOLUME_BITLOCKER_BITLOCKER_H
#define VOLUME_BITLOCKER_BITLOCKER_H

#include "volume/layer.h"

enum {
	BITLOCKER_COPIES = 3,
	BITLOCKER_BLOCK = 64 << 10,          /* a copy of the metadata, at most */
	BITLOCKER_SECTOR_MAX = 4096,
	BITLOCKER_KEY_MAX = 64,
	BITLOCKER_VMK = 32,
	BITLOCKER_PROTECTORS_MAX = 32,       /* looked at */
	BITLOCKER_GUID = 16,
};

enum bitlocker_state {
	BITLOCKER_DECRYPTED = 1,
	BITLOCKER_CONVERTING = 2,            /* some sectors are in between */
};

enum bitlocker_method {
	BITLOCKER_CBC_128_ELEPHANT = 0x8000,
	BITLOCKER_CBC_256_ELEPHANT,
	BITLOCKER_CBC_128,
	BITLOCKER_CBC_256,
	BITLOCKER_XTS_128,
	BITLOCKER_XTS_256,
};

struct bitlocker_meta {
	unsigned version;                    /* 1: Vista */
	unsigned state;
	uint32_t method;                     /* enum bitlocker_method, unless decrypted */
	uint32_t sector_size;
	uint64_t size;                       /* of the volume: whole sectors of the container */
	uint64_t named_off[BITLOCKER_COPIES];    /* where sector 0 says the copies are */
	uint64_t copy_off[BITLOCKER_COPIES]; /* where a good copy says they are: multiples of the sector; 0: none */
	uint64_t copy_len;                   /* that much of each reads as zeroes */
	uint64_t moved_off, moved_len;       /* where the first moved_len bytes lie; 0, 0 for Vista */
	uint64_t plain_from;                 /* what lies behind is not encrypted */
	uint64_t between_len;                /* bytes from plain_from that are neither: BITLOCKER_CONVERTING */
	uint64_t mirror_lcn;                 /* Vista: what its sector 0 hides */
	bool on_write;                       /* encrypted as it is written: see eow.c */
	uint64_t eow_off[2];
	bool unreadable[BITLOCKER_COPIES];   /* the read of that copy failed */
	unsigned damaged;                    /* copies that were not usable */
	bool unchecked;                      /* the copy used has no good checksum, nor has another */
	size_t len;
	uint8_t entries[BITLOCKER_BLOCK];
};

/* Not the volume's fault: no reason to try it in another way. */
bool bitlocker_fatal(const struct err *e);

/* malloc'ed. ERR_VOLUME_CORRUPT, ERR_VOLUME_UNSUPPORTED; where no copy is good and one could not be read, why. */
int bitlocker_meta_read(struct blk *b, struct bitlocker_meta **ret, struct err *e);

/* --- entry.c --- */

enum bitlocker_entry_type { BITLOCKER_PROPERTY = 0, BITLOCKER_VMK_INFO = 2, BITLOCKER_FVEK = 3, BITLOCKER_MOVED = 15 };

enum bitlocker_value {
	BITLOCKER_VALUE_KEY = 1,
	BITLOCKER_VALUE_STRETCH = 3,
	BITLOCKER_VALUE_SEALED = 5,
	BITLOCKER_VALUE_VMK = 8,
	BITLOCKER_VALUE_EXTERNAL = 9,
	BITLOCKER_VALUE_PLACE = 15,
};

struct bitlocker_entry {
	uint16_t type, value;
	const uint8_t *data;                 /* behind its header */
	size_t len;
};

/* The next of a list; *at begins as 0. False at its end, and where it is damaged. */
bool bitlocker_entry_next(const uint8_t *p, size_t len, size_t *at, struct bitlocker_entry *ret);

/* What is sealed with AES-CCM. */
struct bitlocker_sealed {
	const uint8_t *nonce, *mac, *data;   /* 12, 16, len bytes */
	size_t len;
};

bool bitlocker_sealed_take(const struct bitlocker_entry *n, struct bitlocker_sealed *ret);

/* The kinds of protectors; all in the upper byte. */
enum {
	BITLOCKER_BY_CLEAR_KEY = 0,
	BITLOCKER_BY_TPM = 0x0100,
	BITLOCKER_BY_STARTUP_KEY = 0x0200,
	BITLOCKER_BY_PIN = 0x0400,           /* with BY_TPM */
	BITLOCKER_BY_RECOVERY_KEY = 0x0800,
	BITLOCKER_BY_PASSWORD = 0x2000,
};

struct bitlocker_protector {
	unsigned kind;
	const uint8_t *id;                   /* BITLOCKER_GUID bytes */
	const uint8_t *salt;                 /* 16 bytes, or NULL */
	bool pbkdf2;                         /* stretched in a way not known here */
	const uint8_t *clear;                /* BITLOCKER_VMK bytes, or NULL */
	struct bitlocker_sealed vmk;         /* data NULL: there is none */
};

/* The protectors in their order; *at begins as 0. */
bool bitlocker_protector_next(const struct bitlocker_meta *m, size_t *at, struct bitlocker_protector *ret);

/* "its password or the recovery key 3FD763F9-…": what opens it, for people. */
void bitlocker_describe(const struct bitlocker_meta *m, char *to, size_t size);
/* The way Windows writes a GUID; 37 bytes. */
void bitlocker_guid_text(const uint8_t id[BITLOCKER_GUID], char to[37]);

/* --- unseal.c, secret.c: to the key of the data. The caller wipes *ret. --- */

struct bitlocker_key {
	uint8_t bytes[BITLOCKER_KEY_MAX];
	size_t len;
};

size_t bitlocker_key_len(uint32_t method);   /* 0: not a method known here */

/* 1: opened; 0: it has no clear key; ERR_VOLUME_CORRUPT. */
int bitlocker_open_clear(const struct bitlocker_meta *m, struct bitlocker_key *ret, struct err *e);
/* ERR_KEY_WRONG; ERR_INVALID: it cannot be such a secret; ERR_VOLUME_CORRUPT. */
int bitlocker_open_password(const struct bitlocker_meta *m, const uint8_t *utf8, size_t len, struct bitlocker_key *ret,
                            struct err *e);
int bitlocker_open_recovery(const struct bitlocker_meta *m, const uint8_t *text, size_t len, struct bitlocker_key *ret,
                            struct err *e);
/* The bytes of a .BEK file. */
int bitlocker_open_startup(const struct bitlocker_meta *m, const uint8_t *file, size_t len, struct bitlocker_key *ret,
                           struct err *e);

/* One protector, its 32-byte key already made. 1 opened, 0 it is another key, ERR_VOLUME_CORRUPT, ERR_NO_MEMORY. */
int bitlocker_unseal(const struct bitlocker_meta *m, const struct bitlocker_protector *p, const uint8_t key[BITLOCKER_VMK],
                     struct bitlocker_key *ret, struct err *e);
/* The slow hash of passwords and recovery keys: from the SHA-256 of what was given. */
void bitlocker_stretch(const uint8_t initial[32], const uint8_t salt[16], uint8_t ret[32]);

/* --- eow.c --- */

struct bitlocker_range {
	uint64_t off, len;
};

struct bitlocker_region {
	uint64_t off, len;
	const uint8_t *bits;                 /* a bit a chunk, set: encrypted */
};

struct bitlocker_eow {
	uint64_t chunk;
	unsigned count, zero_count;
	struct bitlocker_region *regions;    /* ascending, apart; owned */
	struct bitlocker_range *zeroes;      /* the places of all this; owned */
	uint8_t *bits;                       /* owned */
};

int bitlocker_eow_read(struct blk *b, const struct bitlocker_meta *m, struct bitlocker_eow *ret, struct err *e);
void bitlocker_eow_free(struct bitlocker_eow *w);
/* Whether the byte at off is encrypted; *len is cut to where that holds. */
bool bitlocker_eow_encrypted(const struct bitlocker_eow *w, uint64_t off, uint64_t *len);

/* --- elephant.c, crypt.c --- */

/* Takes the diffuser off one sector, a power of two of bytes, after AES-CBC was taken off. */
void bitlocker_elephant(uint8_t *sector, size_t len, const uint8_t sector_key[32]);

/* The decrypted volume. key NULL: where nothing is encrypted. ERR_KEY_WRONG where the length does not fit. */
int bitlocker_crypt_open(struct blk *container, const struct bitlocker_meta *m, const uint8_t *key, size_t len,
                         struct blk **ret, struct err *e);

extern const struct volume_layer volume_bitlocker_layer;

#endif
