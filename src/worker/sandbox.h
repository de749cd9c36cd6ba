/* sandbox: what a worker gives up before it reads the first byte of an image.
 *
 *	descriptors above the control socket closed → new IPC, mount and UTS namespaces and an empty root (where
 *	allowed) → user and groups dropped (as root), capabilities dropped → no core dumps, limits → no_new_privs
 *	→ Landlock: no path, no port → seccomp: an allow-list → self-test
 *
 * What remains: reading the descriptors that arrive over the socket, memory (within a limit), threads, and
 * answering. Anything else ends the process with SIGSYS, which the hub sees and says.
 */
#ifndef WORKER_SANDBOX_H
#define WORKER_SANDBOX_H

#include "base/err.h"

#include <stdbool.h>
#include <stdint.h>

enum sandbox_layers {
	SANDBOX_UNPRIVILEGED = 1 << 0,   /* not root any more, or never was */
	SANDBOX_NAMESPACES = 1 << 1,
	SANDBOX_LANDLOCK = 1 << 2,
	SANDBOX_SECCOMP = 1 << 3,
	SANDBOX_EMPTY_ROOT = 1 << 4,
};

/* Enters, sandbox_end_with_parent() on the way. sockets: talking over connected sockets that arrive is allowed, too (a worker that reads an
 * image over one). seccomp is never optional; Landlock and namespaces are left out where the kernel has none, and the answer says what
 * holds. ERR_SANDBOX where a layer that exists cannot be had. */
int sandbox_enter(bool sockets, uint32_t *ret_layers, struct err *e);
/* The process is killed when the thread that started it ends: whatever it does, for whoever has taken it over cannot take that back. */
int sandbox_end_with_parent(struct err *e);

/* Tries to open a path and to make a socket. ERR_SANDBOX if either works. */
int sandbox_self_test(struct err *e);

#endif
