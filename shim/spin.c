/* The C library's lock that one waits for in memory: at level 4 whoever has it gets a turn meanwhile. */
#include "shim/shim.h"

#include <pthread.h>

EXPORT int pthread_spin_lock(pthread_spinlock_t *lock)
{
	while (pthread_spin_trylock(lock))
		if (hps_shim.ordered)
			hps_shim_order_yield();
		else
			__builtin_ia32_pause();
	return 0;
}
