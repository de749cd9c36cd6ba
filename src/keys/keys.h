/* keys: from what a person knows to the key of the data: the inside of sendense-keyhelper.
 *
 * LUKS with libcryptsetup, which needs a path to open and likes to look around; BitLocker with volume/bitlocker, which reads all
 * three copies of its metadata (libcryptsetup the first alone) and knows volumes under conversion. It is a process of its own that
 * has nothing: no network, no files but the copy of one header, no other programs, and that ends with its one answer.
 */
#ifndef KEYS_KEYS_H
#define KEYS_KEYS_H

#include "base/err.h"

#include <stddef.h>
#include <stdint.h>

enum { KEYS_MASTER_MAX = 512 };

/* What a person has, as wire/keyhelper.h brings it. */
struct keys_secret {
	uint32_t kind;               /* enum keyhelper_secret */
	const uint8_t *bytes;
	size_t len;
};

/* Answers the one question (wire/keyhelper.h); the process's exit status. */
int keys_main(void);

/* What libraries load at their first use is loaded here, before the process is confined and reads a byte of a guest. */
void keys_warm_up(void);

/* The raw key of the LUKS container whose header is in `header_fd`. ERR_KEY_WRONG, ERR_VOLUME_CORRUPT,
 * ERR_VOLUME_UNSUPPORTED, ERR_NO_MEMORY. */
int keys_luks(int header_fd, const struct keys_secret *secret, uint8_t ret[KEYS_MASTER_MAX], size_t *ret_len,
              struct err *e);

/* 1: the same for a BitLocker volume; ERR_INVALID: a mistyped recovery key. 0: it is none. */
int keys_bitlocker(int header_fd, const struct keys_secret *secret, uint8_t ret[KEYS_MASTER_MAX], size_t *ret_len,
                   struct err *e);

/* --- confine.c --- */

/* Gives up whatever is not needed any more. ERR_SANDBOX. */
int keys_confine(struct err *e);

#endif
