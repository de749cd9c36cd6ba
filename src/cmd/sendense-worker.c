#include "worker/worker.h"

#include <stdio.h>

int main(int argc, char **argv)
{
	(void)argv;
	if (argc != 1) {
		(void)fprintf(stderr, "sendense-worker is started by sendense and sendense-hub, not by hand\n");
		return 2;
	}
	return worker_main(NULL);
}
