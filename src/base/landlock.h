/* landlock: a ruleset that denies everything this kernel's Landlock can deny (Linux, Documentation/userspace-api/landlock.rst):
 * files, from ABI 4 on TCP, from ABI 6 on signals and abstract sockets to outside. What a process needs is allowed by rules
 * before landlock_enter(). */
#ifndef BASE_LANDLOCK_H
#define BASE_LANDLOCK_H

#include <stdbool.h>

/* A descriptor for the caller to close, or -1 with errno: EOPNOTSUPP where the kernel has no Landlock. */
int landlock_ruleset(void);
bool landlock_missing(int errnum);
/* Confines the calling thread and what it starts; 0, or -1 with errno. Needs no_new_privs. */
int landlock_enter(int ruleset);

#endif
