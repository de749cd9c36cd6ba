/* Starting a worker: posix_spawn (a fork of a large hub costs much more), one socket at a fixed number,
 * nothing else inherited. The worker closes what is left over itself and enters its sandbox before it reads a byte. */
#include "session/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#else
#define SANITIZED 0
#endif

enum { SEND_PATIENCE_S = 5 };

/* The worker beside the running program, or where `make install` puts it from there. */
static int find_worker(const char *name, char *to, size_t size, struct err *e)
{
	char self[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
	if (n <= 0)
		return err_set_errno(e, ERR_WORKER_START, errno, "session", "cannot find the running program's folder");
	self[n] = '\0';
	char *slash = strrchr(self, '/');
	if (slash)
		*slash = '\0';
	static const char *const places[] = {"", "../libexec/sendense/"};
	for (unsigned i = 0; i < 2; i++) {
		int len = snprintf(to, size, "%s/%s%s", self, places[i], name);
		if (len > 0 && (size_t)len < size && access(to, X_OK) == 0)
			return 0;
	}
	return err_set(e, ERR_WORKER_START, "session",
	               "the program %s is not beside this one: install it in the same folder", name);
}

static int fill_actions(posix_spawn_file_actions_t *fa, const struct spawn_fd *fds, unsigned count)
{
	int r = 0;
	for (unsigned i = 0; i < count && r == 0; i++)
		r = fds[i].fd < 0 ? posix_spawn_file_actions_addopen(fa, fds[i].as, "/dev/null", fds[i].as == 0 ? O_RDONLY : O_WRONLY, 0)
		                  : posix_spawn_file_actions_adddup2(fa, fds[i].fd, fds[i].as);
	return r;
}

/* Clean signals and a process group of its own. */
static int set_attributes(posix_spawnattr_t *attr)
{
	sigset_t none, all;
	(void)sigemptyset(&none);
	(void)sigfillset(&all);
	int r = posix_spawnattr_setsigmask(attr, &none);
	if (r == 0)
		r = posix_spawnattr_setsigdefault(attr, &all);
	/* A process group of its own: Ctrl-C at a terminal is for the hub, which then ends its workers. */
	if (r == 0)
		r = posix_spawnattr_setpgroup(attr, 0);
	if (r == 0)
		r = posix_spawnattr_setflags(attr, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP);
	return r;
}

static int spawn(const struct spawn_program *p, pid_t *ret)
{
	static char *const empty_env[] = {NULL};
	posix_spawn_file_actions_t fa;
	posix_spawnattr_t attr;
	int r = posix_spawn_file_actions_init(&fa);
	if (r != 0)
		return r;
	r = posix_spawnattr_init(&attr);
	if (r == 0) {
		r = fill_actions(&fa, p->fds, p->fd_count);
		if (r == 0)
			r = set_attributes(&attr);
		if (r == 0)
			r = posix_spawn(ret, p->path, &fa, &attr, p->argv, p->envp ? p->envp : empty_env);
		(void)posix_spawnattr_destroy(&attr);
	}
	(void)posix_spawn_file_actions_destroy(&fa);
	return r;
}

/* --- the thread that starts them ------------------------------------------------------------------ */

/* What is started asks the kernel to end it when its parent ends, and the kernel takes the thread that started it for that. Those that
 * serve requests come and go, so one thread starts all, which ends with the process alone. */
struct order {
	const struct spawn_program *program;
	pid_t pid;
	int result;
	bool done;
	struct order *next;
};

static struct {
	pthread_mutex_t lock;
	pthread_cond_t given, done;
	struct order *first, **last;
	bool running;
} starter = {.lock = PTHREAD_MUTEX_INITIALIZER, .given = PTHREAD_COND_INITIALIZER, .done = PTHREAD_COND_INITIALIZER};

static void *starter_main(void *arg)
{
	(void)arg;
	(void)pthread_mutex_lock(&starter.lock);
	for (;;) {
		while (!starter.first)
			(void)pthread_cond_wait(&starter.given, &starter.lock);
		struct order *o = starter.first;
		starter.first = o->next;
		(void)pthread_mutex_unlock(&starter.lock);
		o->result = spawn(o->program, &o->pid);
		(void)pthread_mutex_lock(&starter.lock);
		o->done = true;
		(void)pthread_cond_broadcast(&starter.done);
	}
	return NULL;
}

static int order(struct order *o)
{
	int r = 0;
	(void)pthread_mutex_lock(&starter.lock);
	if (!starter.running)
		r = session_thread(starter_main, NULL);
	starter.running = r == 0;
	if (r == 0) {
		if (!starter.first)
			starter.last = &starter.first;
		*starter.last = o;
		starter.last = &o->next;
		(void)pthread_cond_signal(&starter.given);
		while (!o->done)
			(void)pthread_cond_wait(&starter.done, &starter.lock);
		r = o->result;
	}
	(void)pthread_mutex_unlock(&starter.lock);
	return r;
}

int session_run(const struct spawn_program *p, bool one_thread, pid_t *ret)
{
	if (one_thread)
		return spawn(p, ret);
	struct order o = {.program = p};
	int r = order(&o);
	if (r == 0)
		*ret = o.pid;
	return r;
}

/* The scheduler of a virtual machine takes a processor that is halted for one that its host has taken away, so it often has the new
 * process wait for the one that this thread runs on. It shall not. */
static void push_away(pid_t pid)
{
	cpu_set_t all, others;
	int cpu = sched_getcpu();
	if (cpu < 0 || sched_getaffinity(pid, sizeof(all), &all) < 0)
		return;
	others = all;
	CPU_CLR(cpu, &others);
	if (CPU_COUNT(&others) > 0 && sched_setaffinity(pid, sizeof(others), &others) == 0)
		(void)sched_setaffinity(pid, sizeof(all), &all);
}

static int run(const struct session_options *opt, const char *path, int sock, pid_t *ret_pid)
{
	char *const argv[] = {(char *)(uintptr_t)"sendense-worker", NULL};
	struct spawn_fd fds[4] = {{-1, 0}, {-1, 1}};
	unsigned n = 2;
	/* Without a log it writes where the hub does. The log goes first: its number may be the control's. */
	if (opt->log_fd >= 0)
		fds[n++] = (struct spawn_fd){opt->log_fd, 2};
	fds[n++] = (struct spawn_fd){sock, WIRE_CONTROL_FD};
	struct spawn_program p = {.path = path, .argv = argv, .envp = SANITIZED ? environ : NULL, .fds = fds, .fd_count = n};
	int r = session_run(&p, opt->one_thread, ret_pid);
	if (r == 0)
		push_away(*ret_pid);
	return r;
}

int session_thread(void *(*start)(void *), void *arg)
{
	/* Signals are for the program's own threads. */
	sigset_t all, old;
	(void)sigfillset(&all);
	(void)pthread_sigmask(SIG_SETMASK, &all, &old);
	pthread_t thread;
	int r = pthread_create(&thread, NULL, start, arg);
	(void)pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (r == 0)
		(void)pthread_detach(thread);
	return r;
}

struct end_watch {
	pid_t pid;
	int fd;                          /* an eventfd */
};

static void *await_end(void *arg)
{
	struct end_watch *w = arg;
	siginfo_t info;
	/* It stays a zombie: reaping is the session's. */
	while (waitid(P_PID, (id_t)w->pid, &info, WEXITED | WNOWAIT) < 0 && errno == EINTR)
		;
	(void)eventfd_write(w->fd, 1);
	(void)close(w->fd);
	free(w);
	return NULL;
}

/* Where there are no pidfds (valgrind, some containers): a descriptor that a thread makes readable when the process ends. */
static int watch_by_thread(pid_t pid)
{
	CLEANUP(free_ptr) struct end_watch *w = malloc(sizeof(*w));
	CLEANUP(fd_close) int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	CLEANUP(fd_close) int its = fd < 0 ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, 0);
	if (!w || its < 0)
		return -1;
	*w = (struct end_watch){.pid = pid, .fd = its};
	int r = session_thread(await_end, w);
	if (r != 0) {
		errno = r;
		return -1;
	}
	(void)STEAL(w);
	(void)fd_steal(&its);
	return fd_steal(&fd);
}

int session_pidfd(pid_t pid)
{
	int pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	if (pidfd < 0 && errno == ENOSYS)
		pidfd = watch_by_thread(pid);
	if (pidfd >= 0)
		(void)fcntl(pidfd, F_SETFD, FD_CLOEXEC);
	return pidfd;
}

int session_find_worker(const struct session_options *opt, char *ret, struct err *e)
{
	if (!opt->worker_path)
		return find_worker(opt->foreign ? "sendense-worker-nbd" : "sendense-worker", ret, PATH_MAX, e);
	int len = snprintf(ret, PATH_MAX, "%s%s", opt->worker_path, opt->foreign ? "-nbd" : "");
	return len < PATH_MAX ? 0 : err_set(e, ERR_WORKER_START, "session", "the worker's path is too long");
}

int session_spawn(const struct session_options *opt, const char *path, int *ret_sock, pid_t *ret_pid, int *ret_pidfd,
                  struct err *e)
{
	int pair[2];
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return err_set_errno(e, ERR_WORKER_START, errno, "session", "cannot make a worker's socket");
	CLEANUP(fd_close) int ours = pair[0];
	CLEANUP(fd_close) int theirs = pair[1];
	/* A worker that takes nothing any more must not hold up whoever asks it. */
	struct timeval patience = {.tv_sec = SEND_PATIENCE_S};
	if (setsockopt(ours, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience)) < 0)
		return err_set_errno(e, ERR_WORKER_START, errno, "session", "cannot prepare a worker's socket");
	pid_t pid;
	int r = run(opt, path, theirs, &pid);
	if (r != 0)
		return err_set_errno(e, ERR_WORKER_START, r, "session", "cannot start the worker program");
	int pidfd = session_pidfd(pid);
	if (pidfd < 0) {
		int errnum = errno;
		(void)kill(pid, SIGKILL);
		(void)waitpid(pid, NULL, 0);
		return err_set_errno(e, ERR_WORKER_START, errnum, "session", "cannot watch the worker process");
	}
	*ret_sock = fd_steal(&ours);
	*ret_pid = pid;
	*ret_pidfd = pidfd;
	return 0;
}
