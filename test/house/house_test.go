// SPDX-License-Identifier: AGPL-3.0-or-later

// Package house holds the code to the sizes in which a newcomer finds things.
package house

import (
	"bufio"
	"bytes"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/audit"
)

const (
	mostLines   = 5000 // of a package, without tests and what is generated
	mostMethods = 40   // of a type
)

// larger are the types that may have more methods, and why.
var larger = map[string]string{
	"dicom/ul.Association": "one end of a connection: its methods share the state machine of PS3.8 9.2 and one buffer",
}

// TestSizes: no package has more than 5,000 lines, and no type more than 40 methods.
func TestSizes(t *testing.T) {
	root := filepath.Join("..", "..")
	lines, methods := map[string]int{}, map[string]int{}
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && path != root &&
			(strings.HasPrefix(d.Name(), ".") || d.Name() == "testdata" || d.Name() == "node_modules"):
			return fs.SkipDir
		case d.IsDir() || filepath.Ext(path) != ".go" || strings.HasSuffix(path, "_test.go"):
			return nil
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, text, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil || ast.IsGenerated(file) {
			return err
		}
		dir, err := filepath.Rel(root, filepath.Dir(path))
		if err != nil {
			return err
		}
		dir = filepath.ToSlash(dir)
		for scan := bufio.NewScanner(bytes.NewReader(text)); scan.Scan(); {
			lines[dir]++
		}
		for _, decl := range file.Decls {
			if fn, ok := decl.(*ast.FuncDecl); ok && fn.Recv != nil {
				methods[dir+"."+receiver(fn.Recv.List[0].Type)]++
			}
		}
		return nil
	})
	require.NoError(t, err)
	require.NotEmpty(t, methods)
	for dir, n := range lines {
		require.LessOrEqual(t, n, mostLines, "lines of the package %s", dir)
	}
	for of, n := range methods {
		if _, exempt := larger[of]; !exempt {
			require.LessOrEqual(t, n, mostMethods, "methods of %s", of)
		}
	}
	for of := range larger {
		require.Greater(t, methods[of], mostMethods, "%s needs no exemption", of)
	}
}

// receiver returns the name of a receiver's type.
func receiver(of ast.Expr) string {
	switch x := of.(type) {
	case *ast.StarExpr:
		return receiver(x.X)
	case *ast.IndexExpr:
		return receiver(x.X)
	case *ast.IndexListExpr:
		return receiver(x.X)
	case *ast.Ident:
		return x.Name
	}
	return ""
}

// TestActsAreKnown: each act that the code records is in the table that says whether it takes the password; one that is
// not would take it from everybody, and refuse API tokens.
func TestActsAreKnown(t *testing.T) {
	recorded := regexp.MustCompile(`\bAction:\s+"([a-z_]+\.[a-z_]+)"`)
	found := 0
	for _, room := range []string{"audit", "engine", "http", "mail", "people", "server"} {
		files, err := filepath.Glob(filepath.Join("..", "..", room, "*.go"))
		require.NoError(t, err)
		below, err := filepath.Glob(filepath.Join("..", "..", room, "*", "*.go"))
		require.NoError(t, err)
		for _, file := range append(files, below...) {
			if strings.HasSuffix(file, "_test.go") {
				continue
			}
			text, err := os.ReadFile(file)
			require.NoError(t, err)
			for _, m := range recorded.FindAllStringSubmatch(string(text), -1) {
				found++
				require.NotEmpty(t, audit.TakesPassword(m[1]), "%s: audit/acts.go does not know %s", file, m[1])
			}
		}
	}
	require.NotZero(t, found)
}
