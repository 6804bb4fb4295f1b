/* Mounts by descriptor: nothing is looked up twice, so nothing can be exchanged between looking and mounting. */
#include "replay/replay.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

static int attach(int tree_fd, uint64_t attributes, int dir_fd, const char *name, struct hps_error *err)
{
	struct mount_attr a = { .attr_set = attributes };

	if (attributes && mount_setattr(tree_fd, "", AT_EMPTY_PATH | AT_RECURSIVE, &a, sizeof a))
		return hps_error_errno(err, "mounting '%s' read-only", name);
	if (move_mount(tree_fd, "", dir_fd, name, MOVE_MOUNT_F_EMPTY_PATH))
		return hps_error_errno(err, "mounting '%s'", name);
	return 0;
}

int hps_mount_file(int fd, int dir_fd, const char *name, struct hps_error *err)
{
	_cleanup_fd_ int tree = open_tree(fd, "", AT_EMPTY_PATH | OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);

	if (tree < 0)
		return hps_error_errno(err, "mounting '%s'", name);
	return attach(tree, MOUNT_ATTR_RDONLY, dir_fd, name, err);
}

int hps_mount_tree_readonly(const char *from, int dir_fd, const char *name, struct hps_error *err)
{
	_cleanup_fd_ int tree = open_tree(AT_FDCWD, from, AT_RECURSIVE | AT_SYMLINK_NOFOLLOW | OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);

	if (tree < 0)
		return hps_error_errno(err, "mounting '%s'", from);
	return attach(tree, MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC, dir_fd, name, err);
}

int hps_mount_new(const char *type, const char *const *options, bool readonly, int dir_fd, const char *name, struct hps_error *err)
{
	_cleanup_fd_ int context = fsopen(type, FSOPEN_CLOEXEC), tree = -1;
	unsigned attributes = MOUNT_ATTR_NOSUID | (strcmp(type, "devpts") ? MOUNT_ATTR_NODEV : 0) | (readonly ? MOUNT_ATTR_RDONLY : 0);

	if (context < 0)
		return hps_error_errno(err, "a new file system '%s'", type);
	for (; options && options[0]; options += 2)
		if (*options[1] ? fsconfig(context, FSCONFIG_SET_STRING, options[0], options[1], 0) : fsconfig(context, FSCONFIG_SET_FLAG, options[0], NULL, 0))
			return hps_error_errno(err, "a new file system '%s' with %s=%s", type, options[0], options[1]);
	if (fsconfig(context, FSCONFIG_CMD_CREATE, NULL, NULL, 0))
		return hps_error_errno(err, "a new file system '%s'", type);
	tree = fsmount(context, FSMOUNT_CLOEXEC, attributes);
	if (tree < 0)
		return hps_error_errno(err, "a new file system '%s'", type);
	return attach(tree, 0, dir_fd, name, err);
}

/* ---- devices ---- */

static const struct {
	const char *name;
	unsigned major, minor;
} devices[] = {
	{ "null", 1, 3 }, { "zero", 1, 5 }, { "full", 1, 7 }, { "random", 1, 8 }, { "urandom", 1, 9 }, { "tty", 5, 0 },
};
static const struct {
	const char *name, *target;
} links[] = {
	{ "fd", "/proc/self/fd" }, { "stdin", "/proc/self/fd/0" }, { "stdout", "/proc/self/fd/1" }, { "stderr", "/proc/self/fd/2" },
	{ "ptmx", "pts/ptmx" },
};

/* The machine's device, proven to be that device: /dev is a directory like any other to whoever prepared this machine. */
static int mount_device(int dev_fd, const char *name, unsigned major_number, unsigned minor_number, struct hps_error *err)
{
	struct open_how how = { .flags = O_PATH | O_CLOEXEC | O_NOFOLLOW, .resolve = RESOLVE_NO_SYMLINKS };
	_cleanup_free_ char *path = hps_format("/dev/%s", name);
	_cleanup_fd_ int fd = (int)syscall(SYS_openat2, AT_FDCWD, path, &how, sizeof how), place = -1, tree = -1;
	struct stat s;

	if (fd < 0 || fstat(fd, &s))
		return hps_error_errno(err, "opening '%s'", path);
	if (!S_ISCHR(s.st_mode) || s.st_rdev != makedev(major_number, minor_number))
		return hps_error_set(err, HPS_E_UNDECIDED, "opening '%s': it is not the device of that name", path);
	place = openat(dev_fd, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0666);
	tree = open_tree(fd, "", AT_EMPTY_PATH | OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
	if (place < 0 || tree < 0)
		return hps_error_errno(err, "mounting '%s'", path);
	return attach(tree, 0, dev_fd, name, err);
}

int hps_mount_devices(int root_fd, struct hps_error *err)
{
	static const char *const pts_options[] = { "ptmxmode", "0666", "mode", "0620", NULL };
	_cleanup_fd_ int dev = openat(root_fd, "dev", O_DIRECTORY | O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	int r = 0;

	if (dev < 0)
		return hps_error_errno(err, "opening the view's /dev");
	for (size_t i = 0; i < ARRAY_SIZE(devices) && !r; i++)
		r = mount_device(dev, devices[i].name, devices[i].major, devices[i].minor, err);
	for (size_t i = 0; i < ARRAY_SIZE(links) && !r; i++)
		if (symlinkat(links[i].target, dev, links[i].name))
			r = hps_error_errno(err, "making the view's /dev/%s", links[i].name);
	if (r)
		return r;
	if (mkdirat(dev, "pts", 0755))
		return hps_error_errno(err, "making the view's /dev");
	return hps_mount_new("devpts", pts_options, false, dev, "pts", err);
}
