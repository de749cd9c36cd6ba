/* The walls around qemu-nbd: an unprivileged user, limits, Landlock with the image's files and the system's libraries as its only
 * rules, a list of system calls. They are put up before the program is started and stay. */
#include "foreign/foreign.h"

#include "base/cleanup.h"
#include "base/landlock.h"
#include "base/seccomp_rules.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/landlock.h>
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

enum { NOBODY = 65534, FILES_MAX = 2048 };

static const rlim_t memory_max = (rlim_t)2 << 30;        /* address space */
static const rlim_t overlay_max = (rlim_t)256 << 20;     /* what a VHDX log may write into memory */

static int sandbox_error(struct err *e, const char *what)
{
	return err_set_errno(e, ERR_SANDBOX, errno, "foreign", "cannot confine qemu-nbd: %s", what);
}

static int set_limit(int what, rlim_t value, struct err *e)
{
	struct rlimit limit;
	if (getrlimit((__rlimit_resource_t)what, &limit) == 0 && limit.rlim_max < value)
		value = limit.rlim_max;
	limit = (struct rlimit){.rlim_cur = value, .rlim_max = value};
	return setrlimit((__rlimit_resource_t)what, &limit) == 0 ? 0 : sandbox_error(e, "limits");
}

static int set_limits(struct err *e)
{
	int r = set_limit(RLIMIT_CORE, 0, e);
	if (r == 0)
		r = set_limit(RLIMIT_FSIZE, overlay_max, e);
	if (r == 0)
		r = set_limit(RLIMIT_MEMLOCK, 0, e);
	if (r == 0)
		r = set_limit(RLIMIT_NOFILE, FILES_MAX, e);
	/* AddressSanitizer, in this process still, reserves terabytes. */
	if (r == 0 && !SANITIZED)
		r = set_limit(RLIMIT_AS, memory_max, e);
	return r;
}

static int set_capabilities(uint32_t mask, struct err *e)
{
	struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = {
		{.effective = mask, .permitted = mask, .inheritable = mask}};
	return syscall(SYS_capset, &head, data) == 0 ? 0 : sandbox_error(e, "capabilities");
}

/* QEMU opens a descriptor it was given again, by /proc/self/fd/N, and then the file's owner and mode count: root's helper keeps
 * the right to read any file, which Landlock narrows down to those of the image. */
static int drop_user(struct err *e)
{
	const uint32_t read_any = UINT32_C(1) << CAP_DAC_READ_SEARCH;
	if (geteuid() != 0 && getuid() != 0)
		return set_capabilities(0, e);
	if (prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) < 0 || setgroups(0, NULL) < 0 || setresgid(NOBODY, NOBODY, NOBODY) < 0 ||
	    setresuid(NOBODY, NOBODY, NOBODY) < 0)
		return sandbox_error(e, "root");
	int r = set_capabilities(read_any, e);
	if (r < 0)
		return r;
	if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_DAC_READ_SEARCH, 0, 0) < 0)
		return sandbox_error(e, "capabilities");
	return 0;
}

/* --- Landlock ------------------------------------------------------------------------------------- */

static int make_ruleset(struct err *e)
{
	int fd = landlock_ruleset();
	if (fd < 0 && landlock_missing(errno))
		return err_set(e, ERR_SANDBOX, "foreign",
		               "the kernel has no Landlock (Linux 5.13), without which images of this format are not opened");
	return fd < 0 ? sandbox_error(e, "Landlock") : fd;
}

static int allow(int ruleset, int fd, uint64_t access, struct err *e)
{
	struct landlock_path_beneath_attr rule = {.allowed_access = access, .parent_fd = fd};
	if (syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule, 0) == 0)
		return 0;
	/* Memory: of no file system, and beyond these rules. */
	return errno == EBADFD ? 0 : sandbox_error(e, "Landlock's rules");
}

static int allow_path(int ruleset, const char *path, uint64_t access, struct err *e)
{
	CLEANUP(fd_close) int fd = open(path, O_PATH | O_CLOEXEC);
	return fd < 0 ? 0 : allow(ruleset, fd, access, e);
}

static int add_landlock_rules(int ruleset, const struct foreign_walls *w, struct err *e)
{
	static const char *const libraries[] = {"/usr/lib", "/usr/lib64", "/usr/local/lib", "/lib", "/lib64"};
	const uint64_t read = LANDLOCK_ACCESS_FS_READ_FILE, run = read | LANDLOCK_ACCESS_FS_EXECUTE;
	int r = allow_path(ruleset, w->program, run, e);
	for (unsigned i = 0; i < sizeof(libraries) / sizeof(libraries[0]) && r == 0; i++)
		r = allow_path(ruleset, libraries[i], run, e);
	if (r == 0)
		r = allow_path(ruleset, "/etc/ld.so.cache", read, e);
	if (r == 0)
		r = allow_path(ruleset, "/dev/urandom", read, e);
	for (unsigned i = 0; i < w->files && r == 0; i++)
		r = allow(ruleset, w->first_fd + (int)i, read, e);
	return r;
}

static int enter_landlock(const struct foreign_walls *w, struct err *e)
{
	CLEANUP(fd_close) int ruleset = make_ruleset(e);
	if (ruleset < 0)
		return e->code;
	int r = add_landlock_rules(ruleset, w, e);
	if (r == 0 && landlock_enter(ruleset) < 0)
		r = sandbox_error(e, "Landlock");
	return r;
}

/* --- system calls --------------------------------------------------------------------------------- */

/* What the loader and qemu-nbd do with a socket that is there, files and threads. No socket, connect, bind or process. */
static const int allowed_calls[] = {
	SCMP_SYS(read), SCMP_SYS(pread64), SCMP_SYS(readv), SCMP_SYS(preadv), SCMP_SYS(preadv2), SCMP_SYS(write),
	SCMP_SYS(pwrite64), SCMP_SYS(writev), SCMP_SYS(pwritev), SCMP_SYS(pwritev2), SCMP_SYS(lseek), SCMP_SYS(close),
	SCMP_SYS(openat), SCMP_SYS(open), SCMP_SYS(fstat), SCMP_SYS(stat), SCMP_SYS(lstat), SCMP_SYS(newfstatat),
	SCMP_SYS(statx), SCMP_SYS(access), SCMP_SYS(faccessat), SCMP_SYS(faccessat2), SCMP_SYS(readlink),
	SCMP_SYS(readlinkat), SCMP_SYS(getdents64), SCMP_SYS(statfs), SCMP_SYS(fstatfs), SCMP_SYS(fcntl), SCMP_SYS(dup),
	SCMP_SYS(dup3), SCMP_SYS(ftruncate), SCMP_SYS(fallocate), SCMP_SYS(fsync), SCMP_SYS(fdatasync), SCMP_SYS(fadvise64),
	SCMP_SYS(chdir), SCMP_SYS(getcwd), SCMP_SYS(umask),
	SCMP_SYS(accept4), SCMP_SYS(recvmsg), SCMP_SYS(recvfrom), SCMP_SYS(sendmsg), SCMP_SYS(sendto), SCMP_SYS(getsockname),
	SCMP_SYS(getpeername), SCMP_SYS(getsockopt), SCMP_SYS(setsockopt), SCMP_SYS(shutdown), SCMP_SYS(poll), SCMP_SYS(ppoll),
	SCMP_SYS(epoll_create1), SCMP_SYS(epoll_ctl), SCMP_SYS(epoll_wait), SCMP_SYS(epoll_pwait), SCMP_SYS(eventfd2),
	SCMP_SYS(signalfd4), SCMP_SYS(timerfd_create), SCMP_SYS(timerfd_settime), SCMP_SYS(pipe2),
	SCMP_SYS(brk), SCMP_SYS(mmap), SCMP_SYS(munmap), SCMP_SYS(mremap), SCMP_SYS(mprotect), SCMP_SYS(madvise),
	SCMP_SYS(futex), SCMP_SYS(set_robust_list), SCMP_SYS(rseq), SCMP_SYS(sched_yield), SCMP_SYS(sched_getaffinity),
	SCMP_SYS(gettid), SCMP_SYS(getpid), SCMP_SYS(getppid), SCMP_SYS(getuid), SCMP_SYS(geteuid), SCMP_SYS(getgid),
	SCMP_SYS(getegid), SCMP_SYS(exit), SCMP_SYS(exit_group), SCMP_SYS(set_tid_address), SCMP_SYS(arch_prctl),
	SCMP_SYS(membarrier), SCMP_SYS(sysinfo), SCMP_SYS(uname), SCMP_SYS(getrusage), SCMP_SYS(clock_gettime),
	SCMP_SYS(clock_getres), SCMP_SYS(clock_nanosleep), SCMP_SYS(nanosleep), SCMP_SYS(getrandom),
	SCMP_SYS(rt_sigprocmask), SCMP_SYS(rt_sigreturn), SCMP_SYS(rt_sigaction), SCMP_SYS(sigaltstack),
	SCMP_SYS(restart_syscall),
};

static int add_rules(scmp_filter_ctx ctx, const struct foreign_walls *w)
{
	int r = seccomp_allow(ctx, allowed_calls, sizeof(allowed_calls) / sizeof(allowed_calls[0]));
	if (r == 0)
		r = seccomp_allow_threads(ctx);
	/* QEMU does without. */
	if (r == 0)
		r = seccomp_rule_add(ctx, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(io_uring_setup), 0);
	/* This one start. Later the address means nothing, and Landlock lets nothing else be started anyway. */
	if (r == 0)
		r = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(execve), 1,
		                     SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)(uintptr_t)w->program));
	if (r == 0)
		r = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(prlimit64), 1, SCMP_A2(SCMP_CMP_EQ, 0));
	if (r == 0)
		r = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(prctl), 1, SCMP_A0(SCMP_CMP_EQ, PR_SET_TIMERSLACK));
	if (r == 0)
		r = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(prctl), 1, SCMP_A0(SCMP_CMP_EQ, PR_SET_NAME));
	if (r == 0)
		r = seccomp_allow_abort(ctx, getpid());
	return r;
}

/* Anything else fails with EPERM: libraries that try things at their start have their own way on. */
static int enter_seccomp(const struct foreign_walls *w, struct err *e)
{
	scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_ERRNO(EPERM));
	if (!ctx)
		return err_no_memory(e, "foreign");
	int r = add_rules(ctx, w);
	if (r == 0)
		r = seccomp_load(ctx);
	seccomp_release(ctx);
	return r < 0 ? err_set_errno(e, ERR_SANDBOX, -r, "foreign", "cannot load qemu-nbd's system call filter") : 0;
}

int foreign_confine(const struct foreign_walls *w, struct err *e)
{
	int r = drop_user(e);
	/* Afterwards: a change of user resets it. */
	if (r == 0 && (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0))
		r = sandbox_error(e, "no_new_privs");
	if (r == 0)
		r = enter_landlock(w, e);
	if (r == 0)
		r = set_limits(e);
	return r < 0 ? r : enter_seccomp(w, e);
}
