#!/bin/sh
# Where a content can come from when neither the ledger nor the system has it: other stores, mirrors, packages, images, or made again.
set -u
. "${HPS_SOURCE:?}/tests/lib.sh"
new_ledger
mkdir w
cd w
record() { hps-record -q --id-file "$T/id" "$@" </dev/null >/dev/null 2>"$T/trial.err"; }
object() { h=$(sum "$1"); echo "$(echo "$h" | cut -c1-2)/$(echo "$h" | cut -c3-)"; }
verdict() { json "$T/out" "j['verdict'], j['level'], [(f['path'].split('/')[-1], f['from']) for f in j['fetched']]"; }
plan() { json "$T/out" "j['fromStore'], [(f['path'].split('/')[-1], f['from']) for f in j['fetched']], [m['path'].split('/')[-1] for m in j['missing']]"; }
# elsewhere COMMAND…: runs it where $hidden has another content on this system
elsewhere() {
	if [ "$(id -u)" = 0 ]; then set -- unshare -m sh -c 'mount --bind "$1" "$2" && shift 2 && exec "$@"' sh "$T/other" "$hidden" "$@"; else
		set -- unshare -rm sh -c 'mount --bind "$1" "$2" && shift 2 && exec "$@"' sh "$T/other" "$hidden" "$@"; fi
	"$@"
}
echo "something else" >"$T/other"

# a trial whose input is gone from the ledger and from the system
echo "the content" >data
ok "recorded" record -- sh -c 'tr a-z A-Z <data >result'
id=$(cat "$T/id")
o=$(object data)
cp data "$T/data"
mkdir -p "$T/moved/$(dirname "$o")"
mv "$T/ledger/objects/$o" "$T/moved/$o"
rm data
status "gone: not rebuilt" 4 hps-replay --json "$id"
is "gone: named" "$(json "$T/out" "j['verdict'], [m['path'].split('/')[-1] for m in j['missing']]")" "('NOT-REBUILT', ['data'])"

status "other store: replays" 0 hps-replay --json --store "$T/moved" "$id"
is "other store: verdict" "$(verdict)" "('REPRODUCED-BITS', 'L2', [])"
mkdir "$T/second"
cp -R "$T/moved" "$T/second/objects"
status "other ledger: replays" 0 hps-replay --json --store "$T/second" "$id"
status "plan: with a store" 0 hps-replay plan --json --store "$T/moved" "$id"
is "plan: nothing is missing" "$(plan | sed 's/^([0-9]*/(N/')" "(N, [], [])"
status "plan: without" 4 hps-replay plan --json "$id"
is "plan: what is missing" "$(plan | sed 's/^([0-9]*/(N/')" "(N, [], ['data'])"
status "plan: for people" 4 hps-replay plan "$id"
like "plan: for people, said" "$(cat "$T/out")" "needs [0-9]+ files \([0-9.]+ MB\): [0-9]+ stored, [0-9]+ of this system, 0 from elsewhere, 1 missing or changed"

# a mirror, a lying mirror, none
cat >"$T/serve.py" <<'P'
import functools, http.server, sys
h = functools.partial(http.server.SimpleHTTPRequestHandler, directory=sys.argv[1])
s = http.server.ThreadingHTTPServer(("127.0.0.1", 0), h)
open(sys.argv[2], "w").write(str(s.server_port))
s.serve_forever()
P
serve() { # serve FOLDER: $port, $server
	rm -f "$T/port"
	/usr/bin/python3 "$T/serve.py" "$1" "$T/port" 2>/dev/null &
	server=$!
	while ! [ -s "$T/port" ]; do sleep 0.05; done
	port=$(cat "$T/port")
}
serve "$T/moved"
status "mirror: replays" 0 hps-replay --json --mirror "http://127.0.0.1:$port/" "$id"
is "mirror: verdict and provenance" "$(verdict)" "('REPRODUCED-BITS', 'L2', [('data', 'mirror')])"
not_ok "mirror: what was fetched is not kept" test -e "$T/ledger/objects/$o"
kill "$server"
mkdir -p "$T/lies/$(dirname "$o")"
echo "the CONTENT" >"$T/lies/$o"
serve "$T/lies"
status "mirror that lies: not rebuilt" 4 hps-replay --json --mirror "http://127.0.0.1:$port" "$id"
like "mirror that lies: said" "$(json "$T/out" "[h['why'] for h in j['holes'] if '127.0.0.1' in h['what']]")" "what came has another hash"
kill "$server"
status "mirror that is none: not rebuilt" 4 hps-replay --json --mirror "http://127.0.0.1:$port" "$id"
status "mirror after one that is none: replays" 0 hps-replay --json --mirror "http://127.0.0.1:$port" --store "$T/moved" "$id"

# an image in OCI layout, the file in the lower of two layers
/usr/bin/python3 - "$T/image" "$T/data" "$T/w/data" <<'P'
import gzip, hashlib, io, json, os, sys, tarfile
out, source, path = sys.argv[1:]
os.makedirs(out + "/blobs/sha256")
def blob(data, kind):
    h = hashlib.sha256(data).hexdigest()
    open(f"{out}/blobs/sha256/{h}", "wb").write(data)
    return {"mediaType": kind, "digest": "sha256:" + h, "size": len(data)}
def layer(name, data):
    b = io.BytesIO()
    with tarfile.open(fileobj=b, mode="w") as t:
        i = tarfile.TarInfo(name)
        i.size = len(data)
        t.addfile(i, io.BytesIO(data))
    return blob(gzip.compress(b.getvalue()), "application/vnd.oci.image.layer.v1.tar+gzip")
layers = [layer(path.lstrip("/"), open(source, "rb").read()), layer(path.lstrip("/"), b"a newer content\n")]
manifest = blob(json.dumps({"schemaVersion": 2, "config": blob(b"{}", "application/vnd.oci.image.config.v1+json"), "layers": layers}).encode(),
                "application/vnd.oci.image.manifest.v1+json")
json.dump({"schemaVersion": 2, "manifests": [manifest]}, open(out + "/index.json", "w"))
P
status "image: replays" 0 hps-replay --json --image "$T/image" "$id"
is "image: verdict and provenance" "$(verdict)" "('REPRODUCED-BITS', 'L2', [('data', 'image layer')])"
for f in "$T"/image/blobs/sha256/*; do printf 'x' | dd of="$f" bs=1 seek=20 conv=notrunc 2>/dev/null; done
status "image, damaged: not rebuilt" 4 hps-replay --json --image "$T/image" "$id"

# a declared substitute
echo "the content" >"$T/same"
status "substitute: replays" 0 hps-replay --json --substitute "$T/w/data=$T/same" "$id"
is "substitute: caps the level, though it is the same" "$(verdict)" "('REPRODUCED-BITS', 'L0', [('data', 'declared substitute')])"
status "substitute: another content diverges" 1 hps-replay --json --substitute "$T/w/data=$T/other" "$id"
like "substitute: is a hole" "$(json "$T/out" "[h['why'] for h in j['holes'] if h['what'].endswith('/data')]")" "a declared substitute: not what the trial read"
status "substitute: of a file that was not read" 2 hps-replay --substitute "/no/such=$T/other" "$id"

# a package file: the system's own is another version by now
hidden=/usr/share/base-files/dot.profile
package=$(dpkg-query -W -f '${Version}' base-files)
ok "package: recorded" record -- sh -c 'wc -c <"$1" >result' sh "$hidden"
id=$(cat "$T/id")
status "package: without its file not rebuilt" 4 elsewhere hps-replay --json "$id"
is "package: named" "$(json "$T/out" "[m['path'] for m in j['missing']]")" "['$hidden']"
mkdir -p "$T/deb/DEBIAN" "$T/deb$(dirname "$hidden")" "$T/debs"
cp "$hidden" "$T/deb$hidden"
printf 'Package: base-files\nVersion: %s\nArchitecture: all\nMaintainer: x <x@example.org>\nDescription: x\n' "$package" >"$T/deb/DEBIAN/control"
ok "package: made" dpkg-deb -b "$T/deb" "$T/debs/base-files_${package}_all.deb"
status "package: replays" 0 elsewhere hps-replay --json --packages "$T/debs" "$id"
is "package: verdict and provenance" "$(verdict)" "('REPRODUCED-BITS', 'L2', [('dot.profile', 'package file')])"
cp "$T/other" "$T/deb$hidden"
ok "package: made with another content" dpkg-deb -b "$T/deb" "$T/debs/base-files_${package}_all.deb"
status "package with another content: not rebuilt" 4 elsewhere hps-replay --json --packages "$T/debs" "$id"
head -c 300 "$T/debs/base-files_${package}_all.deb" >"$T/cut"
mv "$T/cut" "$T/debs/base-files_${package}_all.deb"
status "package, cut off: not rebuilt" 4 elsewhere hps-replay --json --packages "$T/debs" "$id"

# a .pyc that no package has
hidden=/usr/lib/python3.11/__pycache__/colorsys.cpython-311.pyc
ok "pyc: recorded" record -- /usr/bin/python3 -c 'import colorsys; open("result", "w").write(str(colorsys.rgb_to_hsv(0.1, 0.2, 0.3)))'
status "pyc: replays" 0 elsewhere hps-replay --json "$(cat "$T/id")"
is "pyc: verdict and provenance" "$(verdict)" "('REPRODUCED-BITS', 'L2', [('colorsys.cpython-311.pyc', 'made again')])"
is "nothing stays behind" "$(find "${TMPDIR:-/tmp}" -maxdepth 1 -name 'hps-fetch.*' -newer "$T/other" 2>/dev/null | wc -l)" 0
cp "$T/moved/$o" "$T/ledger/objects/$o"
ok "ledger: verifies" hps-ledger verify
# what is captured: code without data; or packages' files, too, which may be gone one day
echo "kept by nobody" >data
printf 'tr a-z A-Z <data >result\n' >trial.sh
ok "capture code: recorded" record --capture code -- sh trial.sh
echo 'exit 7' >trial.sh
status "capture code: an edited script is there" 0 hps-replay --json "$(cat "$T/id")"
rm data
status "capture code: data are not" 4 hps-replay --json "$(cat "$T/id")"
is "capture code: named" "$(json "$T/out" "j['verdict'], [m['path'].split('/')[-1] for m in j['missing']]")" "('NOT-REBUILT', ['data'])"
echo "the content" >data
hidden=$(readlink -f /usr/bin/tr)
stored() { rec "t['buildDefinition']['internalParameters']['options']['capture'], materials['$hidden'].get('stored', False)"; }
ok "capture closure: recorded" record --capture closure -- sh -c 'tr a-z A-Z <data >result'
is "capture closure: in the record" "$(stored)" "('closure', False)"
status "capture closure: needs the package" 4 elsewhere hps-replay --json "$(cat "$T/id")"
is "capture closure: named" "$(json "$T/out" "j['verdict'], [m['path'] for m in j['missing']]")" "('NOT-REBUILT', ['$hidden'])"
ok "capture all: recorded" record --capture all -- sh -c 'tr a-z A-Z <data >result'
is "capture all: in the record" "$(stored)" "('all', True)"
status "capture all: needs none" 0 elsewhere hps-replay --json "$(cat "$T/id")"
is "capture all: verdict" "$(verdict)" "('REPRODUCED-BITS', 'L2', [])"
done_testing
