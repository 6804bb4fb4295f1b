/* Tiles: where the hashes and leaves of the tree lie as static files (C2SP tlog-tiles 0.1.0). */
#include "ledger/ledger.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define LEVEL_BITS 8 /* a tile is 8 tree levels high */
#define LEVEL_MAX 7  /* 256^8 = 2^64 */

unsigned hps_tile_width(unsigned level, uint64_t n, uint64_t size)
{
	uint64_t hashes = level > LEVEL_MAX ? 0 : size >> (LEVEL_BITS * level), start = n << LEVEL_BITS;

	if (n > UINT64_MAX >> LEVEL_BITS || hashes <= start)
		return 0;
	return hashes - start < HPS_TILE_WIDTH ? (unsigned)(hashes - start) : HPS_TILE_WIDTH;
}

/* 1234067 becomes x001/x234/067. */
static int number_path(uint64_t n, char *out, size_t len)
{
	unsigned group[7], k = 0;
	int at = 0;

	do {
		group[k++] = (unsigned)(n % 1000);
		n /= 1000;
	} while (n);
	while (k--)
		at += snprintf(out + at, len - (size_t)at, k ? "x%03u/" : "%03u", group[k]);
	return at;
}

void hps_tile_path(const struct hps_tile *t, char out[HPS_TILE_PATH])
{
	int at = t->entries ? snprintf(out, HPS_TILE_PATH, "tile/entries/") : snprintf(out, HPS_TILE_PATH, "tile/%u/", t->level);

	at += number_path(t->n, out + at, HPS_TILE_PATH - (size_t)at);
	if (t->width < HPS_TILE_WIDTH)
		snprintf(out + at, HPS_TILE_PATH - (size_t)at, ".p/%u", t->width);
}

/* Reads an unsigned number of at most `max` at *at, moving it on. */
static bool take_number(const char **at, uint64_t max, uint64_t *ret)
{
	uint64_t n = 0;
	const char *s = *at;

	for (; *s >= '0' && *s <= '9'; s++) {
		n = 10 * n + (uint64_t)(*s - '0');
		if (n > max)
			return false;
	}
	*ret = n;
	if (s == *at)
		return false;
	*at = s;
	return true;
}

int hps_tile_parse(const char *path, struct hps_tile *ret)
{
	const char *at = path;
	char again[HPS_TILE_PATH];
	uint64_t number, group;
	bool more;

	memset(ret, 0, sizeof *ret);
	if (strncmp(at, "tile/", 5) != 0)
		return -EINVAL;
	at += 5;
	if (!strncmp(at, "entries/", 8)) {
		ret->entries = true;
		at += 8;
	} else if (take_number(&at, LEVEL_MAX, &number) && *at++ == '/') {
		ret->level = (unsigned)number;
	} else {
		return -EINVAL;
	}
	do {
		more = *at == 'x';
		at += more;
		if (!take_number(&at, 999, &group) || ret->n > HPS_LEDGER_SIZE_MAX || (more && *at++ != '/'))
			return -EINVAL;
		ret->n = 1000 * ret->n + group;
	} while (more);
	ret->width = HPS_TILE_WIDTH;
	if (!strncmp(at, ".p/", 3)) {
		at += 3;
		if (!take_number(&at, HPS_TILE_WIDTH - 1, &number) || !number)
			return -EINVAL;
		ret->width = (unsigned)number;
	}
	/* One spelling each: no leading zeros, no missing ones. */
	hps_tile_path(ret, again);
	return *at || strcmp(again, path) != 0 ? -EINVAL : 0;
}

static size_t max_bytes(const struct hps_tile *t)
{
	return HPS_TILE_WIDTH * (t->entries ? HPS_LEAF_MAX + 2 : (size_t)HPS_DIGEST_LEN);
}

static int check_length(const struct hps_tile *t, const struct hps_buf *b, const char *path, unsigned width, struct hps_error *err)
{
	if (t->entries || b->len == width * (size_t)HPS_DIGEST_LEN)
		return 0;
	return hps_error_set(err, HPS_E_DAMAGED, "'%s': %zu bytes instead of %u", path, b->len, width * HPS_DIGEST_LEN);
}

int hps_tile_read(int tilesfd, const struct hps_tile *t, struct hps_buf *ret, struct hps_error *err)
{
	struct hps_tile full = *t;
	char path[HPS_TILE_PATH];
	int r;

	hps_tile_path(t, path);
	r = hps_file_read(tilesfd, path, max_bytes(t), ret, err);
	if (!r)
		return check_length(t, ret, path, t->width, err);
	if (r != -ENOENT)
		return r;
	if (t->width == HPS_TILE_WIDTH)
		return hps_error_set(err, HPS_E_DAMAGED, "'%s': the file is missing", path);
	full.width = HPS_TILE_WIDTH;
	hps_tile_path(&full, path);
	r = hps_file_read(tilesfd, path, max_bytes(t), ret, err);
	hps_tile_path(t, path);
	if (r == -ENOENT)
		return hps_error_set(err, HPS_E_DAMAGED, "'%s': the file is missing", path);
	r = r ? r : check_length(&full, ret, path, HPS_TILE_WIDTH, err);
	if (!r && !t->entries)
		ret->len = t->width * (size_t)HPS_DIGEST_LEN;
	return r;
}

void hps_bundle_add(struct hps_buf *bundle, const void *leaf, size_t len)
{
	hps_buf_addc(bundle, (char)(len >> 8));
	hps_buf_addc(bundle, (char)(len & 0xff));
	hps_buf_add(bundle, leaf, len);
}

bool hps_bundle_next(const struct hps_buf *bundle, size_t *at, const uint8_t **ret_leaf, size_t *ret_len)
{
	const uint8_t *data = (const uint8_t *)bundle->data;
	size_t len;

	if (bundle->len - *at < 2)
		return false;
	len = (size_t)data[*at] << 8 | data[*at + 1];
	if (bundle->len - *at - 2 < len)
		return false;
	*ret_leaf = data + *at + 2;
	*ret_len = len;
	*at += 2 + len;
	return true;
}

int hps_tiles_file(const struct hps_tiles *tiles, const char *path, size_t max, struct hps_buf *ret, struct hps_error *err)
{
	struct hps_http_request request = { .max = max, .ca_file = tiles->ca_file };
	_cleanup_(hps_http_reply_release) struct hps_http_reply reply = { 0 };
	_cleanup_free_ char *url = tiles->url ? hps_format("%s/%s", tiles->url, path) : NULL;
	int r;

	hps_buf_reset(ret);
	if (!url) {
		r = hps_file_read(tiles->tilesfd, path, max, ret, err);
		return r == -ENOENT ? hps_error_set(err, HPS_E_NOTFOUND, "'%s': the file is missing", path) : r;
	}
	r = hps_http(&request, url, ret, &reply, err);
	return r ? r : hps_http_expect(&reply, url, err);
}

/* As hps_tile_read(), from wherever the tiles are. */
static int read_tile(const struct hps_tiles *tiles, const struct hps_tile *t, struct hps_buf *ret, struct hps_error *err)
{
	struct hps_tile full = *t;
	char path[HPS_TILE_PATH];
	int r;

	if (!tiles->url)
		return hps_tile_read(tiles->tilesfd, t, ret, err);
	hps_tile_path(t, path);
	r = hps_tiles_file(tiles, path, max_bytes(t), ret, err);
	if (!r)
		return check_length(t, ret, path, t->width, err);
	if (r != HPS_E_NOTFOUND || t->width == HPS_TILE_WIDTH)
		return r;
	full.width = HPS_TILE_WIDTH;
	hps_tile_path(&full, path);
	r = hps_tiles_file(tiles, path, max_bytes(t), ret, NULL);
	if (r) /* the first error says what is missing */
		return err ? err->code : r;
	if (err)
		hps_error_release(err);
	r = r ? r : check_length(&full, ret, path, HPS_TILE_WIDTH, err);
	if (!r && !t->entries)
		ret->len = t->width * (size_t)HPS_DIGEST_LEN;
	return r;
}

int hps_tiles_node(void *arg, unsigned level, uint64_t n, struct hps_digest *ret, struct hps_error *err)
{
	const struct hps_tiles *tiles = arg;
	unsigned inside = level % 8, count = 1u << inside;
	uint64_t first = n << inside;
	struct hps_tile t = { .level = level / 8, .n = first / HPS_TILE_WIDTH };
	_cleanup_buf_ struct hps_buf hashes = HPS_BUF_INIT;
	struct hps_merkle tree = { 0 };
	size_t at = first % HPS_TILE_WIDTH;
	int r;

	t.width = hps_tile_width(t.level, t.n, tiles->size);
	if (at + count > t.width)
		return hps_error_set(err, HPS_E_USAGE, "reading tiles: node %llu of level %u is not complete", (unsigned long long)n, level);
	r = read_tile(tiles, &t, &hashes, err);
	if (r)
		return r;
	for (size_t i = at; i < at + count; i++) {
		struct hps_digest hash;

		memcpy(hash.b, hashes.data + i * HPS_DIGEST_LEN, HPS_DIGEST_LEN);
		hps_merkle_add(&tree, &hash, NULL);
	}
	hps_merkle_root(&tree, ret);
	return 0;
}

int hps_tiles_leaf(const struct hps_tiles *tiles, uint64_t index, struct hps_buf *ret, struct hps_error *err)
{
	struct hps_tile t = { .entries = true, .n = index / HPS_TILE_WIDTH };
	_cleanup_buf_ struct hps_buf bundle = HPS_BUF_INIT;
	const uint8_t *leaf = NULL;
	size_t at = 0, len = 0;
	int r;

	t.width = hps_tile_width(0, t.n, tiles->size);
	if (index >= tiles->size)
		return hps_error_set(err, HPS_E_NOTFOUND, "reading tiles: there is no entry %llu", (unsigned long long)index);
	r = read_tile(tiles, &t, &bundle, err);
	for (uint64_t i = 0; !r && i <= index % HPS_TILE_WIDTH; i++)
		if (!hps_bundle_next(&bundle, &at, &leaf, &len))
			r = hps_error_set(err, HPS_E_DAMAGED, "reading tiles: the bundle of entry %llu is cut short", (unsigned long long)index);
	if (!r)
		hps_buf_add(ret, leaf, len);
	return r;
}
