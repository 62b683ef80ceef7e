// SPDX-License-Identifier: AGPL-3.0-or-later

package http_test

import (
	"context"
	"go/ast"
	"go/format"
	"go/parser"
	"go/token"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/client"
	"github.com/adit-go/adit/dicom/pacs"
	"github.com/adit-go/adit/dicom/phantom"
)

// TestGuide runs what docs/rest.md shows, as it stands there.
func TestGuide(t *testing.T) {
	guide, err := os.ReadFile("../docs/rest.md")
	require.NoError(t, err)
	s := newDemo(t)
	ctx, cancel := context.WithTimeout(t.Context(), deadline)
	defer cancel()
	dir := t.TempDir()
	run := func(program, text string) string {
		t.Helper()
		require.NotEmpty(t, text)
		file := filepath.Join(dir, program)
		require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
		args := []string{file}
		if program == "bash" {
			args = []string{"-euo", "pipefail", file}
		}
		cmd := exec.CommandContext(ctx, program, args...)
		cmd.Dir, cmd.Env = dir, append(os.Environ(), "ADIT_URL="+s.url, "ADIT_TOKEN="+s.token)
		out, err := cmd.CombinedOutput()
		require.NoError(t, err, "%s", out)
		return string(out)
	}
	out := run("bash", blocks(string(guide), "bash"))
	require.Contains(t, out, `"username":"admin"`)
	require.Contains(t, out, phantom.DemoStudies()[0].StudyInstanceUID)
	require.Contains(t, out, `"faults":[]`)
	require.Contains(t, out, `"kind":"batch_transfer"`)
	out = run("python3", blocks(string(guide), "python"))
	require.Contains(t, out, "success All tasks succeeded.")
	require.NotContains(t, out, "missing")
}

// newDemo starts a site that works, with the servers of the demo.
func newDemo(t *testing.T) *site {
	t.Helper()
	s := newSite(t)
	s.work()
	for name, studies := range map[string][]*phantom.Study{
		"PACS-A": phantom.DemoStudies()[:2], "RESEARCH": nil,
	} {
		p, err := pacs.Start(pacs.Config{AETitle: strings.ToUpper(name), Studies: studies})
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, p.Close()) })
		s.addServer(name, strings.ToUpper(name), func(c *client.ServerSettings) { c.Port = p.Port() })
	}
	return s
}

// TestGoGuide runs the program of docs/go.md, as it stands there.
func TestGoGuide(t *testing.T) {
	guide, err := os.ReadFile("../docs/go.md")
	require.NoError(t, err)
	s := newDemo(t)
	s.addUser(client.NewUser{Username: "researcher", Groups: []string{"Radiology"}})
	for _, node := range []string{"PACS-A", "RESEARCH"} {
		_, err := s.client.Groups.SetAccess(
			t.Context(), client.Access{Group: "Radiology", Node: node, Source: true, Destination: true},
		)
		require.NoError(t, err)
	}
	program := filepath.Join(t.TempDir(), "main.go")
	text := blocks(string(guide), "go")
	require.NotEmpty(t, text)
	formatted, err := format.Source([]byte(text))
	require.NoError(t, err)
	require.Equal(t, string(formatted), text, "it is formatted")
	require.NoError(t, os.WriteFile(program, []byte(text), 0o600))
	run := func() (string, error) {
		ctx, cancel := context.WithTimeout(t.Context(), 3*deadline) // it is compiled first
		defer cancel()
		cmd := exec.CommandContext(ctx, "go", "run", program)
		cmd.Env = append(os.Environ(), "ADIT_URL="+s.url, "ADIT_USER=researcher", "ADIT_PASSWORD="+password)
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	out, err := run()
	require.NoError(t, err, out)
	require.Contains(t, out, "success All tasks succeeded.")
	require.NotContains(t, out, "missing")
}

// blocks returns the code of a document in a language, one after the other.
func blocks(document, language string) (code string) {
	for _, m := range regexp.MustCompile("(?s)```"+language+"\n(.*?)```").FindAllStringSubmatch(document, -1) {
		code += m[1]
	}
	return code
}

// TestGuideNamesEveryCode: the table of docs/rest.md has each code that there is, and no other.
func TestGuideNamesEveryCode(t *testing.T) {
	guide, err := os.ReadFile("../docs/rest.md")
	require.NoError(t, err)
	var said []string
	for _, m := range regexp.MustCompile(
		"(?m)^\\| [0-9, ]+ \\| `([a-z_]+)` \\|",
	).FindAllStringSubmatch(string(guide), -1) {
		said = append(said, m[1])
	}
	file, err := parser.ParseFile(token.NewFileSet(), "../client/client.go", nil, 0)
	require.NoError(t, err)
	var codes []string
	ast.Inspect(file, func(n ast.Node) bool {
		if v, ok := n.(*ast.ValueSpec); ok && strings.HasPrefix(v.Names[0].Name, "Code") {
			lit, ok := v.Values[0].(*ast.BasicLit)
			require.True(t, ok)
			code, err := strconv.Unquote(lit.Value)
			require.NoError(t, err)
			codes = append(codes, code)
		}
		return true
	})
	require.ElementsMatch(t, codes, said)
}
