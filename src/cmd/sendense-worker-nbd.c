/* The worker for images of foreign formats: the same, and libnbd. A program of its own, because libnbd brings a dozen libraries
 * along (GnuTLS, libxml2, ICU) that would more than double the start of every other worker. */
#include "nbd/nbd.h"
#include "worker/worker.h"

#include <stdio.h>

static int open_source(int fd, struct blk **ret, struct err *e)
{
	return nbd_blk_open(fd, NBD_PATIENCE_MS, ret, e);
}

static const struct worker_source source = {.warm_up = nbd_warm_up, .open = open_source, .lost = nbd_lost};

int main(int argc, char **argv)
{
	(void)argv;
	if (argc != 1) {
		(void)fprintf(stderr, "sendense-worker-nbd is started by sendense and sendense-hub, not by hand\n");
		return 2;
	}
	return worker_main(&source);
}
