#include "api/sessions.h"

#include "base/hex.h"
#include "base/uuid.h"

#include <openssl/crypto.h>
#include <openssl/sha.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum { SECRET_BYTES = 32 };

struct secret {
	unsigned char digest[SHA256_DIGEST_LENGTH];
	uint64_t until;                  /* 0: free */
};

struct table {
	struct secret *items;
	unsigned count;
};

struct sessions {
	pthread_mutex_t lock;
	struct secret sessions[SESSIONS_MAX];
	struct secret links[SESSION_LINKS_MAX];
};

int sessions_new(struct sessions **ret, struct err *e)
{
	struct sessions *s = calloc(1, sizeof(*s));
	if (!s)
		return err_no_memory(e, "sessions");
	(void)pthread_mutex_init(&s->lock, NULL);
	*ret = s;
	return 0;
}

void sessions_free(struct sessions *s)
{
	if (!s)
		return;
	(void)pthread_mutex_destroy(&s->lock);
	free(s);
}

/* Digests are compared in constant time: how much of a wrong secret is right cannot be measured. */
static struct secret *find(struct table t, const char *text, uint64_t now)
{
	unsigned char digest[SHA256_DIGEST_LENGTH];
	if (strlen(text) != SESSION_SECRET_LEN)
		return NULL;
	(void)SHA256((const unsigned char *)text, SESSION_SECRET_LEN, digest);
	for (struct secret *s = t.items; s < t.items + t.count; s++)
		if (s->until > now && CRYPTO_memcmp(s->digest, digest, sizeof(digest)) == 0)
			return s;
	return NULL;
}

/* A free place has until 0, an expired one is older than any other: the smallest is the one to take. */
static int add(struct sessions *s, struct table t, uint64_t until, char ret[SESSION_SECRET_MAX], struct err *e)
{
	unsigned char bytes[SECRET_BYTES];
	int r = random_bytes(bytes, sizeof(bytes), e);
	if (r < 0)
		return r;
	base64url_encode(ret, bytes, sizeof(bytes));
	OPENSSL_cleanse(bytes, sizeof(bytes));
	(void)pthread_mutex_lock(&s->lock);
	struct secret *place = &t.items[0];
	for (unsigned i = 1; i < t.count; i++)
		if (t.items[i].until < place->until)
			place = &t.items[i];
	(void)SHA256((const unsigned char *)ret, SESSION_SECRET_LEN, place->digest);
	place->until = until;
	(void)pthread_mutex_unlock(&s->lock);
	return 0;
}

static struct table sessions_of(struct sessions *s)
{
	return (struct table){s->sessions, SESSIONS_MAX};
}

static struct table links_of(struct sessions *s)
{
	return (struct table){s->links, SESSION_LINKS_MAX};
}

int sessions_begin(struct sessions *s, uint64_t now, char ret[SESSION_SECRET_MAX], struct err *e)
{
	return add(s, sessions_of(s), now + SESSION_SECONDS, ret, e);
}

uint64_t sessions_left(struct sessions *s, const char *id, uint64_t now)
{
	(void)pthread_mutex_lock(&s->lock);
	const struct secret *found = find(sessions_of(s), id, now);
	uint64_t left = found ? found->until - now : 0;
	(void)pthread_mutex_unlock(&s->lock);
	return left;
}

void sessions_end(struct sessions *s, const char *id)
{
	(void)pthread_mutex_lock(&s->lock);
	struct secret *found = find(sessions_of(s), id, 0);
	if (found)
		found->until = 0;
	(void)pthread_mutex_unlock(&s->lock);
}

int sessions_link(struct sessions *s, uint64_t now, char ret[SESSION_SECRET_MAX], struct err *e)
{
	return add(s, links_of(s), now + SESSION_LINK_SECONDS, ret, e);
}

bool sessions_redeem(struct sessions *s, const char *code, uint64_t now)
{
	(void)pthread_mutex_lock(&s->lock);
	struct secret *found = find(links_of(s), code, now);
	if (found)
		found->until = 0;
	(void)pthread_mutex_unlock(&s->lock);
	return found != NULL;
}
