/* Equivalence of a metric over several reruns: two one-sided tests (Schuirmann 1987). Equivalent only when the whole 90 % interval of the
 * mean difference lies within the margin that was declared. */
#include "replay/replay.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* P(T <= t) of Student's t with v degrees of freedom, v whole: the finite sums of Abramowitz and Stegun, 26.7.3 and 26.7.4. */
static double student(double t, unsigned v)
{
	double angle = atan2(t, sqrt(v)), c2 = v / (v + t * t), term, sum = 0;

	if (v % 2) {
		term = t / sqrt(v) * c2; /* sin * cos */
		for (unsigned k = 3; k <= v; k += 2) {
			sum += term;
			term *= c2 * (k - 1) / k;
		}
		return 0.5 + (angle + sum) / M_PI;
	}
	term = t / sqrt(v + t * t);
	for (unsigned k = 2; k <= v; k += 2) {
		sum += term;
		term *= c2 * (k - 1) / k;
	}
	return 0.5 + sum / 2;
}

double hps_student_quantile(double p, unsigned degrees)
{
	double low = 0, high = 1e4;

	for (int i = 0; i < 200; i++) {
		double middle = (low + high) / 2;

		*(student(middle, degrees) < p ? &low : &high) = middle;
	}
	return (low + high) / 2;
}

void hps_equivalence_test(const double *v, size_t n, double reference, double margin, struct hps_equivalence *ret)
{
	double mean = 0, squares = 0, half;

	*ret = (struct hps_equivalence){ .n = n, .reference = reference, .margin = margin };
	for (size_t i = 0; i < n; i++)
		mean += v[i] / (double)n;
	for (size_t i = 0; i < n; i++)
		squares += (v[i] - mean) * (v[i] - mean);
	ret->mean = mean;
	ret->enough = n >= HPS_EQUIVALENCE_MIN && isfinite(mean) && isfinite(squares);
	if (!ret->enough)
		return;
	ret->deviation = sqrt(squares / (double)(n - 1));
	half = hps_student_quantile(0.95, (unsigned)(n - 1)) * ret->deviation / sqrt((double)n);
	ret->low = mean - reference - half;
	ret->high = mean - reference + half;
	ret->equivalent = ret->low > -margin && ret->high < margin;
}
