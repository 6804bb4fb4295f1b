/* Zip archives (PKWARE APPNOTE 6.3): .npz, .pt and kin, read from the central directory alone. A member that is a .npy is an
 * array, any other is bytes; nothing in it is executed. Times, order, extra fields and packing do not matter. */
#include "replay/replay.h"

#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#define UNPACKED_MAX ((size_t)1 << 30)
#define END_LEN 22
#define CENTRAL_LEN 46
#define LOCAL_LEN 30

struct member {
	const char *name, *packed;
	size_t name_len, packed_len, unpacked_len;
	size_t start, end; /* of the whole member in the file */
	unsigned method;
	uint32_t crc;
};
struct archive {
	const unsigned char *data;
	size_t len, directory, n; /* offset of the central directory, number of members */
	struct member *members;
	struct hps_error *err;
};

static unsigned u16(const unsigned char *p)
{
	return (unsigned)p[0] | (unsigned)p[1] << 8;
}

static uint32_t u32(const unsigned char *p)
{
	return u16(p) | (uint32_t)u16(p + 2) << 16;
}

static int bad(const struct archive *z, const char *what)
{
	return hps_error_set(z->err, HPS_E_FORMAT, "its zip directory: %s", what);
}

/* The end record is last but for a comment of at most 65,535 bytes. */
static int find_end(struct archive *z)
{
	const unsigned char *p;
	size_t size;

	for (size_t back = END_LEN; back <= z->len && back <= END_LEN + 0xffff; back++) {
		p = z->data + z->len - back;
		if (memcmp(p, "PK\5\6", 4) != 0 || u16(p + 20) != back - END_LEN)
			continue;
		z->n = u16(p + 10);
		size = u32(p + 12);
		z->directory = u32(p + 16);
		if (u16(p + 4) || u16(p + 6) || u16(p + 8) != z->n)
			return bad(z, "it has several volumes");
		if (z->n == 0xffff || z->directory == UINT32_MAX)
			return bad(z, "zip64 is not read");
		if (z->directory > z->len - back || size != z->len - back - z->directory)
			return bad(z, "it does not lie where it should");
		z->len -= back;
		return 0;
	}
	return bad(z, "there is none");
}

static int check_local(const struct archive *z, struct member *m, size_t offset)
{
	const unsigned char *p = z->data + offset;
	size_t head;

	if (offset > z->directory || z->directory - offset < LOCAL_LEN || memcmp(p, "PK\3\4", 4) != 0)
		return bad(z, "a member does not lie where it should");
	head = LOCAL_LEN + u16(p + 26) + u16(p + 28);
	if (u16(p + 26) != m->name_len || z->directory - offset < head || memcmp(p + LOCAL_LEN, m->name, m->name_len) != 0)
		return bad(z, "a member has two names");
	if (m->packed_len > z->directory - offset - head)
		return bad(z, "a member is longer than the file");
	m->packed = (const char *)p + head;
	m->start = offset;
	m->end = offset + head + m->packed_len;
	return 0;
}

static int read_member(const struct archive *z, size_t *at, struct member *m)
{
	const unsigned char *p = z->data + *at;
	size_t left = z->len - *at;

	if (left < CENTRAL_LEN || memcmp(p, "PK\1\2", 4) != 0)
		return bad(z, "it is cut off");
	m->name_len = u16(p + 28);
	m->name = (const char *)p + CENTRAL_LEN;
	if (left - CENTRAL_LEN < m->name_len + u16(p + 30) + u16(p + 32))
		return bad(z, "it is cut off");
	*at += CENTRAL_LEN + m->name_len + u16(p + 30) + u16(p + 32);
	m->method = u16(p + 10);
	m->crc = u32(p + 16);
	m->packed_len = u32(p + 20);
	m->unpacked_len = u32(p + 24);
	if (u16(p + 8) & 1 || (m->method != 0 && m->method != 8))
		return bad(z, u16(p + 8) & 1 ? "a member is encrypted" : "a member is packed in an unknown way");
	if (m->packed_len == UINT32_MAX || m->unpacked_len == UINT32_MAX || u32(p + 42) == UINT32_MAX)
		return bad(z, "zip64 is not read");
	if (!m->name_len || memchr(m->name, '\0', m->name_len))
		return bad(z, "a member without a proper name");
	if (m->method == 0 && m->packed_len != m->unpacked_len)
		return bad(z, "a stored member has two sizes");
	return check_local(z, m, u32(p + 42));
}

static int by_start(const void *a, const void *b)
{
	const struct member *x = a, *y = b;

	return x->start < y->start ? -1 : x->start > y->start;
}

/* Members that share bytes are how small files unpack to huge ones. */
static int check_overlap(const struct archive *z)
{
	size_t total = 0;

	qsort(z->members, z->n, sizeof *z->members, by_start);
	for (size_t i = 0; i < z->n; i++) {
		if (i && z->members[i].start < z->members[i - 1].end)
			return bad(z, "two members overlap");
		total += z->members[i].unpacked_len;
		if (total > UNPACKED_MAX)
			return bad(z, "it unpacks to too much");
	}
	return 0;
}

static int read_directory(struct archive *z)
{
	size_t at;
	int r = find_end(z);

	if (r)
		return r;
	at = z->directory;
	z->members = hps_alloc((z->n + 1) * sizeof *z->members);
	for (size_t i = 0; i < z->n; i++) {
		r = read_member(z, &at, &z->members[i]);
		if (r)
			return r;
	}
	return at == z->len ? check_overlap(z) : bad(z, "more text after it");
}

/* Raw deflate (RFC 1951) into exactly the declared size. */
static int unpack(const struct archive *z, const struct member *m, char *out)
{
	z_stream s = { 0 };
	int r;

	if (inflateInit2(&s, -MAX_WBITS) != Z_OK)
		return bad(z, "unpacking cannot start");
	s.next_in = (Bytef *)(uintptr_t)m->packed; /* zlib does not write there */
	s.avail_in = (uInt)m->packed_len;
	s.next_out = (Bytef *)out;
	s.avail_out = (uInt)m->unpacked_len;
	r = inflate(&s, Z_FINISH);
	inflateEnd(&s);
	return r == Z_STREAM_END && !s.avail_out && !s.avail_in ? 0 : bad(z, "a member does not unpack to its size");
}

static int add_member(const struct archive *z, const struct member *m, struct hps_tree *tree)
{
	_cleanup_free_ char *name = hps_strndup(m->name, m->name_len);
	const char *content = m->packed;
	char *memory;
	int r;

	if (m->method == 8) {
		memory = hps_tree_keep(tree, hps_alloc(m->unpacked_len + 1));
		r = unpack(z, m, memory);
		if (r)
			return r;
		content = memory;
	}
	if (crc32(0, (const Bytef *)content, (uInt)m->unpacked_len) != m->crc)
		return hps_error_set(z->err, HPS_E_DAMAGED, "its member '%s' is damaged (CRC)", name);
	if (m->name_len > 4 && !strcmp(name + m->name_len - 4, ".npy")) {
		name[m->name_len - 4] = '\0';
		r = hps_npy_decode(content, m->unpacked_len, name, tree, z->err);
		return r ? hps_error_prefix(z->err, "its member '%s'", name) : 0;
	}
	return hps_tree_add_text(tree, name, HPS_TEXT_BYTES, content, m->unpacked_len, z->err);
}

static int decode(const char *data, size_t len, struct hps_tree *ret, struct hps_error *err)
{
	struct archive z = { .data = (const unsigned char *)data, .len = len, .err = err };
	int r = read_directory(&z);

	for (size_t i = 0; !r && i < z.n; i++)
		r = add_member(&z, &z.members[i], ret);
	free(z.members);
	return r;
}

static bool fits(const char *path, const char *data, size_t len)
{
	(void)path;
	return len >= 4 && (!memcmp(data, "PK\3\4", 4) || !memcmp(data, "PK\5\6", 4));
}

const struct hps_format hps_format_zip = { "zip", fits, decode };
