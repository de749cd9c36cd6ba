/* The key helper's walls: what a process can still do once it is confined. Each question is asked in a child of its own. */
#include "test.h"

#include "keys/keys.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#else
#define SANITIZED 0
#endif

enum { STOPPED = 10, ALLOWED = 11, NOT_CONFINED = 12 };

/* True: it was allowed. */
typedef bool try_fn(void);

/* The child's answer; a signal is an answer too. */
static int confined(try_fn *attempt)
{
	pid_t pid = fork();
	if (pid == 0) {
		struct err e = ERR_INIT;
		keys_warm_up();
		if (keys_confine(&e) < 0)
			_exit(NOT_CONFINED);
		_exit(attempt() ? ALLOWED : STOPPED);
	}
	int status = 0;
	assert_true(pid > 0 && waitpid(pid, &status, 0) == pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static bool read_file(void)
{
	return open("/etc/passwd", O_RDONLY) >= 0;
}

static bool write_file(void)
{
	return open("/tmp/sendense-keyhelper-was-here", O_WRONLY | O_CREAT, 0600) >= 0;
}

static bool list_folder(void)
{
	return open("/", O_RDONLY | O_DIRECTORY) >= 0;
}

static bool connect_somewhere(void)
{
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = 1};
	return fd >= 0 && (connect(fd, (struct sockaddr *)&to, sizeof(to)) == 0 || errno == ECONNREFUSED);
}

static bool local_socket(void)
{
	return socket(AF_UNIX, SOCK_STREAM, 0) >= 0;
}

static bool start_process(void)
{
	return fork() >= 0;
}

static bool run_program(void)
{
	char *argv[] = {(char *)(uintptr_t)"true", NULL};
	(void)execv("/bin/true", argv);
	return false;    /* /bin/true would leave with 0 */
}

static bool executable_memory(void)
{
	void *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	return p != MAP_FAILED;
}

static bool make_executable(void)
{
	void *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	return p != MAP_FAILED && mprotect(p, 4096, PROT_READ | PROT_EXEC) == 0;
}

static bool signal_parent(void)
{
	return kill(getppid(), 0) == 0;
}

static bool trace(void)
{
	return ptrace(PTRACE_TRACEME, 0, NULL, NULL) == 0;
}

static bool raise_limit(void)
{
	struct rlimit more = {.rlim_cur = 1 << 20, .rlim_max = 1 << 20};
	return setrlimit(RLIMIT_CORE, &more) == 0;
}

static bool kernel_ciphers(void)
{
	return socket(38 /* AF_ALG */, SOCK_SEQPACKET, 0) >= 0;
}

static bool map_four_gib(void)
{
	return mmap(NULL, (size_t)4 << 30, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0) != MAP_FAILED;
}

static bool is_dumpable(void)
{
	return prctl(PR_GET_DUMPABLE) != 0 && errno != EPERM;
}

static void *nothing(void *arg)
{
	return arg;
}

/* What it does need. */
static bool thread_and_memory(void)
{
	pthread_t t;
	void *p = malloc(1 << 20);
	return p && pthread_create(&t, NULL, nothing, NULL) == 0 && pthread_join(t, NULL) == 0 && geteuid() != 0;
}

static void test_stopped(void **state)
{
	static const struct {
		const char *what;
		try_fn *attempt;
	} tries[] = {
		{"read a file", read_file}, {"write a file", write_file}, {"list a folder", list_folder},
		{"connect", connect_somewhere}, {"open a local socket", local_socket}, {"use the kernel's ciphers", kernel_ciphers},
		{"start a process", start_process}, {"run a program", run_program}, {"map executable memory", executable_memory},
		{"make memory executable", make_executable}, {"signal its parent", signal_parent}, {"be traced", trace},
		{"raise a limit", raise_limit}, {"map four GiB", map_four_gib}, {"leave a core dump", is_dumpable},
	};
	(void)state;
	if (SANITIZED)
		skip();
	for (size_t i = 0; i < sizeof(tries) / sizeof(tries[0]); i++) {
		int got = confined(tries[i].attempt);
		if (got != STOPPED)
			fail_msg("it could %s (%d)", tries[i].what, got);
	}
}

static void test_still_works(void **state)
{
	(void)state;
	if (SANITIZED)
		skip();
	assert_int_equal(confined(thread_and_memory), ALLOWED);
}

/* The tests above see a difference: without walls all of it is possible. */
static void test_possible_otherwise(void **state)
{
	(void)state;
	assert_true(read_file() && list_folder() && local_socket() && make_executable() && signal_parent());
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_stopped),
		cmocka_unit_test(test_still_works),
		cmocka_unit_test(test_possible_otherwise),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
