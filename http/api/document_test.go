// SPDX-License-Identifier: AGPL-3.0-or-later

package api

import (
	"encoding/json"
	"flag"
	"maps"
	"net/http"
	"os"
	pathpkg "path"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/danielgtaylor/huma/v2"
	"github.com/go-chi/chi/v5"
	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/http/problem"
	"github.com/adit-go/adit/http/rights"
	"github.com/adit-go/adit/http/route"
)

var documentFile = flag.String("document", "", "write the document of the API into this file")

// described returns the document as it is served.
func described(t *testing.T) (*API, *huma.OpenAPI) {
	t.Helper()
	a := Register(chi.NewRouter(), nil, nil, "1.0.0")
	text, err := a.routes.Document()
	require.NoError(t, err)
	if *documentFile != "" {
		require.NoError(t, os.WriteFile(*documentFile, append(text, '\n'), 0o644))
	}
	return a, a.routes.OpenAPI()
}

// The same program gives the same document each time.
func TestDocumentIsDeterministic(t *testing.T) {
	a, _ := described(t)
	b := Register(chi.NewRouter(), nil, nil, "1.0.0")
	first, err := a.routes.Document()
	require.NoError(t, err)
	second, err := b.routes.Document()
	require.NoError(t, err)
	require.Equal(t, string(first), string(second))
}

// saysSomething fails where a description is missing, or no more than what it stands beside.
func saysSomething(t *testing.T, where, description string, beside ...string) {
	t.Helper()
	words := func(text string) string {
		return strings.ToLower(strings.Trim(strings.NewReplacer("_", " ", "-", " ").Replace(text), " ."))
	}
	if len(words(description)) < 4 || slices.ContainsFunc(beside, func(b string) bool {
		return words(b) == words(description)
	}) {
		t.Errorf("%s has no description, or one that says nothing new: %q", where, description)
	}
}

func TestDocumentDescribesEverything(t *testing.T) {
	_, doc := described(t)
	known := map[string]bool{}
	for _, tag := range doc.Tags {
		saysSomething(t, "tag "+tag.Name, tag.Description, tag.Name)
		known[tag.Name] = true
	}
	for _, op := range route.Operations(doc) {
		t.Run(op.OperationID, func(t *testing.T) {
			own, found := strings.CutSuffix(op.Description, " "+rights.Of(op.Method+" "+op.Path).String())
			require.True(t, found, "the description ends with who may use it")
			saysSomething(t, "the operation", own, op.Summary, op.OperationID)
			require.True(t, strings.HasSuffix(own, "."), "sentences: %q", own)
			require.NotEmpty(t, op.Summary)
			require.LessOrEqual(t, len(op.Summary), 60, "a summary is short")
			require.NotContains(t, op.Summary, ".")
			require.Len(t, op.Tags, 1)
			require.True(t, known[op.Tags[0]], op.Tags)
			for _, p := range op.Parameters {
				saysSomething(t, "parameter "+p.Name, p.Description, p.Name)
				require.True(t, p.Example != nil || p.Schema.Enum != nil || p.Schema.Type == huma.TypeBoolean ||
					len(p.Schema.Examples) > 0 || p.Schema.Default != nil, "an example of parameter %s", p.Name)
			}
			for _, r := range op.Responses {
				for name, h := range r.Headers {
					if h.Ref == "" {
						saysSomething(t, "header "+name, h.Description, name)
					}
				}
			}
		})
	}
	for name, s := range doc.Components.Schemas.Map() {
		for property, of := range s.Properties {
			where := name + "." + property
			saysSomething(t, where, of.Description, property)
			simple := of.Ref == "" && len(of.Enum) == 0 && of.Format != "date-time" && of.Type == huma.TypeString
			require.False(t, simple && len(of.Examples) == 0, "an example of %s", where)
		}
	}
}

// What the document shows as an example is what it says of it, and what ADIT takes.
func TestDocumentExamples(t *testing.T) {
	_, doc := described(t)
	schemas := doc.Components.Schemas
	validate := func(t *testing.T, where string, s *huma.Schema, example any, mode huma.ValidateMode) {
		t.Helper()
		text, err := json.Marshal(example)
		require.NoError(t, err, where)
		var value any
		require.NoError(t, json.Unmarshal(text, &value), where)
		var faults huma.ValidateResult
		huma.Validate(schemas, s, huma.NewPathBuffer([]byte(""), 0), mode, value, &faults)
		require.Empty(t, faults.Errors, "%s: %s", where, text)
	}
	for _, op := range route.Operations(doc) {
		t.Run(op.OperationID, func(t *testing.T) {
			if op.RequestBody != nil {
				require.Len(t, op.RequestBody.Content, 1, "one form")
				for _, content := range op.RequestBody.Content {
					require.NotEmpty(t, content.Example)
					require.NotEqual(t, map[string]any{}, content.Example, "no property has to be given: name some")
					validate(t, "the body", content.Schema, content.Example, huma.ModeWriteToServer)
				}
			}
			for status, r := range op.Responses {
				if r.Ref != "" {
					continue
				}
				delete(r.Content, route.Workbook) // the other form of some tables, which has no example
				delete(r.Content, route.Zipped)
				require.LessOrEqual(t, len(r.Content), 1, "one form")
				for _, content := range r.Content {
					require.NotEmpty(t, content.Example, status)
					validate(t, status, content.Schema, content.Example, huma.ModeReadFromServer)
				}
			}
			for _, p := range op.Parameters {
				if p.Example != nil {
					validate(t, p.Name, p.Schema, p.Example, huma.ModeWriteToServer)
				}
			}
		})
	}
	for name, r := range doc.Components.Responses {
		for _, content := range r.Content {
			validate(t, name, content.Schema, content.Example, huma.ModeReadFromServer)
		}
	}
	for name, s := range schemas.Map() {
		for property, of := range s.Properties {
			for _, example := range of.Examples {
				validate(t, name+"."+property, of, example, huma.ModeWriteToServer)
			}
		}
	}
}

// responseName names the response of a status among the components.
func responseName(status int) string { return strings.ReplaceAll(http.StatusText(status), " ", "") }

// Every operation says in which statuses it can fail, and each of those is described once, with an example.
func TestDocumentStatuses(t *testing.T) {
	_, doc := described(t)
	addresses := map[string]bool{} // under which each item has one of its own
	for path, item := range doc.Paths {
		if under, last := pathpkg.Split(path); item.Get != nil && strings.HasPrefix(last, "{") {
			addresses[strings.TrimSuffix(under, "/")] = true
		}
	}
	for _, op := range route.Operations(doc) {
		t.Run(op.OperationID, func(t *testing.T) {
			want := []string{"400", "421", "422", "500", "503"}
			right := rights.Of(op.Method + " " + op.Path)
			if right.Who != rights.Anybody {
				want = append(want, "401", "429")
			}
			if op.Method != http.MethodGet || right.TakesPermission() {
				want = append(want, "403")
			}
			if op.RequestBody != nil {
				want = append(want, "408", "413", "415", "429")
			}
			for _, status := range want {
				require.Contains(t, op.Responses, status)
			}
			for status, r := range op.Responses {
				code, err := strconv.Atoi(status)
				require.NoError(t, err)
				if code >= 400 {
					require.Equal(t, "#/components/responses/"+responseName(code), r.Ref)
					require.Contains(t, doc.Components.Responses, responseName(code))
				}
				if code == 201 && addresses[op.Path] {
					require.Contains(t, r.Headers, "Location")
				}
			}
		})
	}
	for _, name := range []string{responseName(429), responseName(503)} {
		require.Contains(t, doc.Components.Responses[name].Headers, "Retry-After")
	}
	for _, name := range slices.Sorted(maps.Keys(doc.Components.Responses)) {
		require.Contains(t, doc.Components.Responses[name].Content, problem.Type)
	}
}
