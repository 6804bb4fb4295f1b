/* From the unit interval, or a grid step, to a parameter's value as text. */
#include "search/decide/decide.h"

#include <assert.h>
#include <inttypes.h>

static double clamp(double x, double low, double high)
{
	return x < low ? low : x > high ? high : x;
}

static double between(const struct hps_parameter *p, double low, double high, double u)
{
	double from, to;

	if (!p->log)
		return clamp(low + u * (high - low), p->low, p->high);
	from = hps_log(low);
	to = hps_log(high);
	return clamp(hps_exp(from + u * (to - from)), p->low, p->high);
}

/* Half away from zero; |x| < 2^53, so the conversion is exact. */
static int64_t nearest(double x)
{
	int64_t whole = (int64_t)x;
	double rest = x - (double)whole;

	return rest >= 0.5 ? whole + 1 : rest <= -0.5 ? whole - 1 : whole;
}

static char *float_text(double x)
{
	char text[HPS_DOUBLE_LEN];

	hps_double_format(x, text);
	return hps_strdup(text);
}

static char *int_text(int64_t x)
{
	return hps_format("%" PRId64, x);
}

/* Each integer owns the part of the scale from half below to half above it, on a log scale too. */
static char *int_at(const struct hps_parameter *p, double u)
{
	int64_t offset;

	if (p->log)
		return int_text(nearest(between(p, p->low - 0.5, p->high + 0.5, u)));
	offset = (int64_t)(u * (p->high - p->low + 1));
	return int_text((int64_t)clamp(p->low + (double)offset, p->low, p->high));
}

static char *choice_at(const struct hps_parameter *p, double u)
{
	size_t i = (size_t)(u * (double)p->texts.n);

	return hps_strdup(p->texts.v[i < p->texts.n ? i : p->texts.n - 1]);
}

char *hps_parameter_at(const struct hps_parameter *p, double u)
{
	switch (p->kind) {
	case HPS_FLOAT:
		return float_text(between(p, p->low, p->high, u));
	case HPS_INT:
		return int_at(p, u);
	case HPS_CHOICE:
		break;
	}
	return choice_at(p, u);
}

uint64_t hps_parameter_n_steps(const struct hps_parameter *p)
{
	if (p->texts.n)
		return p->texts.n;
	if (p->steps || p->kind != HPS_INT)
		return p->steps;
	return (uint64_t)(p->high - p->low) + 1;
}

char *hps_parameter_step(const struct hps_parameter *p, uint64_t step)
{
	double x;

	assert(step < hps_parameter_n_steps(p));
	if (p->texts.n)
		return hps_strdup(p->texts.v[step]);
	if (!p->steps)
		return int_text((int64_t)p->low + (int64_t)step);
	/* The ends are exact: no logarithm there. */
	x = step == 0 ? p->low : step == p->steps - 1 ? p->high : between(p, p->low, p->high, (double)step / (double)(p->steps - 1));
	return p->kind == HPS_INT ? int_text(nearest(x)) : float_text(x);
}
