/* The entries of the metadata: lists in lists. */
#include "volume/bitlocker/bitlocker.h"

#include "base/bytes.h"

#include <stdio.h>
#include <string.h>

enum {
	ENTRY_HEAD = 8,
	VMK_HEAD = 28,
	NONCE = 12,
	MAC = 16,
	SALT = 16,
	KEY_FLAG_PBKDF2 = 0x40,
	DESCRIBED_MAX = 3,           /* protectors of one kind that are named */
};

bool bitlocker_entry_next(const uint8_t *p, size_t len, size_t *at, struct bitlocker_entry *ret)
{
	if (*at > len || len - *at < ENTRY_HEAD)
		return false;
	const uint8_t *q = p + *at;
	size_t size = get_le16(q);
	if (size < ENTRY_HEAD || size > len - *at)
		return false;
	*ret = (struct bitlocker_entry){
		.type = get_le16(q + 2), .value = get_le16(q + 4), .data = q + ENTRY_HEAD, .len = size - ENTRY_HEAD};
	*at += size;
	return true;
}

bool bitlocker_sealed_take(const struct bitlocker_entry *n, struct bitlocker_sealed *ret)
{
	if (n->value != BITLOCKER_VALUE_SEALED || n->len <= NONCE + MAC)
		return false;
	*ret = (struct bitlocker_sealed){
		.nonce = n->data, .mac = n->data + NONCE, .data = n->data + NONCE + MAC, .len = n->len - NONCE - MAC};
	return true;
}

static void take_properties(const uint8_t *p, size_t len, struct bitlocker_protector *ret)
{
	struct bitlocker_entry n;
	size_t at = 0;
	while (bitlocker_entry_next(p, len, &at, &n)) {
		if (n.value == BITLOCKER_VALUE_STRETCH && n.len >= 4 + SALT) {
			ret->pbkdf2 = (get_le16(n.data + 2) & KEY_FLAG_PBKDF2) != 0;
			ret->salt = n.data + 4;
		} else if (n.value == BITLOCKER_VALUE_KEY && n.len == 4 + BITLOCKER_VMK) {
			ret->clear = n.data + 4;
		} else if (!ret->vmk.data) {
			(void)bitlocker_sealed_take(&n, &ret->vmk);
		}
	}
}

bool bitlocker_protector_next(const struct bitlocker_meta *m, size_t *at, struct bitlocker_protector *ret)
{
	struct bitlocker_entry n;
	while (bitlocker_entry_next(m->entries, m->len, at, &n)) {
		if (n.type != BITLOCKER_VMK_INFO || n.value != BITLOCKER_VALUE_VMK || n.len < VMK_HEAD)
			continue;
		*ret = (struct bitlocker_protector){.kind = get_le16(n.data + 26) & 0xff00U, .id = n.data};
		take_properties(n.data + VMK_HEAD, n.len - VMK_HEAD, ret);
		return true;
	}
	return false;
}

void bitlocker_guid_text(const uint8_t id[BITLOCKER_GUID], char to[37])
{
	(void)snprintf(to, 37, "%08X-%04X-%04X-%02X%02X-%02X%02X%02X%02X%02X%02X", get_le32(id), get_le16(id + 4),
	               get_le16(id + 6), id[8], id[9], id[10], id[11], id[12], id[13], id[14], id[15]);
}

/* --- for people ----------------------------------------------------------------------------------- */

struct list {
	char *to;
	size_t size, len;
	unsigned count, left;        /* left: still to come, so that the last one gets its "or" */
};

static void add(struct list *l, const char *text)
{
	const char *between = l->count == 0 ? "" : l->left == 1 ? " or " : ", ";
	int n = snprintf(l->to + l->len, l->size - l->len, "%s%s", between, text);
	if (n > 0)
		l->len = min_size(l->len + (size_t)n, l->size - 1);
	l->count++;
	l->left--;
}

static unsigned count_kind(const struct bitlocker_meta *m, unsigned kind)
{
	struct bitlocker_protector p;
	size_t at = 0;
	unsigned count = 0;
	while (count < BITLOCKER_PROTECTORS_MAX && bitlocker_protector_next(m, &at, &p))
		count += p.kind == kind;
	return count;
}

/* Keys that there may be several of, by the name Windows shows. */
static void add_named(struct list *l, const struct bitlocker_meta *m, unsigned kind, const char *what)
{
	struct bitlocker_protector p;
	size_t at = 0;
	unsigned shown = 0;
	while (shown < DESCRIBED_MAX && bitlocker_protector_next(m, &at, &p)) {
		if (p.kind != kind)
			continue;
		char guid[37], text[64];
		bitlocker_guid_text(p.id, guid);
		(void)snprintf(text, sizeof(text), "%s %s", what, guid);
		add(l, text);
		shown++;
	}
}

void bitlocker_describe(const struct bitlocker_meta *m, char *to, size_t size)
{
	struct list l = {.to = to, .size = size};
	unsigned passwords = count_kind(m, BITLOCKER_BY_PASSWORD);
	unsigned recovery = count_kind(m, BITLOCKER_BY_RECOVERY_KEY);
	unsigned startup = count_kind(m, BITLOCKER_BY_STARTUP_KEY);
	l.left = (passwords > 0) + (recovery < DESCRIBED_MAX ? recovery : DESCRIBED_MAX) +
	         (startup < DESCRIBED_MAX ? startup : DESCRIBED_MAX);
	to[0] = '\0';
	if (l.left == 0)
		(void)snprintf(to, size, "nothing but the TPM or smart card of its machine");
	if (passwords > 0)
		add(&l, "its password");
	add_named(&l, m, BITLOCKER_BY_RECOVERY_KEY, "the recovery key");
	add_named(&l, m, BITLOCKER_BY_STARTUP_KEY, "the start-up key");
}
