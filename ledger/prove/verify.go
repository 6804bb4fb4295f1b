// Verifies NAME.tlog-proof for NAME.leaf under policy.tlog with Go's own transparency-log packages.
//
// usage: go run verify.go [-handovers] NAME...
// With -handovers it also shows from which keys the log came to the one in policy.tlog, which of them you may have known before.
package main

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

func check(err error, doing string) {
	if err != nil {
		fmt.Fprintln(os.Stderr, doing+":", err)
		os.Exit(1)
	}
}

// A witness's key: its signature is a time and an Ed25519 signature over that time and the checkpoint.
type cosigner struct {
	name string
	id   uint32
	key  ed25519.PublicKey
}

func (c cosigner) Name() string    { return c.name }
func (c cosigner) KeyHash() uint32 { return c.id }
func (c cosigner) Verify(text, sig []byte) bool {
	if len(sig) != 72 || binary.BigEndian.Uint64(sig) == 0 {
		return false
	}
	head := fmt.Sprintf("cosignature/v1\ntime %d\n", binary.BigEndian.Uint64(sig))
	return ed25519.Verify(c.key, append([]byte(head), text...), sig[8:])
}

func newCosigner(vkey string) (note.Verifier, error) {
	part := strings.SplitN(vkey, "+", 3)
	if len(part) != 3 {
		return nil, errors.New("not NAME+ID+KEY")
	}
	id, err := hex.DecodeString(part[1])
	if err != nil {
		return nil, err
	}
	key, err := base64.StdEncoding.DecodeString(part[2])
	if err != nil {
		return nil, err
	}
	hash := sha256.Sum256([]byte(part[0] + "\n" + string(key)))
	if len(key) != 33 || key[0] != 4 || !bytes.Equal(hash[:4], id) {
		return nil, errors.New("not a witness's Ed25519 key")
	}
	return cosigner{part[0], binary.BigEndian.Uint32(id), ed25519.PublicKey(key[1:])}, nil
}

type policy struct {
	verifiers []note.Verifier
	logs      map[string]bool
	agrees    map[string]func(signed map[string]bool) bool
	quorum    string
}

func (p *policy) group(words []string) {
	members, k := words[3:], 1
	if words[2] == "all" {
		k = len(members)
	} else if words[2] != "any" {
		n, err := strconv.Atoi(words[2])
		check(err, "policy")
		k = n
	}
	p.agrees[words[1]] = func(signed map[string]bool) bool {
		n := 0
		for _, m := range members {
			if p.agrees[m](signed) {
				n++
			}
		}
		return n >= k
	}
}

func readPolicy(path string) *policy {
	p := &policy{logs: map[string]bool{}, agrees: map[string]func(map[string]bool) bool{}}
	data, err := os.ReadFile(path)
	check(err, "policy")
	for _, line := range strings.Split(string(data), "\n") {
		words := strings.Fields(line)
		if len(words) < 2 || strings.HasPrefix(words[0], "#") {
			continue
		}
		switch words[0] {
		case "log":
			v, err := note.NewVerifier(words[1])
			check(err, "log key")
			p.verifiers = append(p.verifiers, v)
			p.logs[v.Name()] = true
		case "witness":
			v, err := newCosigner(words[2])
			check(err, "witness key")
			p.verifiers = append(p.verifiers, v)
			id := fmt.Sprintf("%s %d", v.Name(), v.KeyHash())
			p.agrees[words[1]] = func(signed map[string]bool) bool { return signed[id] }
		case "group":
			p.group(words)
		case "quorum":
			p.quorum = words[1]
		default:
			check(fmt.Errorf("unknown word %q", words[0]), "policy")
		}
	}
	if p.quorum == "" {
		check(errors.New("no quorum"), "policy")
	}
	return p
}

// The head of the tree, when a log and the quorum of its witnesses have signed it.
func (p *policy) open(checkpoint []byte) tlog.Tree {
	n, err := note.Open(checkpoint, note.VerifierList(p.verifiers...))
	check(err, "checkpoint")
	signed, byLog := map[string]bool{}, false
	lines := strings.Split(n.Text, "\n")
	if len(lines) != 4 {
		check(errors.New("not origin, size and root"), "checkpoint")
	}
	for _, s := range n.Sigs {
		signed[fmt.Sprintf("%s %d", s.Name, s.Hash)] = true
		byLog = byLog || (p.logs[s.Name] && s.Name == lines[0])
	}
	if !byLog {
		check(errors.New("no log of the policy has signed it"), "checkpoint")
	}
	if p.quorum != "none" && !p.agrees[p.quorum](signed) {
		check(errors.New("the quorum of witnesses has not cosigned it"), "checkpoint")
	}
	size, err := strconv.ParseInt(lines[1], 10, 64)
	check(err, "size")
	root, err := tlog.ParseHash(lines[2])
	check(err, "root")
	return tlog.Tree{N: size, Hash: root}
}

func verify(p *policy, name string) {
	data, err := os.ReadFile(name + ".tlog-proof")
	check(err, name)
	leaf, err := os.ReadFile(name + ".leaf")
	check(err, name)
	parts := strings.SplitN(string(data), "\n\n", 2)
	lines := strings.Split(parts[0], "\n")
	if len(parts) != 2 || len(lines) < 2 || lines[0] != "c2sp.org/tlog-proof@v1" {
		check(errors.New("not a tlog-proof"), name)
	}
	if strings.HasPrefix(lines[1], "extra ") {
		lines = lines[1:]
	}
	index, err := strconv.ParseInt(strings.TrimPrefix(lines[1], "index "), 10, 64)
	check(err, name)
	var proof tlog.RecordProof
	for _, line := range lines[2:] {
		hash, err := tlog.ParseHash(line)
		check(err, name)
		proof = append(proof, hash)
	}
	tree := p.open([]byte(parts[1]))
	check(tlog.CheckRecord(proof, tree.N, tree.Hash, index, tlog.RecordHash(leaf)), name)
	fmt.Printf("%s: entry %d is in the tree of %d entries, whose checkpoint the policy takes\n", name, index, tree.N)
}

// Each note names the former and the next key, both of which have signed it, and continues the one before.
func handovers(p *policy) {
	data, err := os.ReadFile("log-keys.json")
	check(err, "handovers")
	var notes []string
	check(json.Unmarshal(data, &notes), "handovers")
	next := ""
	for _, text := range notes {
		lines := strings.Split(text, "\n")
		if len(lines) < 6 || !strings.HasPrefix(lines[1], "former ") || !strings.HasPrefix(lines[2], "next ") {
			check(errors.New("not a handover"), "handovers")
		}
		former, err := note.NewVerifier(lines[1][7:])
		check(err, "handovers")
		if next != "" && next != lines[1][7:] {
			check(errors.New("one does not continue the one before"), "handovers")
		}
		next = lines[2][5:]
		follower, err := note.NewVerifier(next)
		check(err, "handovers")
		opened, err := note.Open([]byte(text), note.VerifierList(former, follower))
		check(err, "handovers")
		if len(opened.Sigs) != 2 || former.Name() != lines[0] || follower.Name() != lines[0] {
			check(errors.New("not both keys have signed it"), "handovers")
		}
		fmt.Printf("the key %s signed up to %s entries\n", lines[1][7:], lines[3])
	}
	for _, v := range p.verifiers {
		if own, err := note.NewVerifier(next); err == nil && p.logs[v.Name()] && v.Name() == own.Name() && v.KeyHash() == own.KeyHash() {
			return
		}
	}
	check(errors.New("they do not lead to the log of the policy"), "handovers")
}

func main() {
	p := readPolicy("policy.tlog")
	for _, name := range os.Args[1:] {
		if name == "-handovers" {
			handovers(p)
		} else {
			verify(p, name)
		}
	}
}
