// SPDX-License-Identifier: AGPL-3.0-or-later

package nodes

import (
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/adit-go/adit/engine/base"
)

// place is a directory by its file system: whatever paths lead to it, over links that are resolved or mounts, it is the
// same one.
type place struct{ device, path string }

func (p place) within(of place) bool { return p.device == of.device && within(p.path, of.path) }

// mount is a part of a file system and the path where it is in sight.
type mount struct {
	place
	at string
}

// readMounts returns the mounts that this process sees; none where the system doesn't tell. Then paths alone are
// compared.
func readMounts() []mount {
	text, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return nil
	}
	return parseMounts(string(text))
}

// parseMounts reads lines of proc_pid_mountinfo(5): id, parent, major:minor, root, mount point, …
func parseMounts(text string) (all []mount) {
	for line := range strings.Lines(text) {
		if f := strings.Fields(line); len(f) > 4 {
			all = append(all, mount{place{f[2], unescaped(f[3])}, unescaped(f[4])})
		}
	}
	return all
}

// unescaped reads a path in which blanks and backslashes are octal.
func unescaped(path string) string {
	var out strings.Builder
	for i := 0; i < len(path); i++ {
		if path[i] == '\\' && i+3 < len(path) {
			if b, err := strconv.ParseUint(path[i+1:i+4], 8, 8); err == nil {
				out.WriteByte(byte(b))
				i += 3
				continue
			}
		}
		out.WriteByte(path[i])
	}
	return out.String()
}

// placeOf returns the place that a resolved path leads to.
func placeOf(mounts []mount, path string) place {
	found := mount{place{"", "/"}, "/"}
	for _, m := range mounts {
		if within(path, m.at) && len(m.at) >= len(found.at) {
			found = m
		}
	}
	rest, err := filepath.Rel(found.at, path)
	if err != nil {
		return place{"", path}
	}
	return place{found.device, filepath.Join(found.place.path, rest)}
}

// placesIn returns the place that a resolved path leads to, and those that are mounted in it, but for what is in a
// directory.
func placesIn(mounts []mount, path, except string) []place {
	all := []place{placeOf(mounts, path)}
	for _, m := range mounts {
		if m.at != path && within(m.at, path) && (except == "" || !within(m.at, except)) {
			all = append(all, m.place)
		}
	}
	return all
}

// overlap reports whether one of two resolved paths leads into the other.
func overlap(mounts []mount, one, other string) bool {
	return slices.ContainsFunc(placesIn(mounts, one, ""), func(p place) bool {
		return slices.ContainsFunc(
			placesIn(mounts, other, ""), func(q place) bool { return p.within(q) || q.within(p) },
		)
	})
}

// inOurs reports whether a resolved path leads into ADIT's own data: the data directory, but for OwnFolders.
func inOurs(c base.Config, mounts []mount, path string) bool {
	return c.DataDir != "" && ours(c, mounts)(placeOf(mounts, path))
}

// aroundOurs reports whether ADIT's own data, or a part of it, is to be found below a resolved path.
func aroundOurs(c base.Config, mounts []mount, path string) bool {
	if c.DataDir == "" {
		return false
	}
	own, theirs := placeOf(mounts, resolved(c.DataDir)), placesIn(mounts, path, "")
	return slices.ContainsFunc(theirs, own.within) || slices.ContainsFunc(theirs[1:], ours(c, mounts))
}

// ours returns what reports whether a place is in ADIT's own data.
func ours(c base.Config, mounts []mount) func(place) bool {
	own := resolved(c.DataDir)
	shared := filepath.Join(own, OwnFolders)
	places, folders := placesIn(mounts, own, shared), placeOf(mounts, shared)
	return func(p place) bool { return slices.ContainsFunc(places, p.within) && !p.within(folders) }
}
