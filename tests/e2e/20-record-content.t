#!/bin/sh
# Whichever way a file is changed, its content of before and of after is on record; what others change meanwhile is said.
set -u
. "${HPS_SOURCE:?}/tests/lib.sh"
new_ledger
fact() {
	is "$1" "$(rec "$2")" "$3"
}
before=$(echo content | sha256sum | cut -d ' ' -f 1)
for how in mapping late-mapping append ftruncate truncating-open fallocate pwrite sendfile splice-proc; do
	echo content >$how
	touch -d '2020-02-02 02:02:02.123456789' $how
	status "$how: run" 0 hps-record -q --id-file id -- "$HPS_TRACEES/content" $how $how
	fact "$how: after and before" "[products['$T/$how'][w]['sha256'] if w == 'before' else products['$T/$how'][w]['sha256'] for w in ('digest', 'before')], materials['$T/$how']['mtime'], text('$T/$how')" \
		"(['$(sum $how)', '$before'], '1580608922123456789', 'content\n')"
	[ "$(sum $how)" != "$before" ] || fail "$how: changed nothing"
done
fact "ways: no gap" gaps "{}"

mkdir order
for i in 9 3 zz aa 17 m 4; do : >order/$i; done
printf x >"order/$(printf '\377\n')"
status "listing: run" 0 hps-record -q --id-file id -- /usr/bin/python3 -c 'import os; print(os.listdir(b"order"))'
fact "listing: in the order read" "[i.encode().decode('unicode_escape').encode('latin-1') for i in materials['$T/order']['listing']]" "$(cat out)"
status "listing: read twice, changed between" 0 hps-record -q --id-file id -- sh -c 'ls order; rm order/m; ls order'
fact "listing: the first" "'m' in materials['$T/order']['listing'], products['$T/order/m']['state']" "(True, 'deleted')"

# Somebody else writes an input: after it was read, and again before it is read a second time.
meanwhile() { # meanwhile FILE COMMAND: the trial reads, others do COMMAND, the trial goes on
	rm -f ready go
	{
		i=0
		until [ -e ready ] || [ $((i += 1)) -gt 500 ]; do sleep 0.02; done
		eval "$2"
		: >go
	} &
	status "$3: run" 0 hps-record -q --id-file id -- sh -c 'cat "$1"; : >ready; until [ -e go ]; do sleep 0.02; done; [ -z "$2" ] || cat "$1"; exec 3<&-' sh "$1" "${4:-}"
	wait
}
echo first >unstable
meanwhile unstable 'echo second >unstable' "unstable input" again
# When it changes before it is stored, that is a gap, too.
fact "unstable input: said" "materials['$T/unstable']['changed'], {g: n for g, n in gaps.items() if g != 'a file had another content before what was read of it could be stored'}" "(True, {'a file changed while it was read': 1})"
# How much the store grew is said, and what was too large for it.
head -c 3M /dev/urandom >stored3
truncate -s 257M large
status "stored: run" 0 hps-record --id-file id -- cat stored3 large
like "stored: the summary says how much, and what not" "$(cat err)" ", 3\.[0-9] MiB stored, not stored: 1 of more than 256 MiB \(257\.0 MiB\); coverage complete"
fact "stored: … as the record does" "materials['$T/stored3'].get('stored'), materials['$T/large'].get('stored'), materials['$T/large']['size']" "(True, None, $((257 << 20)))"
status "stored: the same again" 0 hps-record --id-file id -- cat stored3
unlike "stored: … stores nothing" "$(cat err)" "stored"
rm large
# Where two files can share their bytes none is written: the store has no room for a second copy.
truncate -s 256M image
mkdir shared
if [ "$(id -u)" = 0 ] && mkfs.btrfs -q -m single image >/dev/null 2>&1 && mount -o loop image shared 2>/dev/null; then
	hps-ledger init shared/ledger >/dev/null 2>&1
	head -c 150M /dev/urandom >shared/input
	sync -f shared
	status "shared: run" 0 hps-record --ledger "$T/shared/ledger" --id-file id -- cat shared/input
	like "shared: stored" "$(cat err)" ", 150\.[0-9] MiB stored; coverage complete"
	is "shared: … and as it is" "$(hps-ledger verify --ledger shared/ledger >/dev/null && find shared/ledger/objects -size +60M -exec cmp {} shared/input \; -print | wc -l)" 1
	umount shared
else
	skip "shared: stored" "no btrfs can be mounted here"
fi
# A program that only the end of the trial stores: somebody has put another in its place by then.
cp /bin/true prog
{
	i=0
	until [ -e ran ] || [ $((i += 1)) -gt 500 ]; do sleep 0.02; done
	cp /bin/false prog.new
	mv prog.new prog
	: >swapped
} &
status "replaced before it is stored: run" 0 hps-record -q --capture code --id-file id -- sh -c './prog; : >ran; until [ -e swapped ]; do sleep 0.02; done'
wait
fact "replaced before it is stored: said, and no fault of the store" "materials['$T/prog'].get('stored'), materials['$T/prog']['digest']['sha256'], gaps" "(None, '$(sum /bin/true)', {'a file had another content before what was read of it could be stored': 1})"
rm ran swapped
# Opened for both: what was there is read, and is kept; what is emptied by that is not read.
printf 'one two\n' >both
printf 'one two\n' >emptied
status "opened for both: run" 0 hps-record -q --id-file id -- /usr/bin/python3 -c 'f = open("both", "r+b"); b = f.read(); f.seek(0); f.write(b.upper()); open("emptied", "w+b").write(b)'
fact "opened for both: read and written, as it was before" "materials['$T/both']['uses'], materials['$T/both']['digest']['sha256'], materials['$T/both'].get('stored'), products['$T/both']['before']['sha256']" "(['read', 'write'], '$(echo one two | sha256sum | cut -d ' ' -f 1)', True, '$(echo one two | sha256sum | cut -d ' ' -f 1)')"
fact "opened for both: … emptied by it, written alone" "materials['$T/emptied']['uses']" "['write']"
echo first >appended
meanwhile appended 'echo second >>appended' "changed while open"
fact "changed while open: said" "materials['$T/appended'].get('changed'), gaps.get('a file changed while it was read')" "(True, 1)"
echo first >replaced
old=$(sum replaced)
meanwhile replaced 'echo second >r.new; mv r.new replaced' "replaced while open"
fact "replaced while open: what was read is as it was" "materials['$T/replaced'].get('changed'), materials['$T/replaced']['digest']['sha256'], gaps" "(None, '$old', {})"
echo first >moded
meanwhile moded 'chmod 600 moded; ln moded moded2' "another mode meanwhile" again
fact "another mode meanwhile: the content is the same" "materials['$T/moded'].get('changed'), gaps" "(None, {})"

mkdir deep
status "deep: run" 0 hps-record -q --id-file id -- "$HPS_TRACEES/deep" deep
is "deep: as natively" "$(cat out)" deep
fact "deep: that it has no path is said" "list(gaps), [p for p in products if 'bottom' in p or 'renamed' in p]" "(['a file lies deeper than a path can say'], [])"
echo long >longname
for n in 4000 4095 4096 5000; do
	want=$("$HPS_TRACEES/long" "$T/" longname $n)
	status "long: $n bytes" 0 hps-record -q --id-file id -- "$HPS_TRACEES/long" "$T/" longname $n
	is "long: $n bytes, as natively" "$(cat out)" "$want"
	fact "long: $n bytes, on record" "'$T/longname' in materials, gaps" "($([ $n -lt 4096 ] && echo True || echo False), {})"
done

# Many at once in one directory: each is blamed for its own.
mkdir many
echo shared >many/shared
cat >one.sh <<'SCRIPT'
cd many
cat shared >in.$1
echo $1 >out.$1
mv out.$1 final.$1
ln final.$1 link.$1
echo x >gone.$1
rm gone.$1
ls >/dev/null
SCRIPT
n=${HPS_TEST_MANY:-64}
for i in $(seq $n); do hps-record -q --capture none --id-file many.$i -- sh one.sh $i & done
wait
for i in $(seq $n); do
	cat many.$i >id
	rec "[sorted(p[len('$T/many/'):] for p in products), [p for p in materials if p.startswith('$T/many/')], t['exit'], gaps] == [['final.$i', 'in.$i', 'link.$i'], ['$T/many/shared'], {'code': 0}, {}]"
done >many.out
is "many at once: each has its own files and no other" "$(sort many.out | uniq -c | tr -s ' ')" " $n True"
ok "ledger: verifies" hps-ledger verify
done_testing
