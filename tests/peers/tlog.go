// Reads a ledger's tiles/ with Go's own transparency-log packages, which know nothing of hps: the checkpoint's signature,
// the tiles up to its root, an inclusion proof for each leaf in the entry bundles, and that each EARLIER checkpoint (a file) is of a
// beginning of this tree.
//
// usage: tlog TILES-DIRECTORY VERIFIER-KEY [EARLIER]...
package main

import (
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

func check(err error, doing string) {
	if err != nil {
		fmt.Println(doing+":", err)
		os.Exit(1)
	}
}

// The head of the tree, from a note that the key signed.
func readCheckpoint(path, vkey string) tlog.Tree {
	data, err := os.ReadFile(path)
	check(err, "checkpoint")
	verifier, err := note.NewVerifier(vkey)
	check(err, "verifier key")
	n, err := note.Open(data, note.VerifierList(verifier))
	check(err, "checkpoint")
	lines := strings.Split(n.Text, "\n")
	if len(lines) != 4 || lines[0] != verifier.Name() {
		check(fmt.Errorf("not origin, size and root"), "checkpoint")
	}
	size, err := strconv.ParseInt(lines[1], 10, 64)
	check(err, "size")
	root, err := tlog.ParseHash(lines[2])
	check(err, "root")
	return tlog.Tree{N: size, Hash: root}
}

type tiles struct{ dir string }

func (t tiles) Height() int                             { return 8 }
func (t tiles) SaveTiles([]tlog.Tile, [][]byte)         {}
func (t tiles) ReadTiles(want []tlog.Tile) ([][]byte, error) {
	var all [][]byte
	for _, tile := range want {
		// C2SP's paths are Go's without the height.
		path := strings.Replace(tile.Path(), "tile/8/", "tile/", 1)
		data, err := os.ReadFile(filepath.Join(t.dir, path))
		if err != nil {
			return nil, err
		}
		all = append(all, data)
	}
	return all, nil
}

// The leaves of the bundles, in order.
func readLeaves(dir string, size int64) [][]byte {
	var leaves [][]byte
	for n := int64(0); n*256 < size; n++ {
		tile := tlog.Tile{H: 8, L: -1, N: n, W: 256}
		if size-n*256 < 256 {
			tile.W = int(size - n*256)
		}
		path := strings.Replace(tile.Path(), "tile/8/data/", "tile/entries/", 1)
		data, err := os.ReadFile(filepath.Join(dir, path))
		check(err, "bundle")
		for i := 0; i < tile.W; i++ {
			if len(data) < 2 || len(data)-2 < int(binary.BigEndian.Uint16(data)) {
				check(fmt.Errorf("%s is cut short", path), "bundle")
			}
			end := 2 + int(binary.BigEndian.Uint16(data))
			leaves = append(leaves, data[2:end])
			data = data[end:]
		}
		if len(data) != 0 {
			check(fmt.Errorf("%s has something behind the last entry", path), "bundle")
		}
	}
	return leaves
}

func main() {
	dir := os.Args[1]
	tree := readCheckpoint(filepath.Join(dir, "checkpoint"), os.Args[2])
	reader := tlog.TileHashReader(tree, tiles{dir})
	for i, leaf := range readLeaves(dir, tree.N) {
		proof, err := tlog.ProveRecord(tree.N, int64(i), reader)
		check(err, fmt.Sprintf("entry %d", i))
		check(tlog.CheckRecord(proof, tree.N, tree.Hash, int64(i), tlog.RecordHash(leaf)), fmt.Sprintf("entry %d", i))
	}
	for n := int64(1); n < tree.N; n += 1 + n/3 {
		old, err := tlog.TreeHash(n, reader)
		check(err, "old root")
		proof, err := tlog.ProveTree(tree.N, n, reader)
		check(err, "consistency")
		check(tlog.CheckTree(proof, tree.N, tree.Hash, n, old), "consistency")
	}
	for _, path := range os.Args[3:] {
		old := readCheckpoint(path, os.Args[2])
		if old.N == 0 {
			continue
		}
		proof, err := tlog.ProveTree(tree.N, old.N, reader)
		check(err, path)
		check(tlog.CheckTree(proof, tree.N, tree.Hash, old.N, old.Hash), path)
	}
	fmt.Printf("%d entries hold\n", tree.N)
}
