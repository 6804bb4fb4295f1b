#!/bin/sh
# The order of threads and processes (level 4): it follows from what they do, and what gave it up is said.
. "${HPS_SOURCE:?}/tests/lib.sh"
new_ledger
mkdir w
cd w || exit 99
again() { hps-replay --json "$@" "$(cat "$T/id")" >"$T/out" 2>"$T/err"; }
verdict() { json "$T/out" "j['verdict'], j['level']"; }
hole() { json "$T/out" "[h['why'] for h in j['holes'] if h['what'] == '$1']"; }
not_same() { json "$T/out" "[(o['path'].split('/')[-1], o['verdict'], o.get('place'), o.get('original'), o.get('rerun')) for o in j['outputs'] if o['verdict'] != 'IDENTICAL']"; }

cat >order.py <<'P'
import os, queue, subprocess, threading, time
from multiprocessing import Pool
out, q = [], queue.Queue()
def sleeper(i):
    for k in range(3):
        time.sleep(0.004 * (i + 1))
        out.append(f"{i}{k}")
def racer(i):
    global n
    for k in range(20000): n = n + 1
    q.put(i)
def work(i): return i, os.urandom(2).hex(), sum(k * k for k in range(i % 7 * 3000))
n = 0
if __name__ == "__main__":
    for f in sleeper, racer:
        threads = [threading.Thread(target=f, args=(i,)) for i in range(4)]
        [t.start() for t in threads]
        [t.join() for t in threads]
    out += [str(n), *(str(q.get()) for i in range(4)), str(threading.Event().wait(0.01))]
    out.append(subprocess.run(["sh", "-c", "(sleep 0.02; echo b) & (sleep 0.01; echo a) & wait; seq 500 | sort -r | tail -1"], capture_output=True, text=True).stdout)
    p = Pool(3)
    out += [str(x) for x in p.imap_unordered(work, range(40))]
    p.close()
    p.join()
    with Pool(2) as p: # whose workers are killed at the end
        out += [str(x) for x in p.imap_unordered(work, range(40))]
    open("order.out", "w").write("\n".join(out))
P
ok "order: recorded" hps-record -q --level 4 --id-file "$T/id" -- /usr/bin/python3 order.py
is "order: one thread at a time, to the end" "$(rec "t['clocks']['turnsTaken'], t['clocks']['outOfTurn'], t['coverage']['complete']")" "(0, 0, True)"
again
is "order: of threads, queues, sleeps and processes" "$(verdict) $(not_same)" "('REPRODUCED-BITS', 'L4') []"
# How often it asks for memory, and what its standard output is, differ in the rerun: nothing may follow from that.
ok "order: recorded with a variable that is withheld, and into a pipe" sh -c 'LONG_TOKEN=$(head -c 5000 /dev/zero | tr "\0" x) hps-record -q --level 4 --id-file "$T/id" -- /usr/bin/python3 order.py | cat'
again
is "order: the same in another environment" "$(verdict) $(not_same)" "('REPRODUCED-BITS', 'L4') []"
# Twenty times: that a pool comes out right once says little.
n=0
i=0
cp "$HPS_SOURCE/tests/trials/t19_budget.py" .
mkdir out
ok "pool: recorded" hps-record -q --level 4 --id-file "$T/id" -- /usr/bin/python3 t19_budget.py out
while [ $((i += 1)) -le "$([ -n "${HPS_TEST_FULL:-}" ] && echo 20 || echo 3)" ]; do
	again
	[ "$(verdict)" = "('REPRODUCED-BITS', 'L4')" ] && n=$((n + 1)) || note "$(verdict) $(not_same)"
done
is "pool: whose workers are killed, every time" "$n" $((i - 1))
ok "signals: recorded" hps-record -q --level 4 --id-file "$T/id" -- "$HPS_TRACEES/order_signals"
is "signals: all was in somebody's turn" "$(rec "t['clocks']['turnsTaken'], t['clocks']['outOfTurn']")" "(0, 0)"
is "signals: do what they do elsewhere" "$(grep -v steps signals.out | tr '\n' ',')" "aborts 1 6 seen 0,killed 1 9 seen 0,ends 1 f seen 0,sleep -1 4,one 1 100 seen 1,read -1 4,two 1 100 seen 2,read again 1,three 1 100 seen 3,suspend 1 100 seen 4,wait 12 1,four 1 100 seen 4,wait -1 11,told 1 f seen 1,pipe 1 d seen 2,"
again
is "signals: come at the same step of others" "$(verdict) $(not_same)" "('REPRODUCED-BITS', 'L4') []"
ok "locks: recorded" timeout 60 hps-record -q --level 4 --id-file "$T/id" -- "$HPS_TRACEES/order_locks"
is "locks: nobody kept the turn, or waited without it" "$(rec "t['clocks'].get('stoodStill'), t['clocks']['turnsTaken'], t['clocks']['outOfTurn']") $(tr -d '\n' <order.out | wc -c)" "(None, 0, 0) 600"
again
is "locks: had in the same order" "$(verdict) $(not_same)" "('REPRODUCED-BITS', 'L4') []"
cp "$HPS_SOURCE/tests/trials/t16_race.c" .
ok "race: built" gcc -O0 -pthread -o t16 t16_race.c
ok "race: recorded" hps-record -q --level 4 --id-file "$T/id" -- ./t16 out
is "race: nobody lost a step" "$(cat out/count.txt)" "total 6000000"
again
is "race: and again" "$(verdict) $(not_same)" "('REPRODUCED-BITS', 'L4') []"
again --level 3
like "race: at level 3 the order is not kept, and the verdict says so" "$(json "$T/out" "j['level']") $(hole 'the order of threads and processes')" "L3.*only the trial ran one thread at a time"
cat >spin.c <<'C'
#include <pthread.h>
#include <stdio.h>
#include <unistd.h>
#include <signal.h>
#include <sys/wait.h>
static volatile int seen;
static void *wait_for(void *arg) { while (!seen) usleep(100); return arg; } /* asks on and on */
static void on_child(int s) { seen = s; }
int main(void)
{
	pthread_t t;
	char c;
	int p[2];
	FILE *f = fopen("spin.out", "w");
	pthread_create(&t, NULL, wait_for, NULL);
	signal(SIGCHLD, on_child);
	pipe(p);
	if (!vfork()) { execlp("sh", "sh", "-c", "echo x >&2; exit 3", NULL); _exit(9); }
	if (!fork()) { static char big[200000]; close(p[0]); write(p[1], big, sizeof big); _exit(4); }
	close(p[1]);
	pthread_join(t, NULL);
	for (long n = 0; ; n++) if (read(p[0], &c, 1) != 1) { fprintf(f, "%ld\n", n); break; }
	for (int s; wait(&s) > 0; ) fprintf(f, "%d\n", WEXITSTATUS(s));
	return fclose(f);
}
C
ok "spin: built" gcc -w -O1 -pthread -o spin spin.c
ok "spin: recorded" hps-record -q --level 4 --id-file "$T/id" -- ./spin
again
is "spin: who asks on and on, vforks, gets signals, fills pipes" "$(verdict) $(not_same)" "('REPRODUCED-BITS', 'L4') []"
# It stood still: a forked child took its parent's thread, which was over, for its own one of the same name, and waited for that with the turn.
cat >namesake.c <<'C'
#include <pthread.h>
#include <stdio.h>
#include <unistd.h>
#include <sys/wait.h>
static void *work(void *arg) { usleep(1000); return arg; }
static void one(void) { pthread_t t; pthread_create(&t, NULL, work, NULL); pthread_join(t, NULL); }
int main(void)
{
	pthread_t t;
	pthread_create(&t, NULL, work, NULL);
	if (!fork()) { one(); _exit(0); }
	pthread_join(t, NULL);
	wait(NULL);
	one();
	return fclose(fopen("namesake.out", "w"));
}
C
ok "namesake: built" gcc -w -O1 -pthread -o namesake namesake.c
ok "namesake: a thread of the name of its parent's is another one" timeout 20 hps-record -q --level 4 --id-file "$T/id" -- ./namesake
ok "static: built" gcc -w -O1 -static -pthread -o static spin.c
ok "static: recorded, it does not wait for it" timeout 60 hps-record -q --level 4 --id-file "$T/id" -- sh -c './static & wait'
like "static: it is said" "$(rec "t['clocks']['turnsTaken'] > 0, t['clocks']['without']")" "True, 1"
# Who waits in memory for a thread that has no turn would stand still for ever. The order is given up, and it is said why.
for how in flag counter; do
	ok "standstill: a $how: recorded, to its end" timeout 60 hps-record -q --level 4 --id-file "$T/id" -- "$HPS_TRACEES/order_spin" $how
	is "standstill: a $how: in the record" "$(rec "[t['clocks']['stoodStill'].get(k) for k in ('how', 'thread', 'call')], t['clocks']['stoodStill']['seconds'] >= 2")" "(['spins', 'impatient', 'prctl'], True)"
done
again
like "standstill: the verdict names thread and call, and no level 4" "$(verdict) $(hole 'the order of threads and processes')" "^\('REPRODUCED-BITS', 'L3'\) \[.it was given up: thread 'impatient' of the trial had the turn for [0-9]+ s without a call after 'prctl', and waited in memory"
ok "standstill: recorded without an order" hps-record -q --level 3 --id-file "$T/id" -- "$HPS_TRACEES/order_spin" flag
again --level 4
like "standstill: a rerun gives way, too" "$(verdict)" "^\('REPRODUCED-BITS', 'L3'\)$"
is "standstill: at level 3 nobody does" "$(rec "t['clocks'].get('stoodStill'), t['clocks'].get('turnsTaken')")" "(None, None)"
# The control: who computes as long as that is left alone.
ok "standstill: who computes: recorded" hps-record -q --level 4 --id-file "$T/id" -- "$HPS_TRACEES/order_spin" work "${HPS_TEST_FULL:+10}45"
is "standstill: who computes keeps the turn" "$(rec "t['clocks'].get('stoodStill'), t['clocks']['turnsTaken'], t['clocks']['outOfTurn']") $(cut -c1-6 spin.out)" "(None, 0, 0) flag 0"
if [ -n "${HPS_TEST_FULL:-}" ]; then
	ok "standstill: a FIFO: recorded" timeout 60 hps-record -q --level 4 --id-file "$T/id" -- "$HPS_TRACEES/order_spin" fifo
	is "standstill: a FIFO: the call that waited without the turn" "$(rec "t['clocks'].get('stoodStill'), t['clocks']['outOfTurn'], t['clocks']['outOfTurnFirst']")" "(None, 1, 'openat')"
fi
# Both records hold a digest of the order: a rerun that leaves the same, but lets another process go between, has not kept it.
cat >isrerun <<'S'
case $(cat /proc/1/comm) in hps-replay*) exit 0 ;; esac
exit 1
S
ok "another order: recorded" hps-record -q --level 4 --id-file "$T/id" -- sh -c 'if sh isrerun; then (:) & fi; wait; echo x >y'
again
is "another order: the outputs are the same, the level is less" "$(verdict)" "('REPRODUCED-BITS', 'L3')"
like "another order: it is said" "$(hole 'the order of threads and processes')" "one at a time in both runs, but in another order: [0-9]+ turns with calls in the trial, [0-9]+ in the rerun"
ok "another order: control: recorded" hps-record -q --level 4 --id-file "$T/id" -- sh -c 'if sh isrerun; then :; fi; (:) & wait; echo x >y'
again
is "another order: control" "$(verdict) $(hole 'the order of threads and processes')" "('REPRODUCED-BITS', 'L4') []"
ok "ledger: verifies" hps-ledger verify
done_testing
