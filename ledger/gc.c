/* Collecting what no entry refers to in the content store. Whatever looks like a SHA-256 in a statement, in a record that waits in the
 * spool, or in a manifest that one of them names, is a reference: better to keep too much. */
#include "ledger/ledger.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MANIFEST "\"schema\":\"hps."
#define TICK_NS 10000000

struct marks {
	struct hps_ledger *l;
	struct hps_map pinned; /* hex */
	struct hps_strv waiting; /* not looked into yet */
};

static bool is_hex(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
}

static void pin(struct marks *m, const char *hex)
{
	_cleanup_free_ char *digits = hps_strndup(hex, HPS_DIGEST_HEX - 1);
	void **slot = hps_map_slot(&m->pinned, digits);

	if (*slot)
		return;
	*slot = m;
	hps_strv_add_take(&m->waiting, hps_take(digits));
}

static void scan(struct marks *m, const char *text, size_t len)
{
	size_t run = 0;

	for (size_t i = 0; i < len; i++) {
		run = is_hex(text[i]) ? run + 1 : 0;
		if (run >= HPS_DIGEST_HEX - 1)
			pin(m, text + i + 2 - HPS_DIGEST_HEX);
	}
}

/* One that a killed collection had set aside is put back by this one, and names as much as any other. */
static int open_object(struct marks *m, const char *hex)
{
	_cleanup_free_ char *path = hps_format("objects/%.2s/%s", hex, hex + 2), *aside = hps_format("objects/.gc.%s", hex);
	int fd = openat(m->l->dirfd, path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);

	return fd >= 0 ? fd : openat(m->l->dirfd, aside, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
}

/* Only objects that are manifests are read to their end. */
static void look_into(struct marks *m, const char *hex)
{
	_cleanup_buf_ struct hps_buf text = HPS_BUF_INIT;
	_cleanup_fd_ int fd = open_object(m, hex);
	char start;

	if (fd < 0 || pread(fd, &start, 1, 0) != 1 || start != '{' || hps_file_read_fd(fd, HPS_JSON_MAX, &text, NULL))
		return;
	if (memmem(text.data, text.len, MANIFEST, strlen(MANIFEST)))
		scan(m, text.data, text.len);
}

static int mark_entry(const struct hps_entry *e, void *arg, struct hps_error *err)
{
	_cleanup_buf_ struct hps_buf text = HPS_BUF_INIT;
	int r = hps_json_canonical(e->statement, &text, err);

	if (!r)
		scan(arg, text.data, text.len);
	return r;
}

static int mark_spool(struct marks *m, struct hps_error *err)
{
	_cleanup_free_ char *dir = hps_spool_dir();
	DIR *d = opendir(dir);
	const struct dirent *e;
	int r = 0;

	if (!d)
		return errno == ENOENT ? 0 : hps_error_errno(err, "reading the spool '%s'", dir);
	while ((e = hps_dir_next(d, "reading the spool", &r, err)) && !r) {
		_cleanup_free_ char *path = hps_format("%s/%s", dir, e->d_name);
		_cleanup_buf_ struct hps_buf text = HPS_BUF_INIT;

		if (*e->d_name != '.' && !hps_file_read(AT_FDCWD, path, HPS_JSON_MAX, &text, NULL))
			scan(m, text.data, text.len);
	}
	closedir(d);
	return r;
}

static int mark(struct marks *m, struct hps_error *err)
{
	int r = hps_ledger_each(m->l, NULL, mark_entry, m, err);

	if (!r)
		r = mark_spool(m, err);
	if (r)
		return r;
	for (size_t i = 0; i < m->waiting.n; i++) /* grows meanwhile */
		look_into(m, m->waiting.v[i]);
	return 0;
}

static bool keep(void *arg, const struct hps_digest *d)
{
	struct marks *m = arg;
	char hex[HPS_DIGEST_HEX];

	hps_digest_hex(d, hex);
	return hps_map_get(&m->pinned, hex) != NULL;
}

/* What trials that are running now have stored or found is younger than they are. */
static int before_running(struct hps_ledger *l, int64_t *limit, struct hps_error *err)
{
	int fd = openat(l->dirfd, "running", O_RDONLY | O_DIRECTORY | O_CLOEXEC), r = 0;
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	const struct dirent *e;
	struct stat s;

	if (!d)
		return errno == ENOENT ? 0 : hps_error_errno(err, "looking for trials that are running");
	while ((e = hps_dir_next(d, "looking for trials that are running", &r, err)))
		if (hps_lease_held(l, e->d_name) && !fstatat(dirfd(d), e->d_name, &s, 0) && (int64_t)s.st_mtim.tv_sec * 1000000000 < *limit)
			*limit = (int64_t)s.st_mtim.tv_sec * 1000000000;
	closedir(d);
	return r;
}

int hps_ledger_collect(struct hps_ledger *l, int64_t min_age_ns, bool dry_run, struct hps_sweep_result *ret, struct hps_error *err)
{
	struct marks m = { .l = l, .pinned = HPS_MAP_INIT, .waiting = HPS_STRV_INIT };
	struct hps_sweep_options options = { .keep = keep, .arg = &m, .dry_run = dry_run };
	int r;

	/* Before marking: what is stored or reused from now on is younger. Files are dated by a clock that is up to a tick behind. */
	options.older_than_ns = hps_time_now_ns() - min_age_ns - TICK_NS;
	r = before_running(l, &options.older_than_ns, err);
	if (!r)
		r = mark(&m, err);
	if (!r && l->objects)
		r = hps_objects_sweep(l->objects, &options, ret, err);
	hps_map_release(&m.pinned);
	hps_strv_release(&m.waiting);
	return r;
}
