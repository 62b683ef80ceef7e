// SPDX-License-Identifier: AGPL-3.0-or-later

package cli

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestTimesHaveZones: no command shows a time of day without its zone.
func TestTimesHaveZones(t *testing.T) {
	sources, err := filepath.Glob("*.go")
	require.NoError(t, err)
	below, err := filepath.Glob("*/*.go")
	require.NoError(t, err)
	sources = append(sources, below...)
	zoned := regexp.MustCompile(`MST|Z07|-07`)
	for _, file := range sources {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		set := token.NewFileSet()
		parsed, err := parser.ParseFile(set, file, nil, 0)
		require.NoError(t, err)
		ast.Inspect(parsed, func(n ast.Node) bool {
			if outer, ok := n.(*ast.BinaryExpr); ok && zoned.MatchString(literals(outer)) {
				return false
			}
			call, ok := n.(*ast.CallExpr)
			if !ok || len(call.Args) != 1 {
				return true
			}
			f, ok := call.Fun.(*ast.SelectorExpr)
			if !ok || f.Sel.Name != "Format" {
				return true
			}
			switch layout := call.Args[0].(type) {
			case *ast.BasicLit:
				if strings.Contains(layout.Value, "15:04") && !zoned.MatchString(layout.Value) {
					t.Errorf("%s: a time without its zone", set.Position(call.Pos()))
				}
			case *ast.SelectorExpr:
				if name := layout.Sel.Name; name != "TimeForm" && name != "DateOnly" && name != "RFC3339" && name != "RFC3339Nano" {
					t.Errorf("%s: time.%s has no zone", set.Position(call.Pos()), name)
				}
			}
			return true
		})
	}
}

// literals joins the string literals of an expression.
func literals(e ast.Expr) string {
	var all strings.Builder
	ast.Inspect(e, func(n ast.Node) bool {
		if lit, ok := n.(*ast.BasicLit); ok && lit.Kind == token.STRING {
			text, _ := strconv.Unquote(lit.Value)
			all.WriteString(strconv.Quote(text))
		}
		return true
	})
	return all.String()
}
