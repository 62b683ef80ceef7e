// SPDX-License-Identifier: AGPL-3.0-or-later

package nodes

import (
	"cmp"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/adit-go/adit/db"
	"github.com/adit-go/adit/internal/refusal"
	"github.com/adit-go/adit/internal/text"
	"github.com/adit-go/adit/people"
)

// The ways in which ADIT shows a DICOMweb server who it is, DICOMweb.Auth, and those in which it shows a server of
// tokens, DICOMweb.ClientAuth.
const (
	AuthNone   = "none"
	AuthBasic  = "basic"
	AuthHeader = "header"
	AuthOAuth2 = "oauth2"

	ClientBasic = "basic" // client_secret_basic (RFC 6749 2.3.1)
	ClientPost  = "post"  // client_secret_post
)

// WebPeer is how the DICOMweb services of a server are reached.
type WebPeer struct {
	ServerID         int64
	Name             string
	Root             string // without a slash at its end
	QIDO, WADO, STOW string // paths below the root, without slashes at their ends; empty: none

	TLS  func() (*tls.Config, error) // nil: the root begins with http://
	Auth func() (WebAuth, error)

	MaxRequest     int64         // bytes of instances in a request that stores
	AnswerPatience time.Duration // from the last byte of such a request until its answer
	IdleTimeout    time.Duration // without any progress
}

// WebAuth is how ADIT shows who it is. It has a value only in the fields of its Kind.
type WebAuth struct {
	Kind   string // one of AuthNone, AuthBasic, AuthHeader, AuthOAuth2
	User   string // of AuthBasic
	Header string // name of the header, of AuthHeader
	Secret Secret // the password, the value of the header, or the secret of the client

	// Of AuthOAuth2.
	TokenURL, ClientID        string
	ClientAuth                string // ClientBasic or ClientPost
	Scope, Audience, Resource string // empty: is not asked for
	TokenTLS                  func() (*tls.Config, error)
}

// Secret is a text that is never printed, logged or written as JSON: convert it to a string to use it.
type Secret string

const unseen = "(secret)"

// String implements fmt.Stringer.
func (Secret) String() string { return unseen }

// GoString implements fmt.GoStringer.
func (Secret) GoString() string { return unseen }

// LogValue implements slog.LogValuer.
func (Secret) LogValue() slog.Value { return slog.StringValue(unseen) }

// MarshalText implements encoding.TextMarshaler.
func (Secret) MarshalText() ([]byte, error) { return []byte(unseen), nil }

// dimse reports whether any of the services needs an association.
func (s Supports) dimse() bool {
	return s.StudyRootFind || s.StudyRootGet || s.StudyRootMove || s.Store ||
		s.PatientRootFind || s.PatientRootGet || s.PatientRootMove
}

// web reports whether any of the services is one of DICOMweb.
func (s Supports) web() bool { return s.QIDO || s.WADO || s.STOW }

// Web tells how the DICOMweb services of a server are reached; false if it has none.
func (svc *Service) Web(n DICOMNode) (WebPeer, bool) {
	s := n.Server
	if s == nil || !settingsOf(s).Supports.web() {
		return WebPeer{}, false
	}
	peer := WebPeer{
		ServerID: s.ID, Name: n.Name, Root: s.WebRootUrl,
		QIDO: s.WebQidoPrefix, WADO: s.WebWadoPrefix, STOW: s.WebStowPrefix,
		Auth:       func() (WebAuth, error) { return webAuth(svc.People, s) },
		MaxRequest: int64(s.WebMaxRequestMb) * 1e6, AnswerPatience: time.Duration(s.WebAnswerPatienceS) * time.Second,
		IdleTimeout: time.Duration(s.IdleTimeoutS) * time.Second,
	}
	if strings.HasPrefix(originOf(s.WebRootUrl), "https:") {
		peer.TLS = func() (*tls.Config, error) { return webTLS(svc.People, *s) }
	}
	return peer, true
}

// webTLS returns what a server's DICOMweb services are dialed with: the trust is that of its associations; what their
// certificate has to name is the host of the URL.
func webTLS(keys *people.Service, s db.Server) (*tls.Config, error) {
	s.TlsProfile, s.TlsServerName = ProfileBCP195RFC9325, ""
	return clientTLS(keys, s)
}

// tokenTLS returns what a server of tokens is dialed with. It may be another's, far away: the system's authorities
// count beside those of the settings, its certificate always has to name it, and it is not shown ours.
func tokenTLS(s *db.Server) (*tls.Config, error) {
	cfg := &tls.Config{MinVersion: tls.VersionTLS12}
	if s.TlsAuthorities == "" {
		return cfg, nil
	}
	var err error
	if cfg.RootCAs, err = x509.SystemCertPool(); err != nil {
		cfg.RootCAs = x509.NewCertPool() // the system has none
	}
	if !cfg.RootCAs.AppendCertsFromPEM([]byte(s.TlsAuthorities)) {
		return nil, errors.New("the certificates of the authorities can't be read; set them again")
	}
	return cfg, nil
}

func webAuth(keys *people.Service, s *db.Server) (WebAuth, error) {
	auth := WebAuth{Kind: s.WebAuth}
	switch s.WebAuth {
	case AuthNone:
		return auth, nil
	case AuthBasic:
		auth.User = s.WebUser
	case AuthHeader:
		auth.Header = cmp.Or(s.WebHeaderName, "Authorization")
	case AuthOAuth2:
		auth.TokenURL, auth.ClientID, auth.ClientAuth = s.WebTokenUrl, s.WebClientID, s.WebClientAuth
		auth.Scope, auth.Audience, auth.Resource = s.WebScope, s.WebAudience, s.WebResource
		auth.TokenTLS = func() (*tls.Config, error) { return tokenTLS(s) }
	}
	secret, err := keys.Open(secretPurpose(s.ID), s.WebSealedSecret)
	auth.Secret = Secret(secret)
	return auth, err
}

func secretPurpose(server int64) string { return fmt.Sprintf("dicomweb secret of server %d", server) }

// sealSecret returns the sealed secret of the settings. An empty one keeps that of the row before (nil: there was
// none), if it is used in the same way, and goes nowhere else than before.
func sealSecret(keys *people.Service, server int64, w DICOMweb, before *db.Server) ([]byte, error) {
	switch {
	case w.Auth == AuthNone:
		return nil, nil
	case w.Secret != "":
		return keys.Seal(secretPurpose(server), []byte(w.Secret)), nil
	case before == nil || before.WebSealedSecret == nil:
		return nil, &refusal.Invalid{Field: "dicomweb.secret", Reason: "give " + secretWords[w.Auth]}
	}
	old := settingsOf(before).DICOMweb
	var reason string
	switch {
	case w.Auth != old.Auth:
		reason = "ADIT has " + secretWords[old.Auth]
	case originOf(w.RootURL) != originOf(old.RootURL):
		reason = "the one that ADIT has was given for " + originOf(old.RootURL)
	case w.Auth == AuthOAuth2 && originOf(w.TokenURL) != originOf(old.TokenURL):
		reason = "the one that ADIT has was given for " + originOf(old.TokenURL)
	default:
		return before.WebSealedSecret, nil
	}
	return nil, &refusal.Invalid{
		Field: "dicomweb.secret", Reason: "give " + secretWords[w.Auth] + " with this change: " + reason,
	}
}

// secretWords are what the secret is, by the way in which it is used.
var secretWords = map[string]string{
	AuthBasic: "the password of the user", AuthHeader: "the value of the header", AuthOAuth2: "the secret of the client",
}

// together are the conditions that a setting of DICOMweb has to meet beside others.
func (w *DICOMweb) together(s Supports) []check {
	root := w.RootURL != ""
	return []check{
		{
			root || !s.web(), "dicomweb.root_url",
			"give the URL of the server's DICOMweb services, such as https://pacs.example.org/dicom-web",
		},
		{
			root || w.Auth == AuthNone, "dicomweb.root_url",
			"give the URL of the server's DICOMweb services, to which ADIT is to show who it is",
		},
		{
			w.Auth != AuthNone || w.Secret == "", "dicomweb.auth",
			"say what the secret is for: basic, header or oauth2",
		},
		{w.Auth != AuthBasic || w.User != "", "dicomweb.user", "give the name of the user"},
		{w.Auth != AuthOAuth2 || w.TokenURL != "", "dicomweb.token_url", "give the URL at which ADIT gets tokens"},
		{w.Auth != AuthOAuth2 || w.ClientID != "", "dicomweb.client_id", "give the client ID that ADIT has there"},
	}
}

// trimURL drops blanks, and slashes at the end.
func trimURL(text string) string { return strings.TrimRight(trimBlanks(text), "/") }

// trimSlashes drops blanks and slashes at both ends.
func trimSlashes(text string) string { return strings.Trim(text, " /") }

// validURL reports whether a text is an address of HTTP below which requests can be made: without user information,
// query or fragment, and without anything in its path that a server or a proxy might fold away.
func validURL(text string) bool {
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" || u.User != nil ||
		strings.ContainsAny(text, `?#\`) || !printable(text) || strings.Contains(text, " ") {
		return false
	}
	if port := u.Port(); port != "" {
		if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
			return false
		}
	}
	path := strings.TrimSuffix(strings.TrimPrefix(u.EscapedPath(), "/"), "/")
	return !strings.HasSuffix(u.Host, ":") && validPath(path)
}

// originOf returns the origin of a valid URL, with its port (RFC 6454 4).
func originOf(text string) string {
	u, err := url.Parse(text)
	if err != nil || u.Host == "" {
		return ""
	}
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[u.Scheme]
	}
	host := strings.ToLower(u.Hostname())
	if strings.Contains(host, ":") {
		host = "[" + host + "]"
	}
	return u.Scheme + "://" + host + ":" + port
}

// StoresAt returns where a server takes instances by STOW-RS, in the same words for the same place.
func StoresAt(s *db.Server) string {
	path := ""
	if u, err := url.Parse(s.WebRootUrl); err == nil {
		path = u.EscapedPath()
	}
	if s.WebStowPrefix != "" {
		path += "/" + s.WebStowPrefix
	}
	return originOf(s.WebRootUrl) + path
}

// validPrefix reports whether a text is a path, without slashes at its ends.
func validPrefix(text string) bool {
	return validPath(text) && !strings.ContainsAny(text, `?#\ `) && printable(text)
}

// validPath reports whether an escaped path has no segment that is empty or leads elsewhere. An empty path is one.
func validPath(path string) bool {
	if path == "" {
		return true
	}
	for segment := range strings.SplitSeq(path, "/") {
		plain, err := url.PathUnescape(segment)
		if err != nil || plain == "" || plain == "." || plain == ".." || strings.ContainsAny(plain, `/\`) ||
			!text.Plain(plain) {
			return false
		}
	}
	return true
}

// validUser reports whether a text can be the user of basic authentication (RFC 7617 2).
func validUser(name string) bool { return text.Plain(name) && !strings.Contains(name, ":") }

// validSecret reports whether a text is one line that a header can hold.
func validSecret(secret string) bool {
	return text.Plain(secret) && strings.TrimSpace(secret) == secret
}

// printable reports whether a text is of printable ASCII characters.
func printable(text string) bool {
	return !strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r > '~' })
}

// validHeader reports whether a text is the name of a header (RFC 9110 5.1) that can be sent with each request. Those
// that say how a request is to be read are ADIT's own.
func validHeader(name string) bool {
	own := []string{
		"Accept", "Connection", "Content-Encoding", "Content-Length", "Content-Type", "Expect", "Host", "Keep-Alive",
		"Te", "Trailer", "Transfer-Encoding", "Upgrade",
	}
	token := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("!#$%&'*+-.^_`|~", r)
	}
	return name != "" && !strings.ContainsFunc(name, func(r rune) bool { return !token(r) }) &&
		!slices.Contains(own, http.CanonicalHeaderKey(name))
}
