/* Reading untrusted bytes from the front: nothing is read that is not there. And unpacking, into a size that was said before. */
#include "replay/compare/compare.h"

#include <limits.h>
#include <string.h>
#include <zlib.h>
#include <zstd.h>

const uint8_t *hps_bytes_take(struct hps_bytes *b, size_t n)
{
	const uint8_t *p = b->at;

	if (n > (size_t)(b->end - b->at))
		return NULL;
	b->at += n;
	return p;
}

uint64_t hps_bytes_le(const uint8_t *p, size_t n)
{
	uint64_t v = 0;

	while (n--)
		v = v << 8 | p[n];
	return v;
}

uint64_t hps_bytes_be(const uint8_t *p, size_t n)
{
	uint64_t v = 0;

	for (size_t i = 0; i < n; i++)
		v = v << 8 | p[i];
	return v;
}

bool hps_bytes_varint(struct hps_bytes *b, uint64_t *ret)
{
	*ret = 0;
	for (unsigned shift = 0; shift < 64 && b->at < b->end; shift += 7) {
		uint8_t c = *b->at++;

		*ret |= (uint64_t)(c & 0x7f) << shift;
		if (!(c & 0x80))
			return shift < 63 || c < 2;
	}
	return false;
}

void hps_utf8_add(struct hps_buf *out, uint32_t c)
{
	unsigned more = c < 0x80 ? 0 : c < 0x800 ? 1 : c < 0x10000 ? 2 : 3;
	static const uint8_t heads[] = { 0, 0xc0, 0xe0, 0xf0 };

	hps_buf_addc(out, (char)(heads[more] | c >> (6 * more)));
	while (more--)
		hps_buf_addc(out, (char)(0x80 | (c >> (6 * more) & 0x3f)));
}

/* ---- protobuf ---- */

bool hps_protobuf_next(struct hps_bytes *b, struct hps_field *ret, bool *ret_bad)
{
	static const uint8_t sizes[] = { [1] = 8, [5] = 4 };
	uint64_t key, n = 0;

	*ret_bad = false;
	if (b->at == b->end)
		return false;
	*ret_bad = true;
	*ret = (struct hps_field){ 0 };
	if (!hps_bytes_varint(b, &key) || key >> 3 == 0 || key >> 3 > INT32_MAX)
		return false;
	ret->number = (uint32_t)(key >> 3);
	ret->wire = (unsigned)(key & 7);
	if (ret->wire == 0) {
		if (!hps_bytes_varint(b, &ret->value))
			return false;
	} else if (ret->wire == 2 || ret->wire == 1 || ret->wire == 5) {
		if (ret->wire == 2 ? !hps_bytes_varint(b, &n) : (n = sizes[ret->wire], false))
			return false;
		ret->len = n;
		ret->data = hps_bytes_take(b, n);
		if (!ret->data)
			return false;
		if (ret->wire != 2)
			ret->value = hps_bytes_le(ret->data, n);
	} else {
		return false; /* groups: nobody writes them */
	}
	*ret_bad = false;
	return true;
}

/* ---- unpacking ---- */

/* Snappy's raw format: a varint size, then literals and copies (google/snappy, format_description.txt). */
static bool unsnap(struct hps_bytes in, size_t size, uint8_t *out)
{
	uint64_t said;
	size_t at = 0;

	if (!hps_bytes_varint(&in, &said) || said != size)
		return false;
	while (in.at < in.end) {
		uint8_t tag = *in.at++;
		size_t len, offset, more;
		const uint8_t *p;

		if ((tag & 3) == 0) {
			more = tag >> 2 < 60 ? 0 : (size_t)(tag >> 2) - 59;
			p = hps_bytes_take(&in, more);
			if (!p)
				return false;
			len = (more ? hps_bytes_le(p, more) : (uint64_t)(tag >> 2)) + 1;
			p = hps_bytes_take(&in, len);
			if (!p || len > size - at)
				return false;
			memcpy(out + at, p, len);
			at += len;
			continue;
		}
		more = (tag & 3) == 1 ? 1 : (tag & 3) == 2 ? 2 : 4;
		p = hps_bytes_take(&in, more);
		if (!p)
			return false;
		len = (tag & 3) == 1 ? (size_t)(tag >> 2 & 7) + 4 : (size_t)(tag >> 2) + 1;
		offset = hps_bytes_le(p, more) | (more == 1 ? (size_t)(tag >> 5) << 8 : 0);
		if (!offset || offset > at || len > size - at)
			return false;
		for (; len--; at++) /* source and target may overlap: it repeats */
			out[at] = out[at - offset];
	}
	return at == size;
}

static bool inflate_exactly(struct hps_bytes in, int window, size_t size, uint8_t *out)
{
	size_t n = (size_t)(in.end - in.at);
	z_stream s = { 0 };
	int r;

	if (n > UINT_MAX || size > UINT_MAX || inflateInit2(&s, window) != Z_OK)
		return false;
	s.next_in = (Bytef *)(uintptr_t)in.at; /* zlib does not write there */
	s.avail_in = (uInt)n;
	s.next_out = out;
	s.avail_out = (uInt)size;
	r = inflate(&s, Z_FINISH);
	inflateEnd(&s);
	return r == Z_STREAM_END && !s.avail_out && !s.avail_in;
}

int hps_unpack(enum hps_packing packing, const void *data, size_t len, void *out, size_t size, struct hps_error *err)
{
	struct hps_bytes in = { data, (const uint8_t *)data + len };
	bool good = false;

	switch (packing) {
	case HPS_PACKING_NONE:
		good = len == size;
		if (good && len)
			memcpy(out, data, len);
		break;
	case HPS_PACKING_DEFLATE:
		good = inflate_exactly(in, -MAX_WBITS, size, out);
		break;
	case HPS_PACKING_GZIP:
		good = inflate_exactly(in, MAX_WBITS + 32, size, out);
		break;
	case HPS_PACKING_SNAPPY:
		good = unsnap(in, size, out);
		break;
	case HPS_PACKING_ZSTD:
		good = ZSTD_decompress(out, size, data, len) == size;
		break;
	}
	return good ? 0 : hps_error_set(err, HPS_E_FORMAT, "%zu bytes do not unpack to %zu", len, size);
}

int hps_unpack_stream(const void *data, size_t len, struct hps_buf *out, struct hps_error *err)
{
	z_stream s = { 0 };
	int r = Z_OK;

	if (len > UINT_MAX || inflateInit2(&s, MAX_WBITS + 32) != Z_OK)
		return hps_error_set(err, HPS_E_LIMIT, "unpacking cannot start");
	s.next_in = (Bytef *)(uintptr_t)data;
	s.avail_in = (uInt)len;
	while (r == Z_OK) {
		size_t step = out->len < 65536 ? 65536 : out->len;

		s.next_out = hps_buf_reserve(out, step);
		if (!s.next_out)
			break;
		s.avail_out = step > UINT_MAX ? UINT_MAX : (uInt)step;
		step = s.avail_out;
		r = inflate(&s, Z_NO_FLUSH);
		out->len += step - s.avail_out;
		if (r == Z_OK && !s.avail_in && s.avail_out)
			r = Z_DATA_ERROR;
	}
	inflateEnd(&s);
	if (out->full)
		return hps_error_set(err, HPS_E_LIMIT, "it unpacks to too much");
	return r == Z_STREAM_END && !s.avail_in ? 0 : hps_error_set(err, HPS_E_FORMAT, "it does not unpack");
}
