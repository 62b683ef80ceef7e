// SPDX-License-Identifier: AGPL-3.0-or-later

// Command gen collects the licences of what is linked into adit: of ADIT itself, of Go's standard library, and of each
// module.
package main

import (
	"bytes"
	"cmp"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/adit-go/adit/internal/licenses"
)

const (
	program = "github.com/adit-go/adit/cmd/adit"
	own     = "github.com/adit-go/adit"
)

func main() {
	if err := run(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, "the licences could not be collected:", err)
		os.Exit(1)
	}
}

type module struct {
	Path    string `json:"Path"`
	Version string `json:"Version"`
	Dir     string `json:"Dir"`
	Main    bool   `json:"Main"`
}

func run(ctx context.Context) error {
	modules, err := linked(ctx)
	if err != nil {
		return err
	}
	goroot, err := exec.CommandContext(ctx, "go", "env", "GOROOT").Output()
	if err != nil {
		return err
	}
	modules = append(modules, module{Path: "Go standard library", Dir: strings.TrimSpace(string(goroot))})
	byText := map[string]*licenses.License{}
	for _, m := range modules {
		text, err := textOf(m)
		if err != nil {
			return err
		}
		if byText[text] == nil {
			byText[text] = &licenses.License{Text: text}
		}
		byText[text].Modules = append(byText[text].Modules, licenses.Module{Path: m.Path, Version: m.Version})
	}
	var all []*licenses.License
	for _, l := range byText {
		slices.SortFunc(l.Modules, func(a, b licenses.Module) int { return cmp.Compare(a.Path, b.Path) })
		all = append(all, l)
	}
	slices.SortFunc(all, func(a, b *licenses.License) int {
		if first := a.Modules[0].Path == own; first != (b.Modules[0].Path == own) {
			if first {
				return -1
			}
			return 1
		}
		return cmp.Compare(a.Modules[0].Path, b.Modules[0].Path)
	})
	return write("licenses.json.gz", all)
}

// linked returns the modules whose packages are in the program.
func linked(ctx context.Context) ([]module, error) {
	out, err := exec.CommandContext(ctx, "go", "list", "-deps", "-json=Module", program).Output()
	if err != nil {
		return nil, fmt.Errorf("go list: %w", err)
	}
	seen := map[string]bool{}
	var all []module
	for in := json.NewDecoder(bytes.NewReader(out)); ; {
		var pkg struct {
			Module *module `json:"Module"`
		}
		err := in.Decode(&pkg)
		if errors.Is(err, io.EOF) {
			return all, nil
		}
		if err != nil {
			return nil, err
		}
		if m := pkg.Module; m != nil && !seen[m.Path] {
			seen[m.Path] = true
			if m.Main {
				m.Version = ""
			}
			all = append(all, *m)
		}
	}
}

// licenseFile tells the files that hold terms or that the terms want to be passed on.
var licenseFile = regexp.MustCompile(`(?i)^(licen[cs]e|copying|notice|copyright|patents)`)

func textOf(m module) (string, error) {
	var text strings.Builder
	add := func(path string) error {
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		if text.Len() > 0 {
			text.WriteString("\n")
		}
		text.WriteString(strings.TrimSpace(strings.ReplaceAll(string(b), "\r\n", "\n")) + "\n")
		return nil
	}
	entries, err := os.ReadDir(m.Dir)
	if err != nil {
		return "", err
	}
	for _, e := range entries {
		path := filepath.Join(m.Dir, e.Name())
		switch {
		case !licenseFile.MatchString(e.Name()) || strings.HasSuffix(e.Name(), ".go"):
		case e.IsDir():
			err = filepath.WalkDir(path, func(path string, d fs.DirEntry, err error) error {
				if err != nil || d.IsDir() {
					return err
				}
				return add(path)
			})
		default:
			err = add(path)
		}
		if err != nil {
			return "", err
		}
	}
	if text.Len() == 0 {
		return "", fmt.Errorf("module %s has no file with its licence", m.Path)
	}
	return text.String(), nil
}

func write(name string, all []*licenses.License) error {
	var out bytes.Buffer
	packed, err := gzip.NewWriterLevel(&out, gzip.BestCompression)
	if err != nil {
		return err
	}
	if err := errors.Join(json.NewEncoder(packed).Encode(all), packed.Close()); err != nil {
		return err
	}
	return os.WriteFile(name, out.Bytes(), 0o644)
}
