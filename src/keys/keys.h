/* keys: from what a person knows to the key of the data, with libcryptsetup: the inside of sendense-keyhelper.
 *
 * libcryptsetup needs a path to open and likes to look around; it gets a process of its own that has nothing: no network, no
 * files but the copy of one header, no other programs, and that ends with its one answer.
 */
#ifndef KEYS_KEYS_H
#define KEYS_KEYS_H

#include "base/err.h"

#include <stddef.h>
#include <stdint.h>

enum { KEYS_MASTER_MAX = 512 };

/* Answers the one question (wire/keyhelper.h); the process's exit status. */
int keys_main(void);

/* What libraries load at their first use is loaded here, before the process is confined and reads a byte of a guest. */
void keys_warm_up(void);

/* The raw key of the LUKS container whose header is in `header_fd`. ERR_KEY_WRONG, ERR_VOLUME_CORRUPT,
 * ERR_VOLUME_UNSUPPORTED, ERR_NO_MEMORY. */
int keys_luks(int header_fd, const uint8_t *secret, size_t len, uint8_t ret[KEYS_MASTER_MAX], size_t *ret_len,
              struct err *e);

/* --- confine.c --- */

/* Gives up whatever is not needed any more. ERR_SANDBOX. */
int keys_confine(struct err *e);

#endif
