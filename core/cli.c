/* Options, help and exit codes from one table; the messages and tables that people see. */
#include "core/core.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PASSPHRASE_MAX 1024
#define TRY_HELP "; '%s --help' lists what there is"

static size_t distance(const char *a, const char *b)
{
	size_t n = strlen(b), row[64];

	if (n >= ARRAY_SIZE(row) || strlen(a) >= ARRAY_SIZE(row))
		return SIZE_MAX;
	for (size_t j = 0; j <= n; j++)
		row[j] = j;
	for (size_t i = 1; a[i - 1]; i++) {
		size_t diagonal = row[0];

		row[0] = i;
		for (size_t j = 1; j <= n; j++) {
			size_t change = diagonal + (a[i - 1] != b[j - 1]), least = row[j] + 1;

			diagonal = row[j];
			least = row[j - 1] + 1 < least ? row[j - 1] + 1 : least;
			row[j] = change < least ? change : least;
		}
	}
	return row[n];
}

const char *hps_nearest(const char *word, const char *const *known, size_t n)
{
	size_t best = strlen(word) / 3 + 2; /* nearer than this, or it is another word */
	const char *found = NULL;

	for (size_t i = 0; i < n; i++) {
		size_t d = distance(word, known[i]);

		if (d < best) {
			best = d;
			found = known[i];
		}
	}
	return found;
}

static void say(const char *text)
{
	_cleanup_buf_ struct hps_buf safe = HPS_BUF_INIT;

	hps_term_escape(&safe, text, strlen(text));
	fprintf(stderr, "%s: %s\n", program_invocation_short_name, safe.data ? safe.data : "");
}

void hps_note(const char *format, ...)
{
	_cleanup_free_ char *text = NULL;
	va_list ap;

	va_start(ap, format);
	if (vasprintf(&text, format, ap) < 0)
		abort();
	va_end(ap);
	say(text);
}

/* ---- parsing ---- */

/* An empty variable in a script is not meant to choose our own place. */
static bool names_place(const struct hps_option *o)
{
	return o->arg && (!strcmp(o->arg, "DIR") || !strcmp(o->arg, "FILE"));
}

static int apply(const struct hps_option *o, char *options, const char *value, struct hps_error *err)
{
	void *field = options + o->offset;
	int r = 0;

	if (names_place(o) && !*value)
		return hps_error_set(err, HPS_E_USAGE, "option --%s: it is empty; give a path, or leave the option out", o->name);
	switch (o->kind) {
	case HPS_OPT_FLAG:
		*(bool *)field = true;
		break;
	case HPS_OPT_STRING:
		*(const char **)field = value;
		break;
	case HPS_OPT_STRINGS:
		hps_strv_add(field, value);
		break;
	case HPS_OPT_U64:
		r = hps_parse_u64(value, UINT64_MAX, field);
		break;
	case HPS_OPT_I64:
		r = hps_parse_i64(value, INT64_MIN, INT64_MAX, field);
		break;
	}
	if (r)
		return hps_error_set(err, HPS_E_USAGE, "option --%s: '%s' is not a whole number%s", o->name, value, r == -ERANGE ? " in range" : "");
	if (o->given)
		*(bool *)(options + o->given - 1) = true;
	return 0;
}

static int unknown(const struct hps_program *p, const struct hps_command *c, const char *word, size_t len, struct hps_error *err)
{
	_cleanup_free_ char *name = hps_strndup(word, len);
	_cleanup_free_ const char **known = hps_alloc((c->n_options + 1) * sizeof *known);
	const char *near;

	for (size_t i = 0; i < c->n_options; i++)
		known[i] = c->options[i].name;
	near = hps_nearest(name, known, c->n_options);
	if (near)
		return hps_error_set(err, HPS_E_USAGE, "unknown option '--%s': did you mean '--%s'?", name, near);
	return hps_error_set(err, HPS_E_USAGE, "unknown option '--%s'" TRY_HELP, name, p->name);
}

static const struct hps_option *find_letter(const struct hps_command *c, char letter)
{
	for (size_t i = 0; i < c->n_options; i++)
		if (c->options[i].letter == letter)
			return &c->options[i];
	return NULL;
}

static const struct hps_option *find_name(const struct hps_command *c, const char *name, size_t len)
{
	for (size_t i = 0; i < c->n_options; i++)
		if (strlen(c->options[i].name) == len && !memcmp(c->options[i].name, name, len))
			return &c->options[i];
	return NULL;
}

/* One word that starts with a dash; *at is its place and moves on when the option takes the next word. */
static int parse_word(const struct hps_program *p, const struct hps_command *c, void *options, char **argv, int argc, int *at, struct hps_error *err)
{
	const char *word = argv[*at], *value = NULL;
	const struct hps_option *o;
	size_t len;

	if (word[1] == '-') {
		len = strcspn(word + 2, "=");
		o = find_name(c, word + 2, len);
		if (!o)
			return unknown(p, c, word + 2, len, err);
		value = word[2 + len] ? word + 3 + len : NULL;
	} else {
		o = find_letter(c, word[1]);
		if (!o)
			return hps_error_set(err, HPS_E_USAGE, "unknown option '%.2s'" TRY_HELP, word, p->name);
		value = word[2] ? word + 2 : NULL;
	}
	if (o->kind == HPS_OPT_FLAG && value)
		return hps_error_set(err, HPS_E_USAGE, "option --%s takes no value", o->name);
	if (o->kind != HPS_OPT_FLAG && !value) {
		if (*at + 1 >= argc)
			return hps_error_set(err, HPS_E_USAGE, "option --%s needs a value: --%s %s", o->name, o->name, o->arg);
		value = argv[++*at];
	}
	return apply(o, options, value, err);
}

/* Leaves the arguments that are no options at argv[1…], *ret_n of them. When a command takes any number of arguments, they
 * are another command's words: the first ends ours. */
static int parse(const struct hps_program *p, const struct hps_command *c, void *options, char **argv, int argc, int *ret_n, struct hps_error *err)
{
	bool ours = true;
	int n = 0, r;

	for (int at = 1; at < argc; at++) {
		if (ours && !strcmp(argv[at], "--")) {
			ours = false;
		} else if (ours && argv[at][0] == '-' && argv[at][1]) {
			r = parse_word(p, c, options, argv, argc, &at, err);
			if (r)
				return r;
		} else {
			argv[1 + n++] = argv[at];
			ours = ours && c->max_args >= 0;
		}
	}
	*ret_n = n;
	if (n < c->min_args || (c->max_args >= 0 && n > c->max_args))
		return hps_error_set(err, HPS_E_USAGE, "%s argument; usage: %s%s%s %s", n < c->min_args ? "missing" : "one too many", p->name,
				     c->name ? " " : "", c->name ? c->name : "", c->arguments);
	return 0;
}

static void free_options(const struct hps_command *c, char *options)
{
	for (size_t i = 0; i < c->n_options; i++)
		if (c->options[i].kind == HPS_OPT_STRINGS)
			hps_strv_release((struct hps_strv *)(void *)(options + c->options[i].offset));
	free(options);
}

/* ---- help ---- */

static void help_command(const struct hps_program *p, const struct hps_command *c)
{
	printf("usage: %s%s%s %s\n%s\n", p->name, c->name ? " " : "", c->name ? c->name : "", c->arguments, c->summary);
	if (c->n_options)
		printf("\noptions:\n");
	for (size_t i = 0; i < c->n_options; i++) {
		const struct hps_option *o = &c->options[i];
		_cleanup_free_ char *left = hps_format("%s%.*s%s--%s%s%s", o->letter ? "-" : "", o->letter ? 1 : 0, &o->letter,
						       o->letter ? ", " : "    ", o->name, o->arg ? " " : "", o->arg ? o->arg : "");

		printf("  %-30s %s\n", left, o->help);
	}
}

static const struct hps_command *find_command(const struct hps_program *p, const char *name)
{
	const struct hps_command *nameless = NULL;

	for (size_t i = 0; i < p->n_commands; i++) {
		if (!p->commands[i].name)
			nameless = &p->commands[i];
		else if (name && !strcmp(p->commands[i].name, name))
			return &p->commands[i];
	}
	return nameless;
}

static void help_program(const struct hps_program *p)
{
	const struct hps_command *nameless = find_command(p, NULL);

	if (nameless)
		help_command(p, nameless);
	else
		printf("usage: %s COMMAND …\n%s\n", p->name, p->summary);
	printf("\ncommands:\n");
	for (size_t i = 0; i < p->n_commands; i++)
		if (p->commands[i].name)
			printf("  %-12s %s\n", p->commands[i].name, p->commands[i].summary);
	printf("\n'%s COMMAND --help' tells more; the manual is '%s'(1).\n", p->name, p->name);
}

/* ---- running ---- */

/* A descriptor 0..2 that is closed would be given to the next file we open, and our messages would go into it. */
static void stub_closed(void)
{
	for (int fd = 0; fd <= 2; fd++)
		if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", fd ? O_WRONLY : O_RDONLY) != fd)
			_exit(125);
}

static int no_command(const struct hps_program *p, const char *word, struct hps_error *err)
{
	_cleanup_free_ const char **known = hps_alloc(p->n_commands * sizeof *known);
	const char *near;

	if (!word)
		return hps_error_set(err, HPS_E_USAGE, "no command given" TRY_HELP, p->name);
	for (size_t i = 0; i < p->n_commands; i++)
		known[i] = p->commands[i].name;
	near = hps_nearest(word, known, p->n_commands);
	if (near)
		return hps_error_set(err, HPS_E_USAGE, "unknown command '%s': did you mean '%s'?", word, near);
	return hps_error_set(err, HPS_E_USAGE, "unknown command '%s'" TRY_HELP, word, p->name);
}

static bool wants_help(const struct hps_command *c, int argc, char **argv)
{
	for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++) {
		const struct hps_option *o;

		if (argv[i][0] != '-' && c->max_args < 0)
			return false;
		if (argv[i][0] != '-')
			continue;
		if (!strcmp(argv[i], "--help"))
			return true;
		o = argv[i][1] == '-' ? find_name(c, argv[i] + 2, strlen(argv[i] + 2)) : find_letter(c, argv[i][1]);
		if (o && o->kind != HPS_OPT_FLAG && (argv[i][1] == '-' || !argv[i][2]))
			i++; /* its value may be anything, also --help */
	}
	return false;
}

static int run_command(const struct hps_program *p, const struct hps_command *c, int argc, char **argv, struct hps_error *err)
{
	char *options;
	int n, r;

	if (wants_help(c, argc, argv)) {
		help_command(p, c);
		return 0;
	}
	options = hps_alloc(c->options_size);
	r = parse(p, c, options, argv, argc, &n, err);
	if (!r) {
		argv[1 + n] = NULL;
		r = c->run(options, n, argv + 1, err);
	}
	free_options(c, options);
	return r;
}

int hps_main(const struct hps_program *program, int argc, char **argv)
{
	_cleanup_error_ struct hps_error err = HPS_ERROR_INIT;
	const char *word = argc > 1 ? argv[1] : NULL;
	const struct hps_command *c;
	int r;

	stub_closed();
	if (word && !strcmp(word, "--version")) {
		printf("%s %s\n", program->name, HPS_VERSION);
		return 0;
	}
	c = find_command(program, word);
	if (word && (!strcmp(word, "--help") || !strcmp(word, "-h")) && program->n_commands > 1) {
		help_program(program);
		return 0;
	}
	if (!c)
		r = no_command(program, word, &err);
	else
		r = run_command(program, c, argc - (c->name ? 1 : 0), argv + (c->name ? 1 : 0), &err);
	if (r < 0) {
		if (err.message)
			say(err.message);
		r = hps_error_exit(r);
	}
	if (fflush(stdout) || ferror(stdout)) {
		hps_note("writing the output: %s", strerror(errno));
		return r ? r : 4;
	}
	return r;
}

/* ---- passphrases ---- */

int hps_passphrase_read(int fd, char **ret, struct hps_error *err)
{
	char line[PASSPHRASE_MAX];
	size_t len = 0;
	ssize_t n;

	*ret = NULL;
	if (fd < 0)
		return 0;
	while (len < sizeof line - 1 && (n = read(fd, line + len, 1)) != 0) {
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return hps_error_errno(err, "reading the passphrase from descriptor %d", fd);
		if (line[len] == '\n')
			break;
		len++;
	}
	if (!len)
		return hps_error_set(err, HPS_E_USAGE, "reading the passphrase from descriptor %d: it is empty", fd);
	line[len] = '\0';
	*ret = hps_strdup(line);
	explicit_bzero(line, sizeof line);
	return 0;
}

void hps_wipe_free(char *secret)
{
	if (secret)
		explicit_bzero(secret, strlen(secret));
	free(secret);
}

/* ---- tables ---- */

void hps_table_cell(struct hps_table *t, const char *text)
{
	_cleanup_buf_ struct hps_buf safe = HPS_BUF_INIT;

	hps_term_escape(&safe, text, strlen(text));
	hps_strv_add_take(&t->cells, hps_buf_take(&safe));
}

/* Characters, not bytes: every UTF-8 sequence counts as one column. */
static size_t width_of(const char *text)
{
	size_t n = 0;

	for (; *text; text++)
		n += ((unsigned char)*text & 0xc0) != 0x80;
	return n;
}

void hps_table_print(struct hps_table *t, FILE *out)
{
	_cleanup_free_ size_t *width = hps_alloc(t->columns * sizeof *width);

	for (size_t i = 0; i < t->cells.n; i++) {
		size_t w = width_of(t->cells.v[i]), *column = &width[i % t->columns];

		*column = w > *column ? w : *column;
	}
	for (size_t i = 0; i < t->cells.n; i++) {
		size_t column = i % t->columns;
		int pad = (int)(width[column] - width_of(t->cells.v[i]));
		bool right = t->right >> column & 1, last = column + 1 == t->columns;

		fprintf(out, "%*s%s%*s%s", right ? pad : 0, "", t->cells.v[i], right || last ? 0 : pad, "", last ? "\n" : "  ");
	}
	hps_strv_release(&t->cells);
}
