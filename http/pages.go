// SPDX-License-Identifier: AGPL-3.0-or-later

package http

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io/fs"
	"mime"
	"net/http"
	"path"
	"strings"
	"sync"
)

// notBuilt stands in the place of the pages in a program that was built without them.
const notBuilt = `<!doctype html><html lang="en"><title>ADIT</title><h1>The pages of ADIT were not built</h1>
<p>Run <code>make build</code>, which builds them into the program, and start it again. The REST API and the commands
work without them.</p></html>
`

// forEver is for files whose names say what is in them.
const forEver = "public, max-age=31536000, immutable"

// page is a file of the web UI, ready to be sent.
type page struct {
	mediaType    string
	plain, small []byte // small: by gzip; nil if that is not smaller
	tag          string
	lasting      bool
}

// pages serves the web UI: its files, and index.html for every other address that a browser opens, since the addresses
// of pages are known to the script alone. Anybody may load them: they hold nothing but the program.
type pages struct {
	files    fs.FS
	notFound http.HandlerFunc

	mu   sync.Mutex
	seen map[string]*page
}

// Pages returns a handler of the web UI. notFound answers where there is nothing.
func Pages(files fs.FS, notFound http.HandlerFunc) http.Handler {
	return &pages{files: files, notFound: notFound, seen: map[string]*page{}}
}

func (p *pages) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		p.notFound(w, r)
		return
	}
	name := strings.TrimPrefix(path.Clean(r.URL.Path), "/")
	file, err := p.file(name)
	if errors.Is(err, fs.ErrNotExist) && opensPage(r) {
		file, err = p.file("index.html")
		if errors.Is(err, fs.ErrNotExist) {
			file, err = &page{mediaType: "text/html; charset=utf-8", plain: []byte(notBuilt)}, nil
		}
	}
	if err != nil {
		p.notFound(w, r)
		return
	}
	file.serve(w, r)
}

// opensPage reports whether a browser asks for a page, rather than a program or a script for something else. The first
// page is also for who takes anything: people try with curl whether ADIT is there.
func opensPage(r *http.Request) bool {
	accept := r.Header.Get("Accept")
	if r.URL.Path == "/" && (accept == "" || strings.Contains(accept, "*/*")) {
		return true
	}
	return strings.Contains(accept, "text/html") && !strings.HasPrefix(r.URL.Path, "/api/") && !isDICOMweb(r.URL.Path)
}

// file reads a file once, and packs it.
func (p *pages) file(name string) (*page, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if known, ok := p.seen[name]; ok {
		return known, nil
	}
	if strings.HasPrefix(path.Base(name), ".") || strings.HasPrefix(name, ".vite/") {
		return nil, fs.ErrNotExist
	}
	content, err := fs.ReadFile(p.files, name)
	if err != nil {
		return nil, fs.ErrNotExist // or a folder
	}
	sum := sha256.Sum256(content)
	file := &page{
		mediaType: mime.TypeByExtension(path.Ext(name)), plain: content,
		tag: `"` + hex.EncodeToString(sum[:12]) + `"`, lasting: strings.HasPrefix(name, "assets/"),
	}
	var packed bytes.Buffer
	z, err := gzip.NewWriterLevel(&packed, gzip.BestCompression)
	if err != nil {
		panic(err) // the level is valid
	}
	if _, err := z.Write(content); err != nil {
		panic(err) // memory takes it
	}
	if err := z.Close(); err != nil {
		panic(err)
	}
	if packed.Len() < len(content)*9/10 {
		file.small = packed.Bytes()
	}
	p.seen[name] = file
	return file, nil
}

func (f *page) serve(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Content-Type", f.mediaType)
	h.Set("Cache-Control", "no-cache")
	if f.lasting {
		h.Set("Cache-Control", forEver)
	}
	body := f.plain
	if f.small != nil {
		h.Set("Vary", "Accept-Encoding")
		if strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
			h.Set("Content-Encoding", "gzip")
			body = f.small
		}
	}
	if f.tag != "" {
		h.Set("ETag", f.tag)
		if r.Header.Get("If-None-Match") == f.tag {
			w.WriteHeader(http.StatusNotModified)
			return
		}
	}
	if r.Method == http.MethodHead {
		return
	}
	_, _ = w.Write(body) //nolint:gosec // G705: it is embedded
}
