#!/bin/sh
# hps-audit report: one page, whole or absent, that asks for nothing and lets no name become markup.
. "${HPS_SOURCE:?}/tests/lib.sh"

ledger() {
	hps-ledger init "$1" >/dev/null 2>&1 && /usr/bin/python3 "$HPS_SOURCE/tests/e2e/audit-ledger.py" "$1" "$1" >"$1.names"
}
# elements FILE: the tags in order, read by a parser that is not ours; text and attributes left out
elements() {
	/usr/bin/python3 - "$1" <<'PYTHON'
import html.parser, sys
class Reader(html.parser.HTMLParser):
    def handle_starttag(self, tag, attrs):
        print(tag, *[name for name, value in attrs])
        for name, value in attrs:
            assert not name.startswith("on") and name not in ("src", "href", "style", "srcset", "action"), name
    def handle_endtag(self, tag):
        print("/" + tag)
Reader().feed(open(sys.argv[1], encoding="utf-8").read())
PYTHON
}

ok "the ledgers can be made" ledger clean
ok "…" ledger hostile
status "report: 0" 0 hps-audit report --ledger clean --html page.html
is "report: says nothing when all is well" "$(cat out err)" ""
# --html replaced what is no file.
ln -s behind.html linked.html
status "page: a link" 0 hps-audit report --ledger clean --html linked.html
is "page: … stays, the page is behind it" "$(readlink linked.html) $(tail -n 1 behind.html)" "behind.html </html>"
cp -a /dev/full full 2>/dev/null
if [ -c full ] && sh -c ': >full' 2>/dev/null; then
	status "page: a full device" 4 hps-audit report --ledger clean --html full
	like "page: … is named" "$(cat err)" "^hps-audit: writing into 'full': No space left on device"
	is "page: … and stays one" "$(stat -c %F full)" "character special file"
else
	skip "page: a full device" "none can be made and opened here"
fi
page=$(cat page.html)
like "report: a page" "$page" "^<!doctype html>"
like "report: its end is there" "$(tail -n 1 page.html)" "^</html>$"
like "report: the verdict first" "$page" "<strong>The evidence holds.</strong>"
like "report: the summary counts" "$page" "<strong>3 trials</strong>"
like "report: the summary says what failed" "$page" "2 finished, 1 failed"
like "report: the best" "$page" "was <strong><bdi>0.92</bdi></strong>, in trial 2"
like "report: the rerun" "$page" "trial 2 was judged <strong>REPRODUCED-BITS</strong>: every output was the same, byte for byte"
is "report: a row for each trial" "$(grep -c '<tr[^>]*><th scope="row" class="num">' page.html)" 3
is "report: a row for each rule" "$(grep -cE '<tr><th scope="row" class="tight">(ID|INT|CAP)-' page.html)" 13
is "report: the chart has the two values" "$(sed -n '/chart wide/,/<\/svg>/p' page.html | grep -c '<circle class="point')" 2
is "report: … and the failure" "$(sed -n '/chart wide/,/<\/svg>/p' page.html | grep -c 'class="failed"')" 1
like "report: the root hash" "$page" "<code>$(hps-audit check --ledger clean --json | /usr/bin/python3 -c 'import json, sys; print(json.load(sys.stdin)["ledger"]["root"])')</code>"
is "report: no address, no script, nothing loaded" "$(grep -ciE 'https?:|src=|href=|<script|<link|<img|url\(|@import' page.html)" 0
like "report: a policy that forbids the rest" "$page" "Content-Security-Policy\" content=\"default-src &#39;none&#39;; style-src &#39;sha256-"
unlike "report: no path of this machine" "$page" "$T"

status "again: 0" 0 hps-audit report --ledger clean --html again.html
ok "again: the same bytes" cmp page.html again.html
status "stdout: 0" 0 hps-audit report --ledger clean --html -
ok "stdout: the same bytes" cmp page.html out

status "hostile: 0" 0 hps-audit report --ledger hostile --html hostile.html
ok "hostile: parses, without handlers or addresses" elements hostile.html
elements page.html >page.elements
elements hostile.html >hostile.elements
ok "hostile: the elements of a harmless page" cmp page.elements hostile.elements
is "hostile: no control character, no bidirectional override" "$(LC_ALL=C grep -cE "$(printf '[\001-\010\013-\037]|\342\200\256')" hostile.html)" 0
like "hostile: the name is text" "$(cat hostile.html)" '&lt;script&gt;alert\(1\)&lt;/script&gt;&quot;&#39;'

status "one study: 0" 0 hps-audit report --ledger clean --study digits --html one.html
status "unknown study: 4" 4 hps-audit report --ledger clean --study nothing --html absent.html
not_ok "unknown study: no file" test -e absent.html

status "no such folder: fails" 4 hps-audit report --ledger clean --html nowhere/page.html
status "no room: 4" 4 sh -c 'ulimit -f 4; trap "" XFSZ; hps-audit report --ledger clean --html small.html'
not_ok "no room: no file" test -e small.html
is "no room: nothing half-written" "$(find . -maxdepth 1 -name '*small*' | wc -l)" 0
status "no room on stdout: 4" 4 sh -c 'hps-audit report --ledger clean --html - >/dev/full'
echo before >kept.html
status "no room over an old page: 4" 4 sh -c 'ulimit -f 4; trap "" XFSZ; hps-audit report --ledger clean --html kept.html'
is "no room: the old page stays" "$(cat kept.html)" before
# A real browser, without a network: what it shows, and what it complains about (violations of the page's policy among it).
browse() {
	unshare -rn chromium --headless --no-sandbox --disable-gpu --disable-dev-shm-usage --no-first-run --user-data-dir="$T/browser" \
		--enable-logging=stderr --dump-dom "file://$T/$1" >"$T/shown" 2>"$T/browser.err"
}
for page in page.html hostile.html; do
	ok "browser: opens $page" browse $page
	is "browser: $page has nothing to complain about" "$(grep CONSOLE browser.err | grep -v "source: chrome:")" ""
	is "browser: … and is read to its end" "$(grep -c '</main>' shown)" 1
done
sed 's,</body>,<img src="http://127.0.0.1:9/x"><script>document.title = "ran"</script></body>,' page.html >bad.html
ok "browser: opens a page that was tampered with" browse bad.html
is "browser: … and blocks what was put in" "$(grep -c 'CONSOLE.*Content Security Policy' browser.err), $(grep -c '<title>ran' shown)" "2, 0"

done_testing
