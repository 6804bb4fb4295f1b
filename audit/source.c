/* A model from a ledger: verify, then read all that can be read. The only file but main.c that has a ledger handle. */
#include "audit/audit.h"

#include <stdlib.h>

struct reading {
	struct hps_model *model;
	uint64_t next; /* index of the first entry that was not read */
};

static int take_entry(const struct hps_entry *entry, void *arg, struct hps_error *err)
{
	struct reading *r = arg;

	(void)err;
	hps_model_add(r->model, entry);
	r->next = entry->index + 1;
	return 0;
}

/* An entry that cannot be read is noted and stepped over: the others still have something to say. */
static void read_entries(struct hps_ledger *l, struct hps_model *m)
{
	uint64_t size = hps_ledger_size(l);
	struct reading r = { m, 0 };

	while (r.next < size) {
		_cleanup_error_ struct hps_error err = HPS_ERROR_INIT;
		struct hps_filter filter = HPS_FILTER_ANY;

		filter.from_index = r.next;
		if (hps_ledger_each(l, &filter, take_entry, &r, &err) >= 0)
			return;
		hps_model_add_unread(m, r.next++, err.message ?: "it cannot be read");
	}
}

static bool recorder_lives(void *arg, const char *begin_id)
{
	return hps_lease_held(arg, begin_id);
}

int hps_source_open(const char *ledger_option, const char *study, const struct hps_verify_options *verify, struct hps_source *ret,
		    struct hps_error *err)
{
	_cleanup_error_ struct hps_error opening = HPS_ERROR_INIT;
	struct hps_source s = { .model = HPS_MODEL_INIT };
	int r;

	s.dir = hps_ledger_path(ledger_option);
	r = hps_ledger_verify(s.dir, verify, &s.verification, err);
	/* Rules over the part that could be read would call the rest damaged. */
	if (!r && s.verification.n_unread && s.verification.n_unread == s.verification.n_problems)
		r = hps_error_set(err, HPS_E_UNDECIDED, "not all of the ledger '%s' can be read here (%s); 'hps-ledger verify' names each place", s.dir, s.verification.problems[0].what);
	if (r < 0) {
		hps_source_release(&s);
		return r;
	}
	r = hps_ledger_open_verified(s.dir, verify->trust, &s.verification, &s.ledger, &opening);
	if (r < 0 && !s.verification.n_problems) {
		hps_error_set(err, r, "%s", opening.message);
		hps_source_release(&s);
		return r;
	}
	if (s.ledger) {
		s.objects = s.model.objects = hps_ledger_objects(s.ledger);
		read_entries(s.ledger, &s.model);
	}
	r = hps_model_link(&s.model, study, err);
	if (r < 0) {
		hps_source_release(&s);
		return r;
	}
	if (s.ledger)
		hps_model_mark_running(&s.model, recorder_lives, s.ledger);
	if (!r)
		hps_model_mark_spooled(&s.model, hps_spool_has);
	*ret = s;
	return 0;
}

void hps_source_release(struct hps_source *s)
{
	hps_model_release(&s->model);
	hps_ledger_close(s->ledger);
	hps_verification_release(&s->verification);
	free(s->dir);
	*s = (struct hps_source){ 0 };
}
