/* Processes under another root, namespace or rights: nothing is handed to them and nothing is done for them. What their calls
 * name is looked up from their own root just before the kernel does it again; whether a change came about is seen at the end. */
#include "recorder/recorder.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

/* What a name means to the process. */
struct named {
	struct hps_file *file; /* NULL: no place that could be found */
	struct stat st;
	bool exists;
	int fd; /* O_PATH on what exists, or -1 */
};

static int resolve(const struct hps_call *c, const struct hps_target *t, const char *name, uint64_t flags)
{
	_cleanup_fd_ int root = openat(c->t->task_fd, "../root", O_PATH | O_DIRECTORY | O_CLOEXEC);
	struct open_how how = { .flags = flags | O_CLOEXEC, .resolve = RESOLVE_NO_MAGICLINKS };

	if (*name == '/')
		how.resolve |= RESOLVE_IN_ROOT;
	return (int)syscall(SYS_openat2, *name == '/' ? root : t->base, name, &how, sizeof how);
}

/* The directory that holds the last name of t, and that name, without slashes after it. -1: there is none. */
static int resolve_parent(const struct hps_call *c, const struct hps_target *t, char last[NAME_MAX + 1])
{
	_cleanup_free_ char *name = hps_strdup(t->given);
	size_t n = strlen(name), start;

	while (n > 1 && name[n - 1] == '/')
		name[--n] = '\0';
	for (start = n; start && name[start - 1] != '/'; start--)
		;
	if (start == n || n - start > NAME_MAX || !strcmp(name + start, ".") || !strcmp(name + start, ".."))
		return -1;
	memcpy(last, name + start, n - start + 1);
	name[start] = '\0';
	return resolve(c, t, start ? name : ".", O_PATH | O_DIRECTORY);
}

static void named_by_parent(struct hps_supervisor *s, const struct hps_call *c, const struct hps_target *t, struct named *ret)
{
	char last[NAME_MAX + 1], real[HPS_PATH_CAP];
	_cleanup_fd_ int dir = resolve_parent(c, t, last);
	_cleanup_free_ char *path = NULL;
	struct stat st;

	if (dir < 0 || fstat(dir, &st) || hps_supervisor_pseudo(s, dir, &st))
		return;
	hps_supervisor_path(s, dir, &st, real);
	if (!*real)
		return;
	path = hps_format("%s/%s", strcmp(real, "/") != 0 ? real : "", last);
	ret->fd = openat(dir, last, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	ret->exists = ret->fd >= 0 && fstat(ret->fd, &ret->st) == 0;
	ret->file = hps_files_get(s->files, path);
}

/* follow: what the name leads to, when it leads somewhere. */
static void named_get(struct hps_supervisor *s, const struct hps_call *c, const struct hps_target *t, bool follow, struct named *ret)
{
	char real[HPS_PATH_CAP];

	*ret = (struct named){ .fd = follow ? resolve(c, t, t->given, O_PATH) : -1 };
	if (ret->fd >= 0 && fstat(ret->fd, &ret->st) == 0 && !hps_supervisor_pseudo(s, ret->fd, &ret->st)) {
		ret->exists = true;
		hps_supervisor_path(s, ret->fd, &ret->st, real);
		ret->file = *real ? hps_files_get(s->files, real) : NULL;
	} else if (ret->fd < 0) {
		named_by_parent(s, c, t, ret);
	}
	if (ret->file)
		ret->file->unverified = true;
}

static void named_release(struct named *n)
{
	if (n->fd >= 0)
		close(n->fd);
}

static void note_change(struct hps_supervisor *s, const struct named *n, bool content)
{
	char target[HPS_PATH_CAP];
	ssize_t len;

	if (!n->file)
		return;
	if (n->exists)
		hps_file_secure(s->files, n->file, n->fd, &n->st);
	if (n->exists && S_ISLNK(n->st.st_mode) && !hps_file_rare(n->file)->target && !n->file->product &&
	    (len = readlinkat(n->fd, "", target, sizeof target)) > 0)
		hps_file_rare_make(n->file)->target = hps_strndup(target, (size_t)len);
	if (content && n->exists) {
		hps_file_modify(s->files, n->file, n->fd, &n->st);
		hps_supervisor_wrote(s, n->st.st_ino);
	} else {
		hps_file_change(s->files, n->file, n->fd, n->exists ? &n->st : NULL);
	}
	hps_file_forget_now(n->file);
	hps_files_forget_names(s->files);
}

/* The name in the call's arguments; the target is to be released. False: it cannot be known. */
static bool get(struct hps_supervisor *s, struct hps_call *c, int dirfd, uint64_t at, bool follow, struct named *ret)
{
	struct hps_target target;
	bool got = hps_target_get(s, c, dirfd, at, &target) == 0;

	*ret = (struct named){ .fd = -1 };
	if (got && !target.own)
		named_get(s, c, &target, follow, ret);
	hps_target_release(&target);
	return got && ret->file;
}

static void note_named(struct hps_supervisor *s, struct hps_call *c, int dirfd, uint64_t at, bool content)
{
	struct named n;

	hps_gap_note(s->gaps, HPS_GAP_FOREIGN);
	if (get(s, c, dirfd, at, content, &n))
		note_change(s, &n, content);
	named_release(&n);
}

void hps_foreign_name(struct hps_supervisor *s, struct hps_call *c, int dirfd, uint64_t at)
{
	note_named(s, c, dirfd, at, false);
}

void hps_foreign_change(struct hps_supervisor *s, struct hps_call *c, int dirfd, uint64_t at)
{
	note_named(s, c, dirfd, at, false);
	hps_answer_continue(s, c);
}

void hps_foreign_write(struct hps_supervisor *s, struct hps_call *c, int dirfd, uint64_t at)
{
	note_named(s, c, dirfd, at, true);
	hps_answer_continue(s, c);
}

void hps_foreign_write_descriptor(struct hps_supervisor *s, struct hps_call *c, int fd)
{
	char link[32], real[HPS_PATH_CAP];
	struct named n = { .fd = -1 };

	hps_gap_note(s->gaps, HPS_GAP_FOREIGN);
	snprintf(link, sizeof link, "../fd/%d", fd);
	n.fd = openat(c->t->task_fd, link, O_PATH | O_CLOEXEC);
	if (n.fd >= 0 && fstat(n.fd, &n.st) == 0 && n.st.st_nlink && (S_ISREG(n.st.st_mode) || S_ISDIR(n.st.st_mode)) &&
	    !hps_supervisor_pseudo(s, n.fd, &n.st)) {
		n.exists = true;
		hps_supervisor_path(s, n.fd, &n.st, real);
		n.file = *real ? hps_files_get(s->files, real) : NULL;
		note_change(s, &n, true);
	}
	named_release(&n);
	hps_answer_continue(s, c);
}

void hps_foreign_rename(struct hps_supervisor *s, struct hps_call *c, int from_fd, uint64_t from_at, int to_fd, uint64_t to_at)
{
	struct named from, to;

	hps_gap_note(s->gaps, HPS_GAP_FOREIGN);
	if (get(s, c, from_fd, from_at, false, &from))
		note_change(s, &from, false);
	if (get(s, c, to_fd, to_at, false, &to))
		note_change(s, &to, false);
	if (from.file && from.exists && to.file)
		hps_files_expect_rename(s->files, from.file, to.file, &from.st);
	named_release(&from);
	named_release(&to);
	hps_answer_continue(s, c);
}

void hps_foreign_link(struct hps_supervisor *s, struct hps_call *c, int from_fd, uint64_t from_at, int to_fd, uint64_t to_at)
{
	struct named from, to;

	hps_gap_note(s->gaps, HPS_GAP_FOREIGN);
	if (get(s, c, from_fd, from_at, false, &from) && from.exists && S_ISREG(from.st.st_mode))
		hps_file_use(s->files, from.file, from.fd, &from.st, HPS_USE_READ);
	if (get(s, c, to_fd, to_at, false, &to))
		note_change(s, &to, false);
	named_release(&from);
	named_release(&to);
	hps_answer_continue(s, c);
}

void hps_foreign_open(struct hps_supervisor *s, struct hps_call *c, const struct hps_target *target, uint64_t flags, bool writes)
{
	struct named n;

	hps_gap_note(s->gaps, HPS_GAP_FOREIGN);
	named_get(s, c, target, !(flags & O_NOFOLLOW), &n);
	if (n.file && n.exists ? S_ISREG(n.st.st_mode) || S_ISDIR(n.st.st_mode) : n.file && flags & O_CREAT) {
		if (writes)
			note_change(s, &n, true);
		else
			hps_file_use(s->files, n.file, n.fd, &n.st, HPS_USE_READ);
	}
	named_release(&n);
	hps_answer_continue(s, c);
}
