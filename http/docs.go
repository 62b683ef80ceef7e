// SPDX-License-Identifier: AGPL-3.0-or-later

package http

import (
	"compress/gzip"
	"embed"
	"io"
	"io/fs"
	"net/http"
	"strings"

	"github.com/go-chi/chi/v5"
	swagger "github.com/swaggest/swgui/v5/static"
)

//go:embed docs
var ownDocs embed.FS

// docs are the files of the page that shows the document of the API to people. It loads nothing from elsewhere, and
// has no script and no style in itself, so that it needs no exception from contentPolicy.
var docs = map[string]struct {
	from            fs.FS
	name, mediaType string
	packed          bool // by gzip
}{
	"index.html":           {ownDocs, "docs/index.html", "text/html; charset=utf-8", false},
	"page.js":              {ownDocs, "docs/page.js", "text/javascript; charset=utf-8", false},
	"swagger-ui-bundle.js": {swagger.FS, "swagger-ui-bundle.js.gz", "text/javascript; charset=utf-8", true},
	"swagger-ui.css":       {swagger.FS, "swagger-ui.css.gz", "text/css; charset=utf-8", true},
	"favicon-32x32.png":    {swagger.FS, "favicon-32x32.png", "image/png", false},
}

// serveDocs answers with a file of the page, or with the page itself.
func serveDocs(notFound http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		name := chi.URLParam(r, "file")
		if name == "" {
			name = "index.html"
		}
		file, ok := docs[name]
		if !ok {
			notFound(w, r)
			return
		}
		content, err := file.from.Open(file.name)
		if err != nil {
			panic(err) // it is embedded
		}
		defer func() { _ = content.Close() }()
		w.Header().Set("Content-Type", file.mediaType)
		var body io.Reader = content
		if file.packed {
			w.Header().Set("Vary", "Accept-Encoding")
			if strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
				w.Header().Set("Content-Encoding", "gzip")
			} else if body, err = gzip.NewReader(content); err != nil {
				panic(err) // it is embedded
			}
		}
		_, _ = io.Copy(w, body) //nolint:gosec // G110: the archive is embedded; nobody misses what did not arrive
	}
}
