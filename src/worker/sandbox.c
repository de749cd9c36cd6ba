#include "worker/sandbox.h"

#include "worker/filter.h"

#include "base/cleanup.h"
#include "base/landlock.h"
#include "wire/wire.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

enum {
	NOBODY = 65534,
	FILES_MAX = 4096,                        /* layers of all disks, and four descriptors a stream */
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

/* The filter was compiled when the program was built (worker/make_filter.c): libseccomp takes longer over it than all other
 * walls together. Only the process's own number is not known before. */
static int fill_in_pid(struct sock_filter *code, unsigned count)
{
	unsigned places = 0;
	for (unsigned i = 0; i < count; i++)
		if (BPF_CLASS(code[i].code) == BPF_JMP && code[i].k == FILTER_OWN_PID) {
			code[i].k = (uint32_t)getpid();
			places++;
		}
	return places == 1 ? 0 : -EINVAL;
}

static int enter_seccomp(bool sockets, uint32_t *layers, struct err *e)
{
	struct sock_filter *code = sockets ? filter_with_sockets : filter_plain;
	unsigned count = sockets ? filter_with_sockets_count : filter_plain_count;
	struct sock_fprog program = {.len = (unsigned short)count, .filter = code};
	int r = fill_in_pid(code, count);
	if (r == 0 && prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) < 0)
		r = -errno;
	if (r < 0)
		return err_set_errno(e, ERR_SANDBOX, -r, "sandbox", "cannot load the system call filter");
	*layers |= SANDBOX_SECCOMP;
	return 0;
}

int sandbox_end_with_parent(struct err *e)
{
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) == 0)
		return 0;
	return err_set_errno(e, ERR_SANDBOX, errno, "sandbox", "cannot be told of the parent's end");
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
	/* Not before the user was dropped: the kernel forgets it then. */
	r = sandbox_end_with_parent(e);
	if (r == 0)
		r = enter_landlock(&layers, e);
	if (r == 0)
		r = enter_seccomp(sockets, &layers, e);
	if (r == 0)
		*ret_layers = layers;
	return r;
}

int sandbox_self_test(struct err *e)
{
	if (openat(FILTER_PROBE_DIRFD, "etc/passwd", O_RDONLY) >= 0 || errno != EPERM)
		return err_set(e, ERR_SANDBOX, "sandbox", "the self-test could ask the kernel to open a path");
	if (socket(FILTER_PROBE_DOMAIN, SOCK_STREAM, 0) >= 0 || errno != EPERM)
		return err_set(e, ERR_SANDBOX, "sandbox", "the self-test could ask the kernel for a socket");
	return 0;
}
