// SPDX-License-Identifier: AGPL-3.0-or-later

// Command gen writes what follows from the table of settings (engine/nodes/settings). Run it with
// `go generate ./engine/nodes/settings`, or with `make generate`, which has sqlc read the query afterwards.
package main

import (
	"bytes"
	"embed"
	"fmt"
	"go/format"
	"log"
	"os"
	"path/filepath"
	"strings"
	"text/template"

	"github.com/adit-go/adit/engine/nodes/settings"
)

//go:embed *.tmpl
var templates embed.FS

// files are what is written, by the template of each, as seen from the package settings, where go generate runs.
var files = map[string]string{
	"engine.go.tmpl":   "../zz_settings.go",
	"servers.sql.tmpl": "../../../db/queries/zz_servers.sql",
	"client.go.tmpl":   "../../../client/zz_settings.go",
	"api.go.tmpl":      "../../../http/api/zz_settings.go",
	"cli.go.tmpl":      "../../../cli/zz_settings.go",
	"settings.md.tmpl": "../../../docs/settings.md",
}

func main() {
	log.SetFlags(0)
	all := newTable(settings.Groups)
	for name, path := range files {
		if err := write(name, path, all); err != nil {
			log.Fatal(err)
		}
	}
}

func write(name, path string, all table) error {
	t, err := template.New(name).Funcs(template.FuncMap{"join": strings.Join, "cell": cell}).ParseFS(templates, name)
	if err != nil {
		return err
	}
	var out bytes.Buffer
	if err := t.Execute(&out, all); err != nil {
		return err
	}
	text := out.Bytes()
	if filepath.Ext(path) == ".go" {
		if text, err = format.Source(text); err != nil {
			return fmt.Errorf("%s makes no Go: %w\n%s", name, err, out.Bytes())
		}
	}
	return os.WriteFile(path, text, 0o644)
}
