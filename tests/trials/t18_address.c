/* Orders things by where they are in memory, and reads a heap block that nobody wrote. build: cc -O0 t18_address.c -o t18; out: order.txt */
#include <stdio.h>
#include <stdlib.h>
#include <stdint.h>
#include <string.h>
int main(int c, char **v)
{
	char path[512];
	uintptr_t stack = (uintptr_t)path, code = (uintptr_t)&main, heap;
	unsigned char *p = malloc(4096), *q;
	for (int i = 0; i < 4096; i += 8) memcpy(p + i, &p, 8);
	heap = (uintptr_t)p;
	free(p);
	q = malloc(4096);
	unsigned sum = 0;
	for (int i = 0; i < 4096; i++) sum = sum * 31 + q[i];
	snprintf(path, sizeof path, "%s/order.txt", c > 1 ? v[1] : "out");
	FILE *f = fopen(path, "w");
	return !f || fprintf(f, "bucket %u %u %u stale %u\n", (unsigned)(stack >> 4) % 97, (unsigned)(code >> 12) % 97, (unsigned)(heap >> 4) % 97, sum) < 0 || fclose(f);
}
