/* Python: the distributions of which the trial read a file. A distribution is a directory
 * `<name>-<version>.dist-info` or `.egg-info` (or, from Debian's older packages, a file `….egg-info`, or, from old editable installs, a
 * file `….egg-link`) beside its modules; what it owns is in RECORD, in top_level.txt, or follows from its name. */
#include "recorder/identity.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "recorder/package.h"

#define METADATA_MAX ((size_t)1 << 20)
#define RECORD_MAX ((size_t)64 << 20)
#define MODIFIED_MAX 100

static const char *const site_directories[] = { "/site-packages/", "/dist-packages/" };

struct python {
	const char *root;
	struct hps_map *owners;
	struct hps_map sites;	 /* directories of distributions, with their slash */
	struct hps_map names;	 /* "<site><top-level name>" of which a file was read */
	struct hps_map compiled; /* sources of which the compiled form was read -> its path */
	struct distribution *distributions;
	size_t n;
	struct hps_bytecode *bytecode; /* to be compared with its source, and of which distribution */
	size_t *of, n_bytecode;
};
/* One distribution while it is looked at. */
struct distribution {
	const char *site, *info; /* info: name of its directory or file in site */
	char *base;		 /* site and info */
	char *name, *version;
	char *package; /* of the system, when it brought the files */
	bool in_use;
	uint64_t n_equal, n_unchecked;
	json_t *item; /* of the manifest */
	struct hps_strv modified;
	char top[256]; /* first name of the last line of RECORD, and whether anything below it was read */
	bool top_read;
};

static int read_text(const struct python *p, const char *base, const char *name, size_t max, struct hps_buf *ret)
{
	_cleanup_free_ char *path = hps_format("%s%s%s", p->root, base, name);

	hps_buf_init(ret, max);
	return hps_file_read(AT_FDCWD, path, max, ret, NULL) || !ret->data ? -1 : 0;
}

/* ---- what was read ---- */

/* The directory of distributions that path lies in, with its slash; its length, or 0. */
static size_t site_of(const char *path)
{
	for (size_t i = 0; i < ARRAY_SIZE(site_directories); i++) {
		const char *at = strstr(path, site_directories[i]);

		if (at)
			return (size_t)(at - path) + strlen(site_directories[i]);
	}
	return 0;
}

/* Metadata, which whoever looks for plug-ins reads, and path files, which every start reads. */
static bool is_metadata(const char *name, size_t len)
{
	return hps_python_ends_with(name, len, ".dist-info") || hps_python_ends_with(name, len, ".egg-info") || hps_python_ends_with(name, len, ".egg-link");
}

static void collect(struct python *p)
{
	for (size_t i = 0; i < p->owners->n; i++) {
		const char *path = p->owners->items[i].key;
		size_t len = site_of(path), first = strcspn(path + len, "/");
		_cleanup_free_ char *site = len ? hps_strndup(path, len) : NULL, *name = NULL;

		if (!site)
			continue;
		(void)hps_map_slot(&p->sites, site);
		if (is_metadata(path + len, first) || hps_python_ends_with(path + len, first, ".pth"))
			continue;
		name = hps_strndup(path, len + strcspn(path + len, "/."));
		*hps_map_slot(&p->names, name) = p->owners;
	}
}

/* ---- RECORD ---- */

static void judge(struct distribution *d, const char *path, bool equal)
{
	d->n_equal += equal;
	if (!equal && d->modified.n < MODIFIED_MAX)
		hps_strv_add(&d->modified, path);
}

/* The trial read this file of the distribution: is it the distribution's? Distributors of systems strip shared objects after
 * RECORD was written: what their package says is believed. */
static void judge_file(struct distribution *d, const char *path, struct hps_owner *o, bool hashed, const struct hps_digest *want)
{
	if (hps_package_restores(o->manager) && !d->package)
		d->package = hps_strdup(o->package);
	if (!o->package) {
		o->package = hps_format("%s %s", d->name, d->version);
		o->manager = hps_package_manager("wheel");
		if (hashed) {
			o->kind = HPS_CHECKSUM_SHA256;
			memcpy(o->want, want->b, sizeof o->want);
			if (o->hashed)
				o->pristine = hps_digest_equal(&o->content, want) ? HPS_PRISTINE_YES : HPS_PRISTINE_NO;
		}
	}
	if (hps_package_restores(o->manager) ? o->pristine != HPS_PRISTINE_UNKNOWN : hashed && o->hashed)
		judge(d, path, o->pristine == HPS_PRISTINE_YES);
}

/* Most lines of most distributions are about what nobody read: told by their first name, which comes a thousand times in a row. */
static bool worth_parsing(const struct python *p, struct distribution *d, const char *line)
{
	size_t n = strcspn(line, "/.,\"");
	_cleanup_free_ char *key = NULL;

	if (!n || n >= sizeof d->top || line[n] == '"')
		return true;
	if (strlen(d->top) == n && !memcmp(d->top, line, n))
		return d->top_read;
	memcpy(d->top, line, n);
	d->top[n] = '\0';
	key = hps_format("%s%s", d->site, d->top);
	d->top_read = hps_map_find(&p->names, key);
	return d->top_read;
}

/* The file that a line is about, when its name needs no resolving: most lines end here, with nobody having read that file. */
static bool about_unread(const struct python *p, const struct distribution *d, const char *line)
{
	char path[PATH_MAX];
	size_t site = strlen(d->site), n = strcspn(line, ",");

	if (strchr("/\".", *line) || memmem(line, n, "/.", 2) || memmem(line, n, "//", 2) || site + n >= sizeof path)
		return false;
	memcpy(path, d->site, site);
	memcpy(path + site, line, n);
	path[site + n] = '\0';
	return !hps_map_find(p->owners, path) && !hps_map_find(&p->compiled, path);
}

/* The source is the distribution's: so is what was run when that compiles to it. Where the source was read as well, the compiled form may
 * have been refused. */
static void add_bytecode(struct python *p, struct distribution *d, const char *source, const char *pyc, const struct hps_digest *want, bool was_read)
{
	const struct hps_owner *o = hps_map_get(p->owners, pyc);
	struct hps_bytecode one = { .pyc = pyc, .text = *want };

	if (was_read && !hps_bytecode_fits(p->root, pyc, source))
		return;
	if (!o || !o->hashed) {
		d->n_unchecked++;
		return;
	}
	one.source = hps_strdup(source);
	one.compiled = o->content;
	p->bytecode = hps_grow(p->bytecode, p->n_bytecode, sizeof *p->bytecode);
	p->of = hps_grow(p->of, p->n_bytecode, sizeof *p->of);
	p->of[p->n_bytecode] = p->n;
	p->bytecode[p->n_bytecode++] = one;
}

static void use_line(struct python *p, struct distribution *d, const char *line)
{
	_cleanup_free_ char *relative = NULL, *path = NULL;
	struct hps_digest want;
	struct hps_owner *o;
	const char *pyc;
	bool hashed;

	if (!worth_parsing(p, d, line) || about_unread(p, d, line) || !hps_python_record_line(line, &relative, &want, &hashed))
		return;
	path = hps_python_join(d->site, relative);
	o = hps_map_get(p->owners, path);
	pyc = hps_map_get(&p->compiled, path);
	if (o) {
		/* Others' metadata is read by whoever looks for plug-ins. */
		d->in_use |= strncmp(relative, d->info, strlen(d->info)) != 0;
		judge_file(d, path, o, hashed, &want);
	}
	if (!pyc)
		return;
	d->in_use = true;
	if (hashed)
		add_bytecode(p, d, path, pyc, &want, o != NULL);
}

static bool use_record(struct python *p, struct distribution *d)
{
	_cleanup_buf_ struct hps_buf text = HPS_BUF_INIT;
	char *rest = NULL;

	if (read_text(p, d->base, "/RECORD", RECORD_MAX, &text))
		return false;
	for (char *line = strtok_r(text.data, "\r\n", &rest); line; line = strtok_r(NULL, "\r\n", &rest))
		use_line(p, d, line);
	return true;
}

/* Without RECORD: whether one of its top-level names was read. */
static bool top_level_read(const struct python *p, const struct distribution *d)
{
	_cleanup_buf_ struct hps_buf top = HPS_BUF_INIT;
	_cleanup_free_ char *plain = NULL;
	char *rest = NULL;

	if (read_text(p, d->base, "/top_level.txt", METADATA_MAX, &top) == 0) {
		for (char *line = strtok_r(top.data, "\r\n", &rest); line; line = strtok_r(NULL, "\r\n", &rest)) {
			_cleanup_free_ char *key = hps_format("%s%s", d->site, line);

			if (hps_map_get(&p->names, key))
				return true;
		}
		return false;
	}
	plain = hps_format("%s%s", d->site, d->name);
	for (char *c = plain + strlen(d->site); *c; c++)
		*c = *c == '-' ? '_' : *c;
	return hps_map_get(&p->names, plain) != NULL;
}

/* ---- where it came from: direct_url.json (PEP 610), egg-link ---- */

/* Did the trial read a file below the directory? */
static bool read_below(const struct python *p, const char *directory)
{
	size_t n = strlen(directory);

	while (n && directory[n - 1] == '/')
		n--;
	for (size_t i = 0; n && i < p->owners->n; i++)
		if (!strncmp(p->owners->items[i].key, directory, n) && p->owners->items[i].key[n] == '/')
			return true;
	return false;
}

static void set_editable(const struct python *p, json_t *item, const char *directory)
{
	_cleanup_free_ char *full = hps_format("%s%s", p->root, directory);

	hps_json_set(item, "editable", json_true());
	hps_json_set(item, "source", hps_path_json(directory));
	hps_json_set(item, "git", hps_git_brief(full));
}

static void set_origin(const struct python *p, struct distribution *d, json_t *item)
{
	_cleanup_buf_ struct hps_buf text = HPS_BUF_INIT;
	_cleanup_json_ json_t *direct = NULL;
	_cleanup_free_ char *directory = NULL, *clean = NULL;
	const char *url, *commit, *hash;

	if (read_text(p, d->base, "/direct_url.json", METADATA_MAX, &text) || hps_json_parse(text.data, text.len, &direct, NULL))
		return;
	url = hps_json_text(direct, "url");
	directory = hps_python_file_url(url);
	if (directory && json_is_true((json_t *)(uintptr_t)hps_json_at(direct, "dir_info", "editable", NULL))) {
		d->in_use |= read_below(p, directory);
		set_editable(p, item, directory);
		return;
	}
	clean = url ? hps_redact_text(NULL, url) : NULL;
	if (clean)
		hps_json_set(item, "url", hps_path_json(clean));
	commit = hps_json_text(hps_json_at(direct, "vcs_info", NULL), "commit_id");
	hps_json_set_text(item, "commit", commit);
	hash = hps_json_text(hps_json_at(direct, "archive_info", "hashes", NULL), "sha256");
	hps_json_set_text(item, "archiveSha256", hash);
}

/* ---- one distribution ---- */

static void read_metadata(const struct python *p, struct distribution *d)
{
	static const char *const metadata[] = { "/METADATA", "/PKG-INFO", "" };

	for (size_t i = 0; i < ARRAY_SIZE(metadata) && !d->name; i++) {
		_cleanup_buf_ struct hps_buf text = HPS_BUF_INIT;

		if (read_text(p, d->base, metadata[i], METADATA_MAX, &text))
			continue;
		d->name = hps_python_header(text.data, "Name");
		d->version = hps_python_header(text.data, "Version");
	}
	if (!d->version)
		d->version = hps_strdup("");
}

static json_t *list_json(const struct hps_strv *list)
{
	json_t *array = json_array();

	for (size_t i = 0; i < list->n; i++)
		hps_json_add(array, hps_path_json(list->v[i]));
	return array;
}

static json_t *item_of(const struct python *p, const struct distribution *d)
{
	json_t *item = json_object();
	_cleanup_buf_ struct hps_buf installer = HPS_BUF_INIT;

	hps_json_set(item, "name", hps_path_json(d->name));
	hps_json_set(item, "version", hps_path_json(d->version));
	hps_json_set(item, "path", hps_path_json(d->base));
	if (read_text(p, d->base, "/INSTALLER", METADATA_MAX, &installer) == 0) {
		installer.data[strcspn(installer.data, "\r\n")] = '\0';
		hps_json_set(item, "installer", hps_path_json(installer.data));
	}
	return item;
}

/* `pristine` is said only of what was compared: RECORD has a digest of it, and the trial read it, or what it compiles to. */
static void set_verdict(const struct distribution *d, json_t *item)
{
	hps_json_set_text(item, "package", d->package);
	if (d->n_unchecked)
		hps_json_set_int(item, "bytecodeUnchecked", (int64_t)d->n_unchecked);
	if (!d->n_equal && !d->modified.n)
		return;
	if (d->modified.n || !d->n_unchecked)
		hps_json_set(item, "pristine", json_boolean(!d->modified.n));
	hps_json_set_int(item, "filesEqual", (int64_t)d->n_equal);
	if (d->modified.n)
		hps_json_set(item, "modified", list_json(&d->modified));
}

static void distribution_release(struct distribution *d)
{
	free(d->base);
	free(d->name);
	free(d->version);
	free(d->package);
	hps_strv_release(&d->modified);
	json_decref(d->item);
}

static void keep(struct python *p, struct distribution *d)
{
	d->info = NULL; /* goes with the list of the directory */
	p->distributions = hps_grow(p->distributions, p->n, sizeof *p->distributions);
	p->distributions[p->n++] = *d;
}

static void add(struct python *p, const char *site, const char *info)
{
	struct distribution d = { .site = site, .info = info, .base = hps_format("%s%s", site, info) };

	read_metadata(p, &d);
	if (d.name) {
		d.item = item_of(p, &d);
		if (!use_record(p, &d))
			d.in_use = top_level_read(p, &d);
		set_origin(p, &d, d.item);
	}
	keep(p, &d);
}

/* "<source directory>\n<relative>": the metadata is an egg-info below the source. */
static void add_link(struct python *p, const char *site, const char *file)
{
	_cleanup_buf_ struct hps_buf text = HPS_BUF_INIT;
	_cleanup_free_ char *path = hps_format("%s%s", site, file), *name = hps_strndup(file, strlen(file) - strlen(".egg-link"));
	struct distribution d = { .site = site, .info = file, .in_use = true };

	if (read_text(p, path, "", METADATA_MAX, &text))
		return;
	text.data[strcspn(text.data, "\r\n")] = '\0';
	if (*text.data != '/' || !read_below(p, text.data))
		return;
	for (char *c = name; *c; c++)
		*c = *c == '-' ? '_' : *c;
	d.base = hps_format("%s/%s.egg-info", text.data, name);
	read_metadata(p, &d);
	if (d.name) {
		d.item = item_of(p, &d);
		set_editable(p, d.item, text.data);
	}
	keep(p, &d);
}

static void add_site(struct python *p, const char *site)
{
	_cleanup_free_ char *path = hps_format("%s%s", p->root, site);
	_cleanup_strv_ struct hps_strv names = HPS_STRV_INIT;
	DIR *dir = opendir(path);
	struct dirent *e;

	while (dir && (e = readdir(dir)))
		if (is_metadata(e->d_name, strlen(e->d_name)))
			hps_strv_add(&names, e->d_name);
	if (dir)
		closedir(dir);
	hps_strv_sort(&names);
	for (size_t i = 0; i < names.n; i++)
		if (hps_python_ends_with(names.v[i], strlen(names.v[i]), ".egg-link"))
			add_link(p, site, names.v[i]);
		else
			add(p, site, names.v[i]);
}

static void find_compiled(struct python *p)
{
	for (size_t i = 0; p->sites.n && i < p->owners->n; i++) {
		char *pyc = p->owners->items[i].key;
		_cleanup_free_ char *source = hps_python_source(pyc);

		if (source)
			*hps_map_slot(&p->compiled, source) = pyc;
	}
}

static void judge_bytecode(struct python *p)
{
	for (size_t i = 0; i < p->n_bytecode; i++) {
		struct distribution *d = &p->distributions[p->of[i]];
		const struct hps_bytecode *b = &p->bytecode[i];

		if (b->same == HPS_PRISTINE_UNKNOWN)
			d->n_unchecked++;
		else if (!b->other_source || !hps_map_find(p->owners, b->source)) /* one that was read was judged */
			judge(d, b->other_source ? b->source : b->pyc, b->same == HPS_PRISTINE_YES);
	}
}

json_t *hps_python_distributions(const char *root, struct hps_map *owners, const struct hps_python_options *o)
{
	struct python p = { .root = root, .owners = owners };
	json_t *items = json_array();

	collect(&p);
	find_compiled(&p);
	for (size_t i = 0; i < p.sites.n; i++)
		add_site(&p, p.sites.items[i].key);
	hps_bytecode_check(root, o, owners, p.bytecode, p.n_bytecode);
	judge_bytecode(&p);
	for (size_t i = 0; i < p.n; i++) {
		struct distribution *d = &p.distributions[i];

		if (d->item && d->in_use) {
			set_verdict(d, d->item);
			hps_json_add(items, json_incref(d->item));
		}
		distribution_release(d);
	}
	hps_map_release(&p.compiled);
	hps_map_release(&p.sites);
	hps_map_release(&p.names);
	for (size_t i = 0; i < p.n_bytecode; i++)
		free(p.bytecode[i].source);
	free(p.distributions);
	free(p.bytecode);
	free(p.of);
	return items;
}
