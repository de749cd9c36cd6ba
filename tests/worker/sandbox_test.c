/* What a process can still do inside the sandbox: each deed in a child of its own, which either ends by SIGSYS or says that it
 * failed in the documented way. Not in sanitizer builds, whose runtime needs what the sandbox takes. */
#include "test.h"

#include "worker/sandbox.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/openat2.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#else
#define SANITIZED 0
#endif

enum { KILLED = 1000, REFUSED = 0, WORKED = 1, NO_SANDBOX = 2, NOT_HERE = 3, GIVEN_FD = 3, NOBODY = 65534 };

static uint32_t layers;

/* Each deed answers WORKED or REFUSED, if it lives to answer. */
static int refused_if(bool failed)
{
	return failed ? REFUSED : WORKED;
}

static int deed_open(void) { return refused_if(open("/etc/passwd", O_RDONLY) < 0); }
static int deed_open_self(void) { return refused_if(open("/proc/self/mem", O_RDWR) < 0); }
static int deed_create(void) { return refused_if(open("/tmp/x", O_RDWR | O_CREAT, 0600) < 0); }
static int deed_openat2(void)
{
	struct open_how how = {.flags = O_RDONLY};
	return refused_if(syscall(SYS_openat2, AT_FDCWD, "/etc/passwd", &how, sizeof(how)) < 0);
}
static int deed_unlink(void) { return refused_if(unlink("/tmp/x") < 0); }
static int deed_readlink(void) { char b[64]; return refused_if(readlink("/proc/self/exe", b, sizeof(b)) < 0); }
static int deed_getdents(void) { char b[512]; return refused_if(syscall(SYS_getdents64, GIVEN_FD, b, sizeof(b)) < 0); }
static int deed_socket(void) { return refused_if(socket(AF_INET, SOCK_STREAM, 0) < 0); }
static int deed_unix_socket(void) { return refused_if(socket(AF_UNIX, SOCK_STREAM, 0) < 0); }
static int deed_connect(void)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(80)};
	return refused_if(connect(GIVEN_FD, (struct sockaddr *)&a, sizeof(a)) < 0);
}
static int deed_fork(void) { return refused_if(fork() < 0); }
static int deed_vfork(void) { return refused_if(syscall(SYS_vfork) < 0); }
static int deed_exec(void) { char *const v[] = {NULL}; return refused_if(execve("/bin/true", v, v) < 0); }
static int deed_exec_fd(void) { char *const v[] = {NULL}; return refused_if(syscall(SYS_execveat, GIVEN_FD, "", v, v, AT_EMPTY_PATH) < 0); }
static int deed_ptrace(void) { return refused_if(ptrace(PTRACE_ATTACH, getppid(), 0, 0) < 0); }
static int deed_kill(void) { return refused_if(kill(-1, 0) < 0); }
static int deed_tgkill(void) { return refused_if(syscall(SYS_tgkill, 1, 1, 0) < 0); }
static int deed_read_memory(void) { return refused_if(syscall(SYS_process_vm_readv, 1, 0, 0, 0, 0, 0) < 0); }
static int deed_mmap_exec(void)
{
	return refused_if(mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED);
}
static int deed_mprotect_exec(void)
{
	void *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	return p == MAP_FAILED ? NOT_HERE : refused_if(mprotect(p, 4096, PROT_READ | PROT_EXEC) < 0);
}
static int deed_io_uring(void) { char params[256] = {0}; return refused_if(syscall(SYS_io_uring_setup, 8, params) < 0); }
static int deed_bpf(void) { return refused_if(syscall(SYS_bpf, 0, NULL, 0) < 0); }
static int deed_userfaultfd(void) { return refused_if(syscall(SYS_userfaultfd, 0) < 0); }
static int deed_memfd(void) { return refused_if(memfd_create("x", 0) < 0); }
static int deed_ioctl(void) { return refused_if(syscall(SYS_ioctl, GIVEN_FD, 0x5413, NULL) < 0); }
static int deed_set_flags(void) { return refused_if(fcntl(GIVEN_FD, F_SETFL, 0) < 0); }
static int deed_unshare(void) { return refused_if(unshare(CLONE_NEWUSER) < 0); }
static int deed_mount(void) { return refused_if(mount("x", "/", "tmpfs", 0, NULL) < 0); }
static int deed_chroot(void) { return refused_if(chroot("/") < 0); }
static int deed_setuid(void) { return refused_if(setuid(0) < 0); }
static int deed_setgroups(void) { gid_t g = 0; return refused_if(setgroups(1, &g) < 0); }
static int deed_prctl(void) { return refused_if(prctl(PR_SET_DUMPABLE, 1) < 0); }
static int deed_rlimit(void) { struct rlimit l; return refused_if(getrlimit(RLIMIT_AS, &l) < 0); }
static int deed_shm(void) { return refused_if(syscall(SYS_shmget, 1, 4096, 0666) < 0); }
static int deed_keyctl(void) { return refused_if(syscall(SYS_keyctl, 0, 0) < 0); }

static int deed_clone3(void)
{
	char args[88] = {0};
	return refused_if(syscall(SYS_clone3, args, sizeof(args)) < 0 && errno == ENOSYS);
}

static int deed_stat(void)
{
	struct stat st;
	if (!(layers & SANDBOX_EMPTY_ROOT))
		return NOT_HERE;
	bool seen = false;
	static const char *const paths[] = {"/etc/passwd", "/bin", "/proc/1", "/tmp", "../etc/passwd", "/../../etc/passwd"};
	for (unsigned i = 0; i < sizeof(paths) / sizeof(paths[0]); i++)
		seen = seen || syscall(SYS_newfstatat, AT_FDCWD, paths[i], &st, AT_EMPTY_PATH) == 0;
	return refused_if(!seen);
}

static int deed_memory(void)
{
	void *p = mmap(NULL, (size_t)3 << 30, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	return refused_if(p == MAP_FAILED && errno == ENOMEM);
}

static int deed_write(void) { return refused_if(write(GIVEN_FD, "x", 1) < 0 && errno == EBADF); }

static int deed_other_fds(void)
{
	struct stat st;
	for (int fd = GIVEN_FD + 1; fd < 256; fd++)
		if (fstat(fd, &st) == 0)
			return WORKED;
	return REFUSED;
}

static int deed_core(void)
{
	raise(SIGABRT);
	return WORKED;
}

/* --- and what has to work --- */

static void *thread(void *arg)
{
	return arg;
}

static int work_threads(void)
{
	pthread_t t;
	void *got = NULL;
	return refused_if(pthread_create(&t, NULL, thread, &layers) == 0 && pthread_join(t, &got) == 0 && got == &layers);
}

static int work_memory(void)
{
	char *p = malloc(256 << 20);
	if (!p)
		return WORKED;
	memset(p, 1, 256 << 20);
	return refused_if(p[1000] == 1);
}

static int work_read(void)
{
	char b[8];
	struct stat st;
	return refused_if(pread(GIVEN_FD, b, 4, 0) == 4 && fstat(GIVEN_FD, &st) == 0);
}

static int work_self_test(void)
{
	struct err e = ERR_INIT;
	return refused_if(sandbox_self_test(&e) == 0);
}

struct deed {
	const char *name;
	int (*run)(void);
	int want;                        /* KILLED, REFUSED, or minus a signal */
};

static const struct deed deeds[] = {
	{"open a path", deed_open, KILLED},
	{"open its own memory", deed_open_self, KILLED},
	{"create a file", deed_create, KILLED},
	{"openat2", deed_openat2, KILLED},
	{"unlink", deed_unlink, KILLED},
	{"readlink", deed_readlink, KILLED},
	{"read a directory", deed_getdents, KILLED},
	{"make a socket", deed_socket, KILLED},
	{"make a local socket", deed_unix_socket, KILLED},
	{"connect", deed_connect, KILLED},
	{"fork", deed_fork, KILLED},
	{"vfork", deed_vfork, KILLED},
	{"execve", deed_exec, KILLED},
	{"execute a descriptor", deed_exec_fd, KILLED},
	{"ptrace", deed_ptrace, KILLED},
	{"signal others", deed_kill, KILLED},
	{"signal a thread of another", deed_tgkill, KILLED},
	{"read another's memory", deed_read_memory, KILLED},
	{"map memory to execute", deed_mmap_exec, KILLED},
	{"make memory executable", deed_mprotect_exec, KILLED},
	{"io_uring", deed_io_uring, KILLED},
	{"bpf", deed_bpf, KILLED},
	{"userfaultfd", deed_userfaultfd, KILLED},
	{"make a memfd", deed_memfd, KILLED},
	{"ioctl", deed_ioctl, KILLED},
	{"change a descriptor's flags", deed_set_flags, KILLED},
	{"unshare", deed_unshare, KILLED},
	{"mount", deed_mount, KILLED},
	{"chroot", deed_chroot, KILLED},
	{"become root again", deed_setuid, KILLED},
	{"take groups", deed_setgroups, KILLED},
	{"prctl", deed_prctl, KILLED},
	{"ask for limits", deed_rlimit, KILLED},
	{"shared memory", deed_shm, KILLED},
	{"keys", deed_keyctl, KILLED},
	{"clone3 is not there", deed_clone3, REFUSED},
	{"no path of the host is seen", deed_stat, REFUSED},
	{"memory beyond the limit", deed_memory, REFUSED},
	{"write to a file open for reading", deed_write, REFUSED},
	{"descriptors of the parent are gone", deed_other_fds, REFUSED},
	{"a failed assertion says so", deed_core, -SIGABRT},
	{"threads work", work_threads, REFUSED},
	{"memory works", work_memory, REFUSED},
	{"reading what was given works", work_read, REFUSED},
	{"the self-test is content", work_self_test, REFUSED},
};

static int in_sandbox(const struct deed *d, bool as_nobody)
{
	int fd = open("/proc/self/exe", O_RDONLY);
	if (fd < 0 || (fd != GIVEN_FD && dup2(fd, GIVEN_FD) < 0))
		return NO_SANDBOX;
	if (as_nobody && (setgroups(0, NULL) < 0 || setresgid(NOBODY, NOBODY, NOBODY) < 0 || setresuid(NOBODY, NOBODY, NOBODY) < 0))
		return NO_SANDBOX;
	struct err e = ERR_INIT;
	if (sandbox_enter(false, &layers, &e) < 0)
		return NO_SANDBOX;
	return d->run();
}

static void check(const struct deed *d, bool as_nobody)
{
	pid_t pid = fork();
	if (pid == 0)
		_exit(in_sandbox(d, as_nobody));
	int status;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (WIFEXITED(status) && WEXITSTATUS(status) == NOT_HERE)
		skip();
	if (d->want == KILLED || d->want < 0) {
		int signal = d->want == KILLED ? SIGSYS : -d->want;
		if (!WIFSIGNALED(status) || WTERMSIG(status) != signal || WCOREDUMP(status))
			fail_msg("%s%s: status %#x", d->name, as_nobody ? " (unprivileged)" : "", (unsigned)status);
	} else if (!WIFEXITED(status) || WEXITSTATUS(status) != d->want) {
		fail_msg("%s%s: status %#x", d->name, as_nobody ? " (unprivileged)" : "", (unsigned)status);
	}
}

static void test_deed(void **state)
{
	const struct deed *d = *state;
	if (SANITIZED)
		skip();
	if (geteuid() == 0)
		check(d, true);
	check(d, false);
}

/* --- what the kernel says of the process --- */

static void expect_line(pid_t pid, const char *name, const char *want)
{
	char path[64], line[256];
	(void)snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
	FILE *f = fopen(path, "re");
	assert_non_null(f);
	char got[256] = "";
	while (fgets(line, sizeof(line), f))
		if (strncmp(line, name, strlen(name)) == 0)
			(void)snprintf(got, sizeof(got), "%s", line + strlen(name));
	(void)fclose(f);
	got[strcspn(got, "\n")] = '\0';
	assert_string_equal(got, want);
}

static void check_status(bool as_nobody)
{
	int pair[2];
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	pid_t pid = fork();
	if (pid == 0) {
		struct err e = ERR_INIT;
		char c;
		if (dup2(pair[1], GIVEN_FD) < 0)
			_exit(1);
		if (as_nobody && (setgroups(0, NULL) < 0 || setresgid(NOBODY, NOBODY, NOBODY) < 0 || setresuid(NOBODY, NOBODY, NOBODY) < 0))
			_exit(1);
		if (sandbox_enter(false, &layers, &e) == 0 && write(GIVEN_FD, "x", 1) == 1)
			(void)!read(GIVEN_FD, &c, 1);
		_exit(0);
	}
	(void)close(pair[1]);
	char c;
	assert_int_equal(read(pair[0], &c, 1), 1);
	expect_line(pid, "NoNewPrivs:\t", "1");
	expect_line(pid, "Seccomp:\t", "2");
	expect_line(pid, "CapInh:\t", "0000000000000000");
	expect_line(pid, "CapPrm:\t", "0000000000000000");
	expect_line(pid, "CapEff:\t", "0000000000000000");
	expect_line(pid, "CapAmb:\t", "0000000000000000");
	if (as_nobody || geteuid() == 0) {
		expect_line(pid, "Uid:\t", "65534\t65534\t65534\t65534");
		expect_line(pid, "Gid:\t", "65534\t65534\t65534\t65534");
		expect_line(pid, "Groups:\t", " ");
	}
	(void)close(pair[0]);
	(void)waitpid(pid, NULL, 0);
}

static void test_status(void **state)
{
	(void)state;
	if (SANITIZED)
		skip();
	check_status(false);
	if (geteuid() == 0)
		check_status(true);
}

enum { DEEDS = sizeof(deeds) / sizeof(deeds[0]) };

int main(void)
{
	static struct CMUnitTest tests[DEEDS + 1];
	for (unsigned i = 0; i < DEEDS; i++)
		tests[i] = (struct CMUnitTest){.name = deeds[i].name, .test_func = test_deed, .initial_state = (void *)&deeds[i]};
	tests[DEEDS] = (struct CMUnitTest)cmocka_unit_test(test_status);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
