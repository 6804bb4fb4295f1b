/* Trust policies of transparency logs (C2SP tlog-policy): which logs, which witnesses, and how many of them have to agree. */
#include "ledger/ledger.h"

#include <stdlib.h>
#include <string.h>

#define WORDS_MAX (HPS_POLICY_KEYS_MAX + 3)

void hps_policy_release(struct hps_policy *p)
{
	for (size_t i = 0; i < p->n_keys; i++) {
		hps_vkey_release(&p->keys[i]);
		free(p->urls[i]);
	}
	for (size_t i = 0; i < p->n_names; i++) {
		free(p->names[i].name);
		free(p->names[i].members);
	}
	free(p->keys);
	free(p->urls);
	free(p->is_log);
	free(p->names);
	memset(p, 0, sizeof *p);
}

struct reading {
	struct hps_policy *p;
	unsigned line;
	char *words[WORDS_MAX];
	size_t n;
	struct hps_error *err;
};

static int wrong(struct reading *d, const char *what, const char *word)
{
	return hps_error_set(d->err, HPS_E_FORMAT, "reading a policy: line %u: %s%s%s%s", d->line, what, word ? " '" : "", word ? word : "", word ? "'" : "");
}

static struct hps_policy_name *find(struct hps_policy *p, const char *name)
{
	for (size_t i = 0; i < p->n_names; i++)
		if (!strcmp(p->names[i].name, name))
			return &p->names[i];
	return NULL;
}

/* Stricter than the format, which lets a log cosign itself: roles are kept apart here. */
static int add_key(struct reading *d, const char *text, const char *url, bool is_log)
{
	struct hps_policy *p = d->p;
	struct hps_vkey v = { 0 };
	char id[HPS_DIGEST_HEX], other[HPS_DIGEST_HEX];
	int r;

	if (p->n_keys == HPS_POLICY_KEYS_MAX)
		return hps_error_set(d->err, HPS_E_LIMIT, "reading a policy: it has more than %d keys", HPS_POLICY_KEYS_MAX);
	r = hps_vkey_parse(text, &v, d->err);
	if (r)
		return hps_error_prefix(d->err, "line %u of the policy", d->line);
	hps_key_id(v.key, id);
	if (v.algorithm != (is_log ? HPS_NOTE_ED25519 : HPS_NOTE_COSIGNATURE))
		r = wrong(d, is_log ? "this is not a log's key but a witness's" : "this is not a witness's key but a log's", text);
	for (size_t i = 0; !r && i < p->n_keys; i++) {
		hps_key_id(p->keys[i].key, other);
		if (!strcmp(id, other))
			r = wrong(d, p->is_log[i] == is_log ? "the key is there twice" : "a log cannot be its own witness: the key is there twice", text);
	}
	if (r) {
		hps_vkey_release(&v);
		return r;
	}
	p->keys = hps_grow(p->keys, p->n_keys, sizeof *p->keys);
	p->urls = hps_grow(p->urls, p->n_keys, sizeof *p->urls);
	p->is_log = hps_grow(p->is_log, p->n_keys, sizeof *p->is_log);
	p->keys[p->n_keys] = v;
	p->urls[p->n_keys] = url ? hps_strdup(url) : NULL;
	p->is_log[p->n_keys++] = is_log;
	p->n_logs += is_log;
	return 0;
}

static int add_name(struct reading *d, const char *name, struct hps_policy_name **ret)
{
	struct hps_policy *p = d->p;

	if (!strcmp(name, "none") || find(p, name))
		return wrong(d, "the name is taken:", name);
	if (p->n_names == 2 * (size_t)HPS_POLICY_KEYS_MAX)
		return hps_error_set(d->err, HPS_E_LIMIT, "reading a policy: it has more than %d names", 2 * HPS_POLICY_KEYS_MAX);
	p->names = hps_grow(p->names, p->n_names, sizeof *p->names);
	*ret = &p->names[p->n_names++];
	**ret = (struct hps_policy_name){ .name = hps_strdup(name) };
	return 0;
}

static int read_log(struct reading *d)
{
	if (d->n < 2 || d->n > 3)
		return wrong(d, "it is not 'log KEY [URL]'", NULL);
	return add_key(d, d->words[1], d->n > 2 ? d->words[2] : NULL, true);
}

static int read_witness(struct reading *d)
{
	struct hps_policy_name *name;
	int r;

	if (d->n < 3 || d->n > 4)
		return wrong(d, "it is not 'witness NAME KEY [URL]'", NULL);
	r = add_name(d, d->words[1], &name);
	if (r)
		return r;
	name->key = d->p->n_keys;
	return add_key(d, d->words[2], d->n > 3 ? d->words[3] : NULL, false);
}

static int add_member(struct reading *d, struct hps_policy_name *group, const char *name)
{
	struct hps_policy_name *member = find(d->p, name);

	if (!member || member == group)
		return wrong(d, "no witness or group is defined before as", name);
	if (member->used)
		return wrong(d, "it is a member of a group already:", name);
	member->used = true;
	group->members[group->n_members++] = (size_t)(member - d->p->names);
	return 0;
}

static int read_group(struct reading *d)
{
	struct hps_policy_name *group;
	uint64_t k;
	int r;

	if (d->n < 4)
		return wrong(d, "it is not 'group NAME all|any|K MEMBER...'", NULL);
	r = add_name(d, d->words[1], &group);
	if (r)
		return r;
	if (!strcmp(d->words[2], "all"))
		k = d->n - 3;
	else if (!strcmp(d->words[2], "any"))
		k = 1;
	else if (hps_parse_u64(d->words[2], d->n - 3, &k) || !k)
		return wrong(d, "it is neither all, any nor a number of members:", d->words[2]);
	group->k = (unsigned)k;
	group->members = hps_alloc((d->n - 3) * sizeof *group->members);
	for (size_t i = 3; !r && i < d->n; i++)
		r = add_member(d, group, d->words[i]);
	return r;
}

static int read_quorum(struct reading *d)
{
	const struct hps_policy_name *name;

	if (d->n != 2)
		return wrong(d, "it is not 'quorum NAME'", NULL);
	if (d->p->has_quorum)
		return wrong(d, "there is a second quorum", NULL);
	d->p->has_quorum = true;
	d->p->no_quorum = !strcmp(d->words[1], "none");
	if (d->p->no_quorum)
		return 0;
	name = find(d->p, d->words[1]);
	if (!name)
		return wrong(d, "no witness or group is defined before as", d->words[1]);
	d->p->quorum = (size_t)(name - d->p->names);
	return 0;
}

static int read_line(struct reading *d, char *text)
{
	static const struct {
		const char *word;
		int (*read)(struct reading *);
	} rows[] = { { "log", read_log }, { "witness", read_witness }, { "group", read_group }, { "quorum", read_quorum } };
	char *save = NULL;

	d->n = 0;
	for (char *word = strtok_r(text, " \t", &save); word; word = strtok_r(NULL, " \t", &save)) {
		if (d->n == WORDS_MAX)
			return wrong(d, "it is too long", NULL);
		d->words[d->n++] = word;
	}
	if (!d->n || *d->words[0] == '#')
		return 0;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		if (!strcmp(d->words[0], rows[i].word))
			return rows[i].read(d);
	return wrong(d, "unknown word", d->words[0]);
}

static int read_lines(struct reading *d, char *at, char *end)
{
	int r = 0;

	for (const char *c = at; c < end; c++)
		if (((unsigned char)*c < 0x20 && *c != '\n' && *c != '\t') || *c == 0x7f)
			return hps_error_set(d->err, HPS_E_FORMAT, "reading a policy: it has control characters");
	while (!r && at < end) {
		char *feed = memchr(at, '\n', (size_t)(end - at));

		d->line++;
		if (!feed)
			return wrong(d, "it does not end with a line feed", NULL);
		*feed = '\0';
		r = read_line(d, at);
		at = feed + 1;
	}
	if (!r && !d->p->has_quorum)
		r = hps_error_set(d->err, HPS_E_FORMAT, "reading a policy: there is no quorum line");
	return r;
}

int hps_policy_read(const char *text, size_t len, struct hps_policy *ret, struct hps_error *err)
{
	struct reading d = { .p = ret, .err = err };
	_cleanup_free_ char *copy = NULL;
	int r;

	memset(ret, 0, sizeof *ret);
	if (len > HPS_POLICY_MAX)
		return hps_error_set(err, HPS_E_LIMIT, "reading a policy: %zu bytes are more than the %zu allowed", len, HPS_POLICY_MAX);
	copy = hps_strndup(len ? text : "", len);
	r = strlen(copy) == len ? read_lines(&d, copy, copy + len) : hps_error_set(err, HPS_E_FORMAT, "reading a policy: it has control characters");
	if (r)
		hps_policy_release(ret);
	return r;
}

/* Members are defined before their group, so this ends. */
static bool agrees(const struct hps_policy *p, const struct hps_policy_name *name, const uint64_t *times, uint64_t since)
{
	unsigned n = 0;

	if (!name->k)
		return times[name->key] && times[name->key] >= since;
	for (size_t i = 0; i < name->n_members; i++)
		n += agrees(p, &p->names[name->members[i]], times, since);
	return n >= name->k;
}

bool hps_policy_quorum(const struct hps_policy *p, const uint64_t *times, uint64_t since)
{
	return p->no_quorum || agrees(p, &p->names[p->quorum], times, since);
}

static int check_witnesses(const struct hps_policy *p, const uint64_t *times, uint64_t now, uint64_t max_age, struct hps_error *err)
{
	uint64_t since = max_age && now > max_age ? now - max_age : 0;
	size_t n = 0;

	for (size_t i = 0; i < p->n_keys; i++)
		n += !p->is_log[i] && times[i];
	if (!hps_policy_quorum(p, times, 0))
		return hps_error_set(err, HPS_E_SIGNATURE, "checking a checkpoint: %zu of the policy's %zu witnesses have cosigned it, which is not the quorum '%s'", n,
				     p->n_keys - p->n_logs, p->names[p->quorum].name);
	if (max_age && p->no_quorum)
		return hps_error_set(err, HPS_E_UNDECIDED, "checking a checkpoint: its age is not known, because the policy asks no witness");
	if (!hps_policy_quorum(p, times, since))
		return hps_error_set(err, HPS_E_FALSE, "checking a checkpoint: frozen: no quorum of witnesses has seen it within the last %llu seconds; a newer one may be kept back",
				     (unsigned long long)max_age);
	return 0;
}

/* The keys of the policy, and behind them those that its logs had before. */
static size_t all_keys(const struct hps_policy *p, struct hps_vkey ret[HPS_POLICY_KEYS_MAX + HPS_HANDOVERS_MAX])
{
	size_t n = p->n_keys;

	if (n)
		memcpy(ret, p->keys, n * sizeof *ret);
	for (size_t i = 0; i < p->n_keys; i++)
		for (const struct hps_vkey *v = p->keys[i].former; v && n < HPS_POLICY_KEYS_MAX + HPS_HANDOVERS_MAX; v = v->former)
			ret[n++] = *v;
	return n;
}

int hps_policy_check(const struct hps_policy *p, const char *note, size_t len, uint64_t now, uint64_t max_age, struct hps_checkpoint *ret, struct hps_error *err)
{
	struct hps_vkey known[HPS_POLICY_KEYS_MAX + HPS_HANDOVERS_MAX];
	uint64_t times[HPS_POLICY_KEYS_MAX + HPS_HANDOVERS_MAX];
	struct hps_checkpoint c = { NULL, 0, { { 0 } } };
	bool signed_by_log = false;
	size_t text_len;
	int r = hps_note_signers(note, len, known, all_keys(p, known), times, &text_len, err);

	if (!r)
		r = hps_checkpoint_parse(note, text_len, &c, err);
	if (r)
		return r;
	for (size_t i = 0; !signed_by_log && i < p->n_keys; i++) { /* by its key, or by a former one where that counts */
		struct hps_checkpoint again = { NULL, 0, { { 0 } } };

		signed_by_log = p->is_log[i] && !hps_checkpoint_open(note, len, &p->keys[i], &again, NULL);
		hps_checkpoint_release(&again);
	}
	if (!signed_by_log)
		r = hps_error_set(err, HPS_E_SIGNATURE, "checking a checkpoint: no log of the policy has signed it as '%s'", c.origin);
	else
		r = check_witnesses(p, times, now, max_age, err);
	if (r)
		hps_checkpoint_release(&c);
	else
		*ret = c;
	return r;
}
