/* PNG: the pixels (palette and packing undone), and the texts. When it was made, and by what, are stamps. */
#include "replay/compare/compare.h"

#include <png.h>
#include <setjmp.h>
#include <stdlib.h>
#include <string.h>

#define SIDE_MAX 65536
#define PIXELS_MAX ((size_t)1 << 30) /* bytes */

struct picture {
	struct hps_bytes rest;
	png_structp png;
	png_infop info;
	png_bytep pixels, *rows;
	char message[128];
};

static void fail(png_structp png, png_const_charp what)
{
	struct picture *p = png_get_error_ptr(png);

	(void)snprintf(p->message, sizeof p->message, "%s", what);
	longjmp(png_jmpbuf(png), 1);
}

static void ignore(png_structp png, png_const_charp what)
{
	(void)png;
	(void)what;
}

static void give(png_structp png, png_bytep out, size_t n)
{
	struct picture *p = png_get_io_ptr(png);
	const uint8_t *from = hps_bytes_take(&p->rest, n);

	if (!from)
		png_error(png, "it is cut off");
	memcpy(out, from, n);
}

/* Everything that may longjmp, and nothing that must be undone. */
static bool read_picture(struct picture *p)
{
	size_t height, row;

	if (setjmp(png_jmpbuf(p->png)))
		return false;
	png_set_read_fn(p->png, p, give);
	png_set_user_limits(p->png, SIDE_MAX, SIDE_MAX);
	png_read_info(p->png, p->info);
	png_set_expand(p->png);
	(void)png_set_interlace_handling(p->png);
	png_read_update_info(p->png, p->info);
	height = png_get_image_height(p->png, p->info);
	row = png_get_rowbytes(p->png, p->info);
	if (!height || !row || row > PIXELS_MAX / height)
		png_error(p->png, "it is too large");
	p->pixels = hps_alloc(row * height);
	p->rows = hps_alloc(height * sizeof *p->rows);
	for (size_t i = 0; i < height; i++)
		p->rows[i] = p->pixels + i * row;
	png_read_image(p->png, p->rows);
	png_read_end(p->png, p->info);
	return true;
}

static int add_pixels(struct picture *p, struct hps_tree *tree, struct hps_error *err)
{
	size_t depth = png_get_bit_depth(p->png, p->info) / 8u;
	struct hps_array a = { .dtype = HPS_DTYPE_UINT, .itemsize = depth, .big_endian = depth == 2, .measured = true, .n_dimensions = 3, .data = hps_tree_keep(tree, p->pixels) };

	a.shape[0] = png_get_image_height(p->png, p->info);
	a.shape[1] = png_get_image_width(p->png, p->info);
	a.shape[2] = png_get_channels(p->png, p->info);
	p->pixels = NULL;
	return hps_array_lay_out(&a, false) || !depth ? hps_error_set(err, HPS_E_FORMAT, "its pixels are none") : hps_tree_add_array(tree, "pixels", &a, err);
}

static int add_text(struct hps_tree *tree, const char *place, const char *text, enum hps_mask stamp, struct hps_error *err)
{
	const char *kept = hps_tree_keep(tree, hps_strdup(text));
	int r = hps_tree_add_text(tree, place, HPS_TEXT_STRING, kept, strlen(kept), err);

	if (!r && stamp)
		hps_tree_mark(tree, stamp);
	return r;
}

static int add_number(struct hps_tree *tree, const char *place, unsigned long value, struct hps_error *err)
{
	struct hps_token t = { hps_tree_keep(tree, hps_format("%lu", value)), 0 };

	t.len = strlen(t.text);
	return hps_tree_add_numbers(tree, place, true, &t, 1, err);
}

/* What changes how the pixels look. */
static int add_meaning(struct picture *p, struct hps_tree *tree, struct hps_error *err)
{
	png_fixed_point gamma;
	png_uint_32 x, y;
	int unit, intent, r = 0;

	if (png_get_gAMA_fixed(p->png, p->info, &gamma))
		r = add_number(tree, "gamma", (unsigned long)gamma, err);
	if (!r && png_get_sRGB(p->png, p->info, &intent))
		r = add_number(tree, "srgb", (unsigned long)intent, err);
	if (!r && png_get_pHYs(p->png, p->info, &x, &y, &unit)) {
		r = add_number(tree, "density/x", x, err);
		r = r ? r : add_number(tree, "density/y", y, err);
		r = r ? r : add_number(tree, "density/unit", (unsigned long)unit, err);
	}
	return r;
}

static int add_texts(struct picture *p, struct hps_tree *tree, struct hps_error *err)
{
	png_textp texts;
	png_timep when;
	int n = 0, r = 0;

	png_get_text(p->png, p->info, &texts, &n);
	for (int i = 0; !r && i < n; i++) {
		_cleanup_free_ char *place = hps_format("text/%s", texts[i].key);
		bool tool = !strcmp(texts[i].key, "Software"), time = strstr(texts[i].key, "ime") != NULL;

		r = add_text(tree, place, texts[i].text ? texts[i].text : "", tool ? HPS_MASK_TOOL : time ? HPS_MASK_TIME : HPS_MASK_NONE, err);
	}
	if (!r && png_get_tIME(p->png, p->info, &when)) {
		_cleanup_free_ char *text = hps_format("%d-%02d-%02dT%02d:%02d:%02d", when->year, when->month, when->day, when->hour, when->minute, when->second);

		r = add_text(tree, "time", text, HPS_MASK_TIME, err);
	}
	return r;
}

/* Each chunk is as long as it says: libpng takes the memory for it before it has read it. */
static bool is_whole(struct hps_bytes b)
{
	const uint8_t *head = hps_bytes_take(&b, 8);

	while (head && b.at < b.end) {
		head = hps_bytes_take(&b, 8);
		head = head ? hps_bytes_take(&b, (size_t)hps_bytes_be(head, 4) + 4) : NULL;
	}
	return head;
}

static int decode(const char *data, size_t len, struct hps_tree *ret, struct hps_error *err)
{
	struct picture *p;
	int r;

	if (!is_whole((struct hps_bytes){ (const uint8_t *)data, (const uint8_t *)data + len }))
		return hps_error_set(err, HPS_E_FORMAT, "its picture: it is cut off");
	p = hps_alloc(sizeof *p);
	p->rest = (struct hps_bytes){ (const uint8_t *)data, (const uint8_t *)data + len };
	p->png = png_create_read_struct(PNG_LIBPNG_VER_STRING, p, fail, ignore);
	p->info = p->png ? png_create_info_struct(p->png) : NULL;
	if (!p->info)
		r = hps_error_set(err, HPS_E_LIMIT, "libpng does not start");
	else if (!read_picture(p))
		r = hps_error_set(err, HPS_E_FORMAT, "its picture: %s", p->message);
	else if (p->rest.at != p->rest.end)
		r = hps_error_set(err, HPS_E_FORMAT, "its picture: more bytes after it");
	else
		r = add_pixels(p, ret, err);
	r = r ? r : add_meaning(p, ret, err);
	r = r ? r : add_texts(p, ret, err);
	png_destroy_read_struct(&p->png, &p->info, NULL);
	free(p->rows);
	free(p->pixels);
	free(p);
	return r;
}

static bool fits(const char *path, const char *data, size_t len)
{
	(void)path;
	return len > 8 && !png_sig_cmp((png_const_bytep)data, 0, 8);
}

const struct hps_format hps_format_png = { "png", fits, decode };
