/* Files by directory descriptor: whole or not at all. */
#include "core/core.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int hps_write_all(int fd, const void *data, size_t len)
{
	const char *from = data;

	while (len) {
		ssize_t n = write(fd, from, len);

		if (n < 0 && errno != EINTR)
			return -errno;
		if (n > 0) {
			from += n;
			len -= (size_t)n;
		}
	}
	return 0;
}

int hps_file_open_own(int dirfd, const char *path)
{
	int fd = openat(dirfd, path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	struct stat s;

	if (fd >= 0 && (fstat(fd, &s) || s.st_uid != geteuid() || s.st_mode & 022 || !S_ISREG(s.st_mode))) {
		close(fd);
		return -1;
	}
	return fd;
}

int hps_file_read_fd(int fd, size_t max, struct hps_buf *ret, struct hps_error *err)
{
	char block[65536];
	struct stat s;

	if (fstat(fd, &s) == 0 && S_ISREG(s.st_mode) && s.st_size > 0 && (uint64_t)s.st_size <= max)
		(void)hps_buf_reserve(ret, (size_t)s.st_size); /* at once, not by doubling */
	for (;;) {
		ssize_t n = read(fd, block, sizeof block);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return hps_error_errno(err, "reading");
		if (n == 0)
			return 0;
		if (ret->len + (size_t)n > max)
			return hps_error_set(err, HPS_E_LIMIT, "reading: more than the %zu bytes allowed", max);
		hps_buf_add(ret, block, (size_t)n);
		if (ret->full)
			return hps_error_set(err, HPS_E_LIMIT, "reading: more than the %zu bytes allowed", ret->max);
	}
}

int hps_file_read(int dirfd, const char *path, size_t max, struct hps_buf *ret, struct hps_error *err)
{
	_cleanup_fd_ int fd = openat(dirfd, path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	int r;

	if (fd < 0)
		return hps_error_errno(err, "opening '%s'", path);
	r = hps_file_read_fd(fd, max, ret, err);
	if (r)
		hps_error_prefix(err, "'%s'", path);
	return r;
}

const struct dirent *hps_dir_next(DIR *d, const char *doing, int *r, struct hps_error *err)
{
	const struct dirent *e;

	errno = 0;
	e = readdir(d);
	if (!e && errno)
		*r = hps_error_errno(err, "%s", doing);
	return e;
}

int hps_dir_sync(int dirfd, struct hps_error *err)
{
	_cleanup_fd_ int own = -1;

	if (dirfd == AT_FDCWD)
		dirfd = own = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return dirfd >= 0 && fsync(dirfd) == 0 ? 0 : hps_error_errno(err, "syncing a directory");
}

/* The directory that holds path's last component; *ret_name points into path. */
static int open_parent(int dirfd, const char *path, int *ret_fd, const char **ret_name, struct hps_error *err)
{
	const char *slash = strrchr(path, '/');
	_cleanup_free_ char *parent = !slash ? hps_strdup(".") : slash == path ? hps_strdup("/") : hps_strndup(path, (size_t)(slash - path));

	*ret_name = slash ? slash + 1 : path;
	return hps_dir_open(dirfd, parent, ret_fd, err);
}

static int write_temporary(int dirfd, const char *name, mode_t mode, const void *data, size_t len)
{
	_cleanup_fd_ int fd = openat(dirfd, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, mode);
	int r;

	if (fd < 0)
		return -errno;
	r = hps_write_all(fd, data, len);
	if (!r && fchmod(fd, mode)) /* whatever the umask */
		r = -errno;
	return !r && fsync(fd) ? -errno : r;
}

int hps_file_write(int dirfd, const char *path, mode_t mode, const void *data, size_t len, struct hps_error *err)
{
	_cleanup_free_ char *temporary = NULL;
	_cleanup_fd_ int parent = -1;
	const char *name;
	uint64_t unique;
	int r = open_parent(dirfd, path, &parent, &name, err);

	if (r || (r = hps_random(&unique, sizeof unique, err)))
		return r;
	temporary = hps_format(".%s.%016llx", name, (unsigned long long)unique);
	r = write_temporary(parent, temporary, mode, data, len);
	if (!r && renameat(parent, temporary, parent, name))
		r = -errno;
	if (r) {
		unlinkat(parent, temporary, 0);
		errno = -r;
		return hps_error_errno(err, "writing '%s'", path);
	}
	r = hps_dir_sync(parent, err);
	return r ? hps_error_prefix(err, "writing '%s'", path) : 0;
}

/* ".NAME.<16 hex digits>" */
static bool is_temporary(const char *name)
{
	size_t len = strlen(name);

	return len > 18 && *name == '.' && name[len - 17] == '.' && strspn(name + len - 16, "0123456789abcdef") == 16;
}

int hps_file_sweep(int dirfd, const char *path, int64_t before_ns, struct hps_error *err)
{
	int fd = openat(dirfd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW), r = 0;
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	const struct dirent *e;
	struct stat s;

	if (!d)
		return hps_error_errno(err, "reading the directory '%s'", path);
	while (!r && (e = hps_dir_next(d, "reading a directory", &r, err)))
		if (is_temporary(e->d_name) && !fstatat(fd, e->d_name, &s, AT_SYMLINK_NOFOLLOW) && S_ISREG(s.st_mode) && s.st_uid == geteuid() &&
		    (int64_t)s.st_mtim.tv_sec * 1000000000 + s.st_mtim.tv_nsec < before_ns)
			unlinkat(fd, e->d_name, 0);
	closedir(d);
	return r;
}

static int write_into(const char *path, const void *data, size_t len, struct hps_error *err)
{
	_cleanup_fd_ int fd = open(path, O_WRONLY | O_CLOEXEC | O_NOCTTY);
	int r = fd < 0 ? -errno : hps_write_all(fd, data, len);

	errno = -r;
	return r ? hps_error_errno(err, "writing into '%s'", path) : 0;
}

/* Where a link without a target leads, an empty file: realpath() names what exists. */
static int make_target(const char *path, mode_t mode)
{
	_cleanup_fd_ int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, mode);

	return fd < 0 ? -errno : 0;
}

int hps_file_output_check(const char *path, struct hps_error *err)
{
	_cleanup_free_ char *folder = hps_strdup(path), *real = realpath(path, NULL);
	char *slash;
	struct stat s;

	if (real && stat(real, &s) == 0 && S_ISDIR(s.st_mode)) {
		errno = EISDIR;
		return hps_error_errno(err, "'%s'", path);
	}
	if (real && !S_ISREG(s.st_mode)) /* is written into: a device, a pipe */
		return access(real, W_OK) ? hps_error_errno(err, "'%s'", path) : 0;
	if (real) { /* where a link leads */
		free(folder);
		folder = hps_strdup(real);
	}
	slash = strrchr(folder, '/');
	if (slash)
		slash[slash == folder] = '\0';
	if (access(slash ? folder : ".", W_OK | X_OK))
		return hps_error_errno(err, "'%s', a file in '%s'", path, slash ? folder : ".");
	return 0;
}

int hps_file_output(const char *path, mode_t mode, const void *data, size_t len, struct hps_error *err)
{
	_cleanup_free_ char *real = NULL;
	struct stat s;

	if (stat(path, &s) == 0 && !S_ISREG(s.st_mode))
		return write_into(path, data, len, err);
	if (lstat(path, &s) || !S_ISLNK(s.st_mode))
		return hps_file_write(AT_FDCWD, path, mode, data, len, err);
	if (make_target(path, mode) || !(real = realpath(path, NULL)))
		return hps_error_errno(err, "writing '%s', a symbolic link", path);
	return hps_file_write(AT_FDCWD, real, mode, data, len, err);
}

int hps_dir_make(int dirfd, const char *path, mode_t mode, struct hps_error *err)
{
	_cleanup_free_ char *part = hps_strdup(path);
	struct stat s;

	for (char *s_ = part + 1; *part; s_++) {
		bool last = !*s_;

		if (*s_ != '/' && !last)
			continue;
		*s_ = '\0';
		if (mkdirat(dirfd, part, mode) && errno != EEXIST)
			return hps_error_errno(err, "making the directory '%s'", part);
		if (last)
			break;
		*s_ = '/';
	}
	if (fstatat(dirfd, path, &s, 0))
		return hps_error_errno(err, "making the directory '%s'", path);
	if (!S_ISDIR(s.st_mode))
		return hps_error_set(err, -ENOTDIR, "making the directory '%s': something else has that name", path);
	return 0;
}

int hps_dir_open(int dirfd, const char *path, int *ret_fd, struct hps_error *err)
{
	int fd = openat(dirfd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return hps_error_errno(err, "opening the directory '%s'", path);
	*ret_fd = fd;
	return 0;
}

static int remove_one(const char *path, const struct stat *s, int type, struct FTW *at)
{
	(void)s;
	(void)type;
	(void)at;
	return remove(path) && errno != ENOENT ? -1 : 0;
}

/* By nftw(3), physical and bottom up: a link is removed, never followed. */
int hps_dir_remove(int dirfd, const char *path, struct hps_error *err)
{
	_cleanup_free_ char *full = dirfd == AT_FDCWD || *path == '/' ? hps_strdup(path) : hps_format("/proc/self/fd/%d/%s", dirfd, path);
	struct stat s;

	if (lstat(full, &s))
		return errno == ENOENT ? 0 : hps_error_errno(err, "removing '%s'", path);
	if (nftw(full, remove_one, 32, FTW_DEPTH | FTW_PHYS | FTW_MOUNT))
		return hps_error_errno(err, "removing '%s'", path);
	return 0;
}

char *hps_path_absolute(const char *path)
{
	_cleanup_free_ char *here = NULL;

	if (*path == '/')
		return hps_strdup(path);
	here = getcwd(NULL, 0);
	if (!here)
		return hps_strdup(path);
	return *path ? hps_format("%s%s%s", here, strcmp(here, "/") ? "/" : "", path) : hps_strdup(here);
}

char *hps_fd_path(int fd)
{
	char link[64], path[PATH_MAX];
	ssize_t n;

	snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
	n = readlink(link, path, sizeof path);
	if (n <= 0 || (size_t)n == sizeof path || *path != '/')
		return NULL;
	return hps_strndup(path, (size_t)n);
}
