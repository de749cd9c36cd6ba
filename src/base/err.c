#include "base/err.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

static const char *const code_names[ERR_INDEX_COUNT] = {
	[ERR_INDEX_NONE] = "OK",
#define X(symbol, name) [symbol##_INDEX] = name,
	ERR_CODES(X)
#undef X
};

__attribute__((format(printf, 4, 0)))
static void fill(struct err *e, int code, const char *module, const char *fmt, va_list ap)
{
	assert(code < 0);
	assert(e->code == 0 && "an error is set once");
	e->code = code;
	e->module = module;
	(void)vsnprintf(e->msg, sizeof(e->msg), fmt, ap);
}

int err_set(struct err *e, int code, const char *module, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	fill(e, code, module, fmt, ap);
	va_end(ap);
	return code;
}

int err_set_errno(struct err *e, int code, int errnum, const char *module, const char *fmt, ...)
{
	if (errnum == ENOMEM)
		code = ERR_NO_MEMORY;
	va_list ap;
	va_start(ap, fmt);
	fill(e, code, module, fmt, ap);
	va_end(ap);

	/* strerrordesc_np is the thread-safe form: no static buffer, no locale. */
	const char *text = strerrordesc_np(errnum);
	size_t len = strlen(e->msg);
	if (text)
		(void)snprintf(e->msg + len, sizeof(e->msg) - len, ": %s", text);
	else
		(void)snprintf(e->msg + len, sizeof(e->msg) - len, ": error %d", errnum);
	return code;
}

int err_no_memory(struct err *e, const char *module)
{
	return err_set(e, ERR_NO_MEMORY, module, "not enough memory");
}

int err_prefix(struct err *e, const char *fmt, ...)
{
	char old[ERR_MSG_MAX];
	memcpy(old, e->msg, sizeof(old));

	va_list ap;
	va_start(ap, fmt);
	int n = vsnprintf(e->msg, sizeof(e->msg), fmt, ap);
	va_end(ap);
	if (n >= 0 && (size_t)n < sizeof(e->msg))
		(void)snprintf(e->msg + n, sizeof(e->msg) - (size_t)n, ": %s", old);
	return e->code;
}

void err_clear(struct err *e)
{
	e->code = 0;
	e->module = NULL;
	e->msg[0] = '\0';
}

bool err_code_known(int code)
{
	return code < 0 && code > -(int)ERR_INDEX_COUNT;
}

const char *err_code_name(int code)
{
	if (code == 0)
		return code_names[0];
	return err_code_known(code) ? code_names[-code] : "INTERNAL";
}

int err_code_from_name(const char *name)
{
	for (int i = 1; i < ERR_INDEX_COUNT; i++)
		if (strcmp(code_names[i], name) == 0)
			return -i;
	return 0;
}
