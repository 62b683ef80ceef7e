// SPDX-License-Identifier: AGPL-3.0-or-later

//go:build linux

package local

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

const minMajor = 15

// ErrMajor says that the cluster was made by a PostgreSQL of another major version than those installed.
var ErrMajor = errors.New("the embedded database needs another major version of PostgreSQL")

// binaries are PostgreSQL's programs of one version.
type binaries struct {
	dir   string
	major int
}

func (b binaries) path(program string) string { return filepath.Join(b.dir, program) }

// findBinaries returns the programs of the wanted major version; 0 wants the newest.
func findBinaries(ctx context.Context, wanted int) (binaries, error) {
	return chooseBinaries(ctx, candidates(), wanted)
}

func candidates() []string {
	// An impossible pattern is the only error of Glob.
	dirs, _ := filepath.Glob("/usr/lib/postgresql/*/bin")
	if p, err := exec.LookPath("initdb"); err == nil {
		if p, err = filepath.EvalSymlinks(p); err == nil {
			dirs = append(dirs, filepath.Dir(p))
		}
	}
	if exe, err := os.Executable(); err == nil {
		dirs = append(dirs, filepath.Join(filepath.Dir(exe), "lib", "postgresql", "bin"))
	}
	return dirs
}

func chooseBinaries(ctx context.Context, dirs []string, wanted int) (binaries, error) {
	var found []binaries
	for _, dir := range dirs {
		if _, err := os.Stat(filepath.Join(dir, "initdb")); err != nil {
			continue
		}
		if major, err := majorOf(ctx, filepath.Join(dir, "postgres")); err == nil {
			found = append(found, binaries{dir, major})
		}
	}
	slices.SortStableFunc(found, func(a, b binaries) int { return b.major - a.major })

	var names []string
	for _, b := range found {
		if b.major == wanted || wanted == 0 && b.major >= minMajor {
			return b, nil
		}
		names = append(names, strconv.Itoa(b.major))
	}
	names = slices.Compact(names) // one may be found in several places
	have := "only " + strings.Join(names, " and ") + " is installed"
	if len(names) > 1 {
		have = "only " + strings.Join(names, " and ") + " are installed"
	}
	switch {
	case len(found) == 0:
		return binaries{}, errors.New("ADIT found no PostgreSQL programs in /usr/lib/postgresql, in PATH or beside " +
			"adit; install them (Debian: apt-get install postgresql), or give --database-url")
	case wanted == 0:
		return binaries{}, fmt.Errorf(
			"ADIT needs PostgreSQL %d or later, and %s; install a newer one (apt.postgresql.org has it), or give "+
				"--database-url",
			minMajor, have,
		)
	}
	return binaries{}, fmt.Errorf(
		"%w: PostgreSQL %d created it, and %s; install PostgreSQL %d again (several versions can be installed "+
			"side by side)",
		ErrMajor, wanted, have, wanted,
	)
}

var versionLine = regexp.MustCompile(`^postgres \(PostgreSQL\) (\d+)`)

func majorOf(ctx context.Context, postgres string) (int, error) {
	cmd := exec.CommandContext(ctx, postgres, "--version")
	cmd.Env = []string{"LC_ALL=C"}
	out, err := cmd.Output()
	if err != nil {
		return 0, err
	}
	m := versionLine.FindSubmatch(out)
	if m == nil {
		return 0, fmt.Errorf("%s does not name its version", postgres)
	}
	return strconv.Atoi(string(m[1]))
}
