/* Starting sendense-imagehelper. The connection to qemu-nbd is made before qemu-nbd runs: it inherits a listening socket on which
 * one client waits already. */
#include "session/internal.h"

#include "wire/imagehelper.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
	END_WAIT_MS = 5000,
	EXPLAIN_WAIT_MS = 1000,
	LOG_LINE_MAX = 4096,
	LOG_PIECES_MAX = 512,        /* more than a pipe holds */
	FILES_ARG_LEN = 16,
	FIXED_FDS = 5,
};

static int socket_error(struct err *e)
{
	return err_set_errno(e, ERR_WORKER_START, errno, "session", "cannot make the socket to qemu-nbd");
}

/* A socket that listens, and one that is connected to it. The name is one of the kernel's choice, of no file system, so that nothing is left
 * of it when the hub is killed here. Anybody on this machine can connect to such a name; but the queue has room for one: if it
 * is not us, we see it here and give up, and once it is us the listener takes no more (what waits in it can still be accepted). */
static int make_sockets(int *ret_listen, int *ret_sock, struct err *e)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	socklen_t len = sizeof(addr);
	CLEANUP(fd_close) int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	CLEANUP(fd_close) int sock = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	bool ok = listener >= 0 && sock >= 0 && bind(listener, (const struct sockaddr *)&addr, sizeof(addr.sun_family)) == 0 &&
	          getsockname(listener, (struct sockaddr *)&addr, &len) == 0 && listen(listener, 0) == 0 &&
	          connect(sock, (const struct sockaddr *)&addr, len) == 0 && shutdown(listener, SHUT_RD) == 0 &&
	          fcntl(sock, F_SETFL, 0) == 0;
	if (!ok)
		return socket_error(e);
	*ret_listen = fd_steal(&listener);
	*ret_sock = fd_steal(&sock);
	return 0;
}

/* Descriptors for the child at numbers above those it gets them at, so that no dup2 there covers one still needed. */
static int move_up(int *fd, int floor, struct err *e)
{
	int up = fcntl(*fd, F_DUPFD_CLOEXEC, floor);
	if (up < 0)
		return err_set_errno(e, ERR_WORKER_START, errno, "session", "too many files are open");
	(void)close(*fd);
	*fd = up;
	return 0;
}

struct child_fds {
	int listener, control, log;      /* owned */
	const int *files;
	unsigned count;
};

static int spawn(const char *program, const char *const *what, const struct child_fds *c, const int *files, pid_t *ret)
{
	char number[FILES_ARG_LEN];
	(void)snprintf(number, sizeof(number), "%u", c->count);
	char *const argv[] = {(char *)(uintptr_t)"sendense-imagehelper", (char *)(uintptr_t)what[0], number,
	                      (char *)(uintptr_t)what[1], NULL};
	struct spawn_fd fds[FIXED_FDS + IMAGEHELPER_FILES_MAX] = {
		{-1, 0}, {-1, 1}, {c->log, 2}, {c->listener, IMAGEHELPER_LISTEN_FD}, {c->control, IMAGEHELPER_CONTROL_FD}};
	for (unsigned i = 0; i < c->count; i++)
		fds[FIXED_FDS + i] = (struct spawn_fd){files[i], IMAGEHELPER_FILE_FD + (int)i};
	struct spawn_program p = {.path = program, .argv = argv, .fds = fds, .fd_count = FIXED_FDS + c->count};
	return session_run(&p, pump_is_callers(), ret);
}

/* The files again, at high numbers; closed by close_all. */
static int copy_files(const struct child_fds *c, int floor, int *ret, struct err *e)
{
	for (unsigned i = 0; i < c->count; i++) {
		ret[i] = fcntl(c->files[i], F_DUPFD_CLOEXEC, floor);
		if (ret[i] < 0)
			return err_set_errno(e, ERR_WORKER_START, errno, "session", "too many files are open");
	}
	return 0;
}

static void close_all(int *fds, unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		if (fds[i] >= 0)
			(void)close(fds[i]);
}

/* what: the format, and its layers or NULL. */
static int run(const char *program, const char *const *what, struct child_fds *c, pid_t *ret, struct err *e)
{
	int files[IMAGEHELPER_FILES_MAX], floor = IMAGEHELPER_FILE_FD + (int)c->count;
	for (unsigned i = 0; i < c->count; i++)
		files[i] = -1;
	int r = move_up(&c->listener, floor, e);
	if (r == 0)
		r = move_up(&c->control, floor, e);
	if (r == 0)
		r = move_up(&c->log, floor, e);
	if (r == 0)
		r = copy_files(c, floor, files, e);
	if (r == 0) {
		int errnum = spawn(program, what, c, files, ret);
		if (errnum != 0)
			r = err_set_errno(e, ERR_WORKER_START, errnum, "session", "cannot start the program sendense-imagehelper");
	}
	close_all(files, c->count);
	return r;
}

static int make_channels(struct image_helper *h, struct child_fds *c, struct err *e)
{
	int pair[2], log[2];
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		return socket_error(e);
	h->control = pair[0];
	c->control = pair[1];
	/* Neither end ever waits: what nobody reads is lost. */
	if (pipe2(log, O_CLOEXEC | O_NONBLOCK) < 0)
		return socket_error(e);
	h->log = log[0];
	c->log = log[1];
	return 0;
}

int image_helper_start(struct session *s, const char *format, const char *layers, const int *fds, unsigned count,
                       struct image_helper **ret, int *ret_sock, struct err *e)
{
	const char *what[] = {format, layers};
	if (count == 0 || count > IMAGEHELPER_FILES_MAX)
		return err_set(e, ERR_LIMIT, "session", "an image consists of at most %d files", IMAGEHELPER_FILES_MAX);
	struct image_helper *h = malloc(sizeof(*h));
	if (!h)
		return err_no_memory(e, "session");
	*h = (struct image_helper){.pid = -1, .pidfd = -1, .control = -1, .log = -1};
	(void)snprintf(h->format, sizeof(h->format), "%s", format);
	struct child_fds c = {.listener = -1, .control = -1, .log = -1, .files = fds, .count = count};
	CLEANUP(fd_close) int sock = -1;
	int r = make_sockets(&c.listener, &sock, e);
	if (r == 0)
		r = make_channels(h, &c, e);
	if (r == 0)
		r = run(s->imagehelper, what, &c, &h->pid, e);
	int child[] = {c.listener, c.control, c.log};
	close_all(child, 3);
	if (r == 0) {
		h->pidfd = session_pidfd(h->pid);
		if (h->pidfd < 0)
			r = err_set_errno(e, ERR_WORKER_START, errno, "session", "cannot watch the process that reads the image");
	}
	if (r < 0) {
		image_helper_free(h);
		return r;
	}
	*ret = h;
	*ret_sock = fd_steal(&sock);
	return 0;
}

void image_helper_free(struct image_helper *h)
{
	if (!h)
		return;
	if (h->control >= 0)
		(void)shutdown(h->control, SHUT_RDWR);
	if (h->pid > 0 && !h->reaped) {
		struct pollfd p = {.fd = h->pidfd, .events = POLLIN};
		/* It takes qemu-nbd along and reaps it; killed, it takes it along, too. */
		if (h->pidfd < 0 || poll(&p, 1, END_WAIT_MS) <= 0)
			(void)kill(h->pid, SIGKILL);
		if (h->pidfd >= 0)
			(void)poll(&p, 1, END_WAIT_MS);
		(void)waitpid(h->pid, NULL, h->pidfd >= 0 ? WNOHANG : 0);
	}
	int fds[] = {h->pidfd, h->control, h->log};
	close_all(fds, 3);
	free(h);
}

/* The last line of what it wrote; without the name of the program and the long name of the image it knows. */
static void last_words(const struct image_helper *h, char ret[ERR_MSG_MAX])
{
	char text[LOG_LINE_MAX] = "", piece[LOG_LINE_MAX / 2];
	size_t have = 0;
	/* It may have said much before: of what came, the end stays. A read gives what there is, and does not wait. */
	ssize_t n;
	for (unsigned i = 0; i < LOG_PIECES_MAX && (n = read(h->log, piece, sizeof(piece))) > 0; i++) {
		size_t keep = min_size(have, sizeof(text) - 1 - (size_t)n);
		memmove(text, text + have - keep, keep);
		memcpy(text + keep, piece, (size_t)n);
		have = keep + (size_t)n;
		text[have] = '\0';
	}
	for (size_t len = strlen(text); len > 0 && text[len - 1] == '\n'; len--)
		text[len - 1] = '\0';
	const char *line = strrchr(text, '\n');
	line = line ? line + 1 : text;
	if (strncmp(line, "qemu-nbd: ", 10) == 0)
		line += 10;
	/* "Failed to open 'json:{…}': Could not open '/proc/self/fd/5': why" */
	for (const char *p = line; (p = strstr(p, "': ")) != NULL; line = p)
		p += 3;
	(void)snprintf(ret, ERR_MSG_MAX, "%.*s", ERR_MSG_MAX / 2, line[0] ? line : "no reason");
	wire_make_text(ret);
}

/* The signal that ended it, or qemu-nbd; 0: none. */
static int end_signal(int status)
{
	if (WIFSIGNALED(status))
		return WTERMSIG(status);
	return WEXITSTATUS(status) > IMAGEHELPER_SIGNAL ? WEXITSTATUS(status) - IMAGEHELPER_SIGNAL : 0;
}

static void explain_signal(const struct image_helper *h, int number, struct err *e)
{
	if (session_signal_from_outside(number))
		(void)err_set(e, ERR_WORKER_DIED, "session", "qemu-nbd, which reads %s images, was killed while it opened this one; try again",
		              h->format);
	else
		(void)err_set(e, ERR_IMAGE_CORRUPT, "session", "qemu-nbd, which reads %s images, was ended by signal %d while it opened this one",
		              h->format, number);
}

static void explain_status(const struct image_helper *h, int status, struct err *e)
{
	char words[ERR_MSG_MAX];
	last_words(h, words);
	switch (status) {
	case IMAGEHELPER_NO_QEMU:
		(void)err_set(e, ERR_IMAGE_UNSUPPORTED, "session",
		              "images of format %s are read by qemu-nbd, which is not installed here: install the package qemu-utils",
		              h->format);
		break;
	case IMAGEHELPER_NO_SANDBOX:
		(void)err_set(e, ERR_SANDBOX, "session", "%s", words);
		break;
	default:
		/* The two things that QEMU says of a passphrase; the rest is about the image. */
		if (strstr(words, "Invalid password") || strstr(words, "is not valid UTF-8"))
			(void)err_set(e, ERR_KEY_WRONG, "session", "the passphrase does not open the image, or not each of its encrypted layers");
		else
			(void)err_set(e, ERR_IMAGE_UNREADABLE, "session", "qemu-nbd cannot open the %s image: %s", h->format, words);
	}
}

void image_helper_explain(struct image_helper *h, struct err *e)
{
	struct pollfd p = {.fd = h->pidfd, .events = POLLIN};
	int status = 0;
	if (poll(&p, 1, EXPLAIN_WAIT_MS) <= 0 || waitpid(h->pid, &status, WNOHANG) != h->pid)
		return;
	h->reaped = true;
	int number = end_signal(status);
	/* It had nobody to serve any more. */
	if (number == 0 && WEXITSTATUS(status) == IMAGEHELPER_ENDED)
		return;
	err_clear(e);
	if (number != 0)
		explain_signal(h, number, e);
	else
		explain_status(h, WEXITSTATUS(status), e);
}
