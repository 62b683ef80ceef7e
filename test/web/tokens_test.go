// SPDX-License-Identifier: AGPL-3.0-or-later

package web

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/dicom/pacs"
	"github.com/adit-go/adit/dicom/phantom"
	"github.com/adit-go/adit/engine/jobs"
	"github.com/adit-go/adit/engine/nodes"
	"github.com/adit-go/adit/internal/testpeer"
	"github.com/adit-go/adit/test/harness"
)

// secret is what servers want to be shown. Nobody else may see it.
const secret = "s3cr3t-of-the-PACS"

func basic(user, password string) func(*nodes.NewServer) {
	return func(s *nodes.NewServer) {
		s.DICOMweb.Auth, s.DICOMweb.User, s.DICOMweb.Secret = nodes.AuthBasic, user, password
	}
}

func header(name, value string) func(*nodes.NewServer) {
	return func(s *nodes.NewServer) {
		s.DICOMweb.Auth, s.DICOMweb.HeaderName, s.DICOMweb.Secret = nodes.AuthHeader, name, value
	}
}

// tokenServer gives tokens to one client.
type tokenServer struct {
	*httptest.Server
	secret string // of the client

	mu     sync.Mutex
	given  []string
	life   int // seconds; 0: it doesn't say
	answer int // status instead of a token
	body   string
}

func newTokenServer(t *testing.T) *tokenServer {
	t.Helper()
	s := &tokenServer{secret: secret}
	s.Server = httptest.NewServer(s)
	t.Cleanup(s.Close)
	return s
}

// ServeHTTP implements http.Handler.
func (s *tokenServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	w.Header().Set("Content-Type", "application/json")
	id, shown, _ := r.BasicAuth()
	switch {
	case s.answer != 0:
		w.WriteHeader(s.answer)
		_, _ = w.Write([]byte(s.body))
	case r.FormValue("grant_type") != "client_credentials" || id != "adit" || shown != s.secret:
		w.WriteHeader(http.StatusUnauthorized)
		_, _ = w.Write([]byte(`{"error":"invalid_client","error_description":"` + shown + `"}`))
	default:
		token := fmt.Sprintf("%s-token-%d", secret, len(s.given))
		s.given = append(s.given, token)
		life := ""
		if s.life > 0 {
			life = fmt.Sprintf(`, "expires_in": %d`, s.life)
		}
		_, _ = fmt.Fprintf(w, `{"access_token": %q, "token_type": "Bearer"%s}`, token, life)
	}
}

// set has it answer with a status instead of a token; 0: with a token.
func (s *tokenServer) set(answer int, body string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.answer, s.body = answer, body
}

func (s *tokenServer) tokens() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.given)
}

// accepts takes the token that was given last.
func (s *tokenServer) accepts(credentials string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.given) > 0 && credentials == "Bearer "+s.given[len(s.given)-1]
}

// oauth has a server be shown tokens.
func (s *tokenServer) oauth(secret string) func(*nodes.NewServer) {
	return func(n *nodes.NewServer) {
		n.DICOMweb.Auth, n.DICOMweb.TokenURL = nodes.AuthOAuth2, s.URL+"/token"
		n.DICOMweb.ClientID, n.DICOMweb.Secret = "adit", secret
	}
}

// discreet is a member of whose logs, tasks and jobs not a word may be a secret.
func discreet(t *testing.T) *harness.Member {
	t.Helper()
	var said testpeer.Buffer
	cfg := quick()
	cfg.Log = &said
	n := harness.New(t, cfg)
	t.Cleanup(func() {
		require.NotContains(t, said.String(), secret, "the log")
		require.NotContains(t, said.String(), "Bearer ", "the log")
		var words string
		require.NoError(t, n.Pool.QueryRow(context.WithoutCancel(t.Context()), `SELECT coalesce(string_agg(w, ' '), '') FROM (
			SELECT to_jsonb(t)::text FROM tasks t UNION ALL SELECT to_jsonb(l)::text FROM task_log l
			UNION ALL SELECT to_jsonb(s)::text FROM servers s UNION ALL SELECT to_jsonb(s)::text FROM server_state s) AS all_of(w)`,
		).Scan(&words))
		require.NotContains(t, words, secret, "what is written down")
	})
	return n
}

// moved asserts that a study went from one server to another without an attempt that failed.
func moved(t *testing.T, n *harness.Member, source, destination string, study *phantom.Study, dst *pacs.PACS) {
	t.Helper()
	job := n.Wait(n.Transfer(source, destination, study.StudyInstanceUID).ID)
	task := n.Task(job.ID)
	require.Zero(t, task.Failures+task.Losses, task.Message)
	told{delivered: -1}.require(t, n, task, study, dst)
}

// TestCredentials: each way of showing who ADIT is, at the source and at the destination.
func TestCredentials(t *testing.T) {
	n := discreet(t)
	study := liars(21)
	tokens := newTokenServer(t)
	inBody := newTokenServer(t)
	for name, tt := range map[string]struct {
		web  pacs.WebConfig
		show func(*nodes.NewServer)
	}{
		"basic": {pacs.WebConfig{Credentials: []string{pacs.BasicAuth("adit", secret)}}, basic("adit", secret)},
		"a token": {
			pacs.WebConfig{Credentials: []string{"Bearer " + secret}}, header("", "Bearer "+secret),
		},
		"a header": {
			pacs.WebConfig{Authorization: "X-Api-Key", Credentials: []string{secret}}, header("X-Api-Key", secret),
		},
		"OAuth 2": {pacs.WebConfig{Accepts: tokens.accepts}, tokens.oauth(secret)},
		"OAuth 2, one token for each server": {pacs.WebConfig{Accepts: func(c string) bool {
			return strings.HasPrefix(c, "Bearer "+secret)
		}}, inBody.oauth(secret)},
	} {
		t.Run(name, func(t *testing.T) {
			src := startPACS(t, pacs.Config{Studies: []*phantom.Study{study}, Web: &tt.web})
			dst := startPACS(t, pacs.Config{Web: &pacs.WebConfig{}})
			moved(t, n, add(n, src, byWeb(src), tt.show), add(n, dst, byWeb(dst)), study, dst)
			dst = startPACS(t, pacs.Config{Web: &tt.web})
			moved(t, n, add(n, src, byWeb(src), tt.show), add(n, dst, byWeb(dst), tt.show), study, dst)
		})
	}
}

// TestWrongCredentials: the task waits until what ADIT shows is put right, without an attempt counted.
func TestWrongCredentials(t *testing.T) {
	n := discreet(t)
	study := liars(22)
	web := &pacs.WebConfig{Credentials: []string{pacs.BasicAuth("adit", secret)}}
	for name, at := range map[string]bool{"source": true, "destination": false} {
		t.Run(name, func(t *testing.T) {
			src := startPACS(t, pacs.Config{Studies: []*phantom.Study{study}, Web: web})
			dst := startPACS(t, pacs.Config{Web: web})
			wrong := map[bool]string{true: "wr0ng-" + secret, false: secret}
			source := add(n, src, byWeb(src), basic("adit", wrong[at]))
			destination := add(n, dst, byWeb(dst), basic("adit", wrong[!at]))
			job := n.Transfer(source, destination, study.StudyInstanceUID)
			task := awaitWait(n, job.ID, "401")
			t.Logf("%s %s %s", task.Status, task.WhyWaiting, task.Message)
			require.Equal(t, jobs.Pending, task.Status, task.Message)
			require.Contains(t, task.WhyWaiting, "check the credentials for this server")
			require.Zero(t, task.Failures)
			correct(t, n, map[bool]string{true: source, false: destination}[at], basic("adit", secret))
			ends(t, n, job.ID, study, dst)
		})
	}
}

// correct changes the settings of a server.
func correct(t *testing.T, n *harness.Member, server string, change func(*nodes.NewServer)) {
	t.Helper()
	_, err := n.Engine.Nodes.UpdateServer(t.Context(), n.Admin, server, func(s *nodes.NewServer) error {
		change(s)
		return nil
	})
	require.NoError(t, err)
}

// ends asserts that a task becomes whole after something was put right; where it has failed before, by a retry.
func ends(t *testing.T, n *harness.Member, job int64, study *phantom.Study, dst *pacs.PACS) {
	t.Helper()
	if task := n.Task(job); task.Status == jobs.Failure {
		require.NoError(t, n.Engine.Jobs.Act(t.Context(), n.Admin, job, jobs.RetryJob))
	}
	n.Wait(job)
	told{delivered: -1}.require(t, n, n.Task(job), study, dst)
}

// TestTokensEnd: tokens that are not taken any more in the middle of a job, sooner than they should be, fail no task.
func TestTokensEnd(t *testing.T) {
	n := discreet(t)
	study := liars(23)
	for name, life := range map[string]int{"they last": 3600, "it doesn't say how long": 0, "they are short": 1} {
		t.Run(name, func(t *testing.T) {
			tokens := newTokenServer(t)
			tokens.life = life
			web := &pacs.WebConfig{Accepts: func(c string) bool { return strings.HasPrefix(c, "Bearer "+secret) }}
			renew := pacs.Misbehave{Web: pacs.WebFaults{Renew: 2}}
			src := startPACS(t, pacs.Config{Studies: []*phantom.Study{study}, Web: web, Misbehave: renew})
			dst := startPACS(t, pacs.Config{Web: web, Misbehave: renew})
			moved(t, n,
				add(n, src, byWeb(src), tokens.oauth(secret)), add(n, dst, byWeb(dst), tokens.oauth(secret)), study, dst)
			require.Greater(t, tokens.tokens(), 2)
		})
	}
}

// TestNoTokens: without a token the task waits, says what the token server says, and goes on when there is one.
func TestNoTokens(t *testing.T) {
	n := discreet(t)
	study := liars(24)
	for _, tt := range []struct {
		name   string
		answer int
		body   string
		secret string
		why    string
	}{
		{"it fails", http.StatusServiceUnavailable, `{"error":"temporarily_unavailable"}`, secret, "temporarily_unavailable"},
		{"it breaks down", http.StatusInternalServerError, "<html>" + secret, secret, "the token server answered with status 500"},
		{"it wants another secret", 0, "", "not-the-" + secret, "invalid_client"},
		{"it gives no such scope", http.StatusBadRequest, `{"error":"invalid_scope","error_description":"` + secret + `"}`, secret, "invalid_scope"},
	} {
		for at, isSource := range map[string]bool{"source": true, "destination": false} {
			t.Run(tt.name+", "+at, func(t *testing.T) {
				tokens := newTokenServer(t)
				tokens.set(tt.answer, tt.body)
				web := &pacs.WebConfig{Accepts: tokens.accepts}
				src, dst := startPACS(t, pacs.Config{Studies: []*phantom.Study{study}}), startPACS(t, pacs.Config{})
				var source, destination string
				if isSource {
					src = startPACS(t, pacs.Config{Studies: []*phantom.Study{study}, Web: web})
					source, destination = add(n, src, byWeb(src), tokens.oauth(tt.secret)), add(n, dst)
				} else {
					dst = startPACS(t, pacs.Config{Web: web})
					source, destination = add(n, src), add(n, dst, byWeb(dst), tokens.oauth(tt.secret))
				}
				job := n.Transfer(source, destination, study.StudyInstanceUID)
				task := awaitWait(n, job.ID, tt.why)
				t.Logf("%s %s %s", task.Status, task.WhyWaiting, task.Message)
				require.Equal(t, jobs.Pending, task.Status, task.Message)
				require.Zero(t, task.Failures)
				tokens.set(0, "")
				if tt.secret != secret {
					correct(t, n, map[bool]string{true: source, false: destination}[isSource], tokens.oauth(secret))
				}
				ends(t, n, job.ID, study, dst)
				require.Zero(t, n.Task(job.ID).Failures)
			})
		}
	}
	t.Run("nobody is there", func(t *testing.T) {
		tokens := newTokenServer(t)
		web := &pacs.WebConfig{Accepts: tokens.accepts}
		src, dst := startPACS(t, pacs.Config{Studies: []*phantom.Study{study}, Web: web}), startPACS(t, pacs.Config{})
		source := add(n, src, byWeb(src), tokens.oauth(secret), func(s *nodes.NewServer) {
			s.DICOMweb.TokenURL = "http://127.0.0.1:1/token"
		})
		job := n.Transfer(source, add(n, dst), study.StudyInstanceUID)
		task := awaitWait(n, job.ID, "no token for the DICOMweb server")
		require.Equal(t, jobs.Pending, task.Status, task.Message)
		require.Contains(t, task.WhyWaiting, "nothing listens there")
		require.Zero(t, task.Failures)
		correct(t, n, source, tokens.oauth(secret))
		ends(t, n, job.ID, study, dst)
	})
}

// secure is how a server speaks TLS, with a certificate that may be changed.
type secure struct {
	mu  sync.Mutex
	own *tls.Certificate
}

func (s *secure) set(t *testing.T, i *testpeer.Identity) {
	t.Helper()
	pair, err := tls.X509KeyPair(i.Certificate, i.Key)
	require.NoError(t, err)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.own = &pair
}

func (s *secure) get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.own, nil
}

// serverTLS is TLS with an identity; clients have to show a certificate of an authority, if one is given.
func serverTLS(t *testing.T, i *testpeer.Identity, clients *testpeer.Authority) (*tls.Config, *secure) {
	t.Helper()
	s := &secure{}
	s.set(t, i)
	cfg := &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: s.get}
	if clients != nil {
		cfg.ClientAuth, cfg.ClientCAs = tls.RequireAndVerifyClientCert, x509.NewCertPool()
		cfg.ClientCAs.AppendCertsFromPEM(clients.PEM)
	}
	return cfg, s
}

// trusting are settings that trust an authority and show an identity, if there is one.
func trusting(ca *testpeer.Authority, own *testpeer.Identity) func(*nodes.NewServer) {
	return func(s *nodes.NewServer) {
		s.TLS.Authorities = string(ca.PEM)
		if own != nil {
			s.TLS.Certificate, s.TLS.Key = string(own.Certificate), string(own.Key)
		}
	}
}

// TestTLS: servers with an authority of their own, that may want to see our certificate, and whose certificate is
// renewed in the middle of a job.
func TestTLS(t *testing.T) {
	n := discreet(t)
	ca := testpeer.NewAuthority(t)
	ours, theirs, next := ca.Issue(t, "adit.example"), ca.Issue(t, "localhost"), ca.Issue(t, "localhost")
	for name, clients := range map[string]*testpeer.Authority{"anybody": nil, "known clients": ca} {
		t.Run(name, func(t *testing.T) {
			study := liars(25)
			cfg, keys := serverTLS(t, theirs, clients)
			var renew sync.Once
			src := startPACS(t, pacs.Config{
				Studies: []*phantom.Study{study}, Web: &pacs.WebConfig{TLS: cfg},
				Gate: func(_ context.Context, e pacs.Event) {
					if e.Kind == pacs.AtWebObject {
						renew.Do(func() { keys.set(t, next) })
					}
				},
			})
			dst := startPACS(t, pacs.Config{Web: &pacs.WebConfig{TLS: cfg}})
			require.True(t, strings.HasPrefix(src.WebURL(), "https://"))
			mine := trusting(ca, nil)
			if clients != nil {
				mine = trusting(ca, ours)
			}
			moved(t, n, add(n, src, byWeb(src), mine), add(n, dst, byWeb(dst), mine), study, dst)
		})
	}
}

// TestTLSFails: the task waits until certificates are put right, and says what is wrong with them.
func TestTLSFails(t *testing.T) {
	n := discreet(t)
	ca, other := testpeer.NewAuthority(t), testpeer.NewAuthority(t)
	ours, theirs := ca.Issue(t, "adit.example"), ca.Issue(t, "localhost")
	for _, tt := range []struct {
		name    string
		theirs  *testpeer.Identity
		clients *testpeer.Authority
		mine    func(*nodes.NewServer)
		why     string
		right   func(*nodes.NewServer)
	}{
		{"another authority", theirs, nil, trusting(other, nil), "its certificate is not trusted", trusting(ca, nil)},
		{
			"another name", ca.Issue(t, "elsewhere.example"), nil, trusting(ca, nil),
			"its certificate is not trusted", nil,
		},
		{"ended", ca.IssueUntil(t, "localhost", time.Now().Add(-time.Hour)), nil, trusting(ca, nil), "its certificate is not trusted", nil},
		{"no certificate of ours", theirs, ca, trusting(ca, nil), "tls: certificate required", trusting(ca, ours)},
		{"no TLS of ours", theirs, nil, func(s *nodes.NewServer) {
			s.DICOMweb.RootURL = strings.Replace(s.DICOMweb.RootURL, "https:", "http:", 1)
		}, "400", nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			study := liars(26)
			cfg, keys := serverTLS(t, tt.theirs, tt.clients)
			src := startPACS(t, pacs.Config{Studies: []*phantom.Study{study}, Web: &pacs.WebConfig{TLS: cfg}})
			dst := startPACS(t, pacs.Config{})
			source := add(n, src, byWeb(src), tt.mine)
			job := n.Transfer(source, add(n, dst), study.StudyInstanceUID)
			task := awaitWait(n, job.ID, tt.why)
			t.Logf("%s %s %s", task.Status, task.WhyWaiting, task.Message)
			require.Contains(t, task.WhyWaiting+task.Message, tt.why)
			require.NotEqual(t, jobs.Success, task.Status)
			if tt.right != nil {
				correct(t, n, source, tt.right)
			} else {
				keys.set(t, theirs)
				correct(t, n, source, func(s *nodes.NewServer) {
					s.DICOMweb.RootURL, s.TLS.Authorities = src.WebURL(), string(ca.PEM)
				})
			}
			ends(t, n, job.ID, study, dst)
		})
	}
}

// TestSettingsKeepSecrets: a secret is not shown again, in no form that settings have.
func TestSettingsKeepSecrets(t *testing.T) {
	n := discreet(t)
	src := startPACS(t, pacs.Config{})
	name := add(n, src, byWeb(src), basic("adit", secret))
	node, err := n.Engine.Nodes.UpdateServer(t.Context(), n.Admin, name, func(*nodes.NewServer) error { return nil })
	require.NoError(t, err)
	require.NotContains(t, fmt.Sprintf("%+v %#v", node.Settings(), node), secret)
	require.Empty(t, node.Settings().DICOMweb.Secret)
}
