/* Random numbers that a library takes from the processor: from the kernel instead, whose are answered. libstdc++'s std::random_device
 * calls RDRAND or RDSEED in these members (GCC's src/c++11/random.cc), which programs find by name. */
#include "shim/shim.h"

#include <sys/syscall.h>
#include <unistd.h>

unsigned hps_shim_random(void *device) __asm__("_ZNSt13random_device9_M_getvalEv");
unsigned hps_shim_random_old(void *device) __asm__("_ZNSt13random_device16_M_getval_pretr1Ev");

EXPORT unsigned hps_shim_random(void *device)
{
	unsigned value = 0;

	(void)device;
	hps_shim_attach();
	while (syscall(SYS_getrandom, &value, sizeof value, 0) != (long)sizeof value)
		;
	return value;
}

EXPORT unsigned hps_shim_random_old(void *device)
{
	return hps_shim_random(device);
}
