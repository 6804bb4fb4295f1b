/* The repository around the trial: commit, state, digest of what was changed. By the git program, with its helpers, hooks
 * and prompts switched off, and a time limit. */
#include "recorder/identity.h"

#include <string.h>
#include <sys/wait.h>

#define LIMIT_NS 5000000000
#define DIFF_MAX ((size_t)64 << 20)

/* Runs `git -C dir args…`; 0 with its output when it ends well. */
static int git(const char *dir, const char *const *args, size_t max, struct hps_buf *out)
{
	const char *argv[16] = { "git", "-c", "core.fsmonitor=false", "-c", "core.hooksPath=/dev/null", "--no-optional-locks", "-C", dir };
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

static void add_changes(json_t *rows, const char *dir)
{
	const char *const state[] = { "status", "--porcelain", "-z", "--untracked-files=normal", NULL };
	const char *const diff[] = { "diff", "--no-ext-diff", "--no-textconv", "--binary", "HEAD", NULL };
	_cleanup_buf_ struct hps_buf out = HPS_BUF_INIT;
	char hex[HPS_DIGEST_HEX];
	struct hps_digest d;
	bool dirty;

	if (git(dir, state, DIFF_MAX, &out)) {
		hps_identity_missing(rows, "git.dirty", "git status did not answer in time");
		return;
	}
	dirty = out.len > 0;
	hps_identity_add(rows, "git.dirty", dirty ? "true" : "false", "git", HPS_OBSERVED);
	if (!dirty)
		return;
	hps_buf_reset(&out);
	if (git(dir, diff, DIFF_MAX, &out) || out.len == DIFF_MAX) {
		hps_identity_missing(rows, "git.diff", "git diff did not answer in time, or is larger than 64 MiB");
		return;
	}
	hps_digest_of(out.data ? out.data : "", out.len, &d);
	hps_digest_hex(&d, hex);
	hps_identity_add(rows, "git.diff", hex, "sha256 of git diff --binary HEAD", HPS_OBSERVED);
}

void hps_identity_git(json_t *rows, const char *dir)
{
	const char *const commit[] = { "rev-parse", "--verify", "HEAD", NULL };
	_cleanup_buf_ struct hps_buf out = HPS_BUF_INIT;
	int r = git(dir, commit, 4096, &out);

	if (r) {
		hps_identity_missing(rows, "git.commit", r < 0 ? "git cannot be run" : "not in a git repository with a commit");
		return;
	}
	hps_identity_add(rows, "git.commit", out.data, "git", HPS_OBSERVED);
	add_remote(rows, dir);
	add_changes(rows, dir);
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
