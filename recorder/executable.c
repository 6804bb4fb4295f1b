/* What a program file needs to run: interpreters, of scripts and of ELF files, and what it means to execute a name that was executed
 * before. The kernel opens those files itself: no call of the program shows them. */
#include "recorder/recorder.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define HEAD 4096

/* ---- what a program file says it needs ---- */

/* PT_INTERP of an ELF file of our ABI, read by hand: the headers are at fixed places and nothing else is needed. */
static enum hps_executable_kind elf_interpreter(int fd, const char *head, size_t n, char out[HPS_PATH_CAP])
{
	Elf64_Ehdr e;

	*out = '\0';
	if (n < sizeof e)
		return HPS_EXECUTABLE_FOREIGN_ELF;
	memcpy(&e, head, sizeof e);
	if (e.e_ident[EI_CLASS] != ELFCLASS64 || e.e_machine != EM_X86_64)
		return HPS_EXECUTABLE_FOREIGN_ELF;
	for (unsigned i = 0; i < e.e_phnum && i < 256; i++) {
		Elf64_Phdr p;
		ssize_t len;

		if (pread(fd, &p, sizeof p, (off_t)(e.e_phoff + i * sizeof p)) != sizeof p)
			break;
		if (p.p_type != PT_INTERP || p.p_filesz >= HPS_PATH_CAP)
			continue;
		len = pread(fd, out, p.p_filesz, (off_t)p.p_offset);
		out[len > 0 ? len : 0] = '\0';
		break;
	}
	return HPS_EXECUTABLE_ELF;
}

static enum hps_executable_kind script_interpreter(const char *head, size_t n, char out[HPS_PATH_CAP])
{
	size_t end = 2, start;

	while (end < n && end < 256 && head[end] != '\n' && head[end])
		end++;
	start = 2;
	while (start < end && (head[start] == ' ' || head[start] == '\t'))
		start++;
	n = start;
	while (n < end && head[n] != ' ' && head[n] != '\t')
		n++;
	memcpy(out, head + start, n - start);
	out[n - start] = '\0';
	return n > start ? HPS_EXECUTABLE_SCRIPT : HPS_EXECUTABLE_UNKNOWN;
}

enum hps_executable_kind hps_executable_interpreter(int fd, char out[HPS_PATH_CAP])
{
	char head[HEAD];
	ssize_t n = pread(fd, head, sizeof head, 0);

	*out = '\0';
	if (n >= 4 && !memcmp(head, ELFMAG, SELFMAG))
		return elf_interpreter(fd, head, (size_t)n, out);
	if (n >= 2 && !memcmp(head, "#!", 2))
		return script_interpreter(head, (size_t)n, out);
	return HPS_EXECUTABLE_UNKNOWN;
}

/* ---- noting files ---- */

struct hps_file *hps_executable_file(struct hps_supervisor *s, int fd, const struct stat *st, const char *name, const char *base, unsigned uses)
{
	_cleanup_buf_ struct hps_buf walked = HPS_BUF_INIT;
	struct hps_file *file;
	char real[HPS_PATH_CAP];

	hps_supervisor_path(s, fd, st, real);
	hps_buf_init(&walked, 2 * HPS_PATH_CAP);
	if (name && strcmp(real, name) != 0)
		hps_walk(s->files, base, name, true, &walked);
	file = hps_files_get(s->files, *real ? real : name ? name : "");
	hps_file_use(s->files, file, fd, st, uses);
	return file;
}

/* An absolute name under a root that may not be ours. */
int hps_executable_open_inside(const struct hps_tracee *t, const char *name)
{
	_cleanup_fd_ int root = openat(t->task_fd, "../root", O_PATH | O_DIRECTORY | O_CLOEXEC);
	struct open_how how = { .flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY, .resolve = RESOLVE_IN_ROOT };

	return root < 0 ? -1 : (int)syscall(SYS_openat2, root, name, &how, sizeof how);
}

/* Opens and notes `name`, known already when it is what it was. -1: cannot be opened for reading. */
static int open_interpreter(struct hps_supervisor *s, const struct hps_tracee *t, const char *base, const char *name, unsigned uses, struct stat *ret,
			    struct hps_file **ret_file)
{
	bool named = *name == '/' && !t->foreign;
	struct hps_file *file = named ? hps_files_named(s->files, name) : NULL;
	_cleanup_free_ char *relative = *name == '/' ? NULL : hps_format("%s/%s", base, name);
	int fd = t->foreign && !relative ? hps_executable_open_inside(t, name) : open(relative ? relative : name, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	struct hps_identity id;

	if (fd < 0)
		return -1;
	if (fstat(fd, ret) || !S_ISREG(ret->st_mode)) {
		close(fd);
		return -1;
	}
	hps_identity_of(ret, &id);
	if (file && hps_file_is_now(file, &id)) {
		hps_file_use(s->files, file, fd, ret, uses);
	} else {
		file = hps_executable_file(s, fd, ret, relative ? relative : named ? name : NULL, "", uses);
		if (named)
			hps_files_name(s->files, name, file);
	}
	if (t->foreign)
		file->unverified = true;
	*ret_file = file;
	return fd;
}

/* ---- what executing a name means ---- */

static void program_add(const struct hps_supervisor *s, struct hps_executable *p, const char *name)
{
	struct hps_file *file = *name == '/' ? hps_files_named(s->files, name) : NULL;

	if (!file)
		p->usable = false;
	if (!p->usable)
		return;
	p->interpreters[p->n].name = hps_strdup(name);
	p->interpreters[p->n++].file = file;
}

void hps_executable_drop(struct hps_executable *p)
{
	for (unsigned i = 0; i < p->n; i++)
		free(p->interpreters[i].name);
}

static void program_free(struct hps_executable *p)
{
	if (p)
		hps_executable_drop(p);
	free(p);
}

void hps_executables_release(struct hps_map *programs)
{
	for (size_t i = 0; i < programs->n; i++)
		program_free(programs->items[i].value);
	hps_map_release(programs);
}

void hps_executable_keep(struct hps_supervisor *s, const char *name, const struct hps_executable *p)
{
	void **slot = hps_map_slot(&s->programs, name);
	struct hps_executable *kept = hps_alloc(sizeof *kept);

	program_free(*slot);
	*kept = *p;
	*slot = kept;
	hps_files_name(s->files, name, p->file);
}

static bool leads_to(const struct hps_supervisor *s, const char *name, const struct hps_file *file)
{
	struct hps_identity id;
	struct stat st;

	if (hps_files_named(s->files, name) != file || file->product || file->unverified || fstatat(AT_FDCWD, name, &st, 0))
		return false;
	hps_identity_of(&st, &id);
	return hps_file_is_now(file, &id);
}

/* The program of this absolute name, when all is as it was; else NULL. */
const struct hps_executable *hps_executable_known(struct hps_supervisor *s, const char *name)
{
	const struct hps_executable *p = hps_map_get(&s->programs, name);

	if (!p || !leads_to(s, name, p->file))
		return NULL;
	for (unsigned i = 0; i < p->n; i++)
		if (!leads_to(s, p->interpreters[i].name, p->interpreters[i].file))
			return NULL;
	return p;
}

/* Follows #! lines to the ELF file that will run, and that to its own interpreter. False: an ABI that is refused. */
bool hps_executable_interpreters(struct hps_supervisor *s, struct hps_call *c, int fd, const char *base, struct stat *running, struct hps_executable *p)
{
	char name[HPS_PATH_CAP];
	int current = fd;
	bool right = true;

	for (unsigned depth = 0; depth < HPS_EXECUTABLE_DEPTH; depth++) {
		enum hps_executable_kind kind = hps_executable_interpreter(current, name);
		struct hps_file *file = NULL;
		struct stat st;
		int next;

		right = kind != HPS_EXECUTABLE_FOREIGN_ELF;
		if (!*name || !right)
			break;
		next = open_interpreter(s, c->t, base, name, HPS_USE_INTERPRETER | (kind == HPS_EXECUTABLE_ELF ? HPS_USE_LOADER : 0), &st, &file);
		if (current != fd)
			close(current);
		current = next;
		if (next < 0) {
			p->usable = false;
			return true;
		}
		if (kind == HPS_EXECUTABLE_SCRIPT && !p->script)
			p->script = file;
		program_add(s, p, name);
		if (kind == HPS_EXECUTABLE_ELF)
			break;
		*running = st;
	}
	if (current != fd)
		close(current);
	return right;
}
