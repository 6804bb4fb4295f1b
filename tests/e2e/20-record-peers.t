#!/bin/sh
# What other tracers see of real programs is in our record: every file that strace or reprozip saw opened, every program that they saw
# run. What may be lacking, and why, is in record-peers.py. `make check-full` takes all 31 programs.
set -u
. "${HPS_SOURCE:?}/tests/lib.sh"
new_ledger
go=/usr/bin/go
mkdir goprog
cat >goprog/main.go <<'END'
package main

import (
	"os"
	"sync"
)

func main() {
	var all sync.WaitGroup
	for _, name := range os.Args[1:] {
		all.Add(1)
		go func(name string) {
			defer all.Done()
			text, _ := os.ReadFile(name)
			os.WriteFile("out."+name, text, 0644)
		}(name)
	}
	all.Wait()
}
END
ok "a static Go program is built" env HOME="$T" GOCACHE="$T/gocache" GO111MODULE=off CGO_ENABLED=0 $go build -o gostatic goprog/main.go
cat >setup.sh <<'END'
printf '#include "b.h"\nint main(void) { return b() - 7; }\n' >a.c
printf 'int b(void);\n' >b.h
printf '#include "b.h"\nint b(void) { return 7; }\n' >b.c
printf 'a: a.o b.o\n\t$(CC) -o $@ $^\n%%.o: %%.c b.h\n\t$(CC) -c -o $@ $<\n' >Makefile
for i in 1 2 3 4 5 6 7 8; do echo "input $i" >input$i; done
mkdir -p tree/sub; cp input? tree/sub; ln -s sub tree/link
git init -q repo && cp a.c b.h repo && cd repo && git add . &&
GIT_AUTHOR_DATE=2020-02-02T02:02:02Z GIT_COMMITTER_DATE=2020-02-02T02:02:02Z git -c user.name=a -c user.email=a@example.org commit -q -m one
END
cat >short <<END
shell pipeline: find . -name 'input*' | sort | xargs cat | sed s/input/output/ | awk '{ print \$2 }' | tee sum | wc -l; sort -o sum sum
git clone: git clone -q repo copy && git -C copy log --oneline && git -C copy status
make: make -j2 && ./a
static Go: $T/gostatic input1 input2 input3 input4
training: exec /usr/bin/python3 -c 'from sklearn.linear_model import SGDClassifier; from sklearn.datasets import load_digits; import numpy; x, y = load_digits(return_X_y=True); m = SGDClassifier(max_iter=5, random_state=1).fit(x[:300], y[:300]); numpy.save("weights.npy", m.coef_)' 2>/dev/null
R: R --vanilla --slave -e 'x <- read.table("input1"); m <- lm(dist ~ speed, cars); write.csv(coef(m), "coef.csv"); saveRDS(m, "m.rds")'
END
cat >long <<END
tar: tar czf t.tgz tree && mkdir un && tar xzf t.tgz -C un && rm t.tgz
cp: cp -a tree tree2 && cp --preserve=all input1 input9 && mv input9 input10
sed: sed -i s/input/other/ input1 input2 && grep -r other . | head -3
perl: perl -MData::Dumper -MPOSIX -e 'open F, "<input1"; open G, ">perl.out"; print G Dumper(<F>), floor(1.5)'
openssl: openssl genpkey -algorithm ed25519 -out key && openssl pkey -in key -pubout -out pub
xargs: ls input* | xargs -n1 -P4 sha256sum >sums; sha256sum -c sums
git gc: cd repo && git gc -q && git fsck && git checkout -q -b other && git merge -q HEAD
patch: cp input1 new && echo more >>new; diff input1 new >d; cat d
workers: exec /usr/bin/python3 -c 'import multiprocessing as m; p = m.get_context("spawn").Pool(2); print(p.map(len, [open("input1").read()] * 4)); p.close(); p.join()'
fork workers: exec /usr/bin/python3 -c 'import concurrent.futures as f; print(list(f.ProcessPoolExecutor(2).map(abs, range(9))))'
zip: /usr/bin/python3 -m zipfile -c z.zip input1 input2 && /usr/bin/python3 -m zipfile -e z.zip out && /usr/bin/python3 -m compileall -q out
sqlite: /usr/bin/python3 -c 'import sqlite3; c = sqlite3.connect("db"); c.execute("create table t(x)"); c.execute("insert into t values (1)"); c.commit()' && ls
threads: exec /usr/bin/python3 -c 'import threading; [threading.Thread(target=lambda i=i: open("t%d" % i, "w").write(open("input%d" % i).read())).start() for i in range(1, 9)]'
go build: env HOME=$T GOCACHE=$T/place/gocache GO111MODULE=off CGO_ENABLED=0 $go vet $T/goprog/main.go
END
cat >loader.py <<'END'
import torch
class Lengths(torch.utils.data.Dataset):
    def __len__(self): return 8
    def __getitem__(self, i): return torch.tensor(float(len(open("input%d" % (i + 1)).read())))
print([batch.tolist() for batch in torch.utils.data.DataLoader(Lengths(), batch_size=2, num_workers=2)])
END
cat >all.js <<'END'
const fs = require("fs"), { Worker } = require("worker_threads");
fs.writeFileSync("o", fs.readFileSync("input1"));
console.log(require("child_process").execSync("cat input2").toString());
new Worker('require("fs").writeFileSync("w", require("fs").readFileSync("input3"))', { eval: true });
fs.createReadStream("input4").pipe(fs.createWriteStream("s"));
fs.cpSync("tree", "copied", { recursive: true });
END
cat >study.py <<'END'
import optuna
optuna.logging.set_verbosity(optuna.logging.ERROR)
study = optuna.create_study(storage="sqlite:///o.db", sampler=optuna.samplers.TPESampler(seed=1))
study.optimize(lambda trial: trial.suggest_float("x", 0, 1) ** 2, n_trials=5)
print(study.best_value)
END
cat >>long <<END
awk: awk '{ print > ("out." \$2) } END { while (("sort input1 input2" | getline line) > 0) print line; print "x" | "cat >made" }' input1 input2 && awk -f /dev/stdin input3 </dev/null
rsync: rsync -a --checksum tree/ tree2/ && rsync -a --link-dest=\$PWD/tree tree/ tree3/ && rsync -a --delete tree/sub/ tree2/
zip and unzip: zip -qr t.zip tree && unzip -q t.zip -d un && zip -qd t.zip tree/sub/input1
sqlite with a log: sqlite3 w.db 'pragma journal_mode=wal; create table t(x); insert into t values (1)' && sqlite3 w.db 'select * from t' '.backup b.db'
node: node $T/all.js
R in parallel: Rscript -e 'library(parallel); x <- mclapply(1:8, function(i) readLines(sprintf("input%d", i)), mc.cores = 2); writeLines(unlist(x), "r.out"); c <- makeCluster(2); print(unlist(parLapply(c, 1:4, function(i) i * i))); stopCluster(c)'
loader with workers: exec /usr/bin/python3 $T/loader.py
optuna: exec /usr/bin/python3 $T/study.py
cmake: mkdir b; printf 'cmake_minimum_required(VERSION 3.10)\\nproject(x C)\\nadd_executable(x a.c b.c)\\n' >CMakeLists.txt; cmake -S . -B b >log && cmake --build b -j2 >>log && b/x
several languages: cat input* | perl -ne 'print if /input/' | awk '{print \$2}' | /usr/bin/python3 -c 'import sys; print(sum(map(int, sys.stdin)))' | node -e 'process.stdin.on("data", d => require("fs").writeFileSync("m", d))' && Rscript -e 'cat(readLines("m"))' && sed -n 1p m
bash: bash -c 'exec 4<>input6; read -u 4 a; echo more >&4; mapfile t <input7; { coproc cat input3; }; cat <(cat input2) >bb; wait'
END
[ -z "${HPS_TEST_FULL:-}" ] || cat long >>short
compare() { # compare PEER RECORDER <PROGRAMS
	/usr/bin/python3 "$HPS_SOURCE/tests/e2e/record-peers.py" "$1" "$2" "$HPS_LEDGER" "$T/place" "$(cat setup.sh)" 2>&1
}
for peer in strace reprozip; do
	compare $peer hps-record <short >out
	while IFS=: read -r name command; do
		saw=$(grep "^$name: " out || tail -n 3 out)
		case $peer:$saw in # some start others by clone3 (posix_spawn of glibc), at which reprozip gives up
		reprozip*_pytracer.Error*) skip "$name: all that $peer saw is in the record" "reprozip cannot trace it" ;;
		*) is "$name: all that $peer saw is in the record" "$saw" "$name: files same, programs same" ;;
		esac
	done <short
done
ok "negative control: a recorder that overlooks some files" sh "$HPS_SOURCE/tests/broken.sh" hps-record recorder/files.c \
	'/^void hps_file_use/,/^}/s/^	hps_identity_of(s, &id);/	if (strstr(file->path, "input")) return;\n&/' "$T/blind"
head -n 1 short | compare strace "$T/blind" >out
like "negative control: … is found out" "$(cat out)" "files .*/input1'"
ok "negative control: a recorder that forgets programs" sh "$HPS_SOURCE/tests/broken.sh" hps-record recorder/exec.c \
	'/^static void accept_execution/,/^}/s/^	s->executions = /	if (strstr(e->program, "sort")) return;\n&/' "$T/blind"
head -n 1 short | compare strace "$T/blind" >out
like "negative control: … is found out, too" "$(cat out)" "programs .*/sort'"
done_testing
