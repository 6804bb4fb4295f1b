/* Contents that neither a content store nor this system has: where else they may be, in one table. What comes in is compared with the
 * recorded hash and kept in a store of its own until the replay has ended. */
#include "replay/replay.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define DOWNLOAD_SECONDS 600

struct wanted {
	const struct hps_plan_node *node;
	const char *package; /* "name version", or NULL */
	const char *from;    /* name of the source that had it; NULL: none yet */
};
struct fetch {
	const struct hps_fetch_options *o;
	struct hps_objects *into;
	struct wanted *v;
	size_t n, n_open;
	struct hps_map by_path; /* struct wanted * */
	struct hps_holes *notes;
	const char *source; /* being asked */
	char *work;
};

/* ---- what is wanted ---- */

static void note(struct fetch *f, const char *what, struct hps_error *err)
{
	hps_hole_add(f->notes, what, err->message ? err->message : "failed");
	hps_error_release(err);
}

/* Is it this? Then it is kept. */
static bool keep(struct fetch *f, struct wanted *w, const void *data, size_t len)
{
	struct hps_digest d;

	hps_digest_of(data ? data : "", len, &d);
	if (w->from || !hps_digest_equal(&d, &w->node->digest) || hps_objects_put(f->into, data ? data : "", len, &d, NULL))
		return false;
	w->from = f->source;
	f->n_open--;
	return true;
}

static bool keep_fd(struct fetch *f, struct wanted *w, int fd)
{
	struct hps_digest d;

	if (w->from || hps_digest_fd(fd, &d, NULL, NULL) || !hps_digest_equal(&d, &w->node->digest) || hps_objects_put_fd(f->into, fd, &d, NULL, NULL, NULL))
		return false;
	w->from = f->source;
	f->n_open--;
	return true;
}

/* Paths of old packages and layers: /bin and /lib were directories of their own before they became links into /usr. */
static struct wanted *find(const struct fetch *f, const char *path)
{
	struct wanted *w = hps_map_get(&f->by_path, path);
	_cleanup_free_ char *merged = NULL;

	if (w || !strncmp(path, "/usr/", 5))
		return w;
	merged = hps_format("/usr%s", path);
	return hps_map_get(&f->by_path, merged);
}

static bool wants(void *arg, const char *path)
{
	const struct wanted *w = find(arg, path);

	return w && !w->from;
}

static int take(void *arg, const char *path, struct hps_buf *content, struct hps_error *err)
{
	struct wanted *w = find(arg, path);

	(void)err;
	if (w)
		(void)keep(arg, w, content->data, content->len);
	return 0;
}

static void read_archive(struct fetch *f, int dir_fd, const char *name, bool package)
{
	const struct hps_archive archive = { .package = package, .wants = wants, .take = take, .arg = f };
	_cleanup_error_ struct hps_error err = HPS_ERROR_INIT;
	_cleanup_fd_ int fd = openat(dir_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);

	if (fd < 0 ? hps_error_errno(&err, "opening it") : hps_archive_read(fd, &archive, &err))
		note(f, name, &err);
}

/* ---- mirrors: URL/ab/cdef… as in a ledger's objects/ ---- */

static void ask_mirror(struct fetch *f, const char *url, struct wanted *w)
{
	_cleanup_error_ struct hps_error err = HPS_ERROR_INIT;
	_cleanup_free_ char *path = hps_format("%s/download", f->work), *whole = NULL;
	_cleanup_fd_ int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	struct hps_http_request request = { .timeout_ns = DOWNLOAD_SECONDS * 1000000000ll, .redirects = 4, .proxies = true };
	char hex[HPS_DIGEST_HEX];
	size_t len = strlen(url);

	hps_digest_hex(&w->node->digest, hex);
	while (len && url[len - 1] == '/')
		len--;
	whole = hps_format("%.*s/%.2s/%s", (int)len, url, hex, hex + 2);
	request.max = w->node->size >= 0 ? (size_t)w->node->size + 1 : HPS_ARCHIVE_FILE_MAX;
	if (fd < 0 || hps_http_download(&request, whole, fd, &err)) {
		if (err.code != HPS_E_NOTFOUND)
			note(f, whole, &err);
	} else if (!keep_fd(f, w, fd)) {
		hps_hole_add(f->notes, whole, "what came has another hash");
	}
}

static void from_mirrors(struct fetch *f)
{
	for (size_t m = 0; m < f->o->mirrors->n; m++)
		for (size_t i = 0; i < f->n; i++)
			if (!f->v[i].from)
				ask_mirror(f, f->o->mirrors->v[m], &f->v[i]);
}

/* ---- package files ---- */

/* dpkg writes the colon of an epoch as %3a in file names. */
static char *package_file(const char *package, const char *separator)
{
	const char *space = strchr(package, ' '), *version = space ? space + 1 : "";
	_cleanup_buf_ struct hps_buf b = HPS_BUF_INIT;

	hps_buf_addf(&b, "%.*s_", (int)(space ? space - package : 0), package);
	for (; *version; version++)
		if (*version == ':')
			hps_buf_adds(&b, separator);
		else
			hps_buf_addc(&b, *version);
	hps_buf_addc(&b, '_');
	return hps_buf_take(&b);
}

static bool is_package_file(const char *name, const char *package)
{
	_cleanup_free_ char *a = package_file(package, "%3a"), *b = package_file(package, ":");
	const char *epoch = strchr(package, ' ') ? strchr(strchr(package, ' '), ':') : NULL;
	_cleanup_free_ char *bare = epoch ? hps_format("%.*s_%s_", (int)(strchr(package, ' ') - package), package, epoch + 1) : NULL;
	size_t len = strlen(name);

	return len > 4 && !strcmp(name + len - 4, ".deb") &&
	       (!strncmp(name, a, strlen(a)) || !strncmp(name, b, strlen(b)) || (bare && !strncmp(name, bare, strlen(bare))));
}

static bool is_wanted_package(const struct fetch *f, const char *name)
{
	for (size_t i = 0; i < f->n; i++)
		if (!f->v[i].from && f->v[i].package && is_package_file(name, f->v[i].package))
			return true;
	return false;
}

static void read_packages(struct fetch *f, const char *folder)
{
	DIR *dir = opendir(folder);
	struct dirent *e;

	while (dir && (e = readdir(dir)))
		if (is_wanted_package(f, e->d_name))
			read_archive(f, dirfd(dir), e->d_name, true);
	if (dir)
		closedir(dir);
}

static void from_packages(struct fetch *f)
{
	for (size_t i = 0; i < f->o->packages->n; i++)
		read_packages(f, f->o->packages->v[i]);
	read_packages(f, "/var/cache/apt/archives");
}

/* ---- made again ---- */

/* /d/__pycache__/m.cpython-311.pyc is compiled from this system's /d/m.py by python3.11, which runs nothing of it. */
static void compile_python(struct fetch *f, struct wanted *w)
{
	static const char program[] = "import py_compile, sys\npy_compile.compile(sys.argv[1], cfile=sys.argv[2], dfile=sys.argv[1], doraise=True)";
	_cleanup_free_ char *source = hps_plan_python_source(w->node->path), *python = NULL, *out = hps_format("%s/m.pyc", f->work);
	const char *tag = source ? strstr(w->node->path, ".cpython-") : NULL;
	_cleanup_fd_ int fd = -1;
	int status;

	if (!tag || strlen(tag) < 11 || strspn(tag + 9, "0123456789") < 2 || access(source, R_OK))
		return;
	python = hps_format("/usr/bin/python%c.%.*s", tag[9], (int)strspn(tag + 10, "0123456789"), tag + 10);
	(void)!unlink(out);
	if (access(python, X_OK) || hps_run(&(struct hps_run){ .argv = (const char *const[]){ python, "-I", "-S", "-B", "-c", program, source, out, NULL },
							       .timeout_ns = 20000000000ll,
							       .quiet = true },
					    NULL, &status, NULL))
		return;
	fd = open(out, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd >= 0)
		(void)keep_fd(f, w, fd);
}

static void cache_libraries(struct fetch *f, struct wanted *w)
{
	_cleanup_free_ char *out = hps_format("%s/ld.so.cache", f->work);
	_cleanup_fd_ int fd = -1;
	int status;

	if (hps_run(&(struct hps_run){ .argv = (const char *const[]){ "/sbin/ldconfig", "-X", "-C", out, NULL }, .timeout_ns = 20000000000ll, .quiet = true }, NULL,
		    &status, NULL))
		return;
	fd = open(out, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd >= 0)
		(void)keep_fd(f, w, fd);
}

static void regenerate(struct fetch *f)
{
	for (size_t i = 0; i < f->n; i++)
		if (!f->v[i].from && !strcmp(f->v[i].node->path, "/etc/ld.so.cache"))
			cache_libraries(f, &f->v[i]);
		else if (!f->v[i].from)
			compile_python(f, &f->v[i]);
}

/* ---- images in OCI layout ---- */

#define OCI_JSON_MAX ((size_t)4 << 20)
#define OCI_DEPTH 3 /* an index may name indexes */

static bool is_layer(const json_t *descriptor)
{
	const char *type = hps_json_text(descriptor, "mediaType");

	return type && (strstr(type, "image.layer") || strstr(type, "rootfs.diff"));
}

/* The path of a blob below the layout, if its name is a digest. */
static char *blob_path(const json_t *descriptor)
{
	const char *digest = hps_json_text(descriptor, "digest");
	struct hps_digest d;

	return digest && !strncmp(digest, "sha256:", 7) && !hps_digest_parse(digest + 7, &d) ? hps_format("blobs/sha256/%s", digest + 7) : NULL;
}

static void read_image(struct fetch *f, int layout, const char *name, int depth)
{
	_cleanup_error_ struct hps_error err = HPS_ERROR_INIT;
	_cleanup_buf_ struct hps_buf text = HPS_BUF_INIT;
	_cleanup_json_ json_t *j = NULL;
	static const char *const lists[] = { "manifests", "layers" };

	if (hps_file_read(layout, name, OCI_JSON_MAX, &text, &err) || hps_json_parse(text.data ? text.data : "", text.len, &j, &err)) {
		note(f, name, &err);
		return;
	}
	for (size_t i = 0; i < ARRAY_SIZE(lists); i++) {
		const json_t *list = hps_json_at(j, lists[i], NULL);

		for (size_t k = json_array_size(list); k-- > 0 && f->n_open;) { /* the last layer is the one that shows */
			const json_t *descriptor = json_array_get(list, k);
			_cleanup_free_ char *blob = blob_path(descriptor);

			if (blob && is_layer(descriptor))
				read_archive(f, layout, blob, false);
			else if (blob && depth > 0)
				read_image(f, layout, blob, depth - 1);
		}
	}
}

static void from_images(struct fetch *f)
{
	for (size_t i = 0; i < f->o->images->n; i++) {
		_cleanup_fd_ int layout = open(f->o->images->v[i], O_RDONLY | O_DIRECTORY | O_CLOEXEC);

		if (layout >= 0)
			read_image(f, layout, "index.json", OCI_DEPTH);
		else
			hps_hole_add(f->notes, f->o->images->v[i], strerror(errno));
	}
}

/* ---- the chain ---- */

static const struct {
	const char *name;
	void (*ask)(struct fetch *f);
} sources[] = {
	{ "mirror", from_mirrors },
	{ "package file", from_packages },
	{ "made again", regenerate },
	{ "image layer", from_images },
};

static const char *package_of(const struct hps_original *o, const char *path)
{
	_cleanup_json_ json_t *escaped = hps_path_json(path);
	const json_t *item;
	size_t i;

	json_array_foreach(o->materials, i, item) {
		const char *is = hps_json_text(item, "path");

		if (is && !strcmp(is, json_string_value(escaped)))
			return hps_json_text(item, "package");
	}
	return NULL;
}

static void want(struct fetch *f, const struct hps_original *o, const struct hps_plan *p, const struct hps_holes *problems)
{
	f->v = hps_alloc((problems->n + 1) * sizeof *f->v);
	for (size_t i = 0; i < problems->n; i++) {
		const struct hps_plan_node *node = hps_plan_find(p, problems->v[i].what);

		if (!node || node->kind != HPS_PLAN_FILE)
			continue;
		f->v[f->n] = (struct wanted){ .node = node, .package = package_of(o, node->path) };
		*hps_map_slot(&f->by_path, node->path) = &f->v[f->n++];
	}
	f->n_open = f->n;
}

int hps_fetched_open(struct hps_fetched *ret, struct hps_error *err)
{
	int r;

	*ret = (struct hps_fetched){ .temporary = HPS_TEMPORARY_INIT };
	r = hps_temporary_make(NULL, "hps-replay.fetch", &ret->temporary, err);
	if (r)
		return r;
	ret->store = hps_format("%s/objects", ret->temporary.path);
	return hps_objects_open(AT_FDCWD, ret->store, true, &ret->objects, err);
}

void hps_fetch(const struct hps_original *o, const struct hps_plan *p, const struct hps_holes *problems, const struct hps_fetch_options *options,
	       struct hps_fetched *ret)
{
	struct fetch f = { .o = options, .notes = &ret->notes, .work = ret->temporary.path, .into = ret->objects };

	want(&f, o, p, problems);
	for (size_t i = 0; i < ARRAY_SIZE(sources) && f.n_open; i++) {
		f.source = sources[i].name;
		sources[i].ask(&f);
	}
	for (size_t i = 0; i < f.n; i++)
		if (f.v[i].from)
			hps_hole_add(&ret->files, f.v[i].node->path, f.v[i].from);
	hps_map_release(&f.by_path);
	free(f.v);
}

int hps_substitute(struct hps_plan *p, const char *declared, struct hps_fetched *ret, struct hps_error *err)
{
	const char *equals = strchr(declared, '=');
	_cleanup_free_ char *path = equals ? hps_strndup(declared, (size_t)(equals - declared)) : NULL;
	_cleanup_fd_ int fd = -1;
	struct hps_digest d;
	int r;

	if (!path)
		return hps_error_set(err, HPS_E_USAGE, "option --substitute: '%s' is no PATH=FILE", declared);
	fd = open(equals + 1, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return hps_error_errno(err, "option --substitute: '%s'", equals + 1);
	r = hps_objects_put_fd(ret->objects, fd, NULL, &d, NULL, err);
	if (!r && hps_plan_substitute(p, path, &d))
		r = hps_error_set(err, HPS_E_USAGE, "option --substitute: the trial read no file '%s'", path);
	if (!r)
		hps_hole_add(&ret->files, path, "declared substitute");
	return r;
}

void hps_fetched_release(struct hps_fetched *f)
{
	hps_temporary_remove(&f->temporary);
	free(f->store);
	hps_objects_free(f->objects);
	hps_holes_release(&f->files);
	hps_holes_release(&f->notes);
	*f = (struct hps_fetched){ 0 };
}
