// SPDX-License-Identifier: AGPL-3.0-or-later

package nodes

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/db"
)

// TestValidURL: what requests can be made below, and nothing that leads elsewhere or holds a secret.
func TestValidURL(t *testing.T) {
	for text, valid := range map[string]bool{
		"https://pacs.example.org/dicom-web":                    true,
		"http://10.1.2.3:8042/dicom-web":                        true,
		"http://[fd00::1]:8042":                                 true,
		"https://pacs.example.org/dcm4chee-arc/aets/DCM 1/rs":   false,
		"https://pacs.example.org/dcm4chee-arc/aets/DCM%201/rs": true,
		"https://pacs.example.org/v2/":                          true,
		"HTTPS://PACS.example.org/v2":                           true,
		"":                                                      false,
		"pacs.example.org/dicom-web":                            false,
		"//pacs.example.org/dicom-web":                          false,
		"ftp://pacs.example.org/":                               false,
		"https:///dicom-web":                                    false,
		"https://:443/dicom-web":                                false,
		"https:dicom-web":                                       false,
		"https://me:secret@pacs.example.org/":                   false,
		"https://me@pacs.example.org/":                          false,
		"https://pacs.example.org/?key=1":                       false,
		"https://pacs.example.org/?":                            false,
		"https://pacs.example.org/#top":                         false,
		"https://pacs.example.org:0/":                           false,
		"https://pacs.example.org:/":                            false,
		"https://pacs.example.org:65536/":                       false,
		"https://pacs.example.org:http/":                        false,
		"https://pacs.example.org/a//b":                         false,
		"https://pacs.example.org/a/../b":                       false,
		"https://pacs.example.org/a/%2e%2e/b":                   false,
		"https://pacs.example.org/a%2fb":                        false,
		`https://pacs.example.org\@other.example`:               false,
		"https://pacs.example.org/\u200b":                       false,
		"https://pacs.example.org/a\nb":                         false,
	} {
		require.Equal(t, valid, validURL(text), "%q", text)
	}
}

// TestValidPrefix: a path below the root, and no way out of it.
func TestValidPrefix(t *testing.T) {
	for text, valid := range map[string]bool{
		"qido": true, "v1/wado": true, "aets/DCM4CHEE/rs": true, "a%20b": true, "": true,
		"/qido": false, "qido/": false, "a//b": false, "..": false, "a/./b": false, "%2e%2e/a": false, "a?b": false,
		"a#b": false, "a b": false, `a\b`: false, "a%": false, "é": false,
	} {
		require.Equal(t, valid, validPrefix(text), "%q", text)
	}
}

// TestOriginOf: the same origin is written in one way only (RFC 6454 4).
func TestOriginOf(t *testing.T) {
	for text, origin := range map[string]string{
		"https://pacs.example.org/dicom-web": "https://pacs.example.org:443",
		"HTTPS://PACS.Example.org:443":       "https://pacs.example.org:443",
		"http://pacs.example.org":            "http://pacs.example.org:80",
		"http://pacs.example.org:8042/a":     "http://pacs.example.org:8042",
		"http://[FD00::1]/":                  "http://[fd00::1]:80",
		"":                                   "",
	} {
		require.Equal(t, origin, originOf(text), text)
	}
}

// TestValidHeader: a header that says who ADIT is, and none by which a request is read.
func TestValidHeader(t *testing.T) {
	for name, valid := range map[string]bool{
		"Authorization": true, "X-API-Key": true, "x_key": true, "": false, "X Key": false, "X:Key": false, "É": false,
		"Host": false, "content-length": false, "Transfer-Encoding": false, "Accept": false, "A\r\nB": false,
	} {
		require.Equal(t, valid, validHeader(name), "%q", name)
	}
}

// TestSecretIsNotPrinted: by no way in which values get into a log or an answer.
func TestSecretIsNotPrinted(t *testing.T) {
	auth := WebAuth{Kind: AuthBasic, User: "adit", Secret: "pa55word"}
	text, err := json.Marshal(auth.Secret)
	require.NoError(t, err)
	var log strings.Builder
	slog.New(slog.NewTextHandler(&log, nil)).Info("auth", "secret", auth.Secret)
	for _, out := range []string{
		fmt.Sprint(auth), fmt.Sprintf("%+v", auth), fmt.Sprintf("%#v", auth), fmt.Sprintf("%q", auth.Secret), string(text),
		log.String(),
	} {
		require.NotContains(t, out, "pa55word")
	}
}

// TestStoresAt: one place has one name.
func TestStoresAt(t *testing.T) {
	for _, root := range []string{"https://pacs.example.org/rs", "https://PACS.example.org:443/rs"} {
		require.Equal(t, "https://pacs.example.org:443/rs", StoresAt(&db.Server{WebRootUrl: root}))
		require.Equal(t, "https://pacs.example.org:443/rs/v1/stow", StoresAt(&db.Server{
			WebRootUrl: root, WebStowPrefix: "v1/stow",
		}))
	}
}

// FuzzURL: below a valid root and prefix, every request stays at the origin and below the path of the root.
func FuzzURL(f *testing.F) {
	for _, seed := range [][2]string{
		{"https://pacs.example.org/dicom-web", "qido"},
		{"http://[fd00::1]:8042", ""},
		{"https://me:secret@pacs.example.org/", "../.."},
		{"https://a/b?c#d", "%2e%2e/a"},
		{`https://a\@b`, "//b"},
		{"https://a//", "b"},
		{"https://a//b/", "c"},
	} {
		f.Add(seed[0], seed[1])
	}
	f.Fuzz(func(t *testing.T, root, prefix string) {
		root, prefix = trimURL(root), trimSlashes(prefix)
		if !validURL(root) || !validPrefix(prefix) {
			return
		}
		base, err := url.Parse(root)
		require.NoError(t, err)
		require.Nil(t, base.User)
		full := root
		if prefix != "" {
			full += "/" + prefix
		}
		u, err := url.Parse(full + "/studies")
		require.NoError(t, err)
		require.Equal(t, originOf(root), originOf(u.String()))
		require.True(t, strings.HasPrefix(u.EscapedPath(), strings.TrimSuffix(base.EscapedPath(), "/")+"/"))
		require.Equal(t, u.EscapedPath(), u.JoinPath().EscapedPath(), "nothing is folded away")
		require.Empty(t, u.RawQuery+u.Fragment)
	})
}

// TestWarnings: credentials that go out in clear are told of.
func TestWarnings(t *testing.T) {
	for _, tt := range []struct {
		root, auth, says string
	}{
		{"http://pacs.example/rs", AuthBasic, "user and password"},
		{"HTTP://pacs.example/rs", AuthHeader, "the credentials"},
		{"http://pacs.example/rs", AuthOAuth2, "the credentials"},
		{"http://pacs.example/rs", AuthNone, ""},
		{"https://pacs.example/rs", AuthBasic, ""},
		{"", AuthNone, ""},
	} {
		list := DICOMNode{Server: &db.Server{WebRootUrl: tt.root, WebAuth: tt.auth}}.Warnings()
		if tt.says == "" {
			require.Empty(t, list)
			continue
		}
		require.Len(t, list, 1)
		require.Contains(t, list[0], tt.says)
	}
	require.Empty(t, DICOMNode{}.Warnings())
}
