/* The bytes are a program that builds an HDF5 file by libhdf5's own calls, thrice: packed and unpacked, with the oldest and the newest layout; and with
 * one value changed. What is built is read, by whichever layout the same; what was changed is found. Damaged files are not read
 * here: libhdf5 dies of them (48-replay-fuzz.t has some, for the confined process). */
#include "replay/replay.h"

#include <hdf5.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define STEPS_MAX 24
#define VALUES_MAX 4096 /* bytes of one dataset */
#define DEPTH_MAX 70	 /* the reader stops before */

enum layout { OLDEST, NEWEST, CHANGED };
struct maker {
	const uint8_t *at, *end;
	enum layout layout;
	hid_t file, groups[DEPTH_MAX + 1];
	size_t depth, n_named;
	bool changed; /* a whole number is another one */
};

static unsigned next(struct maker *m)
{
	return m->at < m->end ? *m->at++ : 0;
}

static void name_of(struct maker *m, char *ret, size_t size)
{
	static const char *const odd[] = { "w", "a b", "@", "x@y", "[0]", "\xc3\xa9", "\xff", "...", "-" };

	snprintf(ret, size, "%s%zu", odd[next(m) % ARRAY_SIZE(odd)], m->n_named++);
}

/* ---- types and spaces ---- */

static hid_t half_float(void)
{
	hid_t t = H5Tcopy(H5T_IEEE_F32LE);

	(void)!(H5Tset_fields(t, 15, 10, 5, 0, 10) < 0 || H5Tset_size(t, 2) < 0 || H5Tset_ebias(t, 15) < 0);
	return t;
}

static hid_t compound(void)
{
	hid_t t = H5Tcreate(H5T_COMPOUND, 16);

	(void)!(H5Tinsert(t, "i", 0, H5T_STD_I16LE) < 0 || H5Tinsert(t, "x", 4, H5T_IEEE_F64LE) < 0);
	return t;
}

static hid_t enumeration(void)
{
	hid_t t = H5Tenum_create(H5T_NATIVE_INT8);
	const char no = 0, yes = 1;

	(void)!(H5Tenum_insert(t, "FALSE", &no) < 0 || H5Tenum_insert(t, "TRUE", &yes) < 0);
	return t;
}

static hid_t sized(H5T_class_t class, size_t size)
{
	return H5Tcreate(class, size);
}

static hid_t type_of(struct maker *m, bool *ret_whole)
{
	const hid_t whole[] = { H5T_STD_I8LE, H5T_STD_U8BE, H5T_STD_I16BE, H5T_STD_U16LE, H5T_STD_I32LE, H5T_STD_U32BE, H5T_STD_I64BE, H5T_STD_U64LE };
	const hid_t other[] = { H5T_IEEE_F32LE, H5T_IEEE_F64BE, H5T_IEEE_F32BE, H5T_NATIVE_LDOUBLE, H5T_STD_B8LE, H5T_STD_B32BE, H5T_STD_REF_OBJ };
	unsigned k = next(m) % 24;
	hsize_t three = 3;

	*ret_whole = k < ARRAY_SIZE(whole);
	if (*ret_whole)
		return H5Tcopy(whole[k]);
	k -= (unsigned)ARRAY_SIZE(whole);
	if (k < ARRAY_SIZE(other))
		return H5Tcopy(other[k]);
	switch (k - (unsigned)ARRAY_SIZE(other)) {
	case 0:
		return half_float();
	case 1:
		return compound();
	case 2:
		return enumeration();
	case 3:
		return sized(H5T_OPAQUE, 1 + next(m) % 9);
	case 4:
		return sized(H5T_STRING, 1 + next(m) % 9);
	case 5:
		return sized(H5T_STRING, H5T_VARIABLE);
	case 6:
		return H5Tarray_create2(H5T_IEEE_F32LE, 1, &three);
	case 7:
		return H5Tvlen_create(H5T_STD_I16LE);
	default:
		return H5Tcopy(H5T_IEEE_F64LE);
	}
}

static hid_t space_of(struct maker *m, hsize_t *dimensions, unsigned *ret_rank)
{
	unsigned k = next(m);

	*ret_rank = 0;
	if (k % 8 == 0)
		return H5Screate(H5S_SCALAR);
	if (k % 8 == 1)
		return H5Screate(H5S_NULL);
	*ret_rank = k == 2 ? 32 : 1 + k % 4;
	for (unsigned i = 0; i < *ret_rank; i++)
		dimensions[i] = *ret_rank == 32 ? 1 : next(m) % 6;
	return H5Screate_simple((int)*ret_rank, dimensions, NULL);
}

/* ---- values ---- */

struct values {
	union {
		uint8_t bytes[VALUES_MAX];
		char *texts[VALUES_MAX / sizeof(char *)];
		hvl_t lists[VALUES_MAX / sizeof(hvl_t)];
	} u;
};

/* Of the type in memory that is the one in the file. false: too many. */
static bool fill(struct maker *m, hid_t type, size_t n, bool whole, struct values *v)
{
	static char words[][9] = { "", "a", "hello", "\xc3\xa9t\xc3\xa9", "8 bytes." };
	static int16_t numbers[] = { 1, -2, 300 };
	size_t size = H5Tget_size(type);
	bool change = m->layout == CHANGED && whole && !m->changed && n;

	if (n > VALUES_MAX / size)
		return false;
	if (H5Tis_variable_str(type) > 0) {
		for (size_t i = 0; i < n; i++)
			v->u.texts[i] = words[next(m) % ARRAY_SIZE(words)];
	} else if (H5Tget_class(type) == H5T_VLEN) {
		for (size_t i = 0; i < n; i++)
			v->u.lists[i] = (hvl_t){ next(m) % 4, numbers };
	} else if (H5Tget_class(type) == H5T_REFERENCE) {
		memset(v->u.bytes, 0, n * size);
	} else {
		for (size_t i = 0; i < n * size; i++)
			v->u.bytes[i] = (uint8_t)next(m);
	}
	if (change)
		v->u.bytes[n / 2 * size] ^= 1;
	m->changed = m->changed || change;
	return true;
}

static hid_t creation(const struct maker *m, hid_t type, const hsize_t *dimensions, unsigned rank)
{
	hid_t list = H5Pcreate(H5P_DATASET_CREATE);
	bool some = rank > 0;

	for (unsigned i = 0; i < rank; i++)
		some = some && dimensions[i];
	if (m->layout != NEWEST || !some || H5Tdetect_class(type, H5T_VLEN) > 0 || H5Tis_variable_str(type) > 0)
		return list;
	(void)!(H5Pset_chunk(list, (int)rank, dimensions) < 0 || H5Pset_deflate(list, 4) < 0);
	return list;
}

static void add_values(struct maker *m, bool attribute)
{
	hsize_t dimensions[H5S_MAX_RANK];
	char name[32];
	struct values v;
	unsigned rank;
	bool whole;
	hid_t type = type_of(m, &whole), space = space_of(m, dimensions, &rank), list = creation(m, type, dimensions, rank), object = -1;
	hssize_t n = H5Sget_simple_extent_npoints(space);

	name_of(m, name, sizeof name);
	if (n >= 0 && fill(m, type, (size_t)n, whole, &v)) {
		if (attribute)
			object = H5Acreate2(m->groups[m->depth], name, type, space, H5P_DEFAULT, H5P_DEFAULT);
		else
			object = H5Dcreate2(m->groups[m->depth], name, type, space, H5P_DEFAULT, list, H5P_DEFAULT);
		if (object >= 0 && n && H5Sget_simple_extent_type(space) != H5S_NULL)
			(void)!(attribute ? H5Awrite(object, type, &v) : H5Dwrite(object, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, &v));
	}
	if (object >= 0)
		(void)!(attribute ? H5Aclose(object) : H5Dclose(object));
	H5Pclose(list);
	H5Sclose(space);
	H5Tclose(type);
}

/* ---- the program ---- */

static void enter(struct maker *m)
{
	char name[32];
	hid_t group;

	name_of(m, name, sizeof name);
	group = m->depth < DEPTH_MAX ? H5Gcreate2(m->groups[m->depth], name, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT) : -1;
	if (group >= 0)
		m->groups[++m->depth] = group;
}

static void leave(struct maker *m)
{
	if (m->depth)
		H5Gclose(m->groups[m->depth--]);
}

static void link_to(struct maker *m, unsigned how)
{
	char name[32];
	hid_t group = m->groups[m->depth];

	name_of(m, name, sizeof name);
	if (how == 0)
		(void)!H5Lcreate_soft("/w0", group, name, H5P_DEFAULT, H5P_DEFAULT);
	else if (how == 1)
		(void)!H5Lcreate_external("/etc/passwd", "/", group, name, H5P_DEFAULT, H5P_DEFAULT);
	else
		(void)!H5Lcreate_hard(m->file, next(m) % 2 ? "/" : "/w0", group, name, H5P_DEFAULT, H5P_DEFAULT);
}

static void name_type(struct maker *m)
{
	char name[32];
	bool whole;
	hid_t type = type_of(m, &whole);

	name_of(m, name, sizeof name);
	(void)!H5Tcommit2(m->groups[m->depth], name, type, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
	H5Tclose(type);
}

static void step(struct maker *m)
{
	unsigned k = next(m) % 10;

	if (k < 4)
		add_values(m, false);
	else if (k < 6)
		add_values(m, true);
	else if (k == 6)
		for (unsigned n = next(m) % 8 == 7 ? DEPTH_MAX : 1; n--;)
			enter(m);
	else if (k == 7)
		leave(m);
	else if (k == 8)
		link_to(m, next(m) % 3);
	else
		name_type(m);
}

/* ---- the file, in memory ----
 * H5Fget_file_image() gives files of newer layouts a checksum that does not hold (1.10.8): what the closed file had in memory is taken. */

struct image {
	struct hps_buf *bytes;
	size_t size;
};

static void *image_malloc(size_t size, H5FD_file_image_op_t op, void *arg)
{
	(void)op;
	((struct image *)arg)->size = size;
	return malloc(size);
}

static void *image_memcpy(void *to, const void *from, size_t size, H5FD_file_image_op_t op, void *arg)
{
	(void)op;
	(void)arg;
	return memcpy(to, from, size);
}

static void *image_realloc(void *at, size_t size, H5FD_file_image_op_t op, void *arg)
{
	(void)op;
	((struct image *)arg)->size = size;
	return realloc(at, size);
}

static herr_t image_free(void *at, H5FD_file_image_op_t op, void *arg)
{
	const struct image *image = arg;

	if (op == H5FD_FILE_IMAGE_OP_FILE_CLOSE)
		hps_buf_add(image->bytes, at, image->size);
	free(at);
	return 0;
}

static void *image_same(void *arg)
{
	return arg;
}

static herr_t image_keep(void *arg)
{
	(void)arg;
	return 0;
}

static hid_t access_of(enum layout layout, struct image *image)
{
	hid_t access = H5Pcreate(H5P_FILE_ACCESS);
	H5FD_file_image_callbacks_t callbacks = { image_malloc, image_memcpy, image_realloc, image_free, image_same, image_keep, image };

	(void)!H5Pset_fapl_core(access, 1024, 0);
	(void)!H5Pset_file_image_callbacks(access, &callbacks);
	(void)!H5Pset_libver_bounds(access, layout == NEWEST ? H5F_LIBVER_LATEST : H5F_LIBVER_EARLIEST, H5F_LIBVER_LATEST);
	return access;
}

/* false: libhdf5 does not make it. */
static bool make(const uint8_t *data, size_t size, enum layout layout, struct hps_buf *ret, bool *ret_changed)
{
	struct maker m = { .at = data, .end = data + size, .layout = layout };
	struct image image = { ret, 0 };
	hid_t access = access_of(layout, &image);

	m.file = H5Fcreate("memory", H5F_ACC_TRUNC, H5P_DEFAULT, access);
	H5Pclose(access);
	if (m.file < 0)
		return false;
	m.groups[0] = H5Gopen2(m.file, "/", H5P_DEFAULT);
	for (size_t i = 0; i < STEPS_MAX && m.at < m.end; i++)
		step(&m);
	while (m.depth)
		leave(&m);
	H5Gclose(m.groups[0]);
	*ret_changed = m.changed;
	return H5Fclose(m.file) >= 0 && ret->len;
}

/* One of several limits may stop the reader: then in all of them. */
static bool read_back(const struct hps_buf *image, struct hps_tree *ret)
{
	_cleanup_error_ struct hps_error err = HPS_ERROR_INIT;
	int r = hps_format_hdf5.decode(image->data, image->len, ret, &err);

	if (r && !err.message)
		abort();
	return !r;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct hps_buf images[3] = { HPS_BUF_INIT, HPS_BUF_INIT, HPS_BUF_INIT };
	struct hps_tree trees[3] = { HPS_TREE_INIT, HPS_TREE_INIT, HPS_TREE_INIT };
	bool made = true, whole = true, changed = false;

	H5Eset_auto2(H5E_DEFAULT, NULL, NULL);
	for (size_t i = 0; i < ARRAY_SIZE(images) && made; i++)
		made = make(data, size, (enum layout)i, &images[i], &changed);
	for (size_t i = 0; i < ARRAY_SIZE(images) && made; i++) {
		bool ok = read_back(&images[i], &trees[i]);

		if (i && ok != whole)
			abort();
		whole = ok;
	}
	for (size_t i = 1; i < ARRAY_SIZE(images) && made && whole; i++) {
		_cleanup_comparison_ struct hps_comparison c = { 0 };

		hps_compare_trees(&trees[0], &trees[i], &(struct hps_tolerance){ .unmasked = ~0u }, &c);
		if ((c.verdict != HPS_OUTPUT_SAME_VALUES) != (i == CHANGED && changed) || (c.place == NULL) != (c.verdict == HPS_OUTPUT_SAME_VALUES))
			abort();
	}
	for (size_t i = 0; i < ARRAY_SIZE(images); i++) {
		hps_tree_release(&trees[i]);
		hps_buf_release(&images[i]);
		images[i] = (struct hps_buf)HPS_BUF_INIT;
	}
	return 0;
}
