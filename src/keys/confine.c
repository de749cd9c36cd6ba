/* The helper's walls: limits, an unprivileged user, Landlock without a single rule, a list of system calls. */
#include "keys/keys.h"

#include "base/cleanup.h"
#include "base/landlock.h"
#include "base/seccomp_rules.h"
#include "wire/keyhelper.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <poll.h>
#include <seccomp.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#else
#define SANITIZED 0
#endif

enum { NOBODY = 65534, FILES_MAX = 32, CPU_SECONDS_MAX = 300, NICENESS = 10 };

static int set_limit(int what, rlim_t value, struct err *e)
{
	struct rlimit limit = {.rlim_cur = value, .rlim_max = value};
	if (setrlimit((__rlimit_resource_t)what, &limit) == 0)
		return 0;
	return err_set_errno(e, ERR_SANDBOX, errno, "keys", "cannot set a limit");
}

static int set_limits(struct err *e)
{
	int r = set_limit(RLIMIT_CORE, 0, e);
	if (r == 0)
		r = set_limit(RLIMIT_NOFILE, FILES_MAX, e);
	if (r == 0)
		r = set_limit(RLIMIT_CPU, CPU_SECONDS_MAX, e);
	/* AddressSanitizer reserves terabytes. */
	if (r == 0 && !SANITIZED)
		r = set_limit(RLIMIT_AS, (rlim_t)KEYHELPER_MEMORY_MAX << 30, e);
	return r;
}

static int drop_user(struct err *e)
{
	if (geteuid() == 0 || getuid() == 0) {
		if (setgroups(0, NULL) < 0 || setresgid(NOBODY, NOBODY, NOBODY) < 0 || setresuid(NOBODY, NOBODY, NOBODY) < 0)
			return err_set_errno(e, ERR_SANDBOX, errno, "keys", "cannot drop root");
	}
	struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = {{0}};
	if (syscall(SYS_capset, &head, none) < 0)
		return err_set_errno(e, ERR_SANDBOX, errno, "keys", "cannot drop capabilities");
	return 0;
}

/* No path of a file system can be opened any more. The memfd can: it is of none. */
static int enter_landlock(struct err *e)
{
	CLEANUP(fd_close) int fd = landlock_ruleset();
	if (fd < 0 && landlock_missing(errno))
		return 0;
	if (fd < 0 || landlock_enter(fd) < 0)
		return err_set_errno(e, ERR_SANDBOX, errno, "keys", "cannot enter Landlock");
	return 0;
}

static const int allowed_calls[] = {
	SCMP_SYS(read), SCMP_SYS(pread64), SCMP_SYS(readv), SCMP_SYS(write), SCMP_SYS(pwrite64), SCMP_SYS(lseek),
	SCMP_SYS(close), SCMP_SYS(openat), SCMP_SYS(fstat), SCMP_SYS(stat), SCMP_SYS(lstat), SCMP_SYS(newfstatat),
	SCMP_SYS(statx), SCMP_SYS(access), SCMP_SYS(readlink), SCMP_SYS(readlinkat), SCMP_SYS(fcntl), SCMP_SYS(flock),
	SCMP_SYS(fsync), SCMP_SYS(fstatfs), SCMP_SYS(sendto), SCMP_SYS(recvfrom), SCMP_SYS(poll), SCMP_SYS(ppoll),
	SCMP_SYS(brk), SCMP_SYS(munmap), SCMP_SYS(mremap), SCMP_SYS(madvise), SCMP_SYS(mlock), SCMP_SYS(munlock),
	SCMP_SYS(futex), SCMP_SYS(set_robust_list), SCMP_SYS(rseq), SCMP_SYS(sched_yield), SCMP_SYS(sched_getaffinity),
	SCMP_SYS(gettid), SCMP_SYS(getpid), SCMP_SYS(getuid), SCMP_SYS(geteuid), SCMP_SYS(exit), SCMP_SYS(exit_group),
	SCMP_SYS(set_tid_address), SCMP_SYS(membarrier), SCMP_SYS(sysinfo), SCMP_SYS(uname), SCMP_SYS(getrusage),
	SCMP_SYS(clock_gettime), SCMP_SYS(clock_nanosleep), SCMP_SYS(nanosleep), SCMP_SYS(getrandom),
	SCMP_SYS(rt_sigprocmask), SCMP_SYS(rt_sigreturn), SCMP_SYS(rt_sigaction), SCMP_SYS(sigaltstack),
	SCMP_SYS(restart_syscall),
};

/* Anything else fails with EPERM: a library that tries something (a kernel socket for a cipher, say) has its own way on. */
static int enter_seccomp(struct err *e)
{
	scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_ERRNO(EPERM));
	if (!ctx)
		return err_no_memory(e, "keys");
	int r = seccomp_allow(ctx, allowed_calls, sizeof(allowed_calls) / sizeof(allowed_calls[0]));
	if (r == 0)
		r = seccomp_allow_data(ctx);
	/* Argon2 has some. */
	if (r == 0)
		r = seccomp_allow_threads(ctx);
	if (r == 0)
		r = seccomp_allow_abort(ctx, getpid());
	if (r == 0)
		r = seccomp_load(ctx);
	seccomp_release(ctx);
	return r < 0 ? err_set_errno(e, ERR_SANDBOX, -r, "keys", "cannot load the system call filter") : 0;
}

/* Who asks may be killed while a key is derived, which takes minutes if the header says so. After the change of user, which resets it. */
static int end_with_client(struct err *e)
{
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0)
		return err_set_errno(e, ERR_SANDBOX, errno, "keys", "cannot end with the client");
	struct pollfd p = {.fd = KEYHELPER_SOCKET_FD, .events = POLLIN};
	if (poll(&p, 1, 0) > 0 && p.revents & POLLHUP)
		return err_set(e, ERR_INVALID, "keys", "the client went away");
	return 0;
}

int keys_confine(struct err *e)
{
	if (nice(NICENESS) < 0 && errno == EPERM)
		return err_set_errno(e, ERR_SANDBOX, errno, "keys", "cannot lower the priority");
	int r = drop_user(e);
	if (r == 0)
		r = set_limits(e);
	if (r < 0)
		return r;
	r = end_with_client(e);
	if (r < 0)
		return r;
	if (prctl(PR_SET_DUMPABLE, 0) < 0 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return err_set_errno(e, ERR_SANDBOX, errno, "keys", "cannot set no_new_privs");
	r = enter_landlock(e);
	return r < 0 || SANITIZED ? r : enter_seccomp(e);
}
