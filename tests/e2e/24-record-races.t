#!/bin/sh
# Programs that change names while they are opened, or interrupt calls: the record says what was really opened.
set -u
. "${HPS_SOURCE:?}/tests/lib.sh"
new_ledger
n=1000 m=100
[ -z "${HPS_TEST_FULL:-}" ] || n=20000 m=2000
mkdir flips
/usr/bin/python3 - "$n" <<'END'
import sys
for i in range(int(sys.argv[1])):
    for letter in "ab":
        with open("flips/%s%05d" % (letter, i), "w") as f:
            f.write("%s%05d" % (letter, i))
END
cat >compare.py <<'END'
import subprocess, sys
folder, report, trial = sys.argv[1:4]
opened = {l.strip() for l in open(report)}
out = subprocess.run([sys.executable, sys.argv[4], sys.argv[5], trial,
                      "[p.rsplit('/', 1)[1] for p, m in materials.items() if p.startswith('%s/') and m['type'] == 'file']" % folder], capture_output=True, text=True, check=True).stdout
recorded = set(eval(out))
print("opened", len(opened), "swapped", sum(o[0] == "b" for o in opened) > 0, "unrecorded", len(opened - recorded), "invented", len(recorded - opened))
END
# On a busy machine a flipper may not run at the right moment: tried until it has. usage: flips UNTIL RECORDER HOW [again]
flips() {
	i=0
	until [ $((i += 1)) -gt 20 ]; do
		"$2" -q --capture none --id-file id -- "$HPS_TRACEES/flip" "$3" "$T/flips" "$n" report ${4:-}
		/usr/bin/python3 compare.py "$T/flips" report "$(cat id)" "$HPS_SOURCE/tests/e2e/record.py" "$T/ledger" >out
		grep -q "$1" out && break
	done
	cat out
}
for how in thread vm left adopted; do
	is "flips by a $how: the record is what was opened" "$(flips 'swapped True' hps-record $how)" "opened $n swapped True unrecorded 0 invented 0"
done
is "flips: no gap" "$(rec gaps)" "{}"
for how in vm thread; do
	is "flips by a $how, after a failed exec of the same program" "$(flips 'swapped True' hps-record $how again)" "opened $n swapped True unrecorded 0 invented 0"
done
is "a failed exec of the same program: no process" "$(rec "len(processes)")" 1
ok "negative control: a recorder that believes every name" sh "$HPS_SOURCE/tests/broken.sh" hps-record recorder/target.c \
	'/^bool hps_target_stable/,/^{/s/^{/{ return true;/' "$T/believer"
unlike "negative control: … is fooled" "$(flips 'unrecorded [1-9]' "$T/believer" thread)" "unrecorded 0"

mkdir execs
cp "$HPS_TRACEES/execflip" execs/a
cp "$HPS_TRACEES/execflip" execs/b
counts() { # counts REPORT: how often each ran, as the kernel says and as the record says
	sort "$1" | uniq -c | tr -s ' ' | tr '\n' ';'
	rec "[p['program'] for p in processes if p['argv'][0] == 'child']" | tr -d "[]' " | tr , '\n' | sort | uniq -c | tr -s ' ' | tr '\n' ';'
}
flip_execs() { # flip_execs UNTIL RECORDER
	i=0
	until [ $((i += 1)) -gt 20 ]; do
		rm -f ran
		"$2" -q --capture none --id-file id -- "$HPS_TRACEES/execflip" "$T/execs" "$m" "$T/ran"
		counts ran | sed 's/^\(.*;\)\1$/same \1/' >out
		grep -q "$1" out && break
	done
	cat out
}
like "flipped programs: the record is what ran" "$(flip_execs 'execs/a;.*execs/b;' hps-record)" "^same .*execs/a;.*execs/b;"
ok "negative control: a recorder that does not ask what runs" sh "$HPS_SOURCE/tests/broken.sh" hps-record recorder/exec.c \
	's/if (!same_file(e->exe_dev, .*/if (0)/' "$T/believer"
unlike "negative control: … is fooled" "$(flip_execs '^ ' "$T/believer")" "^same"

mkdir excl
status "signals: no call happens twice" 0 hps-record -q --capture none -- "$HPS_TRACEES/excl" "$T/excl" 3000
is "signals: none existed" "$(cat out)" 0

# Two processes: one reads a name again and again, the other moves other files there. Each content read is on record.
mkdir two
cat >reader.py <<'END'
import os
seen = set()
while not os.path.exists("two/end"):
    try:
        with open("two/x") as f:
            seen.add(f.read())
    except FileNotFoundError:
        pass
open("two/seen", "w").write("\n".join(sorted(seen)))
END
cat >mover.py <<'END'
import os
for i in range(300):
    with open("two/new", "w") as f:
        f.write("content %d" % i)
    os.rename("two/new", "two/x")
open("two/end", "w").close()
END
status "renames beside a reader: run" 0 hps-record -q --id-file id -- sh -c '/usr/bin/python3 reader.py & /usr/bin/python3 mover.py; wait'
is "renames beside a reader: the name is a product, no input" "$(/usr/bin/python3 "$HPS_SOURCE/tests/e2e/record.py" "$T/ledger" "$(cat id)" "'$T/two/x' in products, '$T/two/x' in materials, gaps")" "(True, False, {})"
done_testing
