#include "worker/sandbox.h"

#include "base/cleanup.h"
#include "base/landlock.h"
#include "wire/wire.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/sched.h>
#include <sched.h>
#include <seccomp.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

enum {
	NOBODY = 65534,
	FILES_MAX = 4096,                        /* layers of all disks, and four descriptors a stream */
	/* The self-test's questions: an argument no honest call has. The filter answers them with EPERM, a kernel without the
	 * filter with another error. */
	PROBE_DIRFD = -4242,
	PROBE_DOMAIN = 4242,
};

/* Address space: guest tables and stacks, far above what an honest image needs. */
static const rlim_t memory_max = (rlim_t)2 << 30;

/* A limit that is tighter already stays: an unprivileged process cannot raise it, nor is that wanted. */
static int set_limit(int what, rlim_t value, const char *name, struct err *e)
{
	struct rlimit limit;
	if (getrlimit((__rlimit_resource_t)what, &limit) == 0 && limit.rlim_max < value)
		value = limit.rlim_max;
	limit = (struct rlimit){.rlim_cur = value, .rlim_max = value};
	if (setrlimit((__rlimit_resource_t)what, &limit) == 0)
		return 0;
	return err_set_errno(e, ERR_SANDBOX, errno, "sandbox", "cannot set the %s limit", name);
}

static int set_limits(struct err *e)
{
	int r = set_limit(RLIMIT_CORE, 0, "core", e);
	if (r == 0)
		r = set_limit(RLIMIT_FSIZE, 0, "file size", e);
	if (r == 0)
		r = set_limit(RLIMIT_MEMLOCK, 0, "locked memory", e);
	if (r == 0)
		r = set_limit(RLIMIT_MSGQUEUE, 0, "message queue", e);
	if (r == 0)
		r = set_limit(RLIMIT_NOFILE, FILES_MAX, "open files", e);
	if (r == 0)
		r = set_limit(RLIMIT_AS, memory_max, "memory", e);
	return r;
}

/* Namespaces that cost next to nothing; no network namespace: seccomp already denies every socket, and making one takes
 * longer than everything else here together. No mount namespace either: it would be a copy of all mounts of the host, and keep
 * each of them busy after the host has unmounted it, for as long as this mount is open. The root becomes a folder that holds the process's own descriptor numbers
 * and nothing else, so that even asking whether a path exists says nothing of the host. */
static uint32_t enter_namespaces(void)
{
	const int wanted = CLONE_NEWIPC | CLONE_NEWUTS;
	if (unshare(geteuid() == 0 ? wanted : CLONE_NEWUSER | wanted) < 0)
		return 0;
	uint32_t layers = SANDBOX_NAMESPACES;
	if (chroot("/proc/self/fdinfo") == 0 && chdir("/") == 0)
		layers |= SANDBOX_EMPTY_ROOT;
	return layers;
}

static int drop_user(struct err *e)
{
	if (geteuid() != 0 && getuid() != 0)
		return 0;
	if (setgroups(0, NULL) < 0 || setresgid(NOBODY, NOBODY, NOBODY) < 0 || setresuid(NOBODY, NOBODY, NOBODY) < 0)
		return err_set_errno(e, ERR_SANDBOX, errno, "sandbox", "cannot drop root");
	if (setresuid(0, 0, 0) == 0)
		return err_set(e, ERR_SANDBOX, "sandbox", "root came back after it was dropped");
	return 0;
}

/* A new user namespace gives its maker all capabilities in it; root that has become nobody may have kept inheritable
 * ones. None is needed any more. */
static int drop_capabilities(struct err *e)
{
	struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct none[2] = {{0}};
	if (syscall(SYS_capset, &head, none) == 0)
		return 0;
	return err_set_errno(e, ERR_SANDBOX, errno, "sandbox", "cannot drop the capabilities");
}

static int enter_landlock(uint32_t *layers, struct err *e)
{
	CLEANUP(fd_close) int fd = landlock_ruleset();
	if (fd < 0 && landlock_missing(errno))
		return 0;
	if (fd < 0 || landlock_enter(fd) < 0)
		return err_set_errno(e, ERR_SANDBOX, errno, "sandbox", "cannot enter Landlock");
	*layers |= SANDBOX_LANDLOCK;
	return 0;
}

/* Everything a worker does after this point, and nothing else. */
static const int allowed_calls[] = {
	/* descriptors it was given */
	SCMP_SYS(read), SCMP_SYS(pread64), SCMP_SYS(preadv), SCMP_SYS(readv), SCMP_SYS(write), SCMP_SYS(writev),
	SCMP_SYS(recvmsg), SCMP_SYS(sendmsg), SCMP_SYS(poll), SCMP_SYS(ppoll), SCMP_SYS(close), SCMP_SYS(fstat),
	SCMP_SYS(lseek),
	/* memory */
	SCMP_SYS(brk), SCMP_SYS(munmap), SCMP_SYS(mremap), SCMP_SYS(madvise),
	/* threads */
	SCMP_SYS(futex), SCMP_SYS(set_robust_list), SCMP_SYS(rseq), SCMP_SYS(sched_yield), SCMP_SYS(sched_getaffinity),
	SCMP_SYS(gettid), SCMP_SYS(getpid), SCMP_SYS(exit), SCMP_SYS(exit_group), SCMP_SYS(set_tid_address),
	SCMP_SYS(membarrier),
	/* time, chance, signals */
	SCMP_SYS(clock_gettime), SCMP_SYS(clock_nanosleep), SCMP_SYS(nanosleep), SCMP_SYS(getrandom),
	SCMP_SYS(rt_sigprocmask), SCMP_SYS(rt_sigreturn), SCMP_SYS(rt_sigaction), SCMP_SYS(sigaltstack),
	SCMP_SYS(restart_syscall),
};

/* What libnbd does with a connected socket. No address: it cannot talk to anybody else. */
static int add_socket_rules(scmp_filter_ctx ctx)
{
	int r = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(sendto), 1, SCMP_A4(SCMP_CMP_EQ, 0));
	if (r == 0)
		r = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(recvfrom), 1, SCMP_A4(SCMP_CMP_EQ, 0));
	if (r == 0)
		r = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(shutdown), 0);
	if (r == 0)
		r = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(fcntl), 1, SCMP_A1(SCMP_CMP_EQ, F_GETFD));
	if (r == 0)
		r = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(fcntl), 2, SCMP_A1(SCMP_CMP_EQ, F_SETFD),
		                     SCMP_A2(SCMP_CMP_EQ, FD_CLOEXEC));
	if (r == 0)
		r = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(fcntl), 2, SCMP_A1(SCMP_CMP_EQ, F_SETFL),
		                     SCMP_A2(SCMP_CMP_EQ, O_RDWR | O_NONBLOCK));
	return r;
}

static int add_rules(scmp_filter_ctx ctx, bool sockets)
{
	int r = sockets ? add_socket_rules(ctx) : 0;
	for (unsigned i = 0; i < sizeof(allowed_calls) / sizeof(allowed_calls[0]) && r == 0; i++)
		r = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, allowed_calls[i], 0);
	/* No memory that can be executed, ever. */
	if (r == 0)
		r = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(mmap), 1, SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
	if (r == 0)
		r = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(mprotect), 1, SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
	/* Threads, not processes. glibc tries clone3 first, whose flags a filter cannot see, and falls back. */
	if (r == 0)
		r = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(clone), 1,
		                     SCMP_A0(SCMP_CMP_MASKED_EQ, CLONE_THREAD | CLONE_VM, CLONE_THREAD | CLONE_VM));
	if (r == 0)
		r = seccomp_rule_add(ctx, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0);
	/* fstat of glibc: no path, only the descriptor. */
	if (r == 0)
		r = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(newfstatat), 1,
		                     SCMP_A3(SCMP_CMP_MASKED_EQ, AT_EMPTY_PATH, AT_EMPTY_PATH));
	if (r == 0)
		r = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(fcntl), 1, SCMP_A1(SCMP_CMP_EQ, F_GETFL));
	/* abort(): a failed assertion says so with SIGABRT. Only itself. */
	if (r == 0)
		r = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(tgkill), 1, SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)getpid()));
	/* The self-test's questions. */
	if (r == 0)
		r = seccomp_rule_add(ctx, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(openat), 1,
		                     SCMP_A0_32(SCMP_CMP_EQ, (uint32_t)PROBE_DIRFD));
	if (r == 0)
		r = seccomp_rule_add(ctx, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(socket), 1, SCMP_A0_32(SCMP_CMP_EQ, PROBE_DOMAIN));
	return r;
}

static int enter_seccomp(bool sockets, uint32_t *layers, struct err *e)
{
	scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_KILL_PROCESS);
	if (!ctx)
		return err_no_memory(e, "sandbox");
	int r = add_rules(ctx, sockets);
	if (r == 0)
		r = seccomp_load(ctx);
	seccomp_release(ctx);
	if (r < 0)
		return err_set_errno(e, ERR_SANDBOX, -r, "sandbox", "cannot load the system call filter");
	*layers |= SANDBOX_SECCOMP;
	return 0;
}

int sandbox_enter(bool sockets, uint32_t *ret_layers, struct err *e)
{
	uint32_t layers = 0;
	if (close_range(WIRE_CONTROL_FD + 1, ~0U, 0) < 0)
		return err_set_errno(e, ERR_SANDBOX, errno, "sandbox", "cannot close inherited descriptors");
	layers |= enter_namespaces();
	(void)prctl(PR_SET_DUMPABLE, 0); /* afterwards: it takes /proc/self away from us, too */
	int r = drop_user(e);
	if (r == 0)
		r = drop_capabilities(e);
	if (r == 0)
		r = set_limits(e);
	if (r < 0)
		return r;
	layers |= SANDBOX_UNPRIVILEGED;
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return err_set_errno(e, ERR_SANDBOX, errno, "sandbox", "cannot set no_new_privs");
	r = enter_landlock(&layers, e);
	if (r == 0)
		r = enter_seccomp(sockets, &layers, e);
	if (r == 0)
		*ret_layers = layers;
	return r;
}

int sandbox_self_test(struct err *e)
{
	if (openat(PROBE_DIRFD, "etc/passwd", O_RDONLY) >= 0 || errno != EPERM)
		return err_set(e, ERR_SANDBOX, "sandbox", "the self-test could ask the kernel to open a path");
	if (socket(PROBE_DOMAIN, SOCK_STREAM, 0) >= 0 || errno != EPERM)
		return err_set(e, ERR_SANDBOX, "sandbox", "the self-test could ask the kernel for a socket");
	return 0;
}
