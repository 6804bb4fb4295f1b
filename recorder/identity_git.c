/* The repository around the trial: commit, state, digest of what was changed. By the git program, with its helpers, hooks
 * and prompts switched off, and a time limit. */
#include "recorder/identity.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define LIMIT_NS 5000000000
#define DIFF_MAX ((size_t)64 << 20)
#define NAMES_MAX 100
#define LARGE_FILES_MAX 10000

/* Runs `git -C dir args…`; 0 with its output when it ends well. */
static int git(const char *dir, const char *const *args, size_t max, struct hps_buf *out)
{
	const char *argv[24] = { "git", "-c", "core.fsmonitor=false", "-c", "core.hooksPath=/dev/null", "--no-optional-locks", "-C", dir };
	size_t n = 8;
	struct hps_run run = { .argv = argv, .timeout_ns = LIMIT_NS, .max_output = max, .quiet = true };
	int status, r;

	while (*args)
		argv[n++] = *args++;
	r = hps_run(&run, out, &status, NULL);
	if (r)
		return r;
	while (max <= 4096 && out->len && out->data[out->len - 1] == '\n')
		out->data[--out->len] = '\0';
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128;
}

static void add_remote(json_t *rows, const char *dir)
{
	const char *const args[] = { "config", "--get", "remote.origin.url", NULL };
	_cleanup_buf_ struct hps_buf url = HPS_BUF_INIT;
	_cleanup_free_ char *clean = NULL;

	if (git(dir, args, 4096, &url) || !url.len)
		return;
	clean = hps_redact_text(NULL, url.data);
	hps_identity_add(rows, "git.remote", clean, "git", HPS_OBSERVED);
}

/* ---- what differs from the commit ---- */

/* "XY path" with its NUL; a renamed one is followed by its old path. At most so many are named, each in a row of its own. */
void hps_git_status(json_t *rows, const char *text, size_t len)
{
	size_t n_changed = 0, n_untracked = 0;

	for (size_t at = 0; at + 3 < len; at += strlen(text + at) + 1) {
		bool untracked = text[at] == '?', moved = text[at] == 'R' || text[at] == 'C';
		_cleanup_free_ char *path = hps_redact_text(NULL, text + at + 3);

		if ((untracked ? n_untracked++ : n_changed++) < NAMES_MAX)
			hps_identity_add(rows, untracked ? "git.untracked" : "git.changed", path, "git status", HPS_OBSERVED);
		if (moved) {
			at += strlen(text + at) + 1;
			if (at >= len) /* cut off */
				break;
		}
	}
	if (n_changed > NAMES_MAX || n_untracked > NAMES_MAX)
		hps_identity_missing(rows, n_changed > NAMES_MAX ? "git.changed" : "git.untracked", "there are more than are named here");
}

static void add_changes(json_t *rows, const char *dir)
{
	const char *const state[] = { "status", "--porcelain", "-z", "--untracked-files=normal", NULL };
	const char *const diff[] = { "diff", "--no-ext-diff", "--no-textconv", "--binary", "HEAD", NULL };
	_cleanup_buf_ struct hps_buf names = HPS_BUF_INIT, out = HPS_BUF_INIT;
	char hex[HPS_DIGEST_HEX];
	struct hps_digest d;

	if (git(dir, state, DIFF_MAX, &names)) {
		hps_identity_missing(rows, "git.dirty", "git status did not answer in time");
		return;
	}
	hps_identity_add(rows, "git.dirty", names.len ? "true" : "false", "git", HPS_OBSERVED);
	if (!names.len)
		return;
	if (git(dir, diff, DIFF_MAX, &out) || out.len == DIFF_MAX) {
		hps_identity_missing(rows, "git.diff", "git diff did not answer in time, or is larger than 64 MiB");
	} else {
		hps_digest_of(out.data ? out.data : "", out.len, &d);
		hps_digest_hex(&d, hex);
		hps_identity_add(rows, "git.diff", hex, "sha256 of git diff --binary HEAD", HPS_OBSERVED);
	}
	hps_git_status(rows, names.data, names.len);
}

/* ---- submodules: what the commit wants, and what is checked out ---- */

static void add_submodule(json_t *rows, const char *top, const char *wanted, const char *path)
{
	const char *const head[] = { "rev-parse", "--verify", "--quiet", "HEAD", NULL };
	_cleanup_free_ char *name = hps_format("git.submodule.%s", path), *directory = hps_format("%s/%s", top, path), *link = hps_format("%s/.git", directory), *both = NULL;
	_cleanup_buf_ struct hps_buf got = HPS_BUF_INIT;

	/* Without a .git of its own git would answer for the repository around it. */
	if (access(link, F_OK) || git(directory, head, 4096, &got)) {
		hps_identity_missing(rows, name, "the submodule is not checked out");
		return;
	}
	both = strcmp(got.data, wanted) ? hps_format("%s, the commit wants %s", got.data, wanted) : hps_strdup(wanted);
	hps_identity_add(rows, name, both, "git", HPS_OBSERVED);
}

/* Lines "160000 <commit> 0<tab>path", each with a NUL, among those of the files. */
static void add_submodules(json_t *rows, const char *top)
{
	const char *const files[] = { "ls-files", "--stage", "-z", NULL };
	_cleanup_free_ char *modules = hps_format("%s/.gitmodules", top);
	_cleanup_buf_ struct hps_buf list = HPS_BUF_INIT;
	size_t n = 0;

	if (access(modules, F_OK) || git(top, files, DIFF_MAX, &list))
		return;
	for (size_t at = 0; at < list.len && n < NAMES_MAX; at += strlen(list.data + at) + 1) {
		char *line = list.data + at, *tab = strchr(line, '\t');
		_cleanup_free_ char *wanted = NULL;

		if (strncmp(line, "160000 ", 7) != 0 || !tab)
			continue;
		wanted = hps_strndup(line + 7, strcspn(line + 7, " "));
		add_submodule(rows, top, wanted, tab + 1);
		n++;
	}
}

/* ---- large files ---- */

/* Files that git keeps elsewhere: here as their content, or as the pointer to it (Git LFS pointer file, version 1)? */
static void add_large_files(json_t *rows, const char *top)
{
	static const char pointer[] = "version https://git-lfs.github.com/spec/v1";
	const char *const files[] = { "ls-files", "-z", ":(attr:filter=lfs)", NULL };
	_cleanup_free_ char *path = hps_format("%s/.gitattributes", top), *attributes = hps_identity_read(path), *count = NULL;
	_cleanup_buf_ struct hps_buf list = HPS_BUF_INIT;
	size_t n = 0, n_pointers = 0;

	if (!attributes || !strstr(attributes, "filter=lfs") || git(top, files, DIFF_MAX, &list))
		return;
	for (size_t at = 0; at < list.len; at += strlen(list.data + at) + 1, n++) {
		_cleanup_free_ char *file = hps_format("%s/%s", top, list.data + at);
		_cleanup_fd_ int fd = n < LARGE_FILES_MAX ? open(file, O_RDONLY | O_CLOEXEC | O_NONBLOCK) : -1;
		char start[sizeof pointer];

		if (fd < 0 || pread(fd, start, sizeof pointer - 1, 0) != (ssize_t)sizeof pointer - 1 || memcmp(start, pointer, sizeof pointer - 1) != 0)
			continue;
		if (n_pointers++ < NAMES_MAX)
			hps_identity_add(rows, "git.lfs.pointer", list.data + at, "the file holds a pointer, not the content", HPS_OBSERVED);
	}
	count = hps_format("%zu files, %zu of them pointers", n, n_pointers);
	hps_identity_add(rows, "git.lfs", count, ".gitattributes", HPS_OBSERVED);
}

/* ---- all ---- */

/* Why git has no answer. Other users' repositories it refuses (safe.directory), as root's container meets them with its user's folder inside. */
static void add_reason(json_t *rows, const char *dir, bool ran)
{
	_cleanup_free_ char *at = realpath(dir, NULL), *why = NULL;
	struct stat s;

	for (char *end = ran && at ? at + strlen(at) : NULL; end && !why; end = strrchr(at, '/')) {
		_cleanup_free_ char *inside = NULL;

		*end = '\0';
		inside = hps_format("%s/.git", at);
		if (stat(inside, &s) == 0)
			why = s.st_uid == geteuid() ? hps_format("the repository at '%s' has no commit, or cannot be read", at)
						    : hps_format("git refuses the repository at '%s', which is another user's: git config --global --add safe.directory '%s'", at, at);
	}
	hps_identity_missing(rows, "git.commit", !ran ? "git cannot be run" : why ? why : "not in a git repository with a commit");
}

static const char *const places[] = { "git.commit", "git.top", "git.directory", "git.commonDirectory", "git.shallow", "git.branch" };

/* One call for all that rev-parse knows: an answer a line, in the order of `places`. */
static char *add_place(json_t *rows, char *text)
{
	char *rest = NULL, *lines[ARRAY_SIZE(places)] = { NULL };

	for (size_t i = 0; i < ARRAY_SIZE(places); i++)
		lines[i] = strtok_r(i ? NULL : text, "\n", &rest);
	for (size_t i = 0; i < ARRAY_SIZE(places) && lines[i]; i++) {
		if (i == 2 && lines[3] && !strcmp(lines[2], lines[3]))
			i = 4; /* no linked worktree: nothing to tell of its two directories */
		if (lines[i])
			hps_identity_add(rows, places[i], lines[i], "git", HPS_OBSERVED);
	}
	return lines[1];
}

void hps_identity_git(json_t *rows, const char *dir)
{
	const char *const place[] = { "rev-parse", "HEAD", "--show-toplevel", "--absolute-git-dir", "--path-format=absolute", "--git-common-dir", "--is-shallow-repository", "--abbrev-ref", "HEAD", NULL };
	_cleanup_buf_ struct hps_buf out = HPS_BUF_INIT;
	int r = git(dir, place, 65536, &out);
	const char *top;

	if (r || !out.data) {
		add_reason(rows, dir, r >= 0);
		return;
	}
	top = add_place(rows, out.data);
	add_changes(rows, dir);
	add_remote(rows, dir);
	if (!top)
		return;
	add_submodules(rows, top);
	add_large_files(rows, top);
}

json_t *hps_git_brief(const char *dir)
{
	const char *const commit[] = { "rev-parse", "--verify", "HEAD", NULL };
	const char *const state[] = { "status", "--porcelain", "-z", "--untracked-files=no", NULL };
	_cleanup_buf_ struct hps_buf out = HPS_BUF_INIT, changes = HPS_BUF_INIT;
	json_t *brief = json_object();
	int r = git(dir, commit, 4096, &out);

	if (r) {
		hps_json_set(brief, "missing", json_true());
		hps_json_set_text(brief, "why", r < 0 ? "git cannot be run" : "not in a git repository with a commit");
		return brief;
	}
	hps_json_set(brief, "commit", hps_path_json(out.data ? out.data : ""));
	if (git(dir, state, DIFF_MAX, &changes) == 0)
		hps_json_set(brief, "dirty", json_boolean(changes.len > 0));
	return brief;
}
