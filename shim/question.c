/* Who asks on and on for what only another thread can bring: the same few questions, with the same answers. Not who makes many calls: how many
 * a program makes follows from much that is not the same in a rerun. */
#include "shim/order.h"

#include <sys/syscall.h>

#define PATIENCE 251	     /* odd, or it might always be the same question */
#define PATIENCE_CALLS 65521 /* in one turn, whatever they are */

/* What a program's allocator wants depends on the length of its environment and on what its descriptors are: nothing may follow from that. */
static bool is_of_memory(long nr)
{
	return nr == SYS_mmap || nr == SYS_munmap || nr == SYS_mremap || nr == SYS_mprotect || nr == SYS_madvise || nr == SYS_brk;
}

bool hps_question_again(const struct hps_stop *s, long answer)
{
	struct shim_thread *me = &hps_shim_thread;
	uint64_t question = (uint64_t)s->nr, i = 0;

	if (is_of_memory(s->nr))
		return false;
	for (size_t k = 0; k < 3; k++)
		question = hps_shim_name(question, k, (uint64_t)s->a[k]);
	question = hps_shim_name(question, 3, (uint64_t)answer);
	while (i < SHIM_QUESTIONS && me->questions[i] != question)
		i++;
	me->repeated = i < SHIM_QUESTIONS ? me->repeated + 1 : 0;
	if (i == SHIM_QUESTIONS)
		me->questions[me->n_questions++ % SHIM_QUESTIONS] = question;
	return me->repeated >= PATIENCE || ++me->calls >= PATIENCE_CALLS;
}
