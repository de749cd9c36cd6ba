/* The router's table, and the statuses of errors, for tests that cannot include its header. */
#include "api/api.h"

bool route_at(size_t i, const char **method, const char **pattern);
unsigned status_of(int code);

bool route_at(size_t i, const char **method, const char **pattern)
{
	if (i >= api_route_count)
		return false;
	*method = api_routes[i].method;
	*pattern = api_routes[i].pattern;
	return true;
}

unsigned status_of(int code)
{
	return api_status(code);
}
