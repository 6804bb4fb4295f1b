/* What the two records do not know, and what that does to the verdict. The names are those of docs/FORMATS.md ("coverage"). */
#include "replay/replay.h"

#include <string.h>

static const struct {
	const char *what;
	enum hps_blindness blindness;
} gaps[] = {
	{ "io_uring was asked for and refused", HPS_BLIND_NOTHING },
	{ "a file was to be opened by handle and this was refused", HPS_BLIND_NOTHING },
	{ "a call or program of another ABI (i386, x32) was refused", HPS_BLIND_NOTHING },
	{ "files were opened under another root, namespace or user", HPS_BLIND_OUTPUTS },
	{ "a process could not be read", HPS_BLIND_OUTPUTS },
	{ "a device, terminal or pipe was opened by a process with several threads", HPS_BLIND_OUTPUTS },
	{ "a network connection was made", HPS_BLIND_NOTHING },
	{ "a socket of another program was connected to", HPS_BLIND_NOTHING },
	{ "a file changed while it was read", HPS_BLIND_INPUTS },
	{ "a file could not be hashed", HPS_BLIND_OUTPUTS },
	{ "a directory has too many names", HPS_BLIND_INPUTS },
	{ "the content of a file could not be stored", HPS_BLIND_NOTHING },
	{ "a process was still running when the record was closed", HPS_BLIND_NOTHING },
	{ "a file of metrics could not be used", HPS_BLIND_OUTPUTS },
	{ "a signal could interrupt an intercepted call", HPS_BLIND_NOTHING },
	{ "the trial could have sent signals to the recorder", HPS_BLIND_NOTHING },
	{ "facts about the machine were not gathered", HPS_BLIND_NOTHING },
	{ "an executed program's name or arguments are not certain", HPS_BLIND_INPUTS },
	{ "the recorder ran out of descriptors or memory", HPS_BLIND_OUTPUTS },
	{ "how a process ended was not seen", HPS_BLIND_NOTHING },
	{ "random numbers were not answered from the recorded stream", HPS_BLIND_NOTHING },
	{ "more connections were made than are listed", HPS_BLIND_NOTHING },
	{ "an open was left to the kernel", HPS_BLIND_OUTPUTS },
	{ "a file lies deeper than a path can say", HPS_BLIND_OUTPUTS },
	{ "a file was changed that has names outside of the record", HPS_BLIND_OUTPUTS },
};

/* A gap that this version does not know may hide anything. */
enum hps_blindness hps_gap_blindness(const char *what)
{
	for (size_t i = 0; i < ARRAY_SIZE(gaps); i++)
		if (!strcmp(gaps[i].what, what))
			return gaps[i].blindness;
	return HPS_BLIND_OUTPUTS;
}

void hps_coverage_check(const json_t *coverage, const char *whose, struct hps_holes *ret, enum hps_blindness *worst, char **ret_first)
{
	const json_t *gap, *list = hps_json_at(coverage, "gaps", NULL);
	size_t i;

	json_array_foreach((json_t *)(uintptr_t)list, i, gap) {
		const char *what = hps_json_text(gap, "what"), *why = hps_json_text(gap, "why");
		enum hps_blindness blindness = hps_gap_blindness(what ? what : "");
		_cleanup_free_ char *text = hps_format("%s: %s", whose, why ? why : "");

		hps_hole_add(ret, what ? what : "coverage", text);
		if (blindness == HPS_BLIND_OUTPUTS && !*ret_first)
			*ret_first = hps_format("%s: %s", whose, what ? what : "a gap without a name");
		*worst = blindness > *worst ? blindness : *worst;
	}
	if (json_is_true(hps_json_at(coverage, "complete", NULL)) || json_array_size(list))
		return;
	hps_hole_add(ret, "coverage", "the record does not say what it did not see");
	*worst = HPS_BLIND_OUTPUTS;
	if (!*ret_first)
		*ret_first = hps_format("%s: it is not said what", whose);
}
