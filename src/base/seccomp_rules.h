/* Rules that the system call filters of the worker, the key helper and the image helper have in common. In a header, because only
 * programs that make a filter link libseccomp.
 *
 * Each adds to ctx and returns 0 or libseccomp's negative errno.
 */
#ifndef BASE_SECCOMP_RULES_H
#define BASE_SECCOMP_RULES_H

#include <errno.h>
#include <linux/sched.h>
#include <sched.h>
#include <seccomp.h>
#include <sys/mman.h>

/* These calls, whatever their arguments. */
static inline int seccomp_allow(scmp_filter_ctx ctx, const int *calls, unsigned count)
{
	int r = 0;
	for (unsigned i = 0; i < count && r == 0; i++)
		r = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, calls[i], 0);
	return r;
}

/* Threads, not processes. glibc tries clone3 first, whose flags a filter cannot see, and falls back. */
static inline int seccomp_allow_threads(scmp_filter_ctx ctx)
{
	int r = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(clone), 1,
	                         SCMP_A0(SCMP_CMP_MASKED_EQ, CLONE_THREAD | CLONE_VM, CLONE_THREAD | CLONE_VM));
	return r < 0 ? r : seccomp_rule_add(ctx, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0);
}

/* Memory, but none that can be executed, ever. */
static inline int seccomp_allow_data(scmp_filter_ctx ctx)
{
	int r = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(mmap), 1, SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
	return r < 0 ? r : seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(mprotect), 1, SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
}

/* abort(): a failed assertion says so with SIGABRT. Only of process `own`. */
static inline int seccomp_allow_abort(scmp_filter_ctx ctx, pid_t own)
{
	return seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(tgkill), 1, SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)own));
}

#endif
