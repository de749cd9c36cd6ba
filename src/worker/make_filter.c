/* make_filter OUT.c: compiles the worker's system call filter, with and without talking over connected sockets. Run by the build. */
#include "worker/filter.h"

#include "base/seccomp_rules.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

enum { INSTRUCTIONS_MAX = 4096, BINARY_TREE = 2 };

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
	if (r == 0)
		r = seccomp_allow(ctx, allowed_calls, sizeof(allowed_calls) / sizeof(allowed_calls[0]));
	if (r == 0)
		r = seccomp_allow_data(ctx);
	if (r == 0)
		r = seccomp_allow_threads(ctx);
	/* fstat of glibc: no path, only the descriptor. */
	if (r == 0)
		r = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(newfstatat), 1,
		                     SCMP_A3(SCMP_CMP_MASKED_EQ, AT_EMPTY_PATH, AT_EMPTY_PATH));
	if (r == 0)
		r = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(fcntl), 1, SCMP_A1(SCMP_CMP_EQ, F_GETFL));
	/* Reads that do not wait, and what fetches the others meanwhile. */
	if (r == 0)
		r = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(preadv2), 1, SCMP_A5(SCMP_CMP_EQ, RWF_NOWAIT));
	if (r == 0)
		r = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(fadvise64), 1, SCMP_A3(SCMP_CMP_EQ, POSIX_FADV_WILLNEED));
	if (r == 0)
		r = seccomp_allow_abort(ctx, FILTER_OWN_PID);
	/* The self-test's questions. */
	if (r == 0)
		r = seccomp_rule_add(ctx, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(openat), 1,
		                     SCMP_A0_32(SCMP_CMP_EQ, (uint32_t)FILTER_PROBE_DIRFD));
	if (r == 0)
		r = seccomp_rule_add(ctx, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(socket), 1, SCMP_A0_32(SCMP_CMP_EQ, FILTER_PROBE_DOMAIN));
	return r;
}

/* The compiled program, and how many instructions it has; 0: it failed, errno says why. */
static unsigned compile(bool sockets, struct sock_filter code[INSTRUCTIONS_MAX])
{
	scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_KILL_PROCESS);
	int fd = memfd_create("filter", MFD_CLOEXEC);
	int r = !ctx ? -ENOMEM : fd < 0 ? -errno : 0;
	/* A tree, not a list: the kernel tries every system call on it when it is loaded. */
	if (r == 0)
		r = seccomp_attr_set(ctx, SCMP_FLTATR_CTL_OPTIMIZE, BINARY_TREE);
	if (r == 0)
		r = add_rules(ctx, sockets);
	if (r == 0)
		r = seccomp_export_bpf(ctx, fd);
	ssize_t n = r == 0 ? pread(fd, code, INSTRUCTIONS_MAX * sizeof(code[0]), 0) : -1;
	if (r < 0)
		errno = -r;
	if (ctx)
		seccomp_release(ctx);
	if (fd >= 0)
		(void)close(fd);
	return n > 0 ? (unsigned)((size_t)n / sizeof(code[0])) : 0;
}

static bool print(FILE *to, const char *name, bool sockets)
{
	static struct sock_filter code[INSTRUCTIONS_MAX];
	unsigned count = compile(sockets, code);
	(void)fprintf(to, "struct sock_filter %s[] = {\n", name);
	for (unsigned i = 0; i < count; i++)
		(void)fprintf(to, "\t{%#x, %u, %u, %#x},\n", code[i].code, code[i].jt, code[i].jf, code[i].k);
	(void)fprintf(to, "};\nconst unsigned short %s_count = %u;\n", name, count);
	return count > 0 && count < INSTRUCTIONS_MAX;
}

int main(int argc, char **argv)
{
	FILE *to = argc == 2 ? fopen(argv[1], "w") : NULL;
	if (!to) {
		(void)fprintf(stderr, "usage: make_filter OUT.c\n");
		return 2;
	}
	(void)fprintf(to, "/* Made by make_filter; not to be edited. */\n#include \"worker/filter.h\"\n\n");
	bool done = print(to, "filter_plain", false) && print(to, "filter_with_sockets", true);
	if (fclose(to) != 0 || !done) {
		(void)fprintf(stderr, "make_filter: cannot compile the worker's filter: %s\n", strerror(errno));
		(void)remove(argv[1]);
		return 1;
	}
	return 0;
}
