/* Locks of the C library that the kernel gives, that are waited for in memory, and that several have at a time, held while others have their turn.
 * order.out says in which order three threads had them. */
#include <pthread.h>
#include <stdio.h>
#include <stdatomic.h>
#include <sched.h>
static pthread_mutex_t m; static pthread_spinlock_t sp; static pthread_barrier_t b; static pthread_rwlock_t rw = PTHREAD_RWLOCK_INITIALIZER; static pthread_cond_t c = PTHREAD_COND_INITIALIZER;
static pthread_mutex_t plain = PTHREAD_MUTEX_INITIALIZER;
static char order[100000]; static int n; static int turn;
static void *work(void *arg) { int id = (int)(long)arg;
 for (int i = 0; i < 50; i++) {
  pthread_mutex_lock(&m); order[n++] = 'a' + id; sched_yield(); pthread_mutex_unlock(&m);
  pthread_spin_lock(&sp); order[n++] = 'A' + id; if (i % 10 == 0) sched_yield(); pthread_spin_unlock(&sp);
  pthread_barrier_wait(&b);
  pthread_rwlock_wrlock(&rw); order[n++] = '0' + id; pthread_rwlock_unlock(&rw);
  pthread_mutex_lock(&plain); while (turn != id) pthread_cond_wait(&c, &plain); turn = (turn + 1) % 3; order[n++] = '.'; pthread_cond_broadcast(&c); pthread_mutex_unlock(&plain);
 } return 0; }
int main(void) { pthread_t t[3]; pthread_mutexattr_t a; pthread_mutexattr_init(&a); pthread_mutexattr_setprotocol(&a, PTHREAD_PRIO_INHERIT); pthread_mutex_init(&m, &a);
 pthread_spin_init(&sp, 0); pthread_barrier_init(&b, 0, 3);
 for (long i = 0; i < 3; i++) pthread_create(&t[i], 0, work, (void *)i);
 for (int i = 0; i < 3; i++) pthread_join(t[i], 0);
 FILE *f = fopen("order.out", "w"); fputs(order, f); return fclose(f); }
