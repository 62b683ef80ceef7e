// SPDX-License-Identifier: AGPL-3.0-or-later

// Package route is what every route of the REST API is made of: its operation, who may use it, what its body may be,
// its answer, its refusals, and what the document says of it. The routes themselves are in http/api.
package route

import (
	"net/http"
	"sync"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humachi"
	"github.com/go-chi/chi/v5"

	"github.com/adit-go/adit/http/auth"
	"github.com/adit-go/adit/http/problem"
	"github.com/adit-go/adit/people"
)

// Lists are lists, if empty ones: null is none, neither in a request nor in an answer.
func init() { huma.DefaultArrayNullable = false }

// Set is the routes of the API, and the document that describes them.
type Set struct {
	people *people.Service
	known  huma.API
	open   huma.API // for routes that need no user
}

// New returns a set without routes, which adds its routes to a router. The document, with its parts by tags, is open to
// everybody; all else needs a user.
func New(router chi.Router, who *people.Service, version string, tags []*huma.Tag) *Set {
	cfg := huma.DefaultConfig("ADIT", version)
	cfg.CreateHooks = nil // no $schema in answers
	cfg.Formats = formats(cfg.Formats)
	cfg.OpenAPIPath, cfg.DocsPath, cfg.SchemasPath = "", "", ""
	information(&cfg)
	cfg.Tags = tags
	cfg.Components.SecuritySchemes = map[string]*huma.SecurityScheme{
		"token": {
			Type: "http", Scheme: "bearer",
			Description: "An API token of 40 hexadecimal characters. `Token` works in the place of `Bearer`.",
		},
		"session": {
			Type: "apiKey", In: "cookie", Name: "adit_session",
			Description: "The cookie of a session (POST /session); over HTTPS it is called `__Host-adit_session`.",
		},
	}
	cfg.Security = []map[string][]string{{"token": {}}, {"session": {}}}

	s := &Set{people: who}
	s.open = humachi.New(router.With(auth.Anyone), cfg)
	s.open.UseMiddleware(unknown())
	s.known = humachi.New(router.With(auth.Require(who, problem.RefuseCaller), counted(who), shared), cfg)
	s.known.UseMiddleware(named)
	document := sync.OnceValues(s.Document)
	router.Get(Prefix+"/openapi.json", func(w http.ResponseWriter, r *http.Request) {
		doc, err := document()
		if err != nil {
			problem.Write(w, r, err)
			return
		}
		w.Header().Set("Content-Type", "application/openapi+json")
		_, _ = w.Write(doc)
	})
	return s
}

// OpenAPI returns the document, to be added to.
func (s *Set) OpenAPI() *huma.OpenAPI { return s.known.OpenAPI() }
