/* Numbers written as text: recognised strictly, compared exactly. A double would call 0.1 and 0.10000000000000000001 the same. */
#include "replay/compare/compare.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const char *const words[] = { "NaN", "Infinity", "-Infinity" };

static size_t digits(const char *text, size_t len, size_t at)
{
	size_t start = at;

	while (at < len && text[at] >= '0' && text[at] <= '9')
		at++;
	return at - start;
}

size_t hps_number_length(const char *text, size_t len)
{
	size_t at = len && text[0] == '-', n, end;

	for (size_t i = 0; i < ARRAY_SIZE(words); i++)
		if (len >= strlen(words[i]) && !memcmp(text, words[i], strlen(words[i])))
			return strlen(words[i]);
	n = digits(text, len, at);
	if (!n || (n > 1 && text[at] == '0'))
		return 0;
	at += n;
	if (at < len && text[at] == '.') {
		n = digits(text, len, at + 1);
		if (!n)
			return at;
		at += 1 + n;
	}
	if (at < len && (text[at] == 'e' || text[at] == 'E')) {
		end = at + 1 + (at + 1 < len && (text[at + 1] == '+' || text[at + 1] == '-'));
		n = digits(text, len, end);
		if (n)
			return end + n;
	}
	return at;
}

static bool is_word(const struct hps_token *t)
{
	return t->len && (t->text[0] == 'N' || t->text[t->len - 1] == 'y');
}

bool hps_number_integer(const struct hps_token *t)
{
	size_t sign = t->len && t->text[0] == '-';

	return t->len > sign && digits(t->text, t->len, sign) == t->len - sign;
}

/* A number as digits without leading and trailing zeros, times a power of ten. The digits stay where they are written, so
 * reading one skips the point. */
struct decimal {
	bool negative;
	const char *first, *last; /* significant digits, both included; NULL for zero */
	int64_t exponent;	  /* of the last digit */
	bool absurd;		  /* the exponent is too long to be counted with */
};

#define EXPONENT_ABSURD (INT64_MAX / 100)

static int64_t read_exponent(const char *text, size_t len)
{
	bool negative = len && text[0] == '-';
	int64_t value = 0;

	for (size_t i = len && (text[0] == '-' || text[0] == '+'); i < len && value < EXPONENT_ABSURD; i++)
		value = value * 10 + (text[i] - '0');
	return negative ? -value : value;
}

static struct decimal read_decimal(const struct hps_token *t)
{
	struct decimal d = { .negative = t->text[0] == '-' };
	const char *e = memchr(t->text, 'e', t->len), *end = t->text + t->len, *point;
	int64_t after = 0;

	e = e ? e : memchr(t->text, 'E', t->len);
	if (e) {
		d.exponent = read_exponent(e + 1, (size_t)(end - e - 1));
		d.absurd = llabs(d.exponent) >= EXPONENT_ABSURD;
		end = e;
	}
	point = memchr(t->text, '.', (size_t)(end - t->text));
	for (const char *p = t->text; p < end; p++) {
		if (*p >= '1' && *p <= '9') {
			d.first = d.first ? d.first : p;
			d.last = p;
		}
	}
	if (!d.first)
		return (struct decimal){ .negative = d.negative };
	/* digits between the last significant one and the end, the point not counted: each is a power of ten */
	after = end - d.last - 1;
	if (point && point > d.last)
		after = point - d.last - 1;
	else if (point)
		after = -(int64_t)(d.last - point);
	d.exponent += after;
	return d;
}

static bool same_digits(const struct decimal *a, const struct decimal *b)
{
	const char *p = a->first, *q = b->first;

	while (p <= a->last && q <= b->last) {
		if (*p == '.')
			p++;
		if (*q == '.')
			q++;
		if (*p++ != *q++)
			return false;
	}
	return p > a->last && q > b->last;
}

bool hps_number_same(const struct hps_token *a, const struct hps_token *b)
{
	struct decimal x, y;

	if (a->len == b->len && !memcmp(a->text, b->text, a->len))
		return true;
	if (is_word(a) || is_word(b))
		return false;
	x = read_decimal(a);
	y = read_decimal(b);
	if (x.absurd || y.absurd || x.negative != y.negative || !x.first != !y.first)
		return false;
	return !x.first || (x.exponent == y.exponent && same_digits(&x, &y));
}

double hps_number_value(const struct hps_token *t)
{
	char small[64];
	_cleanup_free_ char *large = NULL;
	char *text = small;

	if (is_word(t))
		return t->text[0] == 'N' ? (double)NAN : t->text[0] == '-' ? -(double)INFINITY : (double)INFINITY;
	if (t->len >= sizeof small)
		text = large = hps_strndup(t->text, t->len);
	else {
		memcpy(small, t->text, t->len);
		small[t->len] = '\0';
	}
	return strtod(text, NULL); /* the grammar is checked and the locale is C: main() never calls setlocale() */
}
