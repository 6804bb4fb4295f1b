/* Rules over what the records say of machine and software. They judge what was recorded: where a fact does not apply (no container, no
 * card, no repository) there is nothing to judge. */
#include "audit/audit.h"

#include <stdlib.h>
#include <string.h>

static const json_t *identities_of(const struct hps_trial *t)
{
	const json_t *list = hps_json_at(hps_predicate(t->end), "identities", NULL);

	return json_array_size(list) ? list : NULL;
}

static const char *value_of(const struct hps_trial *t, const char *name)
{
	return hps_json_text(hps_trial_identity(t, name), "value");
}

static bool begins(const char *text, const char *start)
{
	return text && !strncmp(text, start, strlen(start));
}

/* ---- ENV-01 */

static const char *const image_digests[] = { "container.manifest", "container.config", "container.index", "container.repoDigest", "container.sif", "container.layer" };
/* A marker file alone is none: it stays in a machine that was made from an image. */
static const char *const container_signs[] = { "container.id", "container.engine", "container.sandbox", "container.image" };

static void judge_container(const struct hps_trial *t, struct hps_finding *f)
{
	const char *weak = NULL;
	bool inside = false;

	for (size_t i = 0; i < ARRAY_SIZE(container_signs); i++)
		inside |= value_of(t, container_signs[i]) != NULL;
	if (!inside)
		return;
	hps_finding_check(f);
	for (size_t i = 0; i < ARRAY_SIZE(image_digests); i++) {
		const char *strength = value_of(t, image_digests[i]) ? hps_json_text(hps_trial_identity(t, image_digests[i]), "strength") : NULL;

		if (strength && (!strcmp(strength, "observed") || !strcmp(strength, "engine-reported")))
			return;
		weak = strength ? image_digests[i] : weak;
	}
	if (weak)
		hps_finding_unknown(f, t->end, "%s is declared: the engine was not asked", weak);
	else
		hps_finding_unknown(f, t->end, "it ran in a container, and no digest of its image is recorded");
}

void hps_rule_container(const struct hps_model *m, const struct hps_verification *v, struct hps_finding *f)
{
	(void)v;
	for (size_t i = 0; i < m->n_trials; i++)
		judge_container(&m->trials[i], f);
}

/* ---- ENV-05 */

/* The first file that is not as its package brought it: heap, or NULL. */
static char *changed_in(const json_t *manifest)
{
	const json_t *item;
	size_t i;

	json_array_foreach(hps_json_at(manifest, "items", NULL), i, item) {
		const char *modified = json_string_value(json_array_get(json_object_get(item, "modified"), 0)), *path = hps_json_text(item, "path");
		const char *package = hps_json_text(item, "package"), *name = hps_json_text(item, "name");

		if (json_is_false(json_object_get(item, "pristine")))
			return hps_format("%s is not what %s brought", modified ? modified : path ? path : "a file", package ? package : name ? name : "its package");
	}
	return NULL;
}

struct changes {
	struct hps_map by_digest; /* heap text, or an empty one */
	struct hps_objects *objects;
};

static const char *changes_at(struct changes *c, const char *hex)
{
	void **slot = hps_map_slot(&c->by_digest, hex);
	_cleanup_json_ json_t *manifest = NULL;
	struct hps_digest digest;
	char *found;

	if (*slot)
		return *slot;
	if (!c->objects || hps_digest_parse(hex, &digest) || hps_objects_get_json(c->objects, &digest, &manifest, NULL))
		return NULL;
	found = changed_in(manifest);
	*slot = found ? found : hps_strdup("");
	return *slot;
}

static void judge_software(const struct hps_trial *t, struct changes *c, struct hps_finding *f)
{
	static const char *const manifests[] = { "libraries", "python" };

	if (!identities_of(t))
		return;
	hps_finding_check(f);
	for (size_t i = 0; i < ARRAY_SIZE(manifests); i++) {
		const char *hex = hps_trial_manifest(t, manifests[i]), *found = hex ? changes_at(c, hex) : "";

		if (!found)
			hps_finding_unknown(f, t->end, "the manifest of its %s cannot be read", manifests[i]);
		else if (*found)
			hps_finding_fail(f, t->end, "%s", found);
	}
}

void hps_rule_software(const struct hps_model *m, const struct hps_verification *v, struct hps_finding *f)
{
	struct changes c = { HPS_MAP_INIT, m->objects };

	(void)v;
	for (size_t i = 0; i < m->n_trials; i++)
		judge_software(&m->trials[i], &c, f);
	for (size_t i = 0; i < c.by_digest.n; i++)
		free(c.by_digest.items[i].value);
	hps_map_release(&c.by_digest);
}

/* ---- COD-03 */

static void judge_code(const struct hps_trial *t, struct hps_finding *f)
{
	const json_t *item;
	size_t i;

	if (!value_of(t, "git.commit"))
		return;
	hps_finding_check(f);
	json_array_foreach(identities_of(t), i, item) {
		const char *name = hps_json_text(item, "name"), *value = hps_json_text(item, "value");

		if (begins(name, "git.submodule.") && !value)
			hps_finding_fail(f, t->end, "%s: %s", name, hps_json_text(item, "why") ?: "not there");
		else if (begins(name, "git.submodule.") && strstr(value, "the commit wants"))
			hps_finding_fail(f, t->end, "%s: %s", name, value);
		else if (name && !strcmp(name, "git.lfs.pointer"))
			hps_finding_fail(f, t->end, "%s holds a pointer, not the content", value ?: "a file");
	}
}

void hps_rule_code(const struct hps_model *m, const struct hps_verification *v, struct hps_finding *f)
{
	(void)v;
	for (size_t i = 0; i < m->n_trials; i++)
		judge_code(&m->trials[i], f);
}

/* ---- HW-01, HW-02: cards */

#define CARDS_MAX 64

static const char *card_value(const struct hps_trial *t, unsigned card, const char *fact)
{
	_cleanup_free_ char *name = hps_format("gpu.%u.%s", card, fact);

	return value_of(t, name);
}

static bool card_opened(const struct hps_trial *t, unsigned card)
{
	const char *opened = card_value(t, card, "opened");

	return opened && !strcmp(opened, "true");
}

void hps_rule_cards(const struct hps_model *m, const struct hps_verification *v, struct hps_finding *f)
{
	(void)v;
	for (size_t i = 0; i < m->n_trials; i++) {
		const struct hps_trial *t = &m->trials[i];

		for (unsigned card = 0; card < CARDS_MAX; card++) {
			if (!card_opened(t, card))
				continue;
			hps_finding_check(f);
			if (!card_value(t, card, "uuid"))
				hps_finding_unknown(f, t->end, "card %u was opened, and which one it is, is not known", card);
			else if (!value_of(t, "gpu.driver") && !card_value(t, card, "driver"))
				hps_finding_unknown(f, t->end, "card %u was opened, and its driver's version is not known", card);
		}
	}
}

/* Clock event reasons of nvml.h that mean: slower than asked for, by heat or power failing. */
#define SLOWED (0x8u | 0x20u | 0x40u | 0x80u)

static bool number_of(const char *text, uint64_t *ret)
{
	return text && !hps_parse_u64(text, UINT64_MAX, ret);
}

static bool bits_of(const char *text, uint64_t *ret)
{
	char padded[17];
	uint8_t bytes[8];
	size_t n = begins(text, "0x") ? strlen(text + 2) : 0;

	if (!n || n > 16)
		return false;
	memset(padded, '0', 16);
	memcpy(padded + 16 - n, text + 2, n);
	padded[16] = '\0';
	if (hps_unhex(bytes, sizeof bytes, padded))
		return false;
	*ret = 0;
	for (size_t i = 0; i < sizeof bytes; i++)
		*ret = *ret << 8 | bytes[i];
	return true;
}

static void judge_state(const struct hps_trial *t, unsigned card, struct hps_finding *f)
{
	static const char *const counters[][2] = { { "before.eccUncorrected", "after.eccUncorrected" }, { "before.eccErrors", "after.eccErrors" } };
	const char *was = card_value(t, card, "before.uuid"), *is = card_value(t, card, "after.uuid");
	uint64_t before, after, reasons;

	for (size_t i = 0; i < ARRAY_SIZE(counters); i++)
		if (number_of(card_value(t, card, counters[i][0]), &before) && number_of(card_value(t, card, counters[i][1]), &after) && after > before)
			hps_finding_fail(f, t->end, "card %u counted %llu memory errors more when the trial had ended", card, (unsigned long long)(after - before));
	if (bits_of(card_value(t, card, "after.clockEventReasons"), &reasons) && reasons & SLOWED)
		hps_finding_fail(f, t->end, "card %u was slowed down by heat or for want of power", card);
	if (was && is && strcmp(was, is) != 0)
		hps_finding_fail(f, t->end, "card %u was another one when the trial had ended", card);
}

void hps_rule_card_errors(const struct hps_model *m, const struct hps_verification *v, struct hps_finding *f)
{
	(void)v;
	for (size_t i = 0; i < m->n_trials; i++)
		for (unsigned card = 0; card < CARDS_MAX; card++) {
			if (!card_opened(&m->trials[i], card))
				continue;
			hps_finding_check(f);
			judge_state(&m->trials[i], card, f);
		}
}

/* ---- HW-03 */

void hps_rule_processor(const struct hps_model *m, const struct hps_verification *v, struct hps_finding *f)
{
	static const char *const needed[] = { "cpu.model", "cpu.microcode", "cpu.isa", "limits.cores", "limits.memoryBytes" };

	(void)v;
	for (size_t i = 0; i < m->n_trials; i++) {
		const struct hps_trial *t = &m->trials[i];

		if (!identities_of(t))
			continue;
		hps_finding_check(f);
		for (size_t k = 0; k < ARRAY_SIZE(needed); k++) {
			const json_t *row = hps_trial_identity(t, needed[k]);
			bool explained = row || (begins(needed[k], "limits.") && hps_trial_identity(t, "limits")) || hps_json_text(hps_trial_identity(t, "cpu.model"), "why");

			if (!explained)
				hps_finding_fail(f, t->end, "%s is neither recorded nor explained", needed[k]);
		}
	}
}
