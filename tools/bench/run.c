/* For measurements only: starts one command and says what it took.
 *
 *	bench-run RESULT OUT COMMAND [ARGUMENT…]
 *
 * Standard output goes to the file OUT. RESULT becomes one line: exit status, wall seconds, CPU seconds, KiB of the largest process.
 * The harness itself cannot do this: a child's peak begins with that of the process that started it, and Python is large. */
#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

extern char **environ;

static double now(void)
{
	struct timespec t;
	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static double seconds(struct timeval t)
{
	return (double)t.tv_sec + (double)t.tv_usec / 1e6;
}

int main(int argc, char **argv)
{
	if (argc < 4)
		return 2;
	posix_spawn_file_actions_t actions;
	struct rusage usage = {0};
	pid_t pid;
	int status;
	FILE *result = fopen(argv[1], "we");
	if (!result || posix_spawn_file_actions_init(&actions) != 0 ||
	    posix_spawn_file_actions_addopen(&actions, 1, argv[2], O_WRONLY | O_CREAT | O_TRUNC, 0600) != 0)
		return 2;
	double start = now();
	int r = posix_spawnp(&pid, argv[3], &actions, NULL, argv + 3, environ);
	if (r != 0) {
		(void)fprintf(stderr, "%s: %s\n", argv[3], strerror(r));
		return 2;
	}
	while (wait4(pid, &status, 0, &usage) < 0)
		if (errno != EINTR)
			return 2;
	double wall = now() - start;
	(void)fprintf(result, "%d %.6f %.6f %ld\n", WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status), wall,
	              seconds(usage.ru_utime) + seconds(usage.ru_stime), usage.ru_maxrss);
	return fclose(result) == 0 ? 0 : 2;
}
