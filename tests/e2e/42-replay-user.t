#!/bin/sh
# An ordinary user records and replays; nothing needs root.
set -u
. "${HPS_SOURCE:?}/tests/lib.sh"
[ "$(id -u)" != 0 ] || chown 65534:65534 "$T"
chmod 755 "$T"
HOME=$T
HPS_LEDGER=$T/ledger
TMPDIR=$T/tmp
export HOME HPS_LEDGER TMPDIR
as_user mkdir "$T/tmp"
ok "ledger: made" as_user hps-ledger init "$T/ledger"
as_user mkdir w
cd w
as_user cp "$HPS_SOURCE/tests/trials/t01_sk_mlp.py" "$HPS_SOURCE/tests/trials/t11_awk.sh" .
ok "sklearn: recorded" as_user hps-record -q --id-file "$T/id" -- /usr/bin/python3 t01_sk_mlp.py out
status "sklearn: replays" 0 as_user hps-replay "$(cat "$T/id")" --json
is "sklearn: verdict" "$(json "$T/out" "j['verdict']")" REPRODUCED-BITS
as_user rm -r out
as_user rm -f t01_sk_mlp.py
echo 'print("edited")' | as_user tee t01_sk_mlp.py >/dev/null
status "edited: replays from the store" 0 as_user hps-replay "$(cat "$T/id")" --json
is "edited: verdict" "$(json "$T/out" "j['verdict']")" REPRODUCED-BITS
ok "awk: recorded" as_user hps-record -q --id-file "$T/id" -- sh t11_awk.sh awk
status "awk: replays" 0 as_user hps-replay "$(cat "$T/id")" --json
is "awk: verdict" "$(json "$T/out" "j['verdict']")" REPRODUCED-BITS
# The user, the group and the directory are the recorded ones.
ok "identity: recorded" as_user hps-record -q --id-file "$T/id" -- sh -c 'id -u >who; id -g >>who; pwd >>who; umask >>who; hostname >>who'
status "identity: replays" 0 as_user hps-replay "$(cat "$T/id")" --json
is "identity: verdict" "$(json "$T/out" "j['verdict']")" REPRODUCED-BITS
is "nothing stays behind" "$(find "$TMPDIR" -name 'hps-replay.*' | wc -l)" 0
ok "ledger: verifies" as_user hps-ledger verify
done_testing
