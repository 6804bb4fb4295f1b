/* Files out of Debian packages and image layers. Archives are untrusted: a process that can only compute reads them (libarchive) and
 * hands out what is wanted, one frame a file; whoever takes it compares it with a hash. */
#include "replay/replay.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#define BLOCK (256u << 10)

struct frame {
	uint64_t size;
	uint32_t path_len;
};

/* ---- in the confined process ---- */

struct input {
	int fd;
	struct archive *outer; /* read from this one's current entry instead */
	char block[BLOCK];
};

static la_ssize_t read_input(struct archive *a, void *arg, const void **ret)
{
	struct input *in = arg;
	ssize_t n;

	(void)a;
	*ret = in->block;
	do
		n = in->outer ? archive_read_data(in->outer, in->block, sizeof in->block) : read(in->fd, in->block, sizeof in->block);
	while (n < 0 && errno == EINTR);
	return n;
}

static struct archive *open_archive(struct input *in, bool package)
{
	struct archive *a = archive_read_new();

	if (!a)
		return NULL;
	if (package) {
		archive_read_support_format_ar(a);
	} else {
		archive_read_support_format_tar(a);
		archive_read_support_filter_gzip(a);
		archive_read_support_filter_xz(a);
		archive_read_support_filter_zstd(a);
		archive_read_support_filter_bzip2(a);
	}
	if (archive_read_open(a, in, NULL, read_input, NULL) == ARCHIVE_OK)
		return a;
	archive_read_free(a);
	return NULL;
}

/* "./usr/lib/x" and "usr/lib/x" are /usr/lib/x. */
static char *absolute(const char *name)
{
	while (name[0] == '.' && name[1] == '/')
		name++;
	return hps_format("%s%s", *name == '/' ? "" : "/", name);
}

static int send_file(struct archive *a, const char *path, uint64_t size, int out)
{
	struct frame f = { .size = size, .path_len = (uint32_t)strlen(path) };
	char block[BLOCK];
	uint64_t sent = 0;
	int r = hps_write_all(out, &f, sizeof f);

	r = r ? r : hps_write_all(out, path, f.path_len);
	while (!r && sent < size) {
		la_ssize_t n = archive_read_data(a, block, sizeof block);

		if (n <= 0)
			return -EIO;
		r = hps_write_all(out, block, (size_t)n);
		sent += (uint64_t)n;
	}
	return r;
}

static int send_files(struct archive *a, const struct hps_archive *wanted, int out)
{
	struct archive_entry *e;
	int r = 0, status;

	while (!r && (status = archive_read_next_header(a, &e)) == ARCHIVE_OK) {
		_cleanup_free_ char *path = archive_entry_pathname(e) ? absolute(archive_entry_pathname(e)) : NULL;

		bool plain = path && archive_entry_filetype(e) == AE_IFREG && !archive_entry_hardlink(e) && archive_entry_size_is_set(e);

		if (!plain && wanted->plain)
			return -EBADMSG;
		if (plain && wanted->wants(wanted->arg, path))
			r = send_file(a, path, (uint64_t)archive_entry_size(e), out);
	}
	return r ? r : status == ARCHIVE_EOF ? 0 : -EBADMSG;
}

/* A package is an ar archive; its files are in the member data.tar.*. */
static int send_package(struct archive *outer, const struct hps_archive *wanted, int out)
{
	struct input in = { .fd = -1, .outer = outer };
	struct archive_entry *e;
	struct archive *data;
	int r;

	while (archive_read_next_header(outer, &e) == ARCHIVE_OK) {
		if (!archive_entry_pathname(e) || strncmp(archive_entry_pathname(e), "data.tar", 8) != 0)
			continue;
		data = open_archive(&in, false);
		r = data ? send_files(data, wanted, out) : -EBADMSG;
		archive_read_free(data);
		return r;
	}
	return -EBADMSG;
}

static int child(int fd, const struct hps_archive *wanted, int out)
{
	struct input in = { .fd = fd };
	struct archive *a;

#ifndef __SANITIZE_ADDRESS__
	if (wanted->memory)
		(void)!setrlimit(RLIMIT_DATA, &(struct rlimit){ wanted->memory, wanted->memory });
#endif
	if (hps_confine_self(0))
		return 120;
	a = open_archive(&in, wanted->package);
	if (!a)
		return 1;
	return (wanted->package ? send_package(a, wanted, out) : send_files(a, wanted, out)) ? 1 : 0;
}

/* ---- outside ---- */

static bool read_exactly(int fd, void *to, size_t len)
{
	char *at = to;

	while (len) {
		ssize_t n = read(fd, at, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return false;
		at += n;
		len -= (size_t)n;
	}
	return true;
}

/* The content goes on into memory, or into a file when `to` is one. */
static int take_content(int fd, const char *path, uint64_t size, int to, struct hps_buf *content, struct hps_error *err)
{
	char block[BLOCK];

	for (uint64_t left = size; left;) {
		size_t n = left < sizeof block ? left : sizeof block;

		if (!read_exactly(fd, block, n))
			return hps_error_set(err, HPS_E_FORMAT, "it ends in the middle of '%s'", path);
		if (to < 0)
			hps_buf_add(content, block, n);
		else if (hps_write_all(to, block, n))
			return hps_error_errno(err, "unpacking '%s'", path);
		left -= n;
	}
	return 0;
}

static int take_frame(int fd, const struct hps_archive *wanted, const char *path, uint64_t size, struct hps_error *err)
{
	_cleanup_buf_ struct hps_buf content = HPS_BUF_INIT;
	_cleanup_free_ char *name = wanted->spool && size > HPS_ARCHIVE_MEMORY_MAX ? hps_format("%s/.spool.XXXXXX", wanted->spool) : NULL;
	_cleanup_fd_ int to = name ? mkostemp(name, O_CLOEXEC) : -1;
	int r;

	if (name && (to < 0 || unlink(name)))
		return hps_error_errno(err, "making '%s'", name);
	r = take_content(fd, path, size, to, &content, err);
	if (!r)
		r = to < 0 ? wanted->take(wanted->arg, path, &content, err) : wanted->take_file(wanted->arg, path, to, size, err);
	return r;
}

static int take_frames(int fd, const struct hps_archive *wanted, struct hps_error *err)
{
	struct frame f;
	int r = 0;

	while (!r && read_exactly(fd, &f, sizeof f)) {
		_cleanup_free_ char *path = f.path_len < 4096 ? hps_alloc(f.path_len + 1) : NULL;
		uint64_t most;

		if (!path || !read_exactly(fd, path, f.path_len))
			return hps_error_set(err, HPS_E_FORMAT, "it ends in the middle of a name");
		most = wanted->limit ? wanted->limit(wanted->arg, path) : HPS_ARCHIVE_FILE_MAX;
		if (f.size > most)
			return hps_error_set(err, HPS_E_LIMIT, "'%s' in it is larger than %llu bytes", path, (unsigned long long)most);
		r = take_frame(fd, wanted, path, f.size, err);
	}
	return r;
}

int hps_archive_read(int fd, const struct hps_archive *wanted, struct hps_error *err)
{
	int ends[2], status, r;
	pid_t pid;

	if (pipe2(ends, O_CLOEXEC))
		return hps_error_errno(err, "reading an archive");
	fflush(NULL);
	pid = fork();
	if (pid == 0) {
		close(ends[0]); /* or it would never hear that nobody reads any more */
		_exit(child(fd, wanted, ends[1]));
	}
	close(ends[1]);
	r = pid < 0 ? hps_error_errno(err, "reading an archive") : take_frames(ends[0], wanted, err);
	close(ends[0]);
	if (pid < 0)
		return r;
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (!r && (!WIFEXITED(status) || WEXITSTATUS(status)))
		r = hps_error_set(err, HPS_E_FORMAT, "it cannot be read as an archive");
	return r;
}
