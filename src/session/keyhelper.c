#include "session/keyhelper.h"

#include "session/internal.h"
#include "wire/keyhelper.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum { ANSWER_HEAD = 8, END_WAIT_MS = 200 };

static int run(const char *program, int sock, int header_fd, pid_t *ret_pid)
{
	char *const argv[] = {(char *)(uintptr_t)"sendense-keyhelper", NULL};
	const struct spawn_fd fds[] = {{sock, KEYHELPER_SOCKET_FD}, {-1, 1}, {-1, 2}, {header_fd, KEYHELPER_HEADER_FD}};
	struct spawn_program p = {.path = program, .argv = argv, .fds = fds, .fd_count = sizeof(fds) / sizeof(fds[0])};
	return session_run(&p, pump_is_callers(), ret_pid);
}

static int broken(struct err *e)
{
	return err_set(e, ERR_WORKER_PROTOCOL, "session", "the process that looks for the key ended without an answer");
}

static int put_all(int sock, const void *from, size_t len, struct err *e)
{
	const uint8_t *p = from;
	while (len > 0) {
		ssize_t n = send(sock, p, len, MSG_NOSIGNAL);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return broken(e);
		p += n;
		len -= (size_t)n;
	}
	return 0;
}

static int get_all(int sock, void *to, size_t len, uint64_t until, struct err *e)
{
	uint8_t *p = to;
	while (len > 0) {
		uint64_t now = now_ms();
		struct pollfd pfd = {.fd = sock, .events = POLLIN};
		int ready = now < until ? poll(&pfd, 1, (int)(until - now)) : 0;
		if (ready == 0)
			return err_set(e, ERR_TIMEOUT, "session",
			               "the process that looks for the key took too long and was ended; the key may still be the right one");
		ssize_t n = ready > 0 ? recv(sock, p, len, MSG_DONTWAIT) : -1;
		if (n < 0 && (errno == EINTR || errno == EAGAIN))
			continue;
		if (n <= 0)
			return broken(e);
		p += n;
		len -= (size_t)n;
	}
	return 0;
}

/* The helper has read what a guest wrote: its sentence is checked like a worker's. */
static int take_failure(int sock, uint32_t code, uint32_t len, uint64_t until, struct err *e)
{
	char msg[ERR_MSG_MAX] = "";
	if (len >= sizeof(msg))
		return broken(e);
	int r = get_all(sock, msg, len, until, e);
	if (r < 0)
		return r;
	wire_make_text(msg);
	int failure = code <= ERR_INDEX_COUNT ? -(int)code : 0;
	return failure < 0 && wire_error_allowed(failure) ? err_set(e, failure, "keys", "%s", msg) : broken(e);
}

static int talk(int sock, unsigned timeout_ms, const struct session_key *secret, uint8_t ret[WIRE_KEY_MAX], size_t *ret_len,
                struct err *e)
{
	static const uint8_t kinds[] = {
		[SESSION_KEY_PASSPHRASE] = KEYHELPER_PASSPHRASE,
		[SESSION_KEY_RECOVERY] = KEYHELPER_RECOVERY,
		[SESSION_KEY_FILE] = KEYHELPER_FILE,
	};
	uint64_t until = now_ms() + timeout_ms;
	uint8_t head[ANSWER_HEAD];
	put_le32(head, kinds[secret->kind]);
	put_le32(head + 4, (uint32_t)secret->len);
	int r = put_all(sock, head, sizeof(head), e);
	if (r == 0)
		r = put_all(sock, secret->bytes, secret->len, e);
	if (r == 0)
		r = get_all(sock, head, sizeof(head), until, e);
	if (r < 0)
		return r;
	uint32_t code = get_le32(head), answer_len = get_le32(head + 4);
	if (code != 0)
		return take_failure(sock, code, answer_len, until, e);
	if (answer_len == 0 || answer_len > WIRE_KEY_MAX)
		return broken(e);
	r = get_all(sock, ret, answer_len, until, e);
	if (r == 0)
		*ret_len = answer_len;
	return r;
}

/* One that ended without an answer: was it killed? (By us it is later.) */
static int explain_end(pid_t pid, struct err *e)
{
	CLEANUP(fd_close) int pidfd = session_pidfd(pid);
	struct pollfd p = {.fd = pidfd, .events = POLLIN};
	siginfo_t info = {0};
	if (pidfd >= 0 && poll(&p, 1, END_WAIT_MS) > 0 && waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG | WNOWAIT) == 0 &&
	    info.si_code == CLD_KILLED && session_signal_from_outside(info.si_status)) {
		err_clear(e);
		(void)err_set(e, ERR_WORKER_DIED, "session", "the process that looks for the key was killed; try again");
	}
	return e->code;
}

int keyhelper_ask(const char *program, unsigned timeout_ms, int header_fd, const struct session_key *secret,
                  uint8_t ret[WIRE_KEY_MAX], size_t *ret_len, struct err *e)
{
	if (secret->len > KEYHELPER_SECRET_MAX)
		return err_set(e, ERR_INVALID, "session", "a passphrase or key file has at most %d bytes", KEYHELPER_SECRET_MAX);
	int pair[2];
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		return err_set_errno(e, ERR_WORKER_START, errno, "session", "cannot make the key helper's socket");
	CLEANUP(fd_close) int ours = pair[0];
	pid_t pid;
	int r = run(program, pair[1], header_fd, &pid);
	(void)close(pair[1]);
	if (r != 0)
		return err_set_errno(e, ERR_WORKER_START, r, "session", "cannot start the program sendense-keyhelper");
	r = talk(ours, timeout_ms, secret, ret, ret_len, e);
	if (r == ERR_WORKER_PROTOCOL)
		r = explain_end(pid, e);
	/* One answer is all it has to say. */
	(void)kill(pid, SIGKILL);
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
	return r;
}
