/* The worker on a machine that holds it up whenever it is about to look for a frame: what another thread answers meanwhile may bring the
 * next one. */
#include "worker/worker.h"

#include <poll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { HELD_UP_MS = 300 };

ssize_t recvmsg(int fd, struct msghdr *msg, int flags)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};
	(void)poll(&p, 1, HELD_UP_MS);
	return (ssize_t)syscall(SYS_recvmsg, fd, msg, flags);
}

int main(void)
{
	return worker_main(NULL);
}
