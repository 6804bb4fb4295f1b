/* Long work, shown on a terminal. */
#include "core/core.h"

#include <unistd.h>

#define FIRST_NS 1000000000
#define EVERY_NS 200000000

void hps_progress_start(struct hps_progress *p, const char *label, uint64_t total)
{
	*p = (struct hps_progress){ .label = label, .total = total, .started_ns = hps_time_monotonic_ns(), .tty = isatty(STDERR_FILENO) == 1 };
}

void hps_progress_update(struct hps_progress *p, uint64_t done)
{
	int64_t now, spent;
	double rate;

	if (!p->tty)
		return;
	now = hps_time_monotonic_ns();
	spent = now - p->started_ns;
	if (spent < FIRST_NS || now - p->shown_ns < EVERY_NS)
		return;
	p->shown_ns = now;
	rate = (double)done / ((double)spent / 1e9);
	fprintf(stderr, "\r\033[K%s: %llu", p->label, (unsigned long long)done);
	if (p->total)
		fprintf(stderr, " of %llu", (unsigned long long)p->total);
	fprintf(stderr, ", %.0f/s", rate);
	if (p->total && rate > 0 && done < p->total)
		fprintf(stderr, ", %.0f s left", (double)(p->total - done) / rate);
	fflush(stderr);
}

void hps_progress_end(struct hps_progress *p)
{
	if (p->shown_ns)
		fprintf(stderr, "\r\033[K");
}
