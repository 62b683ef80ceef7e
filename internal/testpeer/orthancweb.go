// SPDX-License-Identifier: AGPL-3.0-or-later

package testpeer

import (
	"net/http"
	"strings"
	"testing"
)

// The user whom SecureOrthanc takes.
const (
	OrthancUser     = "adit"
	OrthancPassword = "a password: with all sorts"
)

// OrthancPlugin is where Debian has Orthanc's DICOMweb plug-in.
const OrthancPlugin = "/usr/share/orthanc/plugins/libOrthancDicomWeb.so"

// SecureOrthanc starts Orthanc as the function Orthanc does, with its DICOMweb plug-in, for OrthancUser alone. Its
// WebURL is of HTTPS, with an identity that ca has signed. The TLS is a relay's, as where Orthanc stands behind a
// proxy: Debian's own build ends with the first request over its HTTPS.
func SecureOrthanc(t testing.TB, env []string, ca *Authority) *OrthancServer {
	t.Helper()
	o := Orthanc(t, env, map[string]any{
		"Plugins":               []string{OrthancPlugin},
		"DicomWeb":              map[string]any{"Enable": true, "Root": "/dicom-web/", "Ssl": true},
		"AuthenticationEnabled": true, "RegisteredUsers": map[string]string{OrthancUser: OrthancPassword},
	})
	o.client.Transport = asUser{http.DefaultTransport}
	relay := RelayTLS(t, strings.TrimPrefix(o.URL, "http://"), ca.Issue(t, "localhost"))
	o.WebURL = "https://" + relay + "/dicom-web"
	return o
}

// asUser makes requests as OrthancUser.
type asUser struct{ http.RoundTripper }

func (u asUser) RoundTrip(rq *http.Request) (*http.Response, error) {
	rq = rq.Clone(rq.Context())
	rq.SetBasicAuth(OrthancUser, OrthancPassword)
	return u.RoundTripper.RoundTrip(rq)
}
