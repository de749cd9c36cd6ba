/* sendense: the command line. `image …` works on files and is served here; everything else asks a hub and is in
 * sendense-client, a program of its own: its HTTP library would cost every `image` call its start-up time. */
#include "base/standard.h"
#include "cli/cli.h"

#include <errno.h>
#include <limits.h>
#include <malloc.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static void exec_client(char **argv)
{
	char path[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", path, sizeof(path) - 1);
	if (n <= 0)
		return;
	path[n] = '\0';
	char *slash = strrchr(path, '/');
	if (!slash)
		return;
	static const char *const places[] = {"sendense-client", "../libexec/sendense/sendense-client"};
	for (unsigned i = 0; i < 2; i++) {
		size_t room = sizeof(path) - (size_t)(slash + 1 - path);
		if ((size_t)snprintf(slash + 1, room, "%s", places[i]) < room)
			(void)execv(path, argv);
	}
}

int main(int argc, char **argv)
{
	standard_open();
	if (argc >= 2 && strcmp(argv[1], "image") == 0) {
		/* Its second thread does little: a heap of its own would take longer to set up than it ever waits. */
		(void)mallopt(M_ARENA_MAX, 1);
		return cli_image(argc - 1, argv + 1);
	}
	if (argc >= 2 && strcmp(argv[1], "--version") == 0) {
		(void)printf("sendense %s\n", SENDENSE_VERSION);
		return CLI_OK;
	}
	exec_client(argv);
	(void)fprintf(stderr, "sendense: cannot start sendense-client: %s; install it beside this program\n",
	              strerror(errno));
	return CLI_UNREADABLE;
}
