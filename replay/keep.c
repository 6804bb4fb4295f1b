/* --keep: what the rerun left, copied out of the view before it goes. */
#include "replay/replay.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

static int copy_fd(int from, int dir_fd, const char *name, struct hps_error *err)
{
	_cleanup_free_ char *parent = hps_strdup(name), *block = hps_alloc(1 << 16);
	_cleanup_fd_ int to = -1;
	char *slash = strrchr(parent, '/');
	ssize_t n;
	int r = 0;

	if (slash) {
		*slash = '\0';
		r = hps_dir_make(dir_fd, parent, 0755, err);
	}
	if (r)
		return r;
	to = openat(dir_fd, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0644);
	if (to < 0)
		return hps_error_errno(err, "keeping '%s'", name);
	while (!r && (n = read(from, block, 1 << 16)) != 0) {
		if (n < 0 && errno == EINTR)
			continue;
		r = n < 0 ? -errno : hps_write_all(to, block, (size_t)n);
	}
	return r ? hps_error_set(err, r, "keeping '%s': %s", name, strerror(-r)) : 0;
}

int hps_rerun_keep(const struct hps_rerun *run, const json_t *products, const char *dir, struct hps_error *err)
{
	_cleanup_fd_ int dir_fd = -1;
	const json_t *item;
	size_t i;
	int r = hps_dir_make(AT_FDCWD, dir, 0755, err);

	r = r ? r : hps_dir_open(AT_FDCWD, dir, &dir_fd, err);
	for (i = 0; i < ARRAY_SIZE(run->output_fds) && !r; i++)
		if (run->output_fds[i] >= 0)
			r = copy_fd(run->output_fds[i], dir_fd, i ? "stderr" : "stdout", err);
	json_array_foreach((json_t *)(uintptr_t)products, i, item) {
		_cleanup_buf_ struct hps_buf path = HPS_BUF_INIT;
		_cleanup_free_ char *name = NULL;
		_cleanup_fd_ int fd = -1;

		if (r)
			break;
		if (!hps_product_digest(item) || hps_path_unescape(hps_json_text(item, "path"), &path, NULL) || !path.data)
			continue;
		fd = hps_rerun_open(run->root_fd, path.data);
		name = hps_format("files%s", path.data);
		if (fd >= 0)
			r = copy_fd(fd, dir_fd, name, err);
	}
	return r;
}
