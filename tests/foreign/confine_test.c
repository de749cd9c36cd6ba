/* What a process can still do behind the walls of qemu-nbd: each deed in a child of its own, which has one file of the image open.
 * And what qemu-nbd is told. */
#include "test.h"

#include "base/bytes.h"
#include "foreign/foreign.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <pthread.h>
#include <signal.h>
#include <sys/ptrace.h>
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

enum { REFUSED = 0, WORKED = 1, NO_WALLS = 2, IMAGE_FD = 20 };

static char dir[] = "/tmp/sendense-foreign-XXXXXX";
static char image[64], other[64];
static const char program[] = "/bin/true";

static int refused_if(bool failed)
{
	return failed ? REFUSED : WORKED;
}

static int open_path(const char *path, int flags)
{
	return refused_if(open(path, flags, 0600) < 0);
}

static int deed_passwd(void) { return open_path("/etc/passwd", O_RDONLY); }
static int deed_other(void) { return open_path(other, O_RDONLY); }
static int deed_proc(void) { return open_path("/proc/1/environ", O_RDONLY); }
static int deed_list(void) { return open_path("/", O_RDONLY | O_DIRECTORY); }
static int deed_create(void) { return open_path("/tmp/sendense-foreign-new", O_RDWR | O_CREAT); }
static int deed_write(void) { return open_path(image, O_RDWR); }
static int deed_write_again(void) { return open_path("/proc/self/fd/20", O_RDWR); }
static int deed_truncate(void) { return refused_if(truncate(image, 0) < 0); }
static int deed_unlink(void) { return refused_if(unlink(image) < 0); }
static int deed_socket(void) { return refused_if(socket(AF_INET, SOCK_STREAM, 0) < 0); }
static int deed_unix_socket(void) { return refused_if(socket(AF_UNIX, SOCK_STREAM, 0) < 0); }
static int deed_fork(void) { return refused_if(syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0) < 0); }
static int deed_kill(void) { return refused_if(kill(getppid(), 0) < 0); }
static int deed_ptrace(void) { return refused_if(ptrace(PTRACE_ATTACH, getppid(), 0, 0) < 0); }
static int deed_uring(void) { return refused_if(syscall(425, 1, NULL) < 0); }
static int deed_handle(void) { return refused_if(syscall(SYS_open_by_handle_at, AT_FDCWD, "x", 0) < 0); }
static int deed_setuid(void) { return refused_if(syscall(SYS_setresuid, 0, 0, 0) < 0); }

static int deed_exec(void)
{
	static char *const argv[] = {(char *)(uintptr_t)"sh", (char *)(uintptr_t)"-c", (char *)(uintptr_t)"exit 1", NULL};
	static char *const envp[] = {NULL};
	(void)execve("/bin/sh", argv, envp);
	return REFUSED;
}

/* The walls are there to let this through. */
static int deed_read(void)
{
	char c;
	return refused_if(open("/proc/self/fd/20", O_RDONLY) < 0 || pread(IMAGE_FD, &c, 1, 0) != 1);
}

static void *nothing(void *arg)
{
	return arg;
}

static int deed_thread(void)
{
	pthread_t t;
	return refused_if(pthread_create(&t, NULL, nothing, NULL) != 0 || pthread_join(t, NULL) != 0);
}

static int run(int (*deed)(void))
{
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		struct err e = ERR_INIT;
		struct foreign_walls w = {.program = program, .first_fd = IMAGE_FD, .files = 1};
		int fd = open(image, O_RDONLY);
		if (fd < 0 || dup2(fd, IMAGE_FD) < 0 || foreign_confine(&w, &e) < 0)
			_exit(NO_WALLS);
		_exit(deed());
	}
	int status;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static bool no_landlock(void)
{
	return syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION) < 1;
}

static void refuses(void **state)
{
	(void)state;
	static int (*const deeds[])(void) = {
		deed_passwd, deed_other, deed_proc, deed_list, deed_create, deed_write, deed_write_again, deed_truncate, deed_unlink,
		deed_socket, deed_unix_socket, deed_fork, deed_kill, deed_ptrace, deed_uring, deed_handle, deed_setuid, deed_exec,
	};
	if (SANITIZED || no_landlock())
		skip();
	for (unsigned i = 0; i < sizeof(deeds) / sizeof(deeds[0]); i++) {
		int got = run(deeds[i]);
		if (got != REFUSED)
			fail_msg("deed %u: %d", i, got);
	}
	assert_int_equal(access(image, F_OK), 0);
}

static void allows(void **state)
{
	(void)state;
	if (SANITIZED || no_landlock())
		skip();
	assert_int_equal(run(deed_read), WORKED);
	assert_int_equal(run(deed_thread), WORKED);
}

static void says_what_to_open(void **state)
{
	(void)state;
	static char spec[FOREIGN_SPEC_MAX];
	struct err e = ERR_INIT;
	assert_ok(foreign_spec("vmdk", 5, -1, spec, &e), &e);
	assert_non_null(strstr(spec, "\"backing\":null"));
	assert_non_null(strstr(spec, "\"read-only\":true"));
	assert_non_null(strstr(spec, "\"/proc/self/fd/5\""));
	assert_ok(foreign_spec("vhdx", 5, 6, spec, &e), &e);
	assert_int_equal(strncmp(spec, "json:{\"driver\":\"raw\",\"read-only\":true", 37), 0);
	static const char *const bad[] = {"", "raw", "qcow2", "nbd", "vmdk\"", "../x"};
	for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		err_clear(&e);
		assert_int_equal(foreign_spec(bad[i], 5, 6, spec, &e), ERR_INVALID);
	}
}

static unsigned count_of(const char *text, const char *word)
{
	unsigned n = 0;
	for (const char *p = text; (p = strstr(p, word)) != NULL; p++)
		n++;
	return n;
}

static void says_which_chain_to_open(void **state)
{
	(void)state;
	static char spec[FOREIGN_SPEC_MAX];
	struct err e = ERR_INIT;
	assert_ok(foreign_chain_spec("qer", 5, spec, &e), &e);
	assert_int_equal(count_of(spec, "\"key-secret\":\"key\""), 1);
	assert_int_equal(count_of(spec, "\"backing\":{"), 2);
	assert_int_equal(count_of(spec, "\"driver\":\"raw\""), 1);
	assert_int_equal(count_of(spec, "{"), count_of(spec, "}"));
	assert_true(strstr(spec, "fd/5\"") < strstr(spec, "fd/6\"") && strstr(spec, "fd/6\"") < strstr(spec, "fd/7\""));
	assert_ok(foreign_chain_spec("e", 5, spec, &e), &e);
	assert_int_equal(count_of(spec, "\"backing\":null"), 1);
	char many[258] = "";
	memset(many, 'e', 256);
	assert_ok(foreign_chain_spec(many, 5, spec, &e), &e);
	assert_int_equal(count_of(spec, "key-secret"), 256);
	assert_int_equal(count_of(spec, "{"), count_of(spec, "}"));
	many[256] = 'e';
	assert_int_equal(foreign_chain_spec(many, 5, spec, &e), ERR_LIMIT);
	static const char *const bad[] = {"re", "x", "e\"", "eq,"};
	for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		err_clear(&e);
		assert_int_equal(foreign_chain_spec(bad[i], 5, spec, &e), ERR_INVALID);
	}
	err_clear(&e);
	assert_int_equal(foreign_chain_spec("", 5, spec, &e), ERR_LIMIT);
}

static void makes_overlays(void **state)
{
	(void)state;
	static const uint64_t sizes[] = {512, 1 << 20, UINT64_C(3) << 30, UINT64_C(64) << 40};
	for (unsigned i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		struct err e = ERR_INIT;
		int fd = foreign_overlay(sizes[i], &e);
		assert_true(fd >= 0);
		uint8_t head[72];
		struct stat st;
		assert_int_equal(pread(fd, head, sizeof(head), 0), sizeof(head));
		assert_int_equal(get_be64(head + 24), sizes[i]);
		assert_true((uint64_t)get_be32(head + 36) << 29 >= sizes[i]);
		assert_int_equal(fstat(fd, &st), 0);
		assert_true((uint64_t)st.st_size >= get_be64(head + 40) + (uint64_t)get_be32(head + 36) * 8);
		(void)close(fd);
	}
	struct err e = ERR_INIT;
	assert_int_equal(foreign_overlay(INT64_MAX, &e), ERR_LIMIT);
}

static void make(const char *path)
{
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	assert_int_equal(write(fd, "image", 5), 5);
	(void)close(fd);
}

static int set_up(void **state)
{
	(void)state;
	if (!mkdtemp(dir))
		return -1;
	(void)snprintf(image, sizeof(image), "%s/image", dir);
	(void)snprintf(other, sizeof(other), "%s/other", dir);
	make(image);
	make(other);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	(void)unlink(image);
	(void)unlink(other);
	return rmdir(dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(refuses), cmocka_unit_test(allows), cmocka_unit_test(says_what_to_open),
		cmocka_unit_test(says_which_chain_to_open), cmocka_unit_test(makes_overlays),
	};
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
