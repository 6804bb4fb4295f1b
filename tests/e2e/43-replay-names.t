#!/bin/sh
# Which names of the machine a rerun can list: those beside what the trial used, as far as they are open to whoever replays; of a bundle's trial none
# but those of packages. Root has no more of other users' than anybody.
set -u
. "${HPS_SOURCE:?}/tests/lib.sh"
[ "$(id -u)" != 0 ] || chown 65534:65534 "$T"
chmod 755 "$T"

# tree WHO RUN…: a home that is closed (the trial's own, or somebody else's), with an open project in it
tree() {
	mkdir -p home/project/deeper home/project/closed home/other
	touch home/private home/project/beside home/project/deeper/open home/project/closed/hidden home/other/elsewhere
	echo used >home/project/used
	cat >home/project/trial.sh <<'S'
cat used >read; for p in ls chmod; do $p --version >/dev/null; done
case $(cat /proc/1/comm) in hps-replay*) ;; *) exit ;; esac
chmod 755 .. closed deeper 2>/dev/null
ls .. . deeper closed ../other >listed 2>/dev/null
:
S
}
names() { # names WHO RUN…: what the rerun lists
	who=$1
	shift
	cd "$T/$who/home/project" || exit 99
	ok "$who: recorded" "$@" hps-record -q --id-file "$T/$who/id" -- sh trial.sh
	"$@" hps-replay --json --keep "$T/$who/kept" "$(cat "$T/$who/id")" >"$T/$who/verdict"
	cp "$T/$who/kept/files$T/$who/home/project/listed" "$T/$who/listed"
	like "$who: the verdict knows" "$(json "$T/$who/verdict" "j['verdict'], j.get('reason')")" "INCONCLUSIVE.*which the trial never had"
	ok "$who: packed" "$@" hps-replay pack "$(cat "$T/$who/id")" "$T/$who/trial.hps"
	"$@" hps-replay --json --keep "$T/$who/kept2" "$T/$who/trial.hps" >"$T/$who/verdict"
	cp "$T/$who/kept2/files$T/$who/home/project/listed" "$T/$who/foreign"
	like "$who: a bundle: the trial ran, and found what it had used" "$(cat "$T/$who/foreign")" "^used$"
	for name in beside open private elsewhere hidden; do
		unlike "$who: a bundle: not '$name'" "$(cat "$T/$who/foreign")" "^$name\$"
	done
	cd "$T" || exit 99
}
start() {
	HPS_LEDGER=$T/$1/ledger HOME=$T/$1 XDG_CACHE_HOME=$T/$1/cache XDG_STATE_HOME=$T/$1/state
	export HPS_LEDGER HOME
}

mkdir user
(cd user && tree)
chmod 700 user/home user/home/project/closed user/home/other
[ "$(id -u)" != 0 ] || chown -R 65534:65534 user
start user
ok "user: ledger" as_user hps-ledger init "$T/user/ledger"
names user as_user
for name in beside open private; do
	like "user: '$name', which is his own" "$(cat user/listed)" "^$name\$"
done

if [ "$(id -u)" = 0 ]; then
	mkdir root
	(cd root && tree)
	chmod 700 root/home root/home/project/closed root/home/other
	chown -R 65534:65534 root/home # another user's, closed to others
	start root
	ok "root: ledger" hps-ledger init "$T/root/ledger"
	names root env
	like "root: 'beside', in the directory that the trial used" "$(cat root/listed)" "^beside\$"
	for name in private hidden open elsewhere; do
		unlike "root: not '$name'" "$(cat root/listed)" "^$name\$"
	done
	setpriv --bounding-set -dac_override,-dac_read_search --inh-caps -dac_override,-dac_read_search sh -c 'ls "$1"' - root/home >plain 2>&1
	unlike "root: control: nor has root without his rights over files" "$(cat plain)" "^private\$"
	like "root: control: with them he has" "$(ls root/home)" "^private\$"
fi
done_testing
