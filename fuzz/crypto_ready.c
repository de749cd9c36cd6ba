/* What a program does before it uses crypto/; targets have no main() of their own. */
#include "crypto/crypto.h"

static void __attribute__((constructor)) crypto_ready(void)
{
	crypto_init();
}
