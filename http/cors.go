// SPDX-License-Identifier: AGPL-3.0-or-later

package http

import (
	"net/http"
	"slices"
	"strings"
)

// What pages of other origins may send to DICOMweb, and what they may read of its answers.
const (
	corsMethods = "GET, HEAD, POST"
	corsHeaders = "Accept, Authorization, Cache-Control, Content-Type, Range"
	corsExposed = "Content-Length, Content-Type, Retry-After, Warning, X-Request-ID"
	corsMaxAge  = "600" // seconds for which a browser need not ask again
)

// isDICOMweb reports whether a path is one of DICOMweb.
func isDICOMweb(path string) bool {
	return strings.HasPrefix(path, "/dicom-web/") || strings.HasPrefix(path, "/api/dicom-web/")
}

// allowed reports whether the page that has a request sent is of one of some origins, and may use the address.
func allowed(r *http.Request, origins []string) bool {
	return isDICOMweb(r.URL.EscapedPath()) && slices.Contains(origins, r.Header.Get("Origin"))
}

// cors lets pages of these origins, and no other, use DICOMweb with the person's credentials (the CORS protocol of the
// Fetch standard). What a browser asks beforehand is answered without a login: it sends none.
func cors(origins []string) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if len(origins) == 0 || !isDICOMweb(r.URL.EscapedPath()) {
				next.ServeHTTP(w, r)
				return
			}
			h := w.Header()
			h.Add("Vary", "Origin")
			if !allowed(r, origins) {
				next.ServeHTTP(w, r)
				return
			}
			h.Set("Access-Control-Allow-Origin", r.Header.Get("Origin"))
			h.Set("Access-Control-Allow-Credentials", "true")
			h.Set("Cross-Origin-Resource-Policy", "cross-origin") // of a page under Cross-Origin-Embedder-Policy
			if r.Method == http.MethodOptions && r.Header.Get("Access-Control-Request-Method") != "" {
				h.Set("Access-Control-Allow-Methods", corsMethods)
				h.Set("Access-Control-Allow-Headers", corsHeaders)
				h.Set("Access-Control-Max-Age", corsMaxAge)
				w.WriteHeader(http.StatusNoContent)
				return
			}
			h.Set("Access-Control-Expose-Headers", corsExposed)
			next.ServeHTTP(w, r)
		})
	}
}
