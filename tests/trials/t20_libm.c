/* A chaotic map over the C library's functions: the last bit of any of them decides. build: cc -O2 t20_libm.c -o t20 -lm; out: map.txt */
#include <math.h>
#include <stdio.h>
int main(int c, char **v)
{
	double x = 0.3, sum = 0;
	char path[512];
	for (int i = 1; i < 200000; i++) {
		x = fabs(sin(x * 3.7 + pow(1.0001, i % 1000)) * exp(-x / 9));
		sum += log1p(x) * tanh(x);
	}
	snprintf(path, sizeof path, "%s/map.txt", c > 1 ? v[1] : "out");
	FILE *f = fopen(path, "w");
	return !f || fprintf(f, "x %.17g sum %.17g\n", x, sum) < 0 || fclose(f);
}
