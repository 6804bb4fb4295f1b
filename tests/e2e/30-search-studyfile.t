#!/bin/sh
# Study files and decisions: what hps-search says about a file, and that the decision half is what it claims to be: pure, the same
# under every optimisation, and the same as a second implementation.
. "${HPS_SOURCE:?}/tests/lib.sh"

study() {
	cat <<YAML
hps: 1
study: s
command: [run, "{lr} {w} {act} {m} {n}"]
space:
  lr: {type: float, low: 1e-5, high: 0.1, log: true$2}
  w: {type: int, low: 1, high: 512, log: true$2}
  act: {type: choice, of: [relu, tanh, logistic]}
  m: {type: float, low: -3.5, high: 1e6$2}
  n: {type: int, low: -10, high: 100000$2}
metrics: {loss: {goal: min}}
search: {sampler: $1, seed: 20260102$3}
$4
YAML
}
study random '' '' 'budget: {trials: 2000}' >random.yaml
study sobol '' '' 'budget: {trials: 2000}' >sobol.yaml
study grid ', steps: 5' '' '' >grid.yaml
study list '' ', trials: [{lr: 1e-3, w: 7, act: tanh, m: 0, n: 0}, {lr: 0.1, w: 512, act: relu, m: -3.5, n: -10}]' '' >list.yaml

# ---- what people are told

status "check: a good file" 0 hps-search check sobol.yaml
is "check: says what is in it" "$(sed 's/specification [0-9a-f]*/specification X/' out)" \
	"study 's': 5 parameters, sampler sobol, 2000 trials, 1 at a time, specification X"
cp out good
{ printf '\357\273\277'; cat sobol.yaml; } >marked.yaml
status "check: the same with a byte order mark" 0 hps-search check marked.yaml
is "check: … is the same study" "$(cat out)" "$(cat good)"
sed 's/sampler/sampelr/' sobol.yaml >bad.yaml
status "check: a typo is exit 2" 2 hps-search check bad.yaml
is "check: a typo has its place and the nearest key" "$(cat err)" "hps-search: bad.yaml:11:10: unknown key 'sampelr' in 'search': did you mean 'sampler'?"
status "run: the same typo, before the ledger is touched" 2 hps-search run bad.yaml --ledger "$T/none"
is "run: … with the same words" "$(cat err)" "hps-search: bad.yaml:11:10: unknown key 'sampelr' in 'search': did you mean 'sampler'?"
ok "run: … and no ledger is made" test ! -e none
status "check: a file that is not there" 4 hps-search check nothing.yaml
like "check: … is named" "$(cat err)" "^hps-search: reading the study file: .*'nothing.yaml'.*No such file or directory"
printf 'hps: 1\nstudy: "\033[31mred"\n' >bad.yaml
status "check: control characters are refused" 2 hps-search check bad.yaml
is "check: … and not sent to the terminal" "$(tr -d -c '\033' <err)" ""
status "plan: without a seed there is none" 2 sh -c 'sed "s/, seed: 20260102//" sobol.yaml >drawn.yaml; exec hps-search plan drawn.yaml'
like "plan: … and the next step is told" "$(cat err)" "give --seed"
is "plan: --seed stands for the drawn one" "$(hps-search plan --seed 20260102 drawn.yaml | sha256sum)" "$(hps-search plan sobol.yaml | sha256sum)"

# ---- the manual

awk '/^\.Bd -literal/ { n++; on = (n == 1); next } /^\.Ed/ { on = 0 } on' "$HPS_SOURCE/docs/man/hps-study.5" >manual.yaml
status "manual: its first example is a study" 0 hps-search check manual.yaml
is "manual: … and the demo's, but for the interpreter" "$(hps-search check --json manual.yaml)" \
	"$(hps-search check --json "$HPS_SOURCE/tests/demo/study.yaml" | sed 's,/usr/bin/python3,python3,')"
ok "manual: hps-study(5) is clean mdoc" sh -c "mandoc -Tlint -W warning '$HPS_SOURCE/docs/man/hps-study.5' | { ! grep . ; }"

# ---- the second implementation

for sampler in random sobol grid list; do
	hps-search check --json $sampler.yaml >$sampler.json
	hps-search plan $sampler.yaml >$sampler.plan
	/usr/bin/python3 "$HPS_SOURCE/tests/e2e/search-oracle.py" $sampler.json "$(printf '%064x' 20260102)" >$sampler.oracle
	sed -E 's/ [a-z]+=/ /g' $sampler.plan >$sampler.values
	ok "oracle: $sampler agrees byte for byte" cmp $sampler.values $sampler.oracle
done
is "oracle: it had something to compare" "$(cat random.plan sobol.plan grid.plan list.plan | wc -l)" 5877
sed -i 's/"low":"0.00001"/"low":"0.00001000000000001"/' sobol.json
/usr/bin/python3 "$HPS_SOURCE/tests/e2e/search-oracle.py" sobol.json "$(printf '%064x' 20260102)" >other.oracle
not_ok "oracle: a bound that differs by 1e-12 of itself is seen" cmp -s sobol.values other.oracle

# ---- purity: what the decision objects ask of the world, and what they keep

pure='math philox sobol scale decide sampler_random sampler_sobol sampler_grid sampler_list'
objects=$(for noun in $pure; do echo "$HPS_BUILD/search/decide/$noun.o"; done)
known='hps_[a-z0-9_]+|memcpy|strcmp|strlen|__assert_fail|__stack_chk_fail|_GLOBAL_OFFSET_TABLE_|__(asan|ubsan)_[a-z0-9_]+'
# What they may call of core/: memory, text and numbers; and of search/: one another.
core='hps_alloc|hps_realloc|hps_strdup|hps_format|hps_double_format|hps_strv_(add|add_take|release)'
undefined() {
	nm --undefined-only "$@" | awk '$1 == "U" {print $2}' | sort -u
}
defined() {
	nm --defined-only "$@" | awk 'NF == 3 {print $3}' | sort -u
}
impure() {
	undefined "$@" | grep -vE "^($known)$"
	# shellcheck disable=SC2046
	undefined "$@" | grep '^hps_' | grep -vE "^($core)$" | grep -vxF "$(defined $objects)"
}
# shellcheck disable=SC2086
is "pure: no clock, no file, no libm, no thread" "$(impure $objects | tr '\n' ' ')" ""
# shellcheck disable=SC2086
is "pure: nothing writable is kept" "$(nm --defined-only $objects | awk 'NF == 3 && $2 ~ /^[DdBbC]$/ {print $3}' | grep -vE '^(__a?san|_ubsan|\.L|\.data\.rel|__odr)|^hps_samplers$' | tr '\n' ' ')" ""
cat >impure.c <<'C'
#include <math.h>
#include <time.h>
double hps_impure(double x);
double hps_impure(double x) { return exp(x) + (double)time(0); }
C
gcc -c -O2 -o impure.o impure.c
is "pure: the check sees a clock and libm" "$(impure impure.o | tr '\n' ' ')" "exp time "

# ---- the same bytes from every compilation

rest=$(find "$HPS_BUILD/search" -name '*.o' | grep -vE "/($(echo "$pure" | tr ' ' '|'))\.o$")
compiled() {
	rm -f other
	# shellcheck disable=SC2046,SC2086
	gcc -std=gnu17 -D_GNU_SOURCE "$@" -I"$HPS_SOURCE/include" -I"$HPS_SOURCE" -pthread $san -o other \
		$(for noun in $pure; do echo "$HPS_SOURCE/search/decide/$noun.c"; done) $rest "$HPS_BUILD/libhps.a" \
		$(make -s -C "$HPS_SOURCE" libs) >compile.log 2>&1 || note "$(cat compile.log)"
	for sampler in random sobol grid; do ./other plan $sampler.yaml; done
}
cat random.plan sobol.plan grid.plan >all.plan
fma=$(grep -qw fma /proc/cpuinfo && echo -mfma)
for flags in "-O0" "-O3" "-O3 $fma -funroll-loops" "-Os"; do
	# shellcheck disable=SC2086
	compiled $flags -ffp-contract=off >other.plan
	ok "compiled with $flags: the same decisions" cmp all.plan other.plan
done
if [ -n "$fma" ]; then
	compiled -O3 -mfma -ffp-contract=fast >other.plan
	is "compiled with contraction: as many decisions" "$(wc -l <other.plan)" "$(wc -l <all.plan)"
	not_ok "compiled with contraction: the difference is seen" cmp -s all.plan other.plan
else
	skip "compiled with contraction: the difference is seen" "this CPU has no fused multiply-add"
fi

done_testing
