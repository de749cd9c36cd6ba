#include "foreign/foreign.h"

#include "base/cleanup.h"
#include "wire/imagehelper.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define SECRET_OPTION "--object=secret,id=" FOREIGN_SECRET ",file=/proc/self/fd/"

enum { TICK_MS = 200, NUMBER_TEXT = 16, EXIT_NOT_RUN = 126 };

struct start {
	const char *format;
	unsigned files;
	const char *layers;              /* of an encrypted chain, whose last file is the pipe with the passphrase; else NULL */
	char spec[FOREIGN_SPEC_MAX];
	const char *program;
};

static int say(int status, const struct err *e)
{
	(void)dprintf(STDERR_FILENO, "%s\n", e->msg);
	return status;
}

static int find_program(struct start *s, struct err *e)
{
	static const char *const places[] = {"/usr/bin/qemu-nbd", "/usr/local/bin/qemu-nbd", "/bin/qemu-nbd"};
	for (unsigned i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		if (access(places[i], X_OK) != 0)
			continue;
		s->program = places[i];
		return 0;
	}
	return err_set(e, ERR_IMAGE_UNSUPPORTED, "foreign", "qemu-nbd is not installed");
}

static int parse(int argc, char **argv, struct start *ret, struct err *e)
{
	char *end = NULL;
	errno = 0;
	bool chain = argc == 4 && strcmp(argv[1], "qcow2") == 0;
	unsigned long files = argc == 3 || chain ? strtoul(argv[2], &end, 10) : 0;
	if (!end || errno != 0 || *end || files < 1 || files > IMAGEHELPER_FILES_MAX || (chain && strlen(argv[3]) + 1 != files))
		return err_set(e, ERR_INVALID, "foreign", "sendense-imagehelper is started by sendense and sendense-hub, not by hand");
	*ret = (struct start){.format = argv[1], .files = (unsigned)files, .layers = chain ? argv[3] : NULL};
	return 0;
}

/* Closes whatever else was inherited; builds what qemu-nbd is told. */
static int prepare(struct start *s, struct err *e)
{
	int overlay = -1, free_fd = IMAGEHELPER_FILE_FD + (int)s->files;
	if (close_range((unsigned)free_fd, ~0U, 0) < 0)
		return err_set_errno(e, ERR_SANDBOX, errno, "foreign", "cannot close inherited descriptors");
	if (strcmp(s->format, "vhdx") == 0) {
		struct stat st;
		if (fstat(IMAGEHELPER_FILE_FD, &st) < 0)
			return err_set_errno(e, ERR_IO, errno, "foreign", "cannot examine the image");
		overlay = foreign_overlay((uint64_t)st.st_size, e);
		if (overlay < 0)
			return overlay;
		(void)fcntl(overlay, F_SETFD, 0);
	}
	if (s->layers)
		return foreign_chain_spec(s->layers, IMAGEHELPER_FILE_FD, s->spec, e);
	return foreign_spec(s->format, IMAGEHELPER_FILE_FD, overlay, s->spec, e);
}

/* The child: becomes qemu-nbd. */
static int become(const struct start *s)
{
	char pid[NUMBER_TEXT + sizeof("LISTEN_PID=")], secret[sizeof(SECRET_OPTION) + NUMBER_TEXT];
	char *argv[] = {(char *)(uintptr_t)"qemu-nbd", (char *)(uintptr_t)"--read-only", (char *)(uintptr_t)"--shared=1",
	                (char *)(uintptr_t)s->spec, NULL, NULL};
	(void)snprintf(secret, sizeof(secret), SECRET_OPTION "%u", IMAGEHELPER_FILE_FD + s->files - 1);
	if (s->layers)
		argv[4] = secret;
	(void)snprintf(pid, sizeof(pid), "LISTEN_PID=%d", (int)getpid());
	char *const envp[] = {pid, (char *)(uintptr_t)"LISTEN_FDS=1", (char *)(uintptr_t)"LC_ALL=C",
	                      (char *)(uintptr_t)"MALLOC_ARENA_MAX=1", NULL};
	struct foreign_walls walls = {.program = s->program, .first_fd = IMAGEHELPER_FILE_FD, .files = s->files};
	struct err e = ERR_INIT;
	(void)close(IMAGEHELPER_CONTROL_FD);
	if (foreign_confine(&walls, &e) < 0)
		return say(IMAGEHELPER_NO_SANDBOX, &e);
	(void)execve(s->program, argv, envp);
	(void)err_set_errno(&e, ERR_WORKER_START, errno, "foreign", "cannot start qemu-nbd");
	return say(EXIT_NOT_RUN, &e);
}

/* Waits until the client is gone or the child has ended; its status. */
static int keep(pid_t child)
{
	int status = 0;
	CLEANUP(fd_close) int pidfd = (int)syscall(SYS_pidfd_open, child, 0);
	struct pollfd p[2] = {{.fd = IMAGEHELPER_CONTROL_FD, .events = POLLIN}, {.fd = pidfd, .events = POLLIN}};
	for (;;) {
		int n = poll(p, 2, pidfd < 0 ? TICK_MS : -1);
		pid_t ended = waitpid(child, &status, WNOHANG);
		if (ended == child)
			break;
		if (n <= 0 || p[0].revents == 0)
			continue;
		(void)kill(child, SIGKILL);
		while (waitpid(child, &status, 0) < 0 && errno == EINTR)
			;
		return IMAGEHELPER_ENDED;
	}
	return WIFSIGNALED(status) ? IMAGEHELPER_SIGNAL + WTERMSIG(status) : WEXITSTATUS(status);
}

int foreign_main(int argc, char **argv)
{
	struct err e = ERR_INIT;
	static struct start s;
	if (parse(argc, argv, &s, &e) < 0)
		return say(IMAGEHELPER_FAILED, &e);
	if (find_program(&s, &e) < 0)
		return say(IMAGEHELPER_NO_QEMU, &e);
	if (prepare(&s, &e) < 0)
		return say(IMAGEHELPER_FAILED, &e);
	pid_t helper = getpid();
	pid_t child = fork();
	if (child < 0) {
		(void)err_set_errno(&e, ERR_WORKER_START, errno, "foreign", "cannot start a process");
		return say(IMAGEHELPER_FAILED, &e);
	}
	if (child == 0) {
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		int status = getppid() == helper ? become(&s) : IMAGEHELPER_ENDED;
		_exit(status);
	}
	(void)close_range(IMAGEHELPER_FILE_FD, ~0U, 0);
	(void)close(IMAGEHELPER_LISTEN_FD);
	return keep(child);
}
