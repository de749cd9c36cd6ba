/* sendense-client: the command line's hub group; `sendense` starts it. */
#include "client/client.h"

int main(int argc, char **argv)
{
	return client_main(argc, argv);
}
