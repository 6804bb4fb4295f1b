/* Zip archives (PKWARE APPNOTE 6.3), read from the central directory alone: members by name, each checked by its CRC. */
#include "replay/compare/compare.h"

#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#define UNPACKED_MAX ((size_t)1 << 30)
#define END_LEN 22
#define END64_LEN 56
#define LOCATOR_LEN 20
#define CENTRAL_LEN 46
#define LOCAL_LEN 30


static unsigned u16(const unsigned char *p)
{
	return (unsigned)p[0] | (unsigned)p[1] << 8;
}

static uint32_t u32(const unsigned char *p)
{
	return u16(p) | (uint32_t)u16(p + 2) << 16;
}

static uint64_t u64(const unsigned char *p)
{
	return u32(p) | (uint64_t)u32(p + 4) << 32;
}

static int bad(const struct hps_zip *z, const char *what)
{
	return hps_error_set(z->err, HPS_E_FORMAT, "its zip directory: %s", what);
}

/* The zip64 end record, when a locator in front of the end record names it: torch writes one always. */
static int find_end64(struct hps_zip *z, size_t *end, uint64_t *size, bool *ret_found)
{
	const unsigned char *locator = z->data + *end - LOCATOR_LEN, *p;
	uint64_t at;

	*ret_found = *end >= LOCATOR_LEN + END64_LEN && !memcmp(locator, "PK\6\7", 4);
	if (!*ret_found)
		return 0;
	at = u64(locator + 8);
	if (at > *end - LOCATOR_LEN - END64_LEN || memcmp(z->data + at, "PK\6\6", 4) != 0 || u32(locator + 4) || u32(locator + 16) != 1)
		return bad(z, "its zip64 record does not lie where it should");
	p = z->data + at;
	if (u64(p + 4) != *end - LOCATOR_LEN - at - 12 || u32(p + 16) || u32(p + 20) || u64(p + 24) != u64(p + 32) || u64(p + 32) > z->len / CENTRAL_LEN)
		return bad(z, "its zip64 record is none");
	z->n = u64(p + 32);
	*size = u64(p + 40);
	z->directory = u64(p + 48);
	*end = at;
	return 0;
}

static int take_end(struct hps_zip *z, const unsigned char *p)
{
	size_t end = (size_t)(p - z->data);
	uint64_t size = u32(p + 12);
	bool large;
	int r;

	z->n = u16(p + 10);
	z->directory = u32(p + 16);
	if (u16(p + 4) || u16(p + 6) || u16(p + 8) != z->n)
		return bad(z, "it has several volumes");
	r = find_end64(z, &end, &size, &large);
	if (r)
		return r;
	if (!large && (z->n == 0xffff || z->directory == UINT32_MAX))
		return bad(z, "its zip64 record is missing");
	if (z->directory > end || size != end - z->directory)
		return bad(z, "it does not lie where it should");
	z->len = end;
	return 0;
}

/* The end record is last but for a comment of at most 65,535 bytes. */
static int find_end(struct hps_zip *z)
{
	for (size_t back = END_LEN; back <= z->len && back <= END_LEN + 0xffff; back++) {
		const unsigned char *p = z->data + z->len - back;

		if (!memcmp(p, "PK\5\6", 4) && u16(p + 20) == back - END_LEN)
			return take_end(z, p);
	}
	return bad(z, "there is none");
}

static int check_local(const struct hps_zip *z, struct hps_zip_member *m, size_t offset)
{
	const unsigned char *p = z->data + offset;
	size_t head, name_len = strlen(m->name);

	if (offset > z->directory || z->directory - offset < LOCAL_LEN || memcmp(p, "PK\3\4", 4) != 0)
		return bad(z, "a member does not lie where it should");
	head = LOCAL_LEN + u16(p + 26) + u16(p + 28);
	if (u16(p + 26) != name_len || z->directory - offset < head || memcmp(p + LOCAL_LEN, m->name, name_len) != 0)
		return bad(z, "a member has two names");
	if (m->packed_len > z->directory - offset - head)
		return bad(z, "a member is longer than the file");
	m->packed = (const char *)p + head;
	m->start = offset;
	m->end = offset + head + m->packed_len;
	return 0;
}

/* The extra field 1 holds what does not fit into 32 bits, in this order. */
static int read_large(const struct hps_zip *z, const unsigned char *extra, size_t len, struct hps_zip_member *m, uint64_t *offset)
{
	uint64_t *const wanted[] = { &m->unpacked_len, &m->packed_len, offset };
	size_t at = 0, end;

	if (m->unpacked_len != UINT32_MAX && m->packed_len != UINT32_MAX && *offset != UINT32_MAX)
		return 0;
	while (at + 4 <= len && u16(extra + at) != 1)
		at += 4 + (size_t)u16(extra + at + 2);
	end = at + 4 <= len ? at + 4 + u16(extra + at + 2) : 0;
	if (!end || end > len)
		return bad(z, "a member's zip64 field is missing");
	at += 4;
	for (size_t i = 0; i < ARRAY_SIZE(wanted); i++) {
		if (*wanted[i] != UINT32_MAX)
			continue;
		if (end - at < 8)
			return bad(z, "a member's zip64 field is too short");
		*wanted[i] = u64(extra + at);
		at += 8;
	}
	return 0;
}

static int read_member(const struct hps_zip *z, size_t *at, struct hps_zip_member *m)
{
	const unsigned char *p = z->data + *at;
	size_t left = z->len - *at, name_len;
	uint64_t offset;
	int r;

	if (left < CENTRAL_LEN || memcmp(p, "PK\1\2", 4) != 0)
		return bad(z, "it is cut off");
	name_len = u16(p + 28);
	if (left - CENTRAL_LEN < name_len + u16(p + 30) + u16(p + 32))
		return bad(z, "it is cut off");
	m->name = hps_strndup((const char *)p + CENTRAL_LEN, name_len);
	*at += CENTRAL_LEN + name_len + u16(p + 30) + u16(p + 32);
	m->method = u16(p + 10);
	m->crc = u32(p + 16);
	m->packed_len = u32(p + 20);
	m->unpacked_len = u32(p + 24);
	if (u16(p + 8) & 1 || (m->method != 0 && m->method != 8))
		return bad(z, u16(p + 8) & 1 ? "a member is encrypted" : "a member is packed in an unknown way");
	offset = u32(p + 42);
	r = read_large(z, p + CENTRAL_LEN + name_len, u16(p + 30), m, &offset);
	if (r)
		return r;
	if (!name_len || strlen(m->name) != name_len)
		return bad(z, "a member without a proper name");
	if (m->method == 0 && m->packed_len != m->unpacked_len)
		return bad(z, "a stored member has two sizes");
	return check_local(z, m, offset);
}

static int by_start(const void *a, const void *b)
{
	const struct hps_zip_member *x = a, *y = b;

	return x->start < y->start ? -1 : x->start > y->start;
}

/* Members that share bytes are how small files unpack to huge ones. */
static int check_overlap(const struct hps_zip *z)
{
	size_t total = 0;

	qsort(z->members, z->n, sizeof *z->members, by_start);
	for (size_t i = 0; i < z->n; i++) {
		if (i && z->members[i].start < z->members[i - 1].end)
			return bad(z, "two members overlap");
		if (z->members[i].method && (z->members[i].unpacked_len > UNPACKED_MAX || (total += z->members[i].unpacked_len) > UNPACKED_MAX))
			return bad(z, "it unpacks to too much");
	}
	return 0;
}

static int read_directory(struct hps_zip *z)
{
	size_t at, n;
	int r = find_end(z);

	if (r)
		return r;
	at = z->directory;
	n = z->n;
	z->n = 0;
	z->members = hps_alloc((n + 1) * sizeof *z->members);
	while (z->n < n) {
		r = read_member(z, &at, &z->members[z->n++]);
		if (r)
			return r;
	}
	return at == z->len ? check_overlap(z) : bad(z, "more text after it");
}

int hps_zip_read(const char *data, size_t len, struct hps_zip *ret, struct hps_error *err)
{
	int r;

	*ret = (struct hps_zip){ .data = (const unsigned char *)data, .len = len, .err = err };
	r = read_directory(ret);
	if (r)
		hps_zip_release(ret);
	return r;
}

int hps_zip_content(const struct hps_zip *z, const struct hps_zip_member *m, struct hps_tree *tree, const char **ret)
{
	char *memory;

	*ret = m->packed;
	if (m->method) {
		*ret = memory = hps_tree_keep(tree, hps_alloc(m->unpacked_len + 1));
		if (hps_unpack(HPS_PACKING_DEFLATE, m->packed, m->packed_len, memory, m->unpacked_len, z->err))
			return hps_error_prefix(z->err, "its member '%s'", m->name);
	}
	if (crc32_z(0, (const Bytef *)*ret, m->unpacked_len) != m->crc)
		return hps_error_set(z->err, HPS_E_DAMAGED, "its member '%s' is damaged (CRC)", m->name);
	return 0;
}

void hps_zip_release(struct hps_zip *z)
{
	for (size_t i = 0; z->members && i < z->n; i++)
		free(z->members[i].name);
	free(z->members);
	z->members = NULL;
	z->n = 0;
}
