#!/bin/sh
# hps-ledger as people and programs use it: init, append, verify, list, show; what it prints and how it ends.
set -u
. "${HPS_SOURCE:?}/tests/lib.sh"

# statement KIND STUDY NUMBER [PREDICATE-MEMBERS]: an in-toto statement on stdout
statement() {
	printf '{"_type":"https://in-toto.io/Statement/v1","subject":[{"name":"x","digest":{"sha256":"%064d"}}],' "$3"
	printf '"predicateType":"urn:hps:%s:v1","predicate":{"study":"%s","number":%d,"time":"2026-01-02T03:04:05.000000006Z"%s}}\n' "$1" "$2" "$3" "${4:-}"
}

# ---- init
status "init makes a ledger" 0 hps-ledger init --origin example.org/team led
like "init says what it made" "$(cat out)" "made the ledger 'led' \(origin 'example.org/team'\)"
like "init warns once about keys in clear" "$(cat err)" "not encrypted"
is "the warning is one line" "$(wc -l <err)" 1
status "a second init refuses" 4 hps-ledger init led
like "and says why" "$(cat err)" "the directory is not empty"
exec 7<<X
correct horse
X
status "init with a passphrase" 0 hps-ledger init --key-passphrase-fd 7 sealed
exec 7<&-
is "no warning then" "$(cat err)" ""
like "the keys are encrypted" "$(cat sealed/keys/log.pem sealed/keys/statement.pem | grep -c 'BEGIN ENCRYPTED')" '^2$'
status "an origin with a space is a usage error" 2 hps-ledger init --origin 'a b' bad
not_ok "and nothing is left" test -e bad
status "no command" 2 hps-ledger
status "unknown command" 2 hps-ledger verfy
like "the nearest is named" "$(cat err)" "did you mean 'verify'"
status "--help" 0 hps-ledger --help
status "--version" 0 hps-ledger --version

# An empty name, as of a variable that is not set, is not the user's own ledger.
status "init in ''" 2 hps-ledger init ''
for words in "2 hps-ledger list" "2 hps-ledger verify" "2 hps-search status x.yaml" "2 hps-replay plan x" "2 hps-audit check" "125 hps-record"; do
	# shellcheck disable=SC2086
	set -- $words
	code=$1
	shift
	status "$*: --ledger ''" "$code" "$@" --ledger '' -- x
	like "… says so" "$(cat err)" "option --ledger: it is empty"
done
not_ok "and none was made" test -e "$XDG_STATE_HOME/hps/ledger"

echo x >regular
status "a file where a ledger should be" 4 hps-ledger list --ledger regular
like "… is no absent one" "$(cat err)" "^hps-ledger: opening the ledger '.*/regular': a ledger is a directory, and this leads to something else"

# ---- append
statement begin digits 0 ',"command":["python3","train.py"]' >begin.json
statement trial digits 1 ',"state":"complete","exit":{"code":0},"metrics":{"loss":"0.25","acc":"0.97"}' >trial.json
statement trial digits 2 ',"state":"killed","exit":{"signal":9}' >killed.json
statement search other 3 ',"event":"commit"' >search.json
HPS_LEDGER=$T/led
export HPS_LEDGER
status "append three files" 0 hps-ledger append begin.json trial.json killed.json
like "append prints index and id" "$(cat out)" '^@2 [0-9a-f]{64}$'
id=$(sed -n 's/^@1 //p' out)
status "append from standard input" 0 sh -c 'hps-ledger append --json - <search.json'
is "as JSON" "$(json out 'j["schema"], j["entries"][0]["index"]')" "('hps.appended/1', 3)"
status "the same again is the same entry" 0 hps-ledger append trial.json
is "with its old index" "$(cat out)" "@1 $id"
echo '{"_type":"https://in-toto.io/Statement/v1"}' >bad.json
status "a statement without a predicate is refused" 3 hps-ledger append bad.json
like "and named" "$(cat err)" "'bad.json'.*predicateType"
status "a file that is not there" 4 hps-ledger append nowhere.json

# ---- verify
status "verify holds" 0 hps-ledger verify
like "and says so" "$(cat out)" "^OK:"
like "with the count" "$(cat out)" "4 of 4 hold"
status "verify --json" 0 hps-ledger verify --json
is "has the members" "$(json out 'j["schema"], j["holds"], j["size"], j["checked"], j["problems"], j["origin"], j["databaseChecked"]')" \
	"('hps.verification/1', True, 4, 4, [], 'example.org/team', True)"
is "one line of output" "$(wc -l <out)" 1
cp led/trust.json mine.json
status "with a trust file of one's own" 0 hps-ledger verify --trust mine.json
status "with somebody else's" 3 hps-ledger verify --trust sealed/trust.json
like "the checkpoint is not theirs" "$(cat out)" "tiles/checkpoint: .*no trusted key has signed it"
status "a trust file that is none is damaged input, and nothing is said of the ledger" 3 hps-ledger verify --trust /etc/passwd
is "… nothing on its output" "$(cat out)" ""
like "… which file and where" "$(cat err)" "trust file '/etc/passwd': reading JSON: line 1"
status "a trust file that is not there" 4 hps-ledger verify --trust nowhere.json

# ---- list
status "list" 0 hps-ledger list
is "a heading and four lines" "$(wc -l <out)" 5
like "a trial's line" "$(cat out)" "@1  $(echo "$id" | cut -c1-12)  trial   digits       1  2026-01-02T03:04:05.000000006Z  complete, exit 0, acc=0.97 loss=0.25"
like "a killed one's" "$(cat out)" "killed, signal 9"
status "list --kind --study" 0 hps-ledger list --kind trial --study digits --json
is "filters" "$(json out '[e["number"] for e in j["entries"]], j["schema"]')" "([1, 2], 'hps.entries/1')"
status "list --jsonl" 0 hps-ledger list --jsonl
is "a line each" "$(wc -l <out)" 4
is "each an object" "$(head -n 1 out >one; json one 'j["kind"], j["summary"]')" "('begin', 'python3 train.py')"
status "list of nothing" 0 hps-ledger list --study nobody
is "is the heading" "$(wc -l <out)" 1

# ---- show
status "show by index" 0 hps-ledger show @1
like "kind" "$(cat out)" "^entry +@1, trial"
like "state" "$(cat out)" "^state +complete, exit 0"
like "metrics" "$(cat out)" "^metrics +acc=0.97 loss=0.25"
status "show by prefix" 0 hps-ledger show "$(echo "$id" | cut -c1-6)" --json
is "as JSON" "$(json out 'j["schema"], j["index"], j["id"] == "'"$id"'", j["statement"]["predicate"]["state"], len(j["keyid"])')" \
	"('hps.entry/1', 1, True, 'complete', 64)"
status "an id too short" 2 hps-ledger show abc
status "an id that is not there" 4 hps-ledger show 000000000000
status "an index that is not there" 4 hps-ledger show @99
like "says how many there are" "$(cat err)" "has 4"

# What a trial wrote into its record does not reach the terminal as control characters.
statement trial evil 5 ',"state":"complete\u001b[2J\u202egnp","metrics":{"a\nb":"1"}' >evil.json
status "a record with escapes" 0 hps-ledger append evil.json
hps-ledger list >listed
hps-ledger show @4 >shown
not_ok "no escape in list" grep -q "$(printf '\033')" listed
not_ok "no escape in show" grep -q "$(printf '\033')" shown
is "no line more" "$(wc -l <listed)" 6

# ---- the passphrase
exec 7<<X
correct horse
X
status "append with the passphrase" 0 hps-ledger append --ledger sealed --key-passphrase-fd 7 trial.json
exec 7<&-
status "without it" 5 hps-ledger append --ledger sealed search.json
like "the option is named" "$(cat err)" "key-passphrase-fd"
status "verifying needs none" 0 hps-ledger verify --ledger sealed

# ---- where the ledger is
unset HPS_LEDGER
status "the default place" 0 hps-ledger init
ok "is under XDG_STATE_HOME" test -f "$XDG_STATE_HOME/hps/ledger/trust.json"
status "and is found again" 0 hps-ledger verify

# ---- as an ordinary user, on a copy that it may only read
mkdir shared && cp -r led/tiles mine.json shared/ && chmod -R a+rX shared "$T" && chmod a+x "$T"
cp -r led/trust.json shared/trust.json
status "anyone verifies a published copy" 0 as_user hps-ledger verify --ledger "$T/shared" --trust "$T/mine.json"
like "without database and objects" "$(cat out)" "database not compared"
done_testing
