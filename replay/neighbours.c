/* Names that the trial may have looked at without opening them: stat() is not recorded. Where a name lies beside what the trial
 * used and was there before the trial started, it is put into the view with its size, mode and time, but without content. Whoever runs the
 * trial can read these names: they are those that everybody with our ids may list, and of a stranger's trial those of system packages alone. */
#include "replay/replay.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/openat2.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#define DIRECTORY_MAX 6000 /* names of one directory, and of all */
#define ALL_MAX 60000

/* Other people's or nobody's: what lies there was not put there for the trial. */
static const char *const shared_dirs[] = { "/", "/home", "/tmp", "/var/tmp", "/run", "/dev/shm", "/proc", "/sys", "/dev" };
/* Packages keep the times of modification with which they were made, while ctime is that of the installation. */
static const char *const package_dirs[] = { "/usr", "/lib", "/lib64", "/bin", "/sbin", "/opt", "/etc" };

/* On a machine that never saw the trial, what else is there has nothing to do with it. */
static const char *const system_dirs[] = { "/usr", "/lib", "/lib64", "/bin", "/sbin" };

/* Everybody's, too, but of packages: names in them are looked at, but what is in their other directories belongs to other programs. */
static const char *const wide_dirs[] = { "/opt", "/usr", "/usr/bin", "/usr/lib", "/usr/lib32", "/usr/lib64", "/usr/libexec", "/usr/local", "/usr/local/lib",
					 "/usr/local/share", "/usr/sbin", "/usr/share", "/var", "/var/cache", "/var/lib" };

static bool is_among(const char *path, const char *const *dirs, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (!strcmp(path, dirs[i]))
			return true;
	return false;
}

static bool is_shared(const char *path)
{
	return is_among(path, shared_dirs, ARRAY_SIZE(shared_dirs));
}

/* Debian's /usr/lib/x86_64-linux-gnu and its like: libraries of all programs. */
static bool is_wide(const char *path)
{
	return is_among(path, wide_dirs, ARRAY_SIZE(wide_dirs)) ||
	       (!strncmp(path, "/usr/lib/", 9) && !strchr(path + 9, '/') && strstr(path + 9, "-linux-gnu"));
}

static bool is_in(const char *path, const char *const *dirs, size_t n_dirs)
{
	for (size_t i = 0; i < n_dirs; i++) {
		size_t n = strlen(dirs[i]);

		if (!strncmp(path, dirs[i], n) && (!path[n] || path[n] == '/'))
			return true;
	}
	return false;
}

static bool is_packaged(const char *path)
{
	return is_in(path, package_dirs, ARRAY_SIZE(package_dirs));
}

static int64_t ns_of(const struct statx_timestamp *t)
{
	return t->tv_sec * 1000000000 + t->tv_nsec;
}

/* A file whose ctime is older had this name, content and mode then; a directory's ctime moves with every name in it, its
 * birth does not. */
static bool was_there(const struct statx *s, bool packaged, int64_t started_ns)
{
	if (packaged && ns_of(&s->stx_mtime) < started_ns)
		return true;
	if (S_ISDIR(s->stx_mode) && s->stx_mask & STATX_BTIME)
		return ns_of(&s->stx_btime) < started_ns;
	return ns_of(&s->stx_ctime) < started_ns;
}

static DIR *open_directory(const char *path)
{
	struct open_how how = { .flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NONBLOCK, .resolve = RESOLVE_NO_SYMLINKS };
	int fd = (int)syscall(SYS_openat2, AT_FDCWD, path, &how, sizeof how);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);

	if (fd >= 0 && !d)
		close(fd);
	return d;
}

/* Numbers that only looks show: not proven, but on the machine of the trial they are still those. */
static void note_attributes(struct hps_plan_node *node, const struct statx *s)
{
	if (!node->attributes)
		node->attributes = hps_alloc(sizeof *node->attributes);
	*node->attributes = (struct hps_attributes){ s->stx_mode, s->stx_uid, s->stx_gid, s->stx_nlink, (int64_t)s->stx_size, (int64_t)s->stx_blocks,
						     (int64_t)s->stx_ino, (int64_t)makedev(s->stx_dev_major, s->stx_dev_minor), ns_of(&s->stx_mtime) };
}

/* Of what was planned without having been listed. Links of a directory may be of names that the trial made. */
static void look_at(struct hps_plan *p, size_t i, int64_t started_ns)
{
	struct hps_plan_node *node = &p->nodes[i];
	struct statx s;

	if (node->attributes || node->kind == HPS_PLAN_GHOST || statx(AT_FDCWD, node->path, AT_SYMLINK_NOFOLLOW, STATX_BASIC_STATS | STATX_BTIME, &s) ||
	    !was_there(&s, is_packaged(node->path), started_ns))
		return;
	note_attributes(node, &s);
	node->attributes->n_links = -1;
}

/* As it is now, like the rest. */
static char *read_link(int dir_fd, const char *name)
{
	char target[4096];
	ssize_t len = readlinkat(dir_fd, name, target, sizeof target);

	return len > 0 && (size_t)len < sizeof target ? hps_strndup(target, (size_t)len) : NULL;
}

static void add_names(struct hps_plan *p, size_t parent, int64_t started_ns)
{
	_cleanup_free_ char *dir = hps_strdup(p->nodes[parent].path); /* the nodes move when they grow */
	bool packaged = is_packaged(dir);
	DIR *d = open_directory(dir);
	struct dirent *e;
	size_t n = 0;

	while (d && (e = readdir(d)) && n < DIRECTORY_MAX && p->n_neighbours < ALL_MAX) {
		_cleanup_free_ char *path = NULL;
		struct statx s;

		if (!strcmp(e->d_name, ".") || !strcmp(e->d_name, ".."))
			continue;
		path = hps_format("%s/%s", dir, e->d_name);
		if (hps_plan_find(p, path) || hps_plan_is_made(p, path) || statx(dirfd(d), e->d_name, AT_SYMLINK_NOFOLLOW, STATX_BASIC_STATS | STATX_BTIME, &s) ||
		    !was_there(&s, packaged, started_ns))
			continue;
		hps_plan_add_ghost(p, path, parent, s.stx_mode, (int64_t)s.stx_size, ns_of(&s.stx_mtime));
		note_attributes(&p->nodes[p->n - 1], &s);
		if (S_ISLNK(s.stx_mode))
			p->nodes[p->n - 1].target = read_link(dirfd(d), e->d_name);
		p->n_neighbours++;
		n++;
	}
	if (d)
		closedir(d);
}

/* Root's, with which he lists what is closed to everybody but its owner. Returns what was in force. */
static struct __user_cap_data_struct change_rights(const struct __user_cap_data_struct *to)
{
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct of[2] = { { 0 } }, before;

	if (syscall(SYS_capget, &head, of))
		return of[0];
	before = of[0];
	of[0].effective = to ? to->effective : before.effective & ~(1u << CAP_DAC_OVERRIDE | 1u << CAP_DAC_READ_SEARCH);
	(void)!syscall(SYS_capset, &head, of);
	return before;
}

/* used: directories that hold a file of the trial, which was let in there. */
static void add_beside(struct hps_plan *p, size_t n, const bool *used, bool which, bool foreign, int64_t started_ns)
{
	for (size_t i = 0; i < n; i++) {
		const struct hps_plan_node *node = &p->nodes[i];

		if (node->kind == HPS_PLAN_DIRECTORY && used[i] == which && !node->listed && !is_shared(node->path) &&
		    (!foreign || is_in(node->path, system_dirs, ARRAY_SIZE(system_dirs))))
			add_names(p, i, started_ns);
	}
}

/* One level below: torch asks for bin/torch_shm_manager in a directory that nobody opened. */
static void add_below(struct hps_plan *p, int64_t started_ns)
{
	for (size_t i = 0, n = p->n; i < n; i++) {
		const struct hps_plan_node *node = &p->nodes[i];

		if (node->kind == HPS_PLAN_GHOST && (!node->known || S_ISDIR(node->known)) && !is_shared(node->path) && !is_wide(p->nodes[node->parent].path))
			add_names(p, i, started_ns);
	}
}

void hps_plan_add_neighbours(struct hps_plan *p, int64_t started_ns, bool foreign)
{
	_cleanup_free_ bool *used = hps_alloc(p->n * sizeof *used);
	struct __user_cap_data_struct before;
	size_t n = p->n;

	for (size_t i = 0; p->looks && !foreign && i < n; i++)
		look_at(p, i, started_ns);
	for (size_t i = 0; i < n; i++)
		if (p->nodes[i].kind == HPS_PLAN_FILE)
			used[p->nodes[i].parent] = true;
	add_beside(p, n, used, true, foreign, started_ns);
	before = change_rights(NULL);
	add_beside(p, n, used, false, foreign, started_ns);
	add_below(p, started_ns);
	(void)change_rights(&before);
}
