#!/bin/sh
# Ways of the kernel to other programs and to the machine, one call each: what is done about it, and that the call does what it did.
set -u
. "${HPS_SOURCE:?}/tests/lib.sh"
chmod 755 "$T"
sleep 1000 &
outside=$!
segment=$(ipcmk -M 4096 -p 0666 | sed 's/.*: //')
trap 'kill $outside; ipcrm -m $segment; cleanup' EXIT

channel='a way to other programs besides files and sockets was used'
mounts='file systems were mounted or unmounted'
numbers='random numbers were not answered from the recorded stream'

# The call; its argument; the gap, and the name that it has there ("-": no gap, nothing is from outside).
cat >calls <<END
shmget||$channel|shmget 0x68707301
msgget||$channel|msgget 0x68707301
semget||$channel|semget 0x68707301
shmat|$segment|$channel|shmat $segment
own shmat||-|
mq_open||$channel|mq_open /hps-none
add_key||$channel|add_key
request_key||$channel|request_key
keyctl||$channel|keyctl
fanotify_init||$channel|fanotify_init
bpf||$channel|bpf
syslog||$channel|syslog
iopl||$channel|iopl
ioperm||$channel|ioperm
perf_event_open|-1|$channel|perf_event_open -1
perf_event_open|$outside|$channel|perf_event_open $outside
own perf_event_open||-|
process_vm_readv|$outside|$channel|process_vm_readv $outside
own process_vm_readv||-|
process_vm_writev|$outside|$channel|process_vm_writev $outside
ptrace|$outside|$channel|ptrace $outside
own ptrace||-|
pidfd_getfd|$outside|$channel|pidfd_getfd $outside
own pidfd_getfd||-|
setns||$channel|setns
userfaultfd||-|
mount||$mounts|mount
umount2||$mounts|umount2
open_tree||$mounts|open_tree
move_mount||$mounts|move_mount
mount_setattr||$mounts|mount_setattr
rng||$numbers|
END

# every WHO PREFIX…: the calls, by whoever PREFIX makes us
every() {
	who=$1
	shift
	while IFS='|' read -r call argument gap name; do
		"$@" "$HPS_TRACEES/channel" "$call" $argument >plain 2>&1
		status "$who, $call $argument: run" 0 "$@" hps-record -q --id-file "$T/own/id" -- "$HPS_TRACEES/channel" "$call" $argument
		# The fence, where the kernel has one, keeps the trial from the memory of others.
		[ "$argument" != $outside ] || [ "$(cat out)" != EPERM ] || cp out plain
		is "$who, $call $argument: as without us" "$(cat out)" "$(cat plain)"
		case $gap in
		-) want="[], True" ;;
		*) want="[('$gap', ${name:+['$name']})], False" ;;
		esac
		[ -n "$name" ] || want=$(echo "$want" | sed 's/, )/, None)/')
		is "$who, $call $argument: on record" "$(rec "[(g['what'], g.get('names')) for g in t['coverage']['gaps']], t['coverage']['complete']")" "($want)"
	done <calls
}
rec() {
	as_owner /usr/bin/python3 "$HPS_SOURCE/tests/e2e/record.py" "$HPS_LEDGER" "$(cat "$T/own/id")" "$1"
}
ledger_of() { # ledger_of PREFIX…: a ledger, and what goes with it, of that user's own
	rm -rf own && mkdir -m 777 own
	HPS_LEDGER=$T/own/ledger
	XDG_CACHE_HOME=$T/own/cache
	XDG_STATE_HOME=$T/own/state
	export HPS_LEDGER
	ok "a ledger of one's own" "$@" hps-ledger init "$T/own/ledger"
}
as_owner() { "$@"; }
ledger_of env
every "as we are" env
if [ "$(id -u)" = 0 ]; then
	as_owner() { as_user "$@"; }
	ledger_of as_user
	every "as an ordinary user" as_user
fi

status "memfd_secret: run" 0 as_owner hps-record -q --id-file "$T/own/id" -- "$HPS_TRACEES/channel" memfd_secret
is "memfd_secret: as on a kernel without it" "$(cat out)" ENOSYS
is "memfd_secret: nothing is hidden" "$(rec "gaps")" "{}"
ok "ledger: verifies" as_owner hps-ledger verify
done_testing
