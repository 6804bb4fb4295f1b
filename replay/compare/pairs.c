/* Two files, or two directories file by file, for `hps-replay compare`: no ledger, no record. Stamps in names are stepped over when
 * files are paired. */
#include "replay/compare/compare.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILES_MAX 100000
#define DEPTH_MAX 64

struct listing { /* of one side */
	struct hps_strv paths;
	struct hps_map files; /* the name that pairs → the file's own name */
	unsigned unmasked;
};

static int by_name(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

static int no_dots(const struct dirent *d)
{
	return strcmp(d->d_name, ".") != 0 && strcmp(d->d_name, "..") != 0;
}

static int list_below(struct listing *l, int root_fd, const char *path, unsigned depth, struct hps_error *err)
{
	struct dirent **entries = NULL;
	int n = scandirat(root_fd, *path ? path : ".", &entries, no_dots, by_name), r = 0;

	if (n < 0)
		return hps_error_set(err, HPS_E_NOTFOUND, "listing '%s': %s", path, strerror(errno));
	for (int i = 0; i < n; i++) {
		_cleanup_free_ char *below = *path ? hps_format("%s/%s", path, entries[i]->d_name) : hps_strdup(entries[i]->d_name);
		struct stat st;

		if (!r && fstatat(root_fd, below, &st, AT_SYMLINK_NOFOLLOW))
			r = hps_error_set(err, HPS_E_NOTFOUND, "looking at '%s': %s", below, strerror(errno));
		else if (!r && (l->paths.n >= FILES_MAX || depth > DEPTH_MAX))
			r = hps_error_set(err, HPS_E_LIMIT, "listing '%s': more than %d files, or too deep", path, FILES_MAX);
		else if (!r && S_ISDIR(st.st_mode))
			r = list_below(l, root_fd, below, depth + 1, err);
		else if (!r)
			hps_strv_add(&l->paths, below);
		free(entries[i]);
	}
	free(entries);
	return r;
}

static struct hps_comparison *add(struct hps_outputs *o, const char *path)
{
	_cleanup_buf_ struct hps_buf escaped = HPS_BUF_INIT;

	hps_path_escape(&escaped, path, strlen(path));
	o->v = hps_grow(o->v, o->n, sizeof *o->v);
	o->v[o->n] = (struct hps_output){ .path = hps_buf_take(&escaped) };
	return &o->v[o->n++].comparison;
}

static void opaque(struct hps_comparison *c, const char *which, int error)
{
	c->verdict = HPS_OUTPUT_OPAQUE;
	c->n_different = 1;
	c->note = hps_format("%s cannot be read: %s", which, strerror(error));
}

static void compare_links(const char *a, const char *b, struct hps_comparison *c)
{
	if (!strcmp(a, b))
		return;
	c->verdict = *a && *b ? HPS_OUTPUT_DIVERGED : HPS_OUTPUT_STRUCTURE;
	c->place = hps_strdup(*a && *b ? "target" : "type");
	c->original = hps_strdup(*a ? a : "no symbolic link");
	c->rerun = hps_strdup(*b ? b : "no symbolic link");
	c->n_different = 1;
}

/* "" when it is none. */
static void read_link(int root_fd, const char *path, char out[4096])
{
	ssize_t n = readlinkat(root_fd, path, out, 4095);

	out[n > 0 ? n : 0] = '\0';
}

static int open_plain(int root_fd, const char *path)
{
	int fd = openat(root_fd, path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY), e = errno;
	struct stat st;

	if (fd < 0 || fstat(fd, &st))
		return fd < 0 ? -e : (close(fd), -EIO);
	if (S_ISREG(st.st_mode))
		return fd;
	close(fd);
	return -ENOTSUP;
}

static void compare_pair(int a_fd, const char *a_path, int b_fd, const char *b_path, const struct hps_tolerance *t, struct hps_comparison *c)
{
	char x[4096], y[4096];
	_cleanup_fd_ int a = -1, b = -1;

	read_link(a_fd, a_path, x);
	read_link(b_fd, b_path, y);
	if (*x || *y) {
		compare_links(x, y, c);
		return;
	}
	a = open_plain(a_fd, a_path);
	b = open_plain(b_fd, b_path);
	if (a < 0 || b < 0)
		opaque(c, a < 0 ? "the first" : "the second", a < 0 ? -a : -b);
	else
		hps_compare_confined_fds(a_path, a, b, t, c);
}

static int list(struct listing *l, int root_fd, struct hps_error *err)
{
	int r = list_below(l, root_fd, "", 0, err);

	for (size_t i = 0; !r && i < l->paths.n; i++)
		hps_mask_pair(&l->files, l->paths.v[i], l->unmasked);
	return r;
}

static void release(struct listing *l)
{
	hps_map_release(&l->files);
	hps_strv_release(&l->paths);
}

static int compare_directories(int a, int b, const struct hps_tolerance *t, struct hps_outputs *ret, struct hps_error *err)
{
	struct listing x = { .unmasked = t->unmasked }, y = { .unmasked = t->unmasked };
	int r = list(&x, a, err);

	r = r ? r : list(&y, b, err);
	for (size_t i = 0; !r && i < x.files.n; i++) {
		const char *own = x.files.items[i].value, *other = hps_map_get(&y.files, x.files.items[i].key);
		struct hps_comparison *c = add(ret, own);

		if (other)
			compare_pair(a, own, b, other, t, c);
		if (other && strcmp(own, other) != 0)
			hps_mask_name_noted(c, other);
		if (!other)
			c->verdict = HPS_OUTPUT_MISSING;
	}
	for (size_t i = 0; !r && i < y.files.n; i++)
		if (!hps_map_get(&x.files, y.files.items[i].key))
			add(ret, y.files.items[i].value)->verdict = HPS_OUTPUT_EXTRA;
	release(&x);
	release(&y);
	return r;
}

static int open_one(const char *path, bool *ret_directory, struct hps_error *err)
{
	struct stat st;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);

	if (fd < 0 || fstat(fd, &st)) {
		int e = errno;

		if (fd >= 0)
			close(fd);
		return hps_error_set(err, HPS_E_NOTFOUND, "opening '%s': %s", path, strerror(e));
	}
	*ret_directory = S_ISDIR(st.st_mode);
	if (*ret_directory || S_ISREG(st.st_mode))
		return fd;
	close(fd);
	return hps_error_set(err, HPS_E_USAGE, "'%s' is neither a file nor a directory", path);
}

int hps_pairs_compare(const char *a, const char *b, const struct hps_tolerance *tolerance, struct hps_outputs *ret, struct hps_error *err)
{
	_cleanup_fd_ int x = -1, y = -1;
	bool a_directory = false, b_directory = false;

	x = open_one(a, &a_directory, err);
	y = x < 0 ? -1 : open_one(b, &b_directory, err);
	if (x < 0 || y < 0)
		return x < 0 ? x : y;
	if (a_directory != b_directory)
		return hps_error_set(err, HPS_E_USAGE, "one of '%s' and '%s' is a directory, the other is not", a, b);
	if (a_directory)
		return compare_directories(x, y, tolerance, ret, err);
	hps_compare_confined_fds(a, x, y, tolerance, add(ret, a));
	return 0;
}
