/* Scope cleanup: the destructor runs when the variable leaves its scope.
 *
 *	CLEANUP(free_ptr) char *name = NULL;
 *	CLEANUP(fd_close) int fd = -1;
 *
 * A library makes its own with CLEANUP_DEFINE(blk_unref, struct blk *): CLEANUP(blk_unref_p).
 */
#ifndef BASE_CLEANUP_H
#define BASE_CLEANUP_H

#include <stdlib.h>
#include <unistd.h>

#define CLEANUP(fn) __attribute__((cleanup(fn)))

/* Makes `fn_p(type *)`, which calls `fn` on the variable; fn must accept NULL. */
#define CLEANUP_DEFINE(fn, type)                                                                   \
	static inline void fn##_p(type *p)                                                         \
	{                                                                                          \
		fn(*p);                                                                            \
	}

static inline void free_ptr(void *p)
{
	free(*(void **)p);
}

static inline void fd_close(const int *fd)
{
	if (*fd >= 0)
		(void)close(*fd);
}

/* Hands an owned pointer over: yields its value and leaves NULL behind. */
#define STEAL(ptr)                                                                                 \
	({                                                                                         \
		__typeof__(ptr) stolen_ = (ptr);                                                   \
		(ptr) = NULL;                                                                      \
		stolen_;                                                                           \
	})

/* The same for a descriptor. */
static inline int fd_steal(int *fd)
{
	int stolen = *fd;
	*fd = -1;
	return stolen;
}

#endif
