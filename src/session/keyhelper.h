/* keyhelper: asks sendense-keyhelper, started for the one question, for the key of a container. */
#ifndef SESSION_KEYHELPER_H
#define SESSION_KEYHELPER_H

#include "base/err.h"
#include "session/session.h"
#include "wire/wire.h"

enum { KEYHELPER_TIMEOUT_MS = 60000 };

/* header_fd: a memfd as wire/keyhelper.h wants it. The helper is dead and gone on return, whatever it did. ERR_KEY_WRONG, ERR_VOLUME_CORRUPT, ERR_VOLUME_UNSUPPORTED,
 * ERR_NO_MEMORY, ERR_TIMEOUT, ERR_WORKER_START. The caller wipes ret. */
int keyhelper_ask(const char *program, unsigned timeout_ms, int header_fd, const struct session_key *secret,
                  uint8_t ret[WIRE_KEY_MAX], size_t *ret_len, struct err *e);

#endif
