#!/bin/sh
# Care for a ledger: collecting contents, withdrawing bodies, network file systems, backup and restore, auditors who may not write.
set -u
. "${HPS_SOURCE:?}/tests/lib.sh"
HPS_LEDGER=$T/led
export HPS_LEDGER
ok "a ledger" hps-ledger init led
echo 'secret body' >input
ok "a trial" hps-record -q --id-file id -- sh -c 'cat input >product'
trial=$(cat id)
objects() { find led/objects -type f | wc -l; }

# ---- gc
before=$(objects)
printf 'of nobody' >stray
hex=$(sha256sum <stray | cut -c1-64)
mkdir -p -m 700 "led/objects/$(echo "$hex" | cut -c1-2)"
stray=led/objects/$(echo "$hex" | cut -c1-2)/$(echo "$hex" | cut -c3-)
cp stray "$stray"
status "gc takes nothing that is young" 0 hps-ledger gc
is "it is there" "$(objects)" $((before + 1))
find led/objects -type f -exec touch -d '3 days ago' {} +
status "dry run" 0 hps-ledger gc --dry-run
like "says what it would do" "$(cat out)" "^would remove 1 of $((before + 1)) objects, 9 bytes"
is "and does nothing" "$(objects)" $((before + 1))
status "gc" 0 hps-ledger gc --json
is "removes the stray object alone" "$(json out 'j["schema"], j["objects"], j["removed"], j["bytes"]')" "('hps.collected/1', $((before + 1)), 1, 9)"
not_ok "it is gone" test -e "$stray"
ok "everything that is named is there" hps-ledger verify
# What a killed one had set aside is put back; temporary files of dead writers go when they are old.
# The one here is a manifest: what it names is kept, too.
one=$(grep -rl '"schema":"hps.materials/' led/objects)
mv "$one" "led/objects/.gc.$(echo "$one" | sed 's,.*objects/,,; s,/,,')"
: >led/objects/.new.0123456789abcdef.0
touch -d '3 days ago' led/objects/.new.0123456789abcdef.0
: >led/objects/.new.fedcba9876543210.0
status "gc after a killed one" 0 hps-ledger gc
ok "what it had set aside is back" test -e "$one"
is "of the temporary files the young one stays" "$(ls -A led/objects | grep new)" ".new.fedcba9876543210.0"
ok "the ledger holds" hps-ledger verify
# Contents that a record in the spool names are kept, and those that are used again are young.
cp stray "$stray" && touch -d '3 days ago' "$stray"
mkdir -p "$XDG_STATE_HOME/hps/spool" && echo "{\"x\":\"$hex\"}" >"$XDG_STATE_HOME/hps/spool/x.json"
status "gc beside a spooled record" 0 hps-ledger gc
ok "what it names is kept" test -e "$stray"
rm "$XDG_STATE_HOME/hps/spool/x.json"
# A trial that runs: what was stored since it began is not touched, however young the limit.
hps-record -q -- sh -c ': >started; exec sleep 30' 2>/dev/null &
recorder=$!
i=0
until [ -e started ] || [ $((i += 1)) -gt 500 ]; do sleep 0.02; done
touch "$stray"
sleep 1.1
status "gc --min-age 0 beside a running trial" 0 hps-ledger gc --min-age 0
ok "keeps what is younger than the trial" test -e "$stray"
kill -9 $recorder
wait $recorder 2>/dev/null
status "gc --min-age 0 without one" 0 hps-ledger gc --min-age 0
not_ok "removes it" test -e "$stray"

# ---- withdraw
# holding TEXT: the files of the ledger in which it stands, plain or in base64 (at each of its three places)
holding() {
	/usr/bin/python3 -c 'import base64, os, sys
text = sys.argv[1].encode()
words = [text] + [base64.b64encode(b"\0" * skip + text)[4 * (skip > 0) + (skip > 1) : -4] for skip in range(3)]
for top, _, files in os.walk("led"):
    for name in files:
        data = open(os.path.join(top, name), "rb").read()
        if "/objects" not in top and any(word in data for word in words):
            print(os.path.join(top, name))' "$1"
}
like "what is searched for is found (negative control)" "$(holding "$T/product")" "led/tiles/envelope/$trial.json"
like "… in the database, too" "$(holding "$T/product")" "led/ledger.db"
status "withdrawing without a reason" 2 hps-ledger withdraw "$trial"
status "… or with an empty one" 2 hps-ledger withdraw --reason '' "$trial"
status "withdraw" 0 hps-ledger withdraw --reason 'a name was in it' "$trial"
not_ok "the envelope is gone" test -e "led/tiles/envelope/$trial.json"
is "nothing of the statement is left in the ledger's files" "$(holding "$T/product")" ""
status "verify holds" 0 hps-ledger verify
like "and lists it" "$(cat out)" "^withdrawn $(echo "$trial" | cut -c1-12)"
status "verify --json" 0 hps-ledger verify --json
is "lists it" "$(json out 'j["holds"], j["withdrawn"]')" "(True, ['$trial'])"
status "show says that it was withdrawn" 4 hps-ledger show "$trial"
like "and where the reason is" "$(cat err)" "withdrawn.*--kind withdraw"
status "list goes on" 0 hps-ledger list
like "with the entry that says so" "$(cat out)" " withdraw .*a name was in it"
status "once more changes nothing" 0 hps-ledger withdraw --reason again "$trial"
is "one entry says it" "$(hps-ledger list --kind withdraw --jsonl | wc -l)" 1
like "a withdrawal cannot be withdrawn" "$(hps-ledger withdraw --reason x "$(hps-ledger list --kind withdraw --jsonl | sed -n 's/.*"id":"\([0-9a-f]*\)".*/\1/p')" 2>&1)" "it stays"
rm -rf copy && mkdir copy && cp -r led/tiles led/trust.json copy/
status "a published copy verifies too" 0 hps-ledger verify --ledger copy --trust led/trust.json
other=$(hps-ledger list --kind begin --jsonl | sed -n 's/.*"id":"\([0-9a-f]*\)".*/\1/p' | head -1)
mv "led/tiles/envelope/$other.json" kept.json
status "an envelope that nobody withdrew is a problem (negative control)" 3 hps-ledger verify
mv kept.json "led/tiles/envelope/$other.json"
# What killed writers have left: a request that others have answered, files that were staged.
a_note() {
	printf '{"_type":"https://in-toto.io/Statement/v1","subject":[{"name":"x","digest":{"sha256":"%064d"}}],"predicateType":"urn:hps:note:v1","predicate":{"text":"%s"}}' 1 "$1"
}
a_note 'a text that has to go' >gone.json && a_note other >stays.json
sh -c 'exec 9>led/lock; flock 9; echo locked; exec sleep 1000' >locked &
holder=$!
while [ ! -s locked ]; do sleep 0.05; done
hps-ledger append gone.json >/dev/null 2>&1 &
waiting=$!
until [ -n "$(holding 'a text that has to go')" ]; do sleep 0.05; done
kill -STOP $waiting; kill -9 $holder; wait $holder 2>/dev/null
hps-ledger append stays.json >/dev/null
kill -9 $waiting; wait $waiting 2>/dev/null
gone=$(for id in $(hps-ledger list --kind note --jsonl | sed -n 's/.*"id":"\([0-9a-f]*\)".*/\1/p'); do hps-ledger show --json "$id" | grep -q 'has to go' && echo "$id"; done)
like "a killed writer's request was answered, and is left" "$(holding 'a text that has to go')" "led/queue/[0-9]"
cp "led/tiles/envelope/$gone.json" led/staging/7
status "withdrawing it" 0 hps-ledger withdraw --reason 'a name was in it' "$gone"
is "takes that, too" "$(holding 'a text that has to go')" ""
openssl genpkey -algorithm ed25519 -out key.pem 2>/dev/null && chmod 600 key.pem
hps-ledger key add key.pem >/dev/null
status "a change of keys cannot be withdrawn" 2 hps-ledger withdraw --reason x "$(hps-ledger list --kind key --jsonl | sed -n 's/.*"id":"\([0-9a-f]*\)".*/\1/p')"
like "… the reason is said" "$(cat err)" "without it nobody could verify what was signed after it"
status "the ledger holds, without them" 0 hps-ledger verify
find led/objects -type f -exec touch -d '3 days ago' {} +
ok "gc then takes what it alone named" hps-ledger gc
ok "the ledger holds" hps-ledger verify
ok "and goes on" hps-record -q -- true

# ---- file systems
cat >fs.c <<'C'
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <sys/statfs.h>
int fstatfs(int fd, struct statfs *s)
{
	int (*real)(int, struct statfs *) = dlsym(RTLD_NEXT, "fstatfs");
	int r = real(fd, s);
	s->f_type = (unsigned)strtoul(getenv("MAGIC"), 0, 16);
	return r;
}
C
if gcc -shared -fPIC -o fs.so fs.c -ldl 2>/dev/null; then
	on() { # MAGIC COMMAND…
		magic=$1
		shift
		env MAGIC="$magic" LD_PRELOAD="$T/fs.so" "$@"
	}
	for magic in 6969 ff534d42 fe534d42 65735546 01021997 0bd00bd0 12345678; do
		status "file system $magic: init refuses" 5 on $magic hps-ledger init "net$magic"
		like "and says why" "$(cat err)" "locks and flushes cannot be relied on"
		status "file system $magic: appending refuses" 125 on $magic hps-record -- sh -c ': >ran'
		status "file system $magic: reading does not" 0 on $magic hps-ledger list
	done
	not_ok "nothing ran, nothing was made" sh -c 'test -e ran || ls -d net*/*'
	status "forced" 0 on 6969 hps-ledger init --unsafe-filesystem forced
	like "its first entry says so" "$(on 6969 hps-ledger show --ledger forced --json @0)" 'written on NFS .file system 0x6969.'
	ok "it works there" on 6969 hps-record -q --ledger forced -- true
	status "but not on another kind" 125 on 65735546 hps-record --ledger forced -- true
	for magic in ef53 58465342 9123683e 01021994; do ok "file system $magic is a local one" on $magic hps-record -q -- true; done
else
	skip "file systems" "no compiler"
fi

# ---- backup and restore, as the manual says
ok "backup" cp -a led backup
ok "the ledger goes on" hps-record -q -- true
mv led newer
cp -a backup led
status "the older copy is not appended to" 125 hps-record -- true
like "with the way out" "$(cat err)" "older copy. Put the newer one back"
ok "but it verifies, and is read" sh -c 'hps-ledger verify && hps-ledger list'
rm -r led
mv newer led
ok "the newer one goes on" hps-record -q -- true

# ---- modes, owners, auditors
is "nothing of a ledger but what is published is open to others" "$(find led -not -path 'led/tiles*' -not -name trust.json -not -path 'led/objects*' -perm /077 | head -3)" ""
is "objects neither" "$(find led/objects -type d -perm /077 | head -3)" ""
if [ "$(id -u)" = 0 ]; then
	chmod 755 "$T"
	cp led/trust.json auditor.json && chmod 644 auditor.json
	cp -r led/tiles published && mkdir ro && mv published ro/tiles && cp led/trust.json ro/ && chmod -R a+rX,a-w ro
	status "another user verifies a published copy that nobody can write to" 0 as_user hps-ledger verify --ledger "$T/ro" --trust "$T/auditor.json"
	is "and leaves nothing in it" "$(find ro -newer auditor.json -type f | wc -l)" "$(find ro -newer auditor.json -type f -perm /0400 | wc -l)"
	for command in "hps-ledger list --ledger" "hps-audit check --ledger"; do
		status "$command: refused without a trust file of one's own" 5 as_user $command "$T/ro"
		like "… with the way out" "$(cat err)" "--trust"
	done
	hps-audit check --ledger "$T/ro" --trust "$T/auditor.json" >owners
	status "another user audits that copy" $? as_user hps-audit check --ledger "$T/ro" --trust "$T/auditor.json"
	is "… as its owner does" "$(cat out)" "$(cat owners)"
	like "… and the whole ledger, as it is published" "$(hps-ledger publish own >/dev/null; cp led/ledger.db led/journal own/; chown -R 65534 own; hps-audit check --ledger own --trust auditor.json 2>&1)" "verified"
	is "… without opening its database, or its journal to write" "$(strace -f -o trace -e trace=openat hps-audit check --ledger own --trust auditor.json >out 2>&1; grep -cE 'ledger\.db|journal.*RDWR' trace)" 0
	rm -rf own
	status "another user's ledger is not appended to" 5 as_user hps-ledger append --ledger "$T/led" /dev/null
	if unshare -m true 2>/dev/null; then
		status "the owner verifies and lists on a read-only mount" 0 unshare -m sh -c "mount --bind led led && mount -o remount,bind,ro led && hps-ledger verify && hps-ledger list"
		status "a trial cannot be recorded there" 125 unshare -m sh -c "mount --bind led led && mount -o remount,bind,ro led && hps-record -- true"
		like "… is said, with a way out" "$(cat err)" "read-only file system.*choose another by --ledger"
	else
		skip "a read-only mount" "no mount namespaces"
	fi
fi
done_testing
