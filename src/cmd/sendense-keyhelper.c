#include "keys/keys.h"

int main(void)
{
	return keys_main();
}
