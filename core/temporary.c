/* Folders for as long as we run, and what became of those of runs that were killed: each is locked by its maker, so that one which
 * nobody has locked is nobody's, and whoever makes the next one removes it. */
#include "core/core.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define SWEEP_MAX 1000 /* names looked at */

static const char *place(void)
{
	const char *tmp = getenv("TMPDIR");

	return tmp && *tmp == '/' ? tmp : "/tmp";
}

/* Made by mkdtemp() for `name` up to its first dot? Not "hps-replay.txt", which somebody else made. */
static bool is_ours(const char *found, const char *name)
{
	size_t n = strlen(found), prefix = strcspn(name, ".");

	return n >= prefix + 7 && !strncmp(found, name, prefix) && found[prefix] == '.' && found[n - 7] == '.';
}

/* Locked while the name is still its: whoever locked it before us has removed it. */
static int lock(int dir_fd, const char *name, int *ret)
{
	_cleanup_fd_ int fd = openat(dir_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
	struct stat s;

	if (fd < 0 || fstat(fd, &s))
		return -errno;
	if (s.st_uid != geteuid() || (s.st_mode & 07777) != 0700)
		return -EPERM;
	if (flock(fd, LOCK_EX | LOCK_NB))
		return -errno;
	if (fstat(fd, &s) || !s.st_nlink)
		return -ENOENT;
	*ret = hps_take_fd(&fd);
	return 0;
}

static void sweep(const char *where, const char *name)
{
	_cleanup_fd_ int dir_fd = open(where, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = dir_fd < 0 ? NULL : fdopendir(fcntl(dir_fd, F_DUPFD_CLOEXEC, 0));
	struct dirent *e;
	size_t n = 0;

	while (d && (e = readdir(d)) && n++ < SWEEP_MAX) {
		_cleanup_fd_ int fd = -1;

		if (is_ours(e->d_name, name) && !lock(dir_fd, e->d_name, &fd))
			(void)!hps_dir_remove(dir_fd, e->d_name, NULL);
	}
	if (d)
		closedir(d);
}

int hps_temporary_make(const char *where, const char *name, struct hps_temporary *ret, struct hps_error *err)
{
	where = where ? where : place();
	sweep(where, name);
	for (int attempt = 0; attempt < 8; attempt++) {
		_cleanup_free_ char *path = hps_format("%s/%s.XXXXXX", where, name);
		int r = mkdtemp(path) ? 0 : hps_error_errno(err, "making a temporary directory '%s'", path);

		if (r)
			return r;
		r = lock(AT_FDCWD, path, &ret->fd);
		if (r == -ENOENT || r == -EWOULDBLOCK)
			continue; /* swept before it was locked; where nothing can be locked nothing is swept either */
		ret->path = realpath(path, NULL); /* the recorder compares it with what /proc says */
		return ret->path ? 0 : hps_error_errno(err, "making a temporary directory '%s'", path);
	}
	return hps_error_set(err, -EAGAIN, "making a temporary directory in '%s': somebody removes them at once", where);
}

void hps_temporary_remove(struct hps_temporary *t)
{
	if (!t->path)
		return;
	(void)!hps_dir_remove(AT_FDCWD, t->path, NULL);
	free(t->path);
	hps_cleanup_fd(&t->fd);
	*t = (struct hps_temporary)HPS_TEMPORARY_INIT;
}
