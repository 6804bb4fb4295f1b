/* A trial as a plain shell script: what it read, by hash; how it was started; what it left, by hash. For whoever has sh and sha256sum and none
 * of our programs, and wants to see with their own eyes. It has no sandbox and answers nothing from the record: that is hps-replay's part. */
#include "replay/replay.h"

#include <string.h>

static const char head[] = "set -u\n"
			   "wrong=0 differ=0\n"
			   "say() { printf '%s\\n' \"$*\" >&2; }\n"
			   "\n"
			   "# HASH MODE TIME PATH: the content, unless something is there already\n"
			   "fetch() {\n"
			   "\tif [ -e \"$4\" ] || [ -L \"$4\" ]; then return; fi\n"
			   "\tfrom=$(printf %.2s \"$1\")/${1#??}\n"
			   "\tmkdir -p -- \"${4%/*}/\"\n"
			   "\tif [ \"$1\" = e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855 ]; then\n"
			   "\t\t: >\"$4\"\n"
			   "\telif [ -n \"$STORE\" ] && [ -f \"$STORE/$from\" ]; then\n"
			   "\t\tcp -- \"$STORE/$from\" \"$4\"\n"
			   "\telif [ -n \"$MIRROR\" ]; then\n"
			   "\t\tcurl -fsS -o \"$4\" \"$MIRROR/$from\"\n"
			   "\tfi\n"
			   "\tif [ -f \"$4\" ]; then chmod \"$2\" \"$4\" && touch -d \"@$3\" \"$4\"; else say \"not to be had: $1 $4\"; fi\n"
			   "}\n"
			   "if [ -n \"$BUNDLE\" ] && [ -z \"$STORE\" ]; then\n"
			   "\tunpacked=$(mktemp -d) || exit 2\n"
			   "\ttrap 'rm -rf -- \"$unpacked\"' EXIT\n"
			   "\tzstd -dcq -- \"$BUNDLE\" | tar -xf - -C \"$unpacked\" || exit 2\n"
			   "\tSTORE=$unpacked/objects\n"
			   "fi\n"
			   "link() { if [ ! -e \"$2\" ] && [ ! -L \"$2\" ]; then mkdir -p -- \"${2%/*}/\" && ln -s -- \"$1\" \"$2\"; fi; }\n"
			   "# what the trial made itself\n"
			   "absent() { if [ -e \"$1\" ] || [ -L \"$1\" ]; then say \"'$1' is there already: move it away\"; wrong=1; fi; }\n"
			   "# WHAT IS WAS\n"
			   "same() { if [ \"$2\" = \"$3\" ]; then echo \"$1: OK\"; else echo \"$1: FAILED: '$2', it was '$3'\"; differ=1; fi; }\n";

static void add_quoted(struct hps_buf *b, const char *text)
{
	hps_buf_addc(b, '\'');
	for (; *text; text++)
		if (*text == '\'')
			hps_buf_adds(b, "'\\''");
		else
			hps_buf_addc(b, *text);
	hps_buf_addc(b, '\'');
}

/* A line that may hold anything, as a comment. */
static void add_comment(struct hps_buf *b, const char *text, const char *more)
{
	hps_buf_adds(b, "# ");
	hps_path_escape(b, text, strlen(text));
	if (more) {
		hps_buf_adds(b, ": ");
		hps_path_escape(b, more, strlen(more));
	}
	hps_buf_addc(b, '\n');
}

/* As sha256sum writes it: a name with a line break or a backslash is escaped, and the line says so by its first character. */
static void add_sum(struct hps_buf *b, const char *hex, const char *path)
{
	bool escaped = strpbrk(path, "\\\n\r") != NULL;

	hps_buf_addf(b, "%s%s  ", escaped ? "\\" : "", hex);
	for (; *path; path++)
		if (*path == '\\' || *path == '\n' || *path == '\r')
			hps_buf_addf(b, "\\%c", *path == '\\' ? '\\' : *path == '\n' ? 'n' : 'r');
		else
			hps_buf_addc(b, *path);
	hps_buf_addc(b, '\n');
}

/* ---- what it read ---- */

static void add_packages(struct hps_buf *b, const json_t *materials)
{
	struct hps_map seen = HPS_MAP_INIT;
	const json_t *item;
	size_t i;

	json_array_foreach((json_t *)(uintptr_t)materials, i, item) {
		const char *package = hps_json_text(item, "package");

		if (!package || hps_map_get(&seen, package))
			continue;
		hps_buf_adds(b, seen.n ? "" : "# Files of these packages are not fetched; they have to be installed:\n");
		*hps_map_slot(&seen, package) = &seen;
		add_comment(b, package, NULL);
	}
	hps_map_release(&seen);
}

static void add_node(struct hps_buf *b, const struct hps_plan_node *n, struct hps_objects *objects, const char *cwd)
{
	size_t len = strlen(cwd);
	bool inside = !strncmp(n->path, cwd, len) && (!n->path[len] || n->path[len] == '/');
	char hex[HPS_DIGEST_HEX];

	if (n->kind == HPS_PLAN_SYMLINK) {
		hps_buf_adds(b, "link ");
		add_quoted(b, n->target);
	} else if (n->kind == HPS_PLAN_FILE && n->secret && n->unread) {
		add_comment(b, n->path, HPS_BLANK);
		return;
	} else if (n->kind == HPS_PLAN_FILE && (hps_objects_has(objects, &n->digest) || n->writable)) {
		hps_digest_hex(&n->digest, hex);
		hps_buf_addf(b, "fetch %s %03o %lld.%09lld", hex, n->mode ? n->mode : 0644u, n->mtime_ns < 0 ? 0ll : (long long)(n->mtime_ns / 1000000000),
			     n->mtime_ns < 0 ? 0ll : (long long)(n->mtime_ns % 1000000000));
	} else if (n->kind == HPS_PLAN_DIRECTORY && inside) {
		hps_buf_adds(b, "mkdir -p --");
	} else {
		return;
	}
	hps_buf_addc(b, ' ');
	add_quoted(b, n->path);
	hps_buf_addc(b, '\n');
}

static void add_inputs(struct hps_buf *b, const struct hps_original *o, const struct hps_plan *p)
{
	hps_buf_adds(b, "\n# ---- 1. what it read, as it was when the trial started\n\n");
	for (size_t i = 0; i < p->n; i++)
		add_node(b, &p->nodes[i], o->objects, o->cwd);
	for (size_t i = 0; i < p->problems.n; i++)
		add_comment(b, p->problems.v[i].what, p->problems.v[i].why);
	add_packages(b, o->materials);
	hps_buf_adds(b, "sha256sum --check --quiet <<'END' || wrong=1\n");
	for (size_t i = 0; i < p->n; i++) {
		char hex[HPS_DIGEST_HEX];

		if (p->nodes[i].kind != HPS_PLAN_FILE || (p->nodes[i].secret && p->nodes[i].unread))
			continue;
		hps_digest_hex(&p->nodes[i].digest, hex);
		add_sum(b, hex, p->nodes[i].path);
	}
	hps_buf_adds(b, "END\n");
	for (size_t i = 0; i < p->made.n; i++) {
		hps_buf_adds(b, "absent ");
		add_quoted(b, p->made.items[i].key);
		hps_buf_addc(b, '\n');
	}
	hps_buf_adds(b, "if [ $wrong != 0 ]; then say 'not as it was: nothing is run'; exit 2; fi\n");
}

/* ---- how it was started ---- */

static bool is_name(const char *text)
{
	return *text && !strchr("0123456789", *text) && !text[strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_")];
}

/* Whoever knows a withheld value has it in the environment of the script. */
static void add_withheld(struct hps_buf *b, const struct hps_original *o)
{
	const json_t *value;
	const char *name;

	json_object_foreach((json_t *)(uintptr_t)hps_json_at(o->trial.statement, "predicate", "buildDefinition", "externalParameters", "environmentDigests", NULL), name, value)
		if (is_name(name))
			hps_buf_addf(b, "\t${%s+\"%s=$%s\"} \\\n", name, name, name);
}

static void add_command(struct hps_buf *b, const struct hps_original *o, const struct hps_plan *p)
{
	static const char *const redirect[] = { " <", " >>", " 2>>" };

	hps_buf_adds(b, "\n# ---- 2. the command\n\ncd -- ");
	add_quoted(b, o->cwd);
	hps_buf_addf(b, " || exit 2\numask %03o\n", (unsigned)o->umask);
	if (o->metrics_path)
		hps_buf_adds(b, "metrics=$(mktemp)\n");
	hps_buf_adds(b, "env -i \\\n");
	for (size_t i = 0; i < o->environment.n; i++) {
		hps_buf_addc(b, '\t');
		add_quoted(b, o->environment.v[i]);
		hps_buf_adds(b, " \\\n");
	}
	add_withheld(b, o);
	if (o->metrics_path)
		hps_buf_adds(b, "\t\"HPS_METRICS=$metrics\" \\\n");
	for (size_t i = 0; i < o->argv.n; i++) {
		hps_buf_adds(b, i ? " " : "\t");
		add_quoted(b, o->argv.v[i]);
	}
	for (size_t i = 0; i < ARRAY_SIZE(redirect); i++)
		if (p->standard[i]) {
			hps_buf_adds(b, redirect[i]);
			add_quoted(b, p->standard[i]);
		} else if (!i) {
			hps_buf_adds(b, " </dev/null");
		}
	hps_buf_addf(b, "\nsame status $? %d\n", o->killed ? 128 + o->code : o->code);
	if (o->metrics_path)
		hps_buf_adds(b, "cat -- \"$metrics\" >&2; rm -f -- \"$metrics\"\n");
}

/* ---- what it left ---- */

static void add_fact(struct hps_buf *b, const char *path, const char *what, const char *command, const char *was)
{
	_cleanup_free_ char *name = hps_format("%s of %s", what, path);

	hps_buf_adds(b, "same ");
	add_quoted(b, name);
	hps_buf_addf(b, " \"$(%s ", command);
	add_quoted(b, path);
	hps_buf_adds(b, " 2>&1)\" ");
	add_quoted(b, was);
	hps_buf_addc(b, '\n');
}

static void add_product(struct hps_buf *b, const json_t *item, const char *path, struct hps_buf *sums)
{
	const char *state = hps_json_text(item, "state"), *type = hps_json_text(item, "type"), *mode = hps_json_text(item, "mode"), *target = hps_json_text(item, "target");
	const char *hex = hps_product_digest(item);
	_cleanup_buf_ struct hps_buf to = HPS_BUF_INIT;

	if (state && !strcmp(state, "deleted")) {
		hps_buf_adds(b, "absent ");
		add_quoted(b, path);
		hps_buf_addc(b, '\n');
		return;
	}
	if (type && !strcmp(type, "symlink") && target && !hps_path_unescape(target, &to, NULL))
		add_fact(b, path, "target", "readlink --", to.data ? to.data : "");
	else if (hex)
		add_sum(sums, hex, path);
	else if (!type || strcmp(type, "directory") != 0)
		add_comment(b, path, "not compared: its content was not recorded");
	if (mode && type && strcmp(type, "symlink") != 0)
		add_fact(b, path, "mode", "stat -c %a --", mode + strspn(mode, "0"));
}

static void add_outputs(struct hps_buf *b, const struct hps_original *o)
{
	_cleanup_buf_ struct hps_buf sums = HPS_BUF_INIT;
	const json_t *item;
	size_t i;

	hps_buf_adds(b, "\n# ---- 3. what it left\n\n");
	json_array_foreach(o->products, i, item) {
		_cleanup_free_ char *path = hps_item_path(item);

		if (path)
			add_product(b, item, path, &sums);
	}
	if (sums.len)
		hps_buf_addf(b, "sha256sum --check <<'END' || differ=1\n%sEND\n", sums.data);
	hps_buf_adds(b, "[ $wrong = 0 ] || differ=1\nexit $differ\n");
}

static void add_holes(struct hps_buf *b, const struct hps_holes *h)
{
	for (size_t i = 0; i < h->n; i++)
		add_comment(b, h->v[i].what, h->v[i].why);
}

void hps_recipe_write(const struct hps_original *o, const struct hps_plan *p, const char *store, const char *bundle, struct hps_buf *b)
{
	hps_buf_addf(b, "#!/bin/sh\n"
			"# Trial %s\n"
			"# as a recipe for a plain shell. It fetches what the trial read by hash, runs the command, compares what it left by hash.\n"
			"# Exit status: 0 every output has the recorded bytes; 1 one has others; 2 nothing was run.\n"
			"# STORE=DIR: a content store (DIR/ab/cdef...) to fetch from; MIRROR=URL: the same from a web server, by curl;\n"
			"# BUNDLE=FILE: one in a bundle, by tar and zstd.\n"
			"#\n"
			"# It runs where it stands, at the recorded paths, and overwrites nothing that is there: use a container or a machine that has\n"
			"# them free. There is no sandbox. Clocks, process ids and random numbers are those of the day: an output that depends on them\n"
			"# differs, where hps-replay would answer from the record.\n",
		     o->trial.id);
	if (o->seeded)
		add_comment(b, "random numbers", "those of the trial came from a recorded seed; here the kernel gives others");
	add_holes(b, &o->holes);
	add_holes(b, &p->holes);
	hps_buf_adds(b, "STORE=${STORE-");
	add_quoted(b, store ? store : "");
	hps_buf_adds(b, "}\nMIRROR=${MIRROR-}\nBUNDLE=${BUNDLE-");
	add_quoted(b, bundle ? bundle : "");
	hps_buf_adds(b, "}\n");
	hps_buf_adds(b, head);
	add_inputs(b, o, p);
	add_command(b, o, p);
	add_outputs(b, o);
}
