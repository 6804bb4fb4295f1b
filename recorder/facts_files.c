/* What packages, distributions and libraries say of the files that a trial touched: in the process of facts, asked when the trial has ended,
 * and beforehand, so that the caches know most of it by then. */
#include "recorder/recorder.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "recorder/gpu.h"
#include "recorder/identity.h"

#define GPU_LIMIT_MS 10000
#define BYTECODE_LEAST_NS 250000000
#define BYTECODE_MOST_NS 2000000000
#define BYTECODE_AHEAD_NS 30000000000

static void set_at_path(json_t *object, const char *path, json_t *value)
{
	_cleanup_json_ json_t *key = hps_path_json(path);

	hps_json_set(object, json_string_value(key), value);
}

/* "1.2.13" of libz.so.1.2.13: all that most libraries tell of their version; NULL when the name says none. */
static const char *version_in_name(const char *path)
{
	const char *name = strrchr(path, '/'), *so = strstr(name ? name : path, ".so.");

	return so && so[4] >= '0' && so[4] <= '9' ? so + 4 : NULL;
}

static json_t *elf_of(const char *path)
{
	_cleanup_fd_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	struct hps_elf elf = { 0 };
	json_t *item = json_object();

	if (fd >= 0 && hps_elf_read(fd, &elf)) {
		if (elf.soname)
			hps_json_set(item, "soname", hps_path_json(elf.soname));
		hps_json_set_text(item, "buildId", elf.build_id);
		if (elf.note)
			hps_json_set(item, "packageNote", hps_path_json(elf.note));
	}
	hps_elf_release(&elf);
	if (version_in_name(path))
		hps_json_set(item, "version", hps_path_json(version_in_name(path)));
	return item;
}

/* Many files have the same owner: each is said once. */
static int64_t owner_index(struct hps_map *seen, json_t *owners, const struct hps_owner *o)
{
	_cleanup_free_ char *key = o->package ? hps_format("%s\n%s\n%d", o->manager, o->package, o->pristine) : NULL;
	json_t *item;
	void **slot;

	if (!key)
		return -1;
	slot = hps_map_slot(seen, key);
	if (*slot)
		return (int64_t)(intptr_t)*slot - 1;
	item = json_object();
	hps_json_set(item, "package", hps_path_json(o->package));
	hps_json_set_text(item, "manager", o->manager);
	if (o->pristine != HPS_PRISTINE_UNKNOWN)
		hps_json_set(item, "pristine", json_boolean(o->pristine == HPS_PRISTINE_YES));
	hps_json_add(owners, item);
	*slot = (void *)(intptr_t)json_array_size(owners);
	return (int64_t)json_array_size(owners) - 1;
}

static void set_owners(json_t *answer, const struct hps_map *files, size_t n)
{
	json_t *runs = json_array(), *owners = json_array();
	struct hps_map seen = HPS_MAP_INIT;
	int64_t last = -1, index;
	size_t begin = 0;

	for (size_t i = 0; i <= n; i++) {
		index = i < n ? owner_index(&seen, owners, files->items[i].value) : -2;
		if (index == last)
			continue;
		hps_json_add(runs, json_integer((json_int_t)(i - begin)));
		hps_json_add(runs, json_integer(last));
		begin = i;
		last = index;
	}
	hps_map_release(&seen);
	hps_json_set(answer, "files", runs);
	hps_json_set(answer, "owners", owners);
}

/* ---- what was touched ---- */

static struct hps_owner *add_file(struct hps_touched *t, const char *text, bool system)
{
	struct hps_owner *o;
	char hex[HPS_DIGEST_HEX];

	if (strlen(text) < 64)
		return NULL;
	o = hps_owner_slot(&t->owners, text + 64);
	memcpy(hex, text, 64);
	hex[64] = '\0';
	o->hashed = hps_digest_parse(hex, &o->content) == 0;
	o->system = system;
	o->summed = false;
	return o;
}

void hps_touched_add(struct hps_touched *t, const char *records, size_t len)
{
	struct hps_owner *last = NULL;

	for (size_t at = 0; at < len; at += strlen(records + at) + 1) {
		const char *text = records + at + 1;

		switch (text[-1]) {
		case HPS_NEWS_SYSTEM:
		case HPS_NEWS_OTHER:
			last = add_file(t, text, text[-1] == HPS_NEWS_SYSTEM);
			break;
		case HPS_NEWS_SUM:
			if (last)
				last->summed = hps_unhex(last->md5, sizeof last->md5, text) == 0;
			break;
		case 'E':
			hps_strv_add(&t->libraries, text);
			break;
		case HPS_NEWS_PROGRAM:
			hps_strv_add(&t->programs, text);
			break;
		case 'D':
			hps_strv_add(&t->devices, text);
			break;
		}
	}
}

static bool has_row(const json_t *rows, const char *name)
{
	const json_t *row;
	size_t i;

	json_array_foreach(rows, i, row)
		if (!strcmp(hps_json_text(row, "name"), name))
			return true;
	return false;
}

/* Sources that were never compiled before take a second or two: a short trial does not wait for all of them. */
static int64_t bytecode_limit(int64_t trial_ns)
{
	int64_t part = trial_ns / 20;

	return part < BYTECODE_LEAST_NS ? BYTECODE_LEAST_NS : part > BYTECODE_MOST_NS ? BYTECODE_MOST_NS : part;
}

void hps_touched_release(struct hps_touched *t)
{
	hps_owners_release(&t->owners);
	hps_strv_release(&t->libraries);
	hps_strv_release(&t->programs);
	hps_strv_release(&t->devices);
}

/* ---- while the trial runs ---- */

/* Its content is asked about, if nobody did: what the cache of digests knew was no news. */
static void know_program(struct hps_touched *t, const char *path)
{
	_cleanup_fd_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	struct hps_digest content;
	struct hps_owner *o;

	if (hps_map_find(&t->owners, path) || fd < 0 || hps_digest_fd(fd, &content, NULL, NULL))
		return;
	o = hps_owner_slot(&t->owners, path);
	o->content = content;
	o->hashed = true;
	o->system = hps_path_system(path);
}

/* Root's, and neither the file nor a directory on the way is for us to write. */
static bool is_roots(const char *path)
{
	_cleanup_free_ char *at = hps_strdup(path);
	struct stat s;

	for (char *slash = at + strlen(at); slash; slash = strrchr(at, '/')) {
		*slash = '\0';
		if (stat(*at ? at : "/", &s) || s.st_uid || faccessat(AT_FDCWD, *at ? at : "/", W_OK, AT_EACCESS) == 0)
			return false;
	}
	return *path == '/';
}

/* The trial may have made it, and can still make something of what it is told: it is run here, outside all that the trial is confined by. */
static bool is_trusted(const struct hps_touched *t, const char *program)
{
	const struct hps_owner *o = hps_map_get(&t->owners, program);
	_cleanup_fd_ int fd = -1;
	struct hps_digest now;

	if (is_roots(program))
		return true;
	if (!o || !hps_package_restores(o->manager) || o->pristine != HPS_PRISTINE_YES)
		return false;
	fd = open(program, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	return fd >= 0 && !hps_digest_fd(fd, &now, NULL, NULL) && hps_digest_equal(&now, &o->content);
}

void hps_touched_ahead(struct hps_touched *t, int cache_dir, int stop_fd)
{
	_cleanup_json_ json_t *rows = json_array(), *python = NULL;
	_cleanup_strv_ struct hps_strv programs = HPS_STRV_INIT;

	for (size_t i = 0; i < t->programs.n; i++)
		know_program(t, t->programs.v[i]);
	(void)hps_owners_find(cache_dir, "", &t->owners, rows);
	for (size_t i = 0; i < t->programs.n; i++)
		if (is_trusted(t, t->programs.v[i]))
			hps_strv_add(&programs, t->programs.v[i]);
	python = hps_python_distributions("", &t->owners, &(struct hps_python_options){ &programs, cache_dir, BYTECODE_AHEAD_NS, stop_fd });
}

/* ---- answers ---- */

/* Those that were told, if the content is the one that is asked about. */
static void take_sums(struct hps_map *owners, const struct hps_map *told)
{
	for (size_t i = 0; i < told->n; i++) {
		const struct hps_owner *from = told->items[i].value;
		struct hps_owner *to = from->summed ? hps_map_get(owners, told->items[i].key) : NULL;

		if (!to || !to->hashed || !hps_digest_equal(&to->content, &from->content))
			continue;
		memcpy(to->md5, from->md5, sizeof to->md5);
		to->summed = true;
	}
}

json_t *hps_touched_answer(struct hps_touched *t, const struct hps_touched *told, int cache_dir, const json_t *machine, int64_t trial_ns)
{
	json_t *answer = json_object(), *elf = json_object(), *rows = json_array();
	size_t n_files = t->owners.n;
	int r;

	take_sums(&t->owners, &told->owners);
	for (size_t i = 0; i < t->libraries.n; i++)
		set_at_path(elf, t->libraries.v[i], elf_of(t->libraries.v[i]));
	r = hps_owners_find(cache_dir, "", &t->owners, rows);
	if (r == -ENOENT)
		hps_identity_missing(rows, "packages", "no database of dpkg, rpm or apk is there");
	hps_conda_find("", &t->owners);
	hps_json_set(answer, "python", hps_python_distributions("", &t->owners, &(struct hps_python_options){ &t->programs, cache_dir, bytecode_limit(trial_ns), 0 }));
	hps_packages_check("", &t->owners, 0);
	set_owners(answer, &t->owners, n_files);
	hps_json_set(answer, "elf", elf);
	hps_identity_python(rows, "", &t->programs, &t->owners);
	hps_identity_blas(rows, "", &t->libraries, t->envp);
	if (!has_row(machine, "gpu"))
		hps_identity_gpu(rows, "", NULL, "after", GPU_LIMIT_MS);
	hps_identity_gpu_use(rows, machine, &t->devices, t->envp);
	hps_json_set(answer, "identities", rows);
	return answer;
}
