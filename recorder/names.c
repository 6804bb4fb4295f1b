/* Calls that change names are made by us, relative to the program's own directories, and answered with their result: what is
 * recorded is what was done. Under another root or other rights the program makes them itself. */
#include "recorder/recorder.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

/* A name, and what is there now. */
struct place {
	struct hps_target target;
	struct hps_buf path; /* real path of the directory, and the last name */
	struct stat st;
	bool exists;
	int fd;	      /* open on what exists, or -1: it keeps the content for hashing whatever happens to the name */
	char *link;   /* target of a symlink */
};

static void place_release(struct place *p)
{
	hps_target_release(&p->target);
	hps_buf_release(&p->path);
	if (p->fd >= 0)
		close(p->fd);
	free(p->link);
}

static char *read_link(int base, const char *path)
{
	char target[HPS_PATH_CAP];
	ssize_t n = readlinkat(base, path, target, sizeof target - 1);

	return n > 0 ? hps_strndup(target, (size_t)n) : NULL;
}

/* 0, or the error that answers the call. */
static int place_get(struct hps_supervisor *s, struct hps_call *c, int dirfd, uint64_t at, struct place *ret)
{
	int r;

	ret->fd = -1;
	ret->link = NULL;
	hps_buf_init(&ret->path, 2 * HPS_PATH_CAP);
	r = hps_target_get(s, c, dirfd, at, &ret->target);
	if (r)
		return r;
	hps_target_walk(s, &ret->target, false, &ret->path);
	ret->exists = !fstatat(ret->target.base, ret->target.path, &ret->st, AT_SYMLINK_NOFOLLOW);
	if (ret->exists && S_ISREG(ret->st.st_mode)) {
		ret->fd = openat(ret->target.base, ret->target.path, O_PATH | O_NOFOLLOW | O_CLOEXEC);
		if (ret->fd < 0)
			hps_gap_note(s->gaps, HPS_GAP_UNREADABLE);
		hps_file_secure(s->files, hps_files_get(s->files, ret->path.data), ret->fd, &ret->st);
	} else if (ret->exists && S_ISLNK(ret->st.st_mode)) {
		ret->link = read_link(ret->target.base, ret->target.path);
	}
	return 0;
}

/* Notes that what was there is gone or replaced. */
static struct hps_file *note_change(struct hps_supervisor *s, struct place *p)
{
	struct hps_file *file = hps_files_get(s->files, p->path.data);

	if (p->link && !file->target && !file->product)
		file->target = hps_strdup(p->link);
	hps_file_change(s->files, file, p->fd, p->exists ? &p->st : NULL);
	if (p->link)
		hps_files_forget_names(s->files);
	return file;
}

/* True when the program must make the call itself; it is answered then. */
static bool left_to_program(struct hps_supervisor *s, struct hps_call *c)
{
	if (!c->t->foreign)
		return false;
	hps_gap_note(s->gaps, HPS_GAP_FOREIGN);
	hps_answer_continue(s, c);
	return true;
}

static void answer(struct hps_supervisor *s, struct hps_call *c, int result, int error)
{
	if (result && c->t->opaque && error == EPERM)
		hps_answer_continue(s, c);
	else if (result && hps_answer_exhausted(s, c, error))
		return;
	else if (result)
		hps_answer_error(s, c, error);
	else
		hps_answer_value(s, c, 0);
}

/* ---- rename ---- */

static void note_rename(struct hps_supervisor *s, struct place *from, struct place *to, bool exchange)
{
	struct hps_file *a = note_change(s, from), *b = note_change(s, to);

	hps_file_renamed(s->files, a, b, S_ISDIR(from->st.st_mode));
	if (S_ISDIR(from->st.st_mode)) /* directories of processes may be below it */
		for (size_t i = 0; i < s->tracees.n; i++)
			if (s->tracees.items[i])
				hps_tracee_forget_cwd(s->tracees.items[i]);
	if (exchange)
		hps_file_renamed(s->files, b, a, S_ISDIR(to->st.st_mode));
	memset(&a->now, 0, sizeof a->now);
	memset(&b->now, 0, sizeof b->now);
	if (from->link)
		hps_files_forget_names(s->files);
}

static void rename_any(struct hps_supervisor *s, struct hps_call *c, int from_fd, uint64_t from_at, int to_fd, uint64_t to_at, unsigned flags)
{
	struct place from, to;
	int r, error;

	if (left_to_program(s, c))
		return;
	hps_tracees_settle(s, c->t);
	r = place_get(s, c, from_fd, from_at, &from);
	if (r) {
		place_release(&from);
		answer(s, c, -1, -r);
		return;
	}
	r = place_get(s, c, to_fd, to_at, &to);
	error = -r;
	if (!r) {
		r = (int)syscall(SYS_renameat2, from.target.base, from.target.path, to.target.base, to.target.path, flags);
		error = errno;
		/* Two names of one file: nothing happens (rename(2)). */
		if (!r && !(to.exists && to.st.st_ino == from.st.st_ino && to.st.st_dev == from.st.st_dev))
			note_rename(s, &from, &to, flags & 2);
	}
	place_release(&from);
	place_release(&to);
	answer(s, c, r, error);
}

void hps_act_rename(struct hps_supervisor *s, struct hps_call *c)
{
	rename_any(s, c, AT_FDCWD, c->args[0], AT_FDCWD, c->args[1], 0);
}

void hps_act_renameat(struct hps_supervisor *s, struct hps_call *c)
{
	rename_any(s, c, (int)c->args[0], c->args[1], (int)c->args[2], c->args[3],
		   c->n->data.nr == SYS_renameat2 ? (unsigned)c->args[4] : 0);
}

/* ---- unlink, rmdir ---- */

static void remove_any(struct hps_supervisor *s, struct hps_call *c, int dirfd, uint64_t at, int flags)
{
	struct place p;
	int r, error;

	if (left_to_program(s, c))
		return;
	hps_tracees_settle(s, c->t);
	r = place_get(s, c, dirfd, at, &p);
	error = -r;
	if (!r) {
		r = unlinkat(p.target.base, p.target.path, flags);
		error = errno;
		if (!r)
			note_change(s, &p);
	}
	place_release(&p);
	answer(s, c, r, error);
}

void hps_act_unlink(struct hps_supervisor *s, struct hps_call *c)
{
	remove_any(s, c, AT_FDCWD, c->args[0], 0);
}

void hps_act_unlinkat(struct hps_supervisor *s, struct hps_call *c)
{
	remove_any(s, c, (int)c->args[0], c->args[1], (int)c->args[2]);
}

void hps_act_rmdir(struct hps_supervisor *s, struct hps_call *c)
{
	remove_any(s, c, AT_FDCWD, c->args[0], AT_REMOVEDIR);
}

/* ---- mkdir, mknod ---- */

static void make_any(struct hps_supervisor *s, struct hps_call *c, int dirfd, uint64_t at, mode_t mode, bool directory, dev_t dev)
{
	struct place p;
	int r, error, mask = hps_tracee_umask(c->t);

	if (left_to_program(s, c))
		return;
	hps_tracees_settle(s, c->t);
	r = place_get(s, c, dirfd, at, &p);
	error = -r;
	if (!r) {
		umask((mode_t)mask);
		s->current_umask = mask;
		r = directory ? mkdirat(p.target.base, p.target.path, mode) : mknodat(p.target.base, p.target.path, mode, dev);
		error = errno;
		if (!r)
			note_change(s, &p);
		else if (directory && error == EEXIST) /* a rerun must find it, too */
			hps_files_miss(s->files, p.path.data, error);
	}
	place_release(&p);
	answer(s, c, r, error);
}

void hps_act_mkdir(struct hps_supervisor *s, struct hps_call *c)
{
	make_any(s, c, AT_FDCWD, c->args[0], (mode_t)c->args[1], true, 0);
}

void hps_act_mkdirat(struct hps_supervisor *s, struct hps_call *c)
{
	make_any(s, c, (int)c->args[0], c->args[1], (mode_t)c->args[2], true, 0);
}

void hps_act_mknod(struct hps_supervisor *s, struct hps_call *c)
{
	make_any(s, c, AT_FDCWD, c->args[0], (mode_t)c->args[1], false, c->args[2]);
}

void hps_act_mknodat(struct hps_supervisor *s, struct hps_call *c)
{
	make_any(s, c, (int)c->args[0], c->args[1], (mode_t)c->args[2], false, c->args[3]);
}

void hps_act_bind_path(struct hps_supervisor *s, struct hps_call *c, uint64_t at)
{
	struct place p;

	if (c->t->foreign) {
		hps_gap_note(s->gaps, HPS_GAP_FOREIGN);
		return;
	}
	hps_tracees_settle(s, c->t);
	if (!place_get(s, c, AT_FDCWD, at, &p) && !p.exists)
		note_change(s, &p);
	place_release(&p);
}

/* ---- link, symlink ---- */

static int make_link(struct hps_supervisor *s, struct hps_call *c, int dirfd, struct place *from, struct place *to, int flags)
{
	char own[64];

	if (!(flags & AT_EMPTY_PATH) || from->target.len)
		return linkat(from->target.base, from->target.path, to->target.base, to->target.path, flags & AT_SYMLINK_FOLLOW);
	/* By descriptor: the program's, found through its /proc directory. */
	snprintf(own, sizeof own, "%d/fd/%d", c->t->pid, dirfd);
	return linkat(s->proc_fd, own, to->target.base, to->target.path, AT_SYMLINK_FOLLOW);
}

static void link_any(struct hps_supervisor *s, struct hps_call *c, int from_fd, uint64_t from_at, int to_fd, uint64_t to_at, int flags)
{
	struct place from, to;
	int r, error;

	if (left_to_program(s, c))
		return;
	hps_tracees_settle(s, c->t);
	r = place_get(s, c, flags & AT_EMPTY_PATH ? AT_FDCWD : from_fd, from_at, &from);
	if (r) {
		place_release(&from);
		answer(s, c, -1, -r);
		return;
	}
	r = place_get(s, c, to_fd, to_at, &to);
	error = -r;
	if (!r) {
		if (flags & AT_EMPTY_PATH && from.target.len && from.target.given[0] != '/') {
			r = -1;
			error = ENOSYS; /* a relative name with AT_EMPTY_PATH: no program does it, and it would need another base */
		} else {
			r = make_link(s, c, from_fd, &from, &to, flags);
			error = errno;
		}
		if (!r)
			note_change(s, &to);
	}
	place_release(&from);
	place_release(&to);
	answer(s, c, r, error);
}

void hps_act_link(struct hps_supervisor *s, struct hps_call *c)
{
	link_any(s, c, AT_FDCWD, c->args[0], AT_FDCWD, c->args[1], 0);
}

void hps_act_linkat(struct hps_supervisor *s, struct hps_call *c)
{
	link_any(s, c, (int)c->args[0], c->args[1], (int)c->args[2], c->args[3], (int)c->args[4]);
}

static void symlink_any(struct hps_supervisor *s, struct hps_call *c, uint64_t target_at, int dirfd, uint64_t at)
{
	char target[4097];
	struct place p;
	ssize_t n;
	int r, error;

	if (left_to_program(s, c))
		return;
	n = hps_memory_string(s, c->t, target_at, target, sizeof target - 1);
	if (n < 0) {
		answer(s, c, -1, (int)-n);
		return;
	}
	hps_tracees_settle(s, c->t);
	r = place_get(s, c, dirfd, at, &p);
	error = -r;
	if (!r) {
		r = symlinkat(target, p.target.base, p.target.path);
		error = errno;
		if (!r) {
			note_change(s, &p);
			hps_files_forget_names(s->files);
		}
	}
	place_release(&p);
	answer(s, c, r, error);
}

void hps_act_symlink(struct hps_supervisor *s, struct hps_call *c)
{
	symlink_any(s, c, c->args[0], AT_FDCWD, c->args[1]);
}

void hps_act_symlinkat(struct hps_supervisor *s, struct hps_call *c)
{
	symlink_any(s, c, c->args[0], (int)c->args[1], c->args[2]);
}

/* ---- truncate ---- */

void hps_act_truncate(struct hps_supervisor *s, struct hps_call *c)
{
	struct hps_target target;
	char real[HPS_PATH_CAP];
	struct stat st;
	int fd = -1, r, error;

	if (left_to_program(s, c))
		return;
	r = hps_target_get(s, c, AT_FDCWD, c->args[0], &target);
	error = -r;
	if (!r) {
		fd = openat(target.base, target.path, O_WRONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
		r = fd < 0 || fstat(fd, &st) ? -1 : 0;
		error = errno == ENXIO ? EINVAL : errno;
		hps_target_release(&target);
	}
	if (!r) {
		struct hps_file *file;

		hps_supervisor_path(s, fd, &st, real);
		file = hps_files_get(s->files, real);
		hps_file_change(s->files, file, fd, &st);
		hps_hasher_barrier(s->hasher, st.st_dev, st.st_ino);
		hps_supervisor_wrote(s, st.st_ino);
		memset(&file->now, 0, sizeof file->now);
		r = ftruncate(fd, (off_t)c->args[1]);
		error = errno;
	}
	if (fd >= 0)
		close(fd);
	answer(s, c, r, error);
}
