/* What looking at a name says in a rerun. Numbers that a file system chooses by itself (of inodes, of blocks, of links and bytes of
 * directories) are answered as the trial saw them: the view has others. Only where the rerun was given them, which it is for trials that
 * run a program that shows them, and only of what is still as it was. */
#include "recorder/recorder.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/uio.h>
#include <unistd.h>

#define LOOKS_MAX ((size_t)256 << 20)
#define NONE (-1)

struct hps_looks {
	struct hps_map by_path; /* struct look *; absolute paths, as they were before the trial */
	int64_t directory_bytes, directory_blocks; /* of the smallest directory: of a new one. 0: no file system that has such */
	int64_t device; /* of everything; -1: not known */
};
struct look {
	int64_t n_links, size, blocks, ino, device;
};

static const struct form {
	int nr, dirfd, path, buffer, flags; /* numbers of the arguments */
	bool nofollow;
} forms[] = {
	{ SYS_stat, NONE, 0, 1, NONE, false },	   { SYS_lstat, NONE, 0, 1, NONE, true }, { SYS_fstat, 0, NONE, 1, NONE, false },
	{ SYS_newfstatat, 0, 1, 2, 3, false }, { SYS_statx, 0, 1, 4, 2, false },
};

#define ROW(call) { .nr = SYS_##call, .name = #call, .act = hps_act_look }
const struct hps_syscall hps_look_syscalls[5] = { ROW(stat), ROW(lstat), ROW(fstat), ROW(newfstatat), ROW(statx) };

/* ---- what the rerun was given ---- */

static bool read_number(const json_t *list, size_t i, int64_t *ret)
{
	const json_t *item = json_array_get(list, i);

	*ret = json_integer_value(item);
	return json_is_integer(item) && *ret >= -1;
}

static int add(struct hps_looks *l, const char *name, const json_t *list, struct hps_error *err)
{
	_cleanup_buf_ struct hps_buf path = HPS_BUF_INIT;
	struct look look, *own;
	int64_t directory;
	int r = hps_path_unescape(name, &path, err);

	if (r)
		return r;
	if (!path.len || !read_number(list, 0, &directory) || !read_number(list, 1, &look.n_links) || !read_number(list, 2, &look.size) ||
	    !read_number(list, 3, &look.blocks) || !read_number(list, 4, &look.ino) || !read_number(list, 5, &look.device))
		return hps_error_set(err, HPS_E_FORMAT, "'%s' has no six numbers", name);
	l->device = look.device; /* the view is one file system */
	if (directory && look.size % 512 == 0 && (!l->directory_bytes || look.size < l->directory_bytes)) {
		l->directory_bytes = look.size;
		l->directory_blocks = look.blocks;
	}
	own = hps_alloc(sizeof *own);
	*own = look;
	*hps_map_slot(&l->by_path, path.data) = own;
	return 0;
}

int hps_looks_load(const char *file, struct hps_looks **ret, struct hps_error *err)
{
	_cleanup_buf_ struct hps_buf text = HPS_BUF_INIT;
	_cleanup_json_ json_t *j = NULL;
	struct hps_looks *l = NULL;
	const json_t *list;
	const char *name;
	int r = hps_file_read(AT_FDCWD, file, LOOKS_MAX, &text, err);

	r = r ? r : hps_json_parse(text.data ? text.data : "", text.len, &j, err);
	if (r)
		return hps_error_prefix(err, "option --looks-from");
	l = hps_alloc(sizeof *l);
	l->device = -1;
	json_object_foreach(j, name, list) {
		r = r ? r : add(l, name, list, err);
	}
	if (!r)
		*ret = l;
	else
		hps_looks_free(l);
	return r ? hps_error_prefix(err, "option --looks-from '%s'", file) : 0;
}

void hps_looks_free(struct hps_looks *l)
{
	if (!l)
		return;
	for (size_t i = 0; i < l->by_path.n; i++)
		free(l->by_path.items[i].value);
	hps_map_release(&l->by_path);
	free(l);
}

/* ---- one look ---- */

static const struct form *form_of(int nr)
{
	for (size_t i = 0; i < ARRAY_SIZE(forms); i++)
		if (forms[i].nr == nr)
			return &forms[i];
	return NULL;
}

static int open_own(const struct hps_call *c, int number)
{
	char name[32];

	snprintf(name, sizeof name, "../fd/%d", number);
	return openat(c->t->task_fd, name, O_PATH | O_CLOEXEC);
}

/* What the program looks at; -1: the kernel is to say. */
static int open_looked_at(struct hps_supervisor *s, struct hps_call *c, const struct form *f)
{
	uint64_t flags = f->flags == NONE ? 0 : c->args[f->flags];
	int dirfd = f->dirfd == NONE ? AT_FDCWD : (int)c->args[f->dirfd], fd = -1;
	bool nofollow = f->nofollow || flags & AT_SYMLINK_NOFOLLOW;
	struct hps_target target;
	char first = 1;

	if (f->path == NONE)
		return open_own(c, dirfd);
	if (flags & AT_EMPTY_PATH && c->args[f->path] && hps_memory_read(s, c->t, c->args[f->path], &first, 1) != 1)
		return -1;
	if (flags & AT_EMPTY_PATH && (!c->args[f->path] || !first))
		return dirfd < 0 ? -1 : open_own(c, dirfd);
	if (hps_target_get(s, c, dirfd, c->args[f->path], &target))
		return -1;
	if (!target.own && target.len)
		fd = openat(target.base, target.path, O_PATH | O_CLOEXEC | (nofollow ? O_NOFOLLOW : 0));
	hps_target_release(&target);
	return fd;
}

/* Directories that the trial has made in this one, less those that it has removed from it. */
static int64_t more_directories(const struct hps_files *f, const char *path)
{
	size_t n = strlen(path);
	int64_t more = 0;

	for (size_t i = 0; i < f->n; i++) {
		const struct hps_file *file = f->all[i];
		const struct hps_final *final = hps_file_rare(file)->final;
		mode_t now = final ? final->mode : file->mode;

		if (!file->product || strncmp(file->path, path, n) != 0 || file->path[n] != '/' || strchr(file->path + n + 1, '/'))
			continue;
		more += !file->gone && !file->existed && S_ISDIR(now);
		more -= file->gone && file->existed && S_ISDIR(file->mode);
	}
	return more;
}

/* What the trial saw of it, or would have seen. */
static void recall(const struct hps_supervisor *s, int fd, const struct stat *st, struct look *ret)
{
	char now[HPS_PATH_CAP];
	_cleanup_free_ char *was = NULL;
	const struct hps_looks *l = s->looks;
	const struct hps_file *file;
	const struct look *known;

	*ret = (struct look){ (int64_t)st->st_nlink, st->st_size, st->st_blocks, (int64_t)st->st_ino, l->device };
	hps_supervisor_path(s, fd, st, now);
	was = hps_files_origin(s->files, now);
	known = hps_map_get(&l->by_path, was);
	file = hps_files_find(s->files, now);
	if (S_ISDIR(st->st_mode) && known) {
		*ret = *known;
		ret->n_links = known->n_links < 0 ? (int64_t)st->st_nlink : known->n_links + more_directories(s->files, now);
	} else if (S_ISDIR(st->st_mode) && l->directory_bytes) {
		ret->size = l->directory_bytes;
		ret->blocks = l->directory_blocks;
	} else if (known && !(file && file->product) && (!S_ISREG(st->st_mode) || known->size == st->st_size)) {
		ret->blocks = known->blocks;
		ret->ino = known->ino;
	}
	ret->device = l->device >= 0 ? l->device : (int64_t)st->st_dev;
}

static bool tell(const struct hps_call *c, uint64_t at, const void *from, size_t len)
{
	struct iovec local = { (void *)(uintptr_t)from, len }, remote = { (void *)(uintptr_t)at, len };

	return process_vm_writev(c->t->pid, &local, 1, &remote, 1, 0) == (ssize_t)len;
}

static bool tell_stat(const struct hps_call *c, const struct form *f, const struct stat *st, const struct look *look)
{
	struct stat answer = *st;

	answer.st_nlink = (nlink_t)look->n_links;
	answer.st_size = look->size;
	answer.st_blocks = look->blocks;
	answer.st_ino = (ino_t)look->ino;
	answer.st_dev = (dev_t)look->device;
	return tell(c, c->args[f->buffer], &answer, sizeof answer);
}

static bool tell_statx(const struct hps_call *c, const struct form *f, int fd, const struct look *look)
{
	struct statx answer;
	int sync = (int)c->args[f->flags] & AT_STATX_SYNC_TYPE;

	if (statx(fd, "", AT_EMPTY_PATH | sync, (unsigned)c->args[3], &answer))
		return false;
	answer.stx_nlink = (uint32_t)look->n_links;
	answer.stx_size = (uint64_t)look->size;
	answer.stx_blocks = (uint64_t)look->blocks;
	answer.stx_ino = (uint64_t)look->ino;
	answer.stx_dev_major = major((dev_t)look->device);
	answer.stx_dev_minor = minor((dev_t)look->device);
	return tell(c, c->args[f->buffer], &answer, sizeof answer);
}

/* Pipes and sockets without one are of no file system of the view. */
static bool has_name(const struct hps_supervisor *s, int fd, const struct stat *st)
{
	char path[HPS_PATH_CAP];

	hps_supervisor_path(s, fd, st, path);
	return *path == '/';
}

static bool answered(struct hps_supervisor *s, struct hps_call *c)
{
	const struct form *f = form_of(c->n->data.nr);
	_cleanup_fd_ int fd = c->t->foreign || c->t->opaque || c->t->launching ? -1 : open_looked_at(s, c, f);
	struct look look;
	struct stat st;

	if (fd < 0 || fstat(fd, &st) || S_ISCHR(st.st_mode) || S_ISBLK(st.st_mode) || hps_supervisor_pseudo(s, fd, &st) || !has_name(s, fd, &st))
		return false;
	recall(s, fd, &st, &look);
	return f->nr == SYS_statx ? tell_statx(c, f, fd, &look) : tell_stat(c, f, &st, &look);
}

void hps_act_look(struct hps_supervisor *s, struct hps_call *c)
{
	if (answered(s, c))
		hps_answer_value(s, c, 0);
	else
		hps_answer_continue(s, c);
}
