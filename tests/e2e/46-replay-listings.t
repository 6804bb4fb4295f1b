#!/bin/sh
# Directories give the names that the trial made where its file system had them: new names among old ones, directories of its own, names that came
# later or are gone, read in small pieces, from the middle, while they are removed.
set -u
. "${HPS_SOURCE:?}/tests/lib.sh"
new_ledger
mkdir w
cd w || exit 99
record() { hps-record -q --id-file "$T/id" "$@" </dev/null >/dev/null 2>"$T/trial.err"; }
replay() { # replay NAME [OPTION…]
	replay_name=$1
	shift
	status "$replay_name: status" 0 hps-replay --json "$@" "$(cat "$T/id")"
	is "$replay_name: verdict" "$(json "$T/out" "j['verdict']")" REPRODUCED-BITS
}
fresh() {
	cd "$T" && rm -rf w && mkdir w && cd w || exit 99
	for i in $(seq 20); do echo "$i" >"old.$i"; done
}
# So many that no order but the recorded one is met by chance.
make='for i in $(seq 30); do echo "$i" >"name.$i"; done'

for view in best mounts copy; do
	fresh
	ok "beside old names, $view: recorded" record -- sh -c "$make; find . >found; ls -U >listed"
	replay "beside old names, $view" --view "$view"
	fresh
	ok "in a directory of its own, $view: recorded" record -- sh -c "mkdir own own/sub; cd own; $make; cd sub; $make; cd ../..; find . >found"
	replay "in a directory of its own, $view" --view "$view"
done
is "control: 30 names of its own, and their order is no other's" "$(grep -c /own/name found) $(grep /own/name found | sort | cmp -s - found; echo $?)" "30 1"
like "control: the manifest" "$(rec "[d['name'] for d in t['buildDefinition']['resolvedDependencies']]")" "'listings'"
is "control: the directories in it" "$(rec "[i['path'].replace('$T', '') for i in manifests['listings']['items']]")" "['/w', '/w/own', '/w/own/sub']"

fresh
ok "no name of its own: recorded" record -- sh -c 'ls -U | wc -l >"$1"' - "$T/count"
unlike "no name of its own: no manifest" "$(rec "[d['name'] for d in t['buildDefinition']['resolvedDependencies']]")" "'listings'"

fresh
ok "later, and gone again: recorded" record -- sh -c "$make; ls -U >1; rm name.*5; for i in \$(seq 100 120); do echo x >more.\$i; done; ls -U >2; rm name.1*; ls -U >3"
replay "later, and gone again"

# Sums of floats depend on the order in which files are read.
cat >order.py <<'P'
import os, random
random.seed(1)
os.mkdir("parts")
for i in range(40):
    open("parts/%d" % i, "w").write(repr(random.uniform(-1, 1) * 10 ** random.randint(-9, 9)))
total = 0.0
for name in os.listdir("parts"):
    total += float(open("parts/" + name).read())
open("total", "w").write(repr(total))
P
cp order.py "$T"
fresh
cp "$T/order.py" .
ok "a sum in listing order: recorded" record -- /usr/bin/python3 order.py
replay "a sum in listing order"

# What a program may do with a directory: small pieces, seeking, removing while it reads.
cat >"$T/pieces.c" <<'C'
#define _GNU_SOURCE
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>
int main(void)
{
	char block[64];
	long n, places[200] = { 0 };
	int fd = open("own", O_RDONLY | O_DIRECTORY), count = 0;
	DIR *d = opendir("own");
	struct dirent *e;
	while ((n = syscall(SYS_getdents64, fd, block, sizeof block)) > 0)
		for (long at = 0; at < n; at += ((struct dirent64 *)(block + at))->d_reclen)
			printf("piece %s %d\n", ((struct dirent64 *)(block + at))->d_name, ((struct dirent64 *)(block + at))->d_type);
	printf("small: %ld\n", syscall(SYS_getdents64, open("own", O_RDONLY | O_DIRECTORY), block, 8));
	while ((places[count] = telldir(d)), (e = readdir(d)))
		count++;
	seekdir(d, places[count / 2]);
	printf("middle %s\n", readdir(d)->d_name);
	rewinddir(d);
	readdir(d), readdir(d);
	printf("first %s\n", readdir(d)->d_name);
	rewinddir(d);
	while ((n = syscall(SYS_getdents64, dirfd(d), block, sizeof block)) > 0)
		for (long at = 0; at < n; at += ((struct dirent64 *)(block + at))->d_reclen)
			if (((struct dirent64 *)(block + at))->d_name[0] == 'n' && !unlinkat(dirfd(d), ((struct dirent64 *)(block + at))->d_name, 0))
				printf("removed %s\n", ((struct dirent64 *)(block + at))->d_name);
	return 0;
}
C
ok "pieces: compiled" gcc -w -o "$T/pieces" "$T/pieces.c"
fresh
cp "$T/pieces" .
ok "pieces: recorded" record -- sh -c "mkdir own; cd own; $make; mkdir sub; ln -s x link; cd ..; ./pieces >out; rmdir own/sub; rm own/link; rmdir own; ls -U >after"
is "pieces: control: all were removed" "$(grep -c removed out) $(grep -c piece out)" "30 34"
replay "pieces"

# The same names in another directory's place, and one that grows on: only what was listed is known.
fresh
ok "moved: recorded" record -- sh -c "mkdir a; cd a; $make; cd ..; mv a b; ls -U b >listed"
replay "moved"

ok "bundle: packed" hps-replay pack "$(cat "$T/id")" moved.hps
status "bundle: replays" 0 hps-replay moved.hps

# Names that only the rerun makes come last, once each.
fresh
cat >isrerun <<'S'
case $(cat /proc/1/comm) in hps-replay*) exit 0 ;; esac
exit 1
S
ok "another name: recorded" record -- sh -c 'if sh isrerun; then echo x >extra; fi; echo x >own; ls -U >listed'
status "another name: diverges" 1 hps-replay --json --keep "$T/kept" "$(cat "$T/id")"
is "another name: all are listed, it comes last" "$(tail -n 1 "$T/kept/files$T/w/listed") $(wc -l <"$T/kept/files$T/w/listed")" "extra $(($(wc -l <listed) + 1))"
# A recorder that forgets the first ten names of each listing gives those last: were the order not its doing, nothing above would say so.
fresh
ok "control: recorded" record -- sh -c "mkdir own; cd own; $make; ls -U >../listed"
mkdir -p "$T/broken/bin"
cp "$HPS_BIN"/hps-* "$T/broken/bin" && rm "$T/broken/bin/hps-record"
ok "control: a recorder that forgets names is built" sh "$HPS_SOURCE/tests/broken.sh" hps-record recorder/relisting.c \
	's/hps_strv_add_take(&l->names, /if (i < 10) continue; &/' "$T/broken/bin/hps-record"
status "control: with it the rerun differs" 1 "$T/broken/bin/hps-replay" --json "$(cat "$T/id")"
is "control: … where the order is" "$(json "$T/out" "[(o['path'].split('/')[-1], o['verdict']) for o in j['outputs'] if o['verdict'] != 'IDENTICAL' and o['verdict'] != 'SAME-VALUES']")" "[('listed', 'REORDERED')]"
replay "control: without it"
ok "ledger: verifies" hps-ledger verify
done_testing
