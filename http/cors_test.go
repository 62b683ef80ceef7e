// SPDX-License-Identifier: AGPL-3.0-or-later

package http

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestCORS: pages of allowed origins, and no others, use DICOMweb, and nothing else.
func TestCORS(t *testing.T) {
	const viewer, other = "https://viewer.example.org", "https://other.example.org"
	const study = "/dicom-web/PACS/studies"
	all := []string{viewer, "https://second.example.org"}
	for name, c := range map[string]struct {
		origins              []string
		method, path, origin string
		header               []string
		status               int // 299: of what is behind
		open                 bool
		vary                 bool
	}{
		"allowed":                       {all, "GET", study, viewer, nil, 299, true, true},
		"allowed, of the original":      {all, "GET", "/api/dicom-web/PACS/qidors/studies", viewer, nil, 299, true, true},
		"stores":                        {all, "POST", study, viewer, []string{"Sec-Fetch-Site", "cross-site"}, 299, true, true},
		"a pseudonym":                   {all, "GET", study + "/1.2?pseudonym=X", viewer, []string{"Sec-Fetch-Site", "cross-site"}, 299, true, true},
		"a pseudonym, another origin":   {all, "GET", study + "/1.2?pseudonym=X", other, []string{"Sec-Fetch-Site", "cross-site"}, 403, false, true},
		"a pseudonym, of a download":    {all, "GET", "/api/v1/servers/PACS/studies/1.2/download?pseudonym=X", viewer, []string{"Sec-Fetch-Site", "cross-site"}, 403, false, false},
		"a pseudonym, by a link":        {all, "GET", study + "/1.2?a&pseudonym=X", "", []string{"Sec-Fetch-Site", "cross-site"}, 403, false, true},
		"a pseudonym, typed":            {all, "HEAD", study + "/1.2?pseudonym=X", "", []string{"Sec-Fetch-Site", "none"}, 299, false, true},
		"a pseudonym, by a program":     {nil, "GET", study + "/1.2?pseudonym=X", "", nil, 299, false, false},
		"asks beforehand":               {all, "OPTIONS", study, viewer, []string{"Access-Control-Request-Method", "GET"}, 204, true, true},
		"options":                       {all, "OPTIONS", study, viewer, nil, 299, true, true},
		"another origin":                {all, "GET", study, other, nil, 299, false, true},
		"another origin stores":         {all, "POST", study, other, nil, 403, false, true},
		"another origin asks":           {all, "OPTIONS", study, other, []string{"Access-Control-Request-Method", "GET"}, 299, false, true},
		"longer":                        {all, "GET", study, viewer + ".evil.example", nil, 299, false, true},
		"another scheme":                {all, "GET", study, "http://viewer.example.org", nil, 299, false, true},
		"null":                          {all, "GET", study, "null", nil, 299, false, true},
		"no page":                       {all, "GET", study, "", nil, 299, false, true},
		"not of DICOMweb":               {all, "GET", "/api/v1/jobs", viewer, nil, 299, false, false},
		"not of DICOMweb, changes":      {all, "POST", "/api/v1/jobs", viewer, nil, 403, false, false},
		"not of DICOMweb, by way of it": {all, "POST", "/api/v1/../dicom-web/PACS/studies", viewer, nil, 403, false, false},
		"escaped":                       {all, "POST", "/dicom%2Dweb/PACS/studies", viewer, nil, 403, false, false},
		"none are allowed":              {nil, "GET", study, viewer, nil, 299, false, false},
		"none are allowed, changes":     {nil, "POST", study, viewer, nil, 403, false, false},
		"no origin, and none":           {[]string{}, "GET", study, "", nil, 299, false, false},
	} {
		t.Run(name, func(t *testing.T) {
			behind := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(299) })
			h := hardened(cors(c.origins)(sameOrigin(nil, c.origins)(behind)))
			r := httptest.NewRequest(c.method, "http://adit.example.org"+c.path, http.NoBody)
			r.Header.Set("Origin", c.origin)
			if c.origin == "" {
				r.Header.Del("Origin")
			}
			for i := 0; i < len(c.header); i += 2 {
				r.Header.Set(c.header[i], c.header[i+1])
			}
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			got := w.Result().Header
			require.Equal(t, c.status, w.Code)
			require.Equal(t, c.vary, got.Get("Vary") == "Origin")
			if !c.open {
				for name := range got {
					require.NotContains(t, name, "Access-Control")
				}
				require.Equal(t, "same-origin", got.Get("Cross-Origin-Resource-Policy"))
				return
			}
			require.Equal(t, []string{c.origin}, got.Values("Access-Control-Allow-Origin"))
			require.Equal(t, "true", got.Get("Access-Control-Allow-Credentials"))
			require.Equal(t, "cross-origin", got.Get("Cross-Origin-Resource-Policy"))
			if c.status == 204 {
				require.Contains(t, got.Get("Access-Control-Allow-Headers"), "Authorization")
				require.Contains(t, got.Get("Access-Control-Allow-Methods"), "GET")
			} else {
				require.Contains(t, got.Get("Access-Control-Expose-Headers"), "Warning")
			}
		})
	}
}
