// SPDX-License-Identifier: AGPL-3.0-or-later

package cli

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/alecthomas/kong"
	"github.com/stretchr/testify/require"
)

// TestNamedCommands: each command that a message, a help text or a document names exists, with the flags that are
// named.
func TestNamedCommands(t *testing.T) {
	root := commandTree(t)
	named := 0
	require.NoError(t, filepath.WalkDir("..", func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && (strings.HasPrefix(d.Name(), ".") && d.Name() != ".." ||
			d.Name() == "testdata" || d.Name() == "node_modules"):
			return filepath.SkipDir
		case d.IsDir() || strings.HasSuffix(path, "_test.go"):
			return nil
		}
		var texts []string
		switch filepath.Ext(path) {
		case ".go":
			texts = goTexts(t, path)
		case ".md":
			texts = codeOf(t, path)
		}
		for _, text := range texts {
			for _, line := range commandLines(text) {
				named++
				if err := exists(root, line); err != nil {
					t.Errorf("%s: `adit %s`: %s", path, strings.Join(line, " "), err)
				}
			}
		}
		return nil
	}))
	require.Greater(t, named, 200, "they are found at all")
}

// TestNamedCommandsAreSeen: what TestNamedCommands is to find.
func TestNamedCommandsAreSeen(t *testing.T) {
	root := commandTree(t)
	for text, wrong := range map[string]string{
		"run `adit db migrate`":                                                  "there is no command db",
		"then `adit node upgrade` does it":                                       "node has no command upgrade",
		"adit node set PACS --add-adresses 10.1.2.3 allows it":                   "node set has no flag --add-adresses",
		"adit node set PACS --add-address 10.1.2.3 allows it; look at --nothing": "",
		"give it (adit transfer --rejected leave-out), or not":                   "",
		"(adit serve --quarantin)":                                               "serve has no flag --quarantin",
		"adit job list|gets|cancel":                                              "job has no command gets",
		"adit settings shows it":                                                 "",
		"this adit knows only up to 3":                                           "",
		"adit echo|find|get|store HOST PORT":                                     "",
		"adit job list --limit 5; adit job lists":                                "job has no command lists",
		"/usr/bin/adit nothing":                                                  "",
		"adit node add folder disk --path /srv --host x":                         "node add folder has no flag --host",
	} {
		var said string
		for _, line := range commandLines(text) {
			if err := exists(root, line); err != nil {
				said += err.Error()
			}
		}
		require.Equal(t, wrong, said, text)
	}
}

func commandTree(t *testing.T) *kong.Node {
	t.Helper()
	k, err := kong.New(&commands{}, kong.Name("adit"), kong.Vars{
		"data_dir": "", "demo_dir": "", "deid_profile": "", "deid_profiles": "",
	},
		kong.ExplicitGroups([]kong.Group{{Key: "dimse"}}))
	require.NoError(t, err)
	return k.Model.Node
}

// goTexts returns the string literals of a Go file, those that are added up as one. Tags of fields, which hold help and
// descriptions, are among them.
func goTexts(t *testing.T, path string) (texts []string) {
	t.Helper()
	parsed, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
	require.NoError(t, err)
	ast.Inspect(parsed, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.ImportSpec:
			return false
		case *ast.BinaryExpr:
			texts = append(texts, joined(n))
			return false
		case *ast.BasicLit:
			texts = append(texts, joined(n))
		}
		return true
	})
	return texts
}

// joined puts the string literals of an expression together; what stands between them is one word.
func joined(e ast.Node) string {
	var all strings.Builder
	ast.Inspect(e, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.BasicLit:
			text, _ := strconv.Unquote(n.Value)
			all.WriteString(text)
		case *ast.Ident:
			all.WriteString("X")
		}
		return true
	})
	return all.String()
}

var (
	fenced   = regexp.MustCompile("(?ms)^```[^\n]*\n(.*?)^```")
	codeSpan = regexp.MustCompile("`[^`\n]+`")
	inCode   = regexp.MustCompile(`^\s*(?:\$ )?(?:bin/)?adit `)
)

// codeOf returns what a document has as code: blocks line by line without their remarks, and spans.
func codeOf(t *testing.T, path string) (texts []string) {
	t.Helper()
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	for _, block := range fenced.FindAllSubmatch(text, -1) {
		lines := strings.ReplaceAll(string(block[1]), "\\\n", " ")
		for line := range strings.SplitSeq(lines, "\n") {
			if inCode.MatchString(line) {
				line, _, _ = strings.Cut(line, " #")
				texts = append(texts, "`"+strings.TrimSpace(strings.TrimPrefix(strings.TrimSpace(line), "bin/"))+"`")
			}
		}
	}
	for _, span := range codeSpan.FindAll(fenced.ReplaceAll(text, nil), -1) {
		texts = append(texts, string(bytes.ReplaceAll(span, []byte(`\|`), []byte("|"))))
	}
	return texts
}

var (
	mention = regexp.MustCompile("(^|[^a-zA-Z0-9_/.-])adit (--[a-z]|[a-z])")
	ends    = regexp.MustCompile("[`\"]|[.;:,)]( |$|\n)|[\n)]| (?:\\||>|&&) ")
	// What follows the program's name and is no command: prose, names of what the program has open, lines that it
	// writes.
	prose = regexp.MustCompile(
		`^(knows|is|had|does|and its PostgreSQL|test|migrate$|beat$|audit head (SEQ|X)|server key fingerprint|phantom %d|ctp rsna) ?`,
	)
)

// commandLines finds the command lines that a text names: the words after "adit", up to the end of the code or the
// sentence.
func commandLines(text string) (lines [][]string) {
	for _, at := range mention.FindAllStringIndex(text, -1) {
		rest := text[strings.Index(text[at[0]:], "adit ")+at[0]+len("adit "):]
		if end := ends.FindStringIndex(rest); end != nil {
			rest = rest[:end[0]]
		}
		if words := strings.Fields(rest); len(words) > 0 && !prose.MatchString(rest) {
			lines = append(lines, words)
		}
	}
	return lines
}

var (
	word = regexp.MustCompile(`^[a-z][a-z-]*(\|[a-z][a-z-]*)*$`)
	flag = regexp.MustCompile(`^\[?(--[a-z][a-z0-9-]*)`)
)

// exists reports what a command line names that there isn't.
func exists(root *kong.Node, line []string) error {
	at, path := root, ""
	for len(line) > 0 && word.MatchString(line[0]) {
		var next *kong.Node
		for name := range strings.SplitSeq(line[0], "|") {
			child := childOf(at, name)
			if child == nil && (len(commandsOf(at)) == 0 || at.DefaultCmd != nil) {
				break // an argument, or prose
			}
			if child == nil && path == "" {
				return fmt.Errorf("there is no command %s", name)
			}
			if child == nil {
				return fmt.Errorf("%s has no command %s", path, name)
			}
			next = child
		}
		if next == nil {
			break
		}
		at, path, line = next, strings.TrimSpace(path+" "+line[0]), line[1:]
	}
	for _, w := range line {
		found := flag.FindStringSubmatch(w)
		if found == nil || found[1] == "--help" {
			continue
		}
		if !hasFlag(at, strings.TrimPrefix(found[1], "--")) {
			return fmt.Errorf("%s has no flag %s", path, found[1])
		}
	}
	return nil
}

func commandsOf(n *kong.Node) (list []*kong.Node) {
	for _, c := range n.Children {
		if c.Type == kong.CommandNode {
			list = append(list, c)
		}
	}
	return list
}

func childOf(n *kong.Node, name string) *kong.Node {
	for _, c := range commandsOf(n) {
		if c.Name == name || slices.Contains(c.Aliases, name) {
			return c
		}
	}
	return nil
}

// hasFlag reports whether a command, one that it is below of, or its default command has a flag.
func hasFlag(n *kong.Node, name string) bool {
	groups := n.AllFlags(false)
	if n.DefaultCmd != nil {
		groups = append(groups, n.DefaultCmd.Flags)
	}
	for _, group := range groups {
		for _, f := range group {
			if f.Name == name || f.Tag.Negatable != "" && "no-"+f.Name == name || slices.Contains(f.Aliases, name) {
				return true
			}
		}
	}
	return false
}
