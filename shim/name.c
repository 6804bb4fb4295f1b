/* A number that stands for several, in their order. */
#include "shim/shim.h"

/* splitmix64's finaliser (Steele, Lea, Flood 2014). */
uint64_t hps_shim_name(uint64_t parent, uint64_t kind, uint64_t ordinal)
{
	uint64_t x = parent ^ (kind << 56) ^ (ordinal * 0x9e3779b97f4a7c15ull);

	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ull;
	x = (x ^ (x >> 27)) * 0x94d049bb133111ebull;
	return x ^ (x >> 31);
}
