#include "foreign/foreign.h"

int main(int argc, char **argv)
{
	return foreign_main(argc, argv);
}
