#!/bin/sh
# What a rerun is given besides files: clocks (level 3), numeric knobs (level 1), limits, niceness, processors, the process id.
. "${HPS_SOURCE:?}/tests/lib.sh"
new_ledger
mkdir w
cd w || exit 99
again() { hps-replay --json "$@" "$(cat "$T/id")" >"$T/out" 2>"$T/err"; }
verdict() { json "$T/out" "j['verdict'], j['level']"; }
hole() { json "$T/out" "[h['why'] for h in j['holes'] if h['what'] == '$1']"; }
not_same() { json "$T/out" "[(o['path'].split('/')[-1], o['verdict'], o.get('place'), o.get('original'), o.get('rerun')) for o in j['outputs'] if o['verdict'] != 'IDENTICAL']"; }

# ---- clocks
cat >clocks.c <<'C'
#define _GNU_SOURCE
#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <sys/times.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
static long long read_all(long long sum)
{
	struct timespec t;
	struct timeval v;
	struct tms m;
	struct rusage r;
	for (int c = 0; c <= 7; c++)
		if (!clock_gettime(c, &t))
			sum = sum * 31 + t.tv_sec * 1000000000LL + t.tv_nsec;
	gettimeofday(&v, NULL);
	getrusage(RUSAGE_SELF, &r);
	timespec_get(&t, TIME_UTC);
	sum += times(&m);
	return ((sum * 31 + v.tv_usec + time(NULL)) * 31 + clock() + m.tms_utime + r.ru_maxrss + r.ru_minflt) * 31 + t.tv_nsec;
}
static void *in_thread(void *arg)
{
	long long *sum = arg;
	for (int i = 0; i < 20000; i++) {
		struct timespec t;
		clock_gettime(CLOCK_MONOTONIC, &t);
		*sum = *sum * 31 + t.tv_nsec;
	}
	return arg;
}
int main(void)
{
	long long sums[5] = { 0 };
	struct timespec until, before, after;
	pthread_t threads[4];
	FILE *f = fopen("clocks.out", "w");
	sem_t never;
	for (int i = 0; i < 4; i++)
		pthread_create(&threads[i], NULL, in_thread, &sums[i]);
	for (int i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	sums[4] = read_all(0);
	for (int i = 0; i < 5; i++)
		fprintf(f, "%llx\n", sums[i]);
	sem_init(&never, 0, 0); /* deadlines are of the clock that was told */
	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_nsec += 20000000;
	if (until.tv_nsec >= 1000000000) { until.tv_sec++; until.tv_nsec -= 1000000000; }
	sem_timedwait(&never, &until);
	clock_gettime(CLOCK_MONOTONIC, &before);
	until = before;
	until.tv_nsec += 20000000;
	if (until.tv_nsec >= 1000000000) { until.tv_sec++; until.tv_nsec -= 1000000000; }
	clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL);
	clock_gettime(CLOCK_MONOTONIC, &after);
	fprintf(f, "slept %ld\n", after.tv_nsec - before.tv_nsec);
	fflush(f);
	for (int i = 0; i < 3; i++)
		if (!fork()) {
			char name[20];
			snprintf(name, sizeof name, "child%d.out", i);
			FILE *g = fopen(name, "w");
			fprintf(g, "%llx %d\n", read_all(0), getppid() == getpid());
			fclose(g);
			_exit(0);
		}
	while (wait(NULL) > 0)
		;
	fprintf(f, "%d\n", getpid());
	return fclose(f);
}
C
ok "clocks: built" gcc -O1 -pthread -o clocks clocks.c
ok "clocks: recorded" hps-record -q --level 3 --id-file "$T/id" -- ./clocks
is "clocks: recorded whole, of every program" "$(rec "[t['clocks'][k] for k in ('mode', 'whole', 'programs', 'without', 'other')], t['clocks']['streams'] >= 8")" "(['record', True, 1, 0, 0], True)"
is "clocks: the record is complete, and says its level" "$(rec "t['coverage']['complete'], t['buildDefinition']['internalParameters']['options']['level']")" "(True, 3)"
cp clocks.out "$T/was"
rm -f ./*.out
again
is "clocks: every reading is answered, in threads and children, too" "$(verdict) $(not_same)" "('REPRODUCED-BITS', 'L3') []"
like "clocks: they are no longer among what is not controlled" "$(json "$T/out" "[u for u in j['uncontrolled'] if u == 'clocks'], j['uncontrolled']")" "^\(\[\], .*RDTSC"
again --level 2
like "clocks: at level 2 they are not" "$(verdict)" "DIVERGED.*L2"
start=$(date +%s)
again
is "clocks: deadlines end" "$(($(date +%s) - start < 60))" 1

cat >budget.py <<'P'
import time
end, n = time.monotonic() + 0.2, 0
while time.monotonic() < end: n += 1
print(n, time.time(), time.perf_counter(), time.process_time(), time.strftime("%c"))
P
ok "budget: recorded" sh -c 'hps-record -q --level 3 --id-file "$T/id" -- /usr/bin/python3 budget.py >budget.log'
again
is "budget: as many steps" "$(verdict) $(not_same)" "('REPRODUCED-BITS', 'L3') []"

# More readings than were recorded: they go on, and the verdict says so.
cat >more.py <<'P'
import os, time
seen = [time.monotonic() for i in range(int(open("n").read()))]
open("more.out", "w").write(str(seen == sorted(seen)))
P
echo 3 >n
echo 3000 >n2
ok "more: recorded" hps-record -q --level 3 --id-file "$T/id" -- /usr/bin/python3 more.py
again --substitute "$T/w/n=$T/w/n2"
is "more: clocks go on forward" "$(json "$T/out" "[(o['path'].split('/')[-1], o['verdict']) for o in j['outputs']]")" "[('more.out', 'IDENTICAL')]"
like "more: it is said how often" "$(verdict) $(hole clocks)" "L0.*the rerun read them 299[0-9] times more"

# Whoever leaves the library behind is named.
ok "env -i: recorded" hps-record -q --level 3 --id-file "$T/id" -- env -i ./clocks
is "env -i: named in the record" "$(rec "t['clocks']['without'], [p.split('/')[-1] for p in t['clocks']['withoutNames']]")" "(1, ['clocks'])"
again
like "env -i: and in the verdict" "$(verdict) $(hole clocks)" "L2.*1 programs of the trial and 1 of the rerun did not load.*clocks'"

# A trial whose clocks were not recorded gets their start.
ok "date: recorded" sh -c 'hps-record -q --id-file "$T/id" -- date +%F-%H >date.log'
again --level 3
is "date: the day is that of the record" "$(json "$T/out" "j['verdict'], j['level']")" "('REPRODUCED-BITS', 'L2')"
like "date: that it is no more than the start is said" "$(hole clocks)" "went on from when the trial started"

# Random numbers of the processor, as libstdc++ takes them.
cp "$HPS_SOURCE/tests/trials/t22_random_device.cc" .
mkdir out
ok "random_device: built" g++ -O2 -o t22 t22_random_device.cc
ok "random_device: recorded" hps-record -q --level 3 --id-file "$T/id" -- ./t22 out
again
is "random_device: answered" "$(verdict) $(not_same)" "('REPRODUCED-BITS', 'L3') []"

# Seeds from time and process id.
ok "R: recorded" hps-record -q --level 3 --id-file "$T/id" -- Rscript -e 'cat(runif(3), Sys.getpid(), format(Sys.time(), "%OS6"), "\n", file = "r.out")'
again
is "R: an unseeded trial" "$(verdict) $(not_same)" "('REPRODUCED-BITS', 'L3') []"

# ---- surroundings
cat >around.py <<'P'
import os, resource
print(os.getpid(), os.nice(0), sorted(os.sched_getaffinity(0)), resource.getrlimit(resource.RLIMIT_NOFILE)[0], resource.getrlimit(resource.RLIMIT_STACK), resource.getrlimit(resource.RLIMIT_CORE)[0])
P
last=$(($(getconf _NPROCESSORS_ONLN) - 1))
ok "surroundings: recorded" sh -c "ulimit -S -n 777; ulimit -S -s 4096; ulimit -c 0; nice -n 3 taskset -c $last hps-record -q --id-file \"\$T/id\" -- /usr/bin/python3 around.py >around.log"
is "surroundings: in the record" "$(rec "[t['buildDefinition']['externalParameters']['surroundings'][k] for k in ('nice', 'processors')], t['buildDefinition']['externalParameters']['surroundings']['limits']['openFiles'][0]")" "([$(($(nice) + 3)), '$last'], '777')"
again
is "surroundings: as they were" "$(verdict) $(not_same)" "('REPRODUCED-BITS', 'L2') []"

cat >numbers.py <<'P'
import os
print(os.open("numbers.py", 0), os.open("numbers.py", 0), os.path.exists("/proc/self/fd/7"))
P
ok "descriptors: recorded with some more" sh -c 'hps-record -q --id-file "$T/id" -- /usr/bin/python3 numbers.py >numbers.log 4</dev/zero 7</dev/null'
is "descriptors: in the record" "$(rec "[n for n in t['buildDefinition']['externalParameters']['surroundings']['descriptors'] if n < 9]")" "[4, 7]"
again
is "descriptors: what the trial opens has its numbers" "$(verdict) $(not_same) $(cut -c1-8 numbers.log)" "('REPRODUCED-BITS', 'L2') [] 3 5 True"
like "descriptors: that they are others is said" "$(hole descriptors)" "the trial had inherited 4, 7.*; in the rerun that is /dev/null"
for n in 2 1024 x; do
	status "descriptors: not at $n" 125 hps-record --descriptor "$n" -- true
done

cat >tty.py <<'P'
import os, shutil, sys
open("tty.out", "w").write(repr(([os.isatty(i) for i in range(3)], os.get_terminal_size(1), sys.stdin.read(), os.path.exists("/dev/tty") and os.open("/dev/tty", os.O_RDWR) > 0)))
print("seen")
P
ok "terminal: recorded" sh -c 'printf "\004" | script -qec "stty rows 31 cols 97; hps-record -q --id-file $T/id -- /usr/bin/python3 tty.py" /dev/null'
like "terminal: it had one" "$(cat tty.out)" "True, True, True.*columns=97, lines=31"
again --keep kept
is "terminal: and has one again" "$(verdict) $(not_same)" "('REPRODUCED-BITS', 'L2') []"
like "terminal: what it says there is kept" "$(cat kept/stdout)" "^seen"

# ---- numeric knobs
ok "portable: recorded" sh -c 'unset OPENBLAS_CORETYPE; hps-record -q --portable --id-file "$T/id" -- env >env.log'
is "portable: pinned, and said" "$(grep -cE '^(OPENBLAS_CORETYPE=Haswell|OMP_NUM_THREADS=[1-9]|PYTHONHASHSEED=0)$' env.log) $(rec "'OPENBLAS_CORETYPE' in t['buildDefinition']['internalParameters']['options']['portable'], t['buildDefinition']['externalParameters']['environment']['PYTHONHASHSEED']")" "3 (True, '0')"
ok "portable: what is set stays" sh -c 'OMP_NUM_THREADS=7 hps-record -q --portable --id-file "$T/id" -- env | grep -qx OMP_NUM_THREADS=7'
is "portable: … and is not called ours" "$(rec "'OMP_NUM_THREADS' in t['buildDefinition']['internalParameters']['options']['portable']")" False

status "bad level: recorder" 125 hps-record --level 9 -- true
like "bad level: said" "$(cat "$T/err")" "there are 1, 2, 3 and 4"
status "bad level: replayer" 2 hps-replay --level 9 "$(cat "$T/id")"
status "bad clocks" 125 hps-record --clocks-from clocks.c -- true
like "bad clocks: said" "$(cat "$T/err")" "no list of clocks that a recorder wrote"
# ---- the process id of the first program's parent, which bash mixes into $RANDOM
ok "parent's process id: recorded" sh -c 'hps-record -q --id-file "$T/id" -- sh -c "echo \$PPID >ppid" </dev/null; rm -f ppid.was; mv ppid ppid.was'
again --keep parent
is "parent's process id: it is the recorder's" "$(verdict) $(cat "parent/files$T/w/ppid")" "('REPRODUCED-BITS', 'L2') $(cat ppid.was)"
ok "RANDOM: recorded" hps-record -q --level 3 --id-file "$T/id" -- bash -c 'echo $RANDOM $RANDOM >random.out'
again
is "RANDOM: the same" "$(verdict) $(not_same)" "('REPRODUCED-BITS', 'L3') []"
ok "where the ledger is: recorded" hps-record -q --id-file "$T/id" -- sh -c 'echo "$HPS_LEDGER" >where.out'
again
is "where the ledger is: the same" "$(verdict) $(not_same)" "('REPRODUCED-BITS', 'L2') []"

# ---- for people: the level, what it leaves open, and what would not
ok "for people: recorded" hps-record -q --id-file "$T/id" -- sh -c 'date +%N | md5sum >nanoseconds'
status "for people: diverges" 1 hps-replay "$(cat "$T/id")"
like "for people: the level" "$(cat "$T/out")" "^  level L2$"
like "for people: what it leaves open" "$(sed -n '/^not controlled at level L2:$/,/^$/p' "$T/out")" "^  clocks$"
like "for people: what would answer it" "$(cat "$T/out")" "recorded with --level 2; 'hps-record --level 4'"
ok "for people: recorded at level 4" hps-record -q --level 4 --id-file "$T/id" -- sh -c 'date +%N | md5sum >nanoseconds'
status "for people: at level 4 it reproduces" 0 hps-replay "$(cat "$T/id")"
like "for people: at level 4, the level" "$(cat "$T/out")" "^  level L4$"
unlike "for people: at level 4, nothing more" "$(cat "$T/out")" "not controlled|hps-record"
ok "ledger: verifies" hps-ledger verify
done_testing
