// SPDX-License-Identifier: AGPL-3.0-or-later

package nodes_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/audit"
	"github.com/adit-go/adit/db"
	"github.com/adit-go/adit/engine/nodes"
	"github.com/adit-go/adit/internal/refusal"
	"github.com/adit-go/adit/internal/testpeer"
	"github.com/adit-go/adit/people"
	"github.com/adit-go/adit/test/harness"
)

const (
	root     = "https://pacs.example.org/dicom-web"
	tokens   = "https://login.example.org/token"
	password = "pa55word-of-the-pacs"
)

// webOnly is a server that is reached by DICOMweb alone.
func webOnly(name string, w nodes.DICOMweb) nodes.NewServer {
	w.RootURL = root
	return nodes.NewServer{
		Name: name, AETitle: strings.ToUpper(name), DICOMweb: w, Supports: nodes.Supports{QIDO: true, WADO: true, STOW: true},
	}
}

func basic() nodes.DICOMweb {
	return nodes.DICOMweb{Auth: nodes.AuthBasic, User: "adit", Secret: password}
}

func oauth2() nodes.DICOMweb {
	return nodes.DICOMweb{
		Auth: nodes.AuthOAuth2, TokenURL: tokens, ClientID: "me", Secret: password, Scope: "a b",
		ClientAuth: nodes.ClientPost,
	}
}

// TestWithoutAnAddress: a server that is reached by DICOMweb alone needs no host and no port, is a source and a
// destination, and has no address for an association.
func TestWithoutAnAddress(t *testing.T) {
	n := harness.New(t, harness.Config{Idle: true})
	node, err := n.Engine.Nodes.AddServer(t.Context(), n.Admin, webOnly("web", nodes.DICOMweb{}))
	require.NoError(t, err)
	require.Empty(t, n.Engine.Nodes.Peer(node).Addr)
	require.True(t, nodes.Searchable(node.Server))
	require.True(t, nodes.Stores(node.Server))
	require.Equal(t, []string{nodes.MethodWADO}, nodes.MethodsOf(node.Server))
	uses, err := n.People.Groups.NodeUses(t.Context(), n.Admin.ID)
	require.NoError(t, err)
	require.Equal(t, people.NodeUse{Source: true, Destination: true}, uses[node.ID])

	report, err := n.Engine.Doctor.Check(t.Context(), n.Admin, "web")
	require.NoError(t, err)
	require.Len(t, report.Checks, 1, "no association is tried")
	require.Equal(t, "dicomweb", report.Checks[0].Name)
}

// TestWhatDICOMwebNeeds: what is missing is named, as is what does not go together.
func TestWhatDICOMwebNeeds(t *testing.T) {
	n := harness.New(t, harness.Config{Idle: true})
	for _, tt := range []struct {
		field  string
		change func(*nodes.NewServer)
	}{
		{"supports", func(s *nodes.NewServer) { s.Supports = nodes.Supports{} }},
		{"host", func(s *nodes.NewServer) { s.Supports.StudyRootFind = true }},
		{"host", func(s *nodes.NewServer) { s.Port = 104 }},
		{"port", func(s *nodes.NewServer) { s.Host = "pacs" }},
		{"port", func(s *nodes.NewServer) { s.Host, s.Port = "pacs", -1 }},
		{"verify.method", func(s *nodes.NewServer) { s.Verify.Method = nodes.VerifyCommitment }},
		{"verify.method", func(s *nodes.NewServer) { s.Supports.QIDO, s.Verify.Method = false, nodes.VerifyPresence }},
		{"rules.duplicates", func(s *nodes.NewServer) { s.Supports.QIDO, s.Rules.Duplicates = false, nodes.SkipDuplicates }},
		{"retrieve.methods", func(s *nodes.NewServer) { s.Retrieve.Methods = []string{"WADO"} }},
		{"dicomweb.root_url", func(s *nodes.NewServer) { s.DICOMweb.RootURL = "" }},
		{"dicomweb.root_url", func(s *nodes.NewServer) { s.DICOMweb.RootURL = "https://me:pw@pacs/" }},
		{"dicomweb.root_url", func(s *nodes.NewServer) {
			s.Supports, s.Host, s.Port = nodes.Supports{Store: true}, "pacs", 104
			s.DICOMweb = basic()
		}},
		{"dicomweb.qido_prefix", func(s *nodes.NewServer) { s.DICOMweb.QIDOPrefix = "../qido" }},
		{"dicomweb.auth", func(s *nodes.NewServer) { s.DICOMweb.Auth = "digest" }},
		{"dicomweb.auth", func(s *nodes.NewServer) { s.DICOMweb.Secret = password }},
		{"dicomweb.user", func(s *nodes.NewServer) { s.DICOMweb.Auth, s.DICOMweb.Secret = nodes.AuthBasic, password }},
		{"dicomweb.user", func(s *nodes.NewServer) { s.DICOMweb.User = "a:b" }},
		{"dicomweb.secret", func(s *nodes.NewServer) { s.DICOMweb.Auth = nodes.AuthHeader }},
		{"dicomweb.secret", func(s *nodes.NewServer) { s.DICOMweb.Auth, s.DICOMweb.Secret = nodes.AuthHeader, "a\r\nHost: b" }},
		{"dicomweb.header_name", func(s *nodes.NewServer) { s.DICOMweb.HeaderName = "Host" }},
		{"dicomweb.token_url", func(s *nodes.NewServer) { s.DICOMweb.Auth, s.DICOMweb.Secret = nodes.AuthOAuth2, password }},
		{"dicomweb.client_id", func(s *nodes.NewServer) {
			s.DICOMweb.Auth, s.DICOMweb.Secret, s.DICOMweb.TokenURL = nodes.AuthOAuth2, password, tokens
		}},
		{"dicomweb.max_request", func(s *nodes.NewServer) { s.DICOMweb.MaxRequest = 5000 }},
	} {
		s := webOnly("web", nodes.DICOMweb{})
		tt.change(&s)
		_, err := n.Engine.Nodes.AddServer(t.Context(), n.Admin, s)
		var invalid *refusal.Invalid
		require.ErrorAs(t, err, &invalid, tt.field)
		require.Equal(t, tt.field, invalid.Field, invalid.Reason)
		require.NotContains(t, err.Error(), password)
	}
}

// TestWeb: what the client of DICOMweb is told.
func TestWeb(t *testing.T) {
	n := harness.New(t, harness.Config{Idle: true})
	svc := n.Engine.Nodes
	dimse := n.AddServer("dimse", "DIMSE", "127.0.0.1:1", nil)
	_, is := svc.Web(dimse)
	require.False(t, is)

	add := func(name string, change func(*nodes.NewServer)) nodes.WebPeer {
		s := webOnly(name, nodes.DICOMweb{})
		change(&s)
		node, err := svc.AddServer(t.Context(), n.Admin, s)
		require.NoError(t, err)
		peer, is := svc.Web(node)
		require.True(t, is)
		require.Equal(t, node.ID, peer.ServerID)
		return peer
	}
	authOf := func(peer nodes.WebPeer) nodes.WebAuth {
		auth, err := peer.Auth()
		require.NoError(t, err)
		auth.TokenTLS = nil
		return auth
	}
	plain := add("plain", func(s *nodes.NewServer) {
		s.DICOMweb.RootURL, s.DICOMweb.QIDOPrefix, s.DICOMweb.MaxRequest = " http://127.0.0.1:8042/rs/ ", "/v1/qido/", 10
		s.DICOMweb.AnswerPatience = time.Minute
	})
	require.Equal(t, "http://127.0.0.1:8042/rs", plain.Root)
	require.Equal(t, []string{"v1/qido", "", ""}, []string{plain.QIDO, plain.WADO, plain.STOW})
	require.Nil(t, plain.TLS)
	require.Equal(t, nodes.WebAuth{Kind: nodes.AuthNone}, authOf(plain))
	require.EqualValues(t, 10_000_000, plain.MaxRequest)
	require.Equal(t, time.Minute, plain.AnswerPatience)
	require.Equal(t, time.Minute, plain.IdleTimeout)

	require.Equal(t, nodes.WebAuth{Kind: nodes.AuthBasic, User: "adit", Secret: password}, authOf(add("basic",
		func(s *nodes.NewServer) { s.DICOMweb = basic(); s.DICOMweb.RootURL = root },
	)))
	require.Equal(t, nodes.WebAuth{Kind: nodes.AuthHeader, Header: "Authorization", Secret: "Bearer " + password}, authOf(
		add("header", func(s *nodes.NewServer) {
			s.DICOMweb.Auth, s.DICOMweb.Secret = nodes.AuthHeader, "Bearer "+password
			s.DICOMweb.User = "nobody" // who is not used
		}),
	))
	require.Equal(t, nodes.WebAuth{
		Kind: nodes.AuthOAuth2, Secret: password, TokenURL: tokens, ClientID: "me", Scope: "a b",
		ClientAuth: nodes.ClientPost,
	}, authOf(add("oauth2", func(s *nodes.NewServer) { s.DICOMweb = oauth2(); s.DICOMweb.RootURL = root })))
}

// TestTrustOfDICOMweb: authorities, certificate, key and how names are compared are those of TLS, the server's name and
// the profile are not.
func TestTrustOfDICOMweb(t *testing.T) {
	n := harness.New(t, harness.Config{Idle: true})
	ca := testpeer.NewAuthority(t)
	ours := ca.Issue(t, "adit.example")
	s := webOnly("web", oauth2())
	s.DICOMweb.RootURL = root
	s.TLS = nodes.TLS{
		Authorities: string(ca.PEM), Certificate: string(ours.Certificate), Key: string(ours.Key),
		Profile: nodes.ProfileBCP195, ServerName: "scp.example",
	}
	node, err := n.Engine.Nodes.AddServer(t.Context(), n.Admin, s)
	require.NoError(t, err)
	peer, _ := n.Engine.Nodes.Web(node)
	cfg, err := peer.TLS()
	require.NoError(t, err)
	require.NotNil(t, cfg.RootCAs)
	require.Len(t, cfg.Certificates, 1)
	require.Empty(t, cfg.ServerName)
	require.False(t, cfg.InsecureSkipVerify)
	require.EqualValues(t, 0x0303, cfg.MinVersion, "TLS 1.2")

	auth, err := peer.Auth()
	require.NoError(t, err)
	cfg, err = auth.TokenTLS()
	require.NoError(t, err)
	require.NotNil(t, cfg.RootCAs)
	require.Empty(t, cfg.Certificates, "who gives tokens is not shown the certificate that is meant for the server")

	_, err = n.Engine.Nodes.UpdateServer(t.Context(), n.Admin, "web", func(s *nodes.NewServer) error {
		s.TLS.Verify = nodes.PeerAuthority
		return nil
	})
	require.NoError(t, err)
	node, err = n.Engine.Nodes.ByName(t.Context(), "web")
	require.NoError(t, err)
	peer, _ = n.Engine.Nodes.Web(node)
	cfg, err = peer.TLS()
	require.NoError(t, err)
	require.NotNil(t, cfg.VerifyConnection)
	auth, err = peer.Auth()
	require.NoError(t, err)
	cfg, err = auth.TokenTLS()
	require.NoError(t, err)
	require.False(t, cfg.InsecureSkipVerify)
}

// TestSecretStaysWhereItWasGivenFor: it is kept while other settings change, and has to be given again before it would
// go to another origin, or be used in another way. It is never shown.
func TestSecretStaysWhereItWasGivenFor(t *testing.T) {
	n := harness.New(t, harness.Config{Idle: true})
	svc := n.Engine.Nodes
	for name, w := range map[string]nodes.DICOMweb{"basic": basic(), "oauth2": oauth2()} {
		node, err := svc.AddServer(t.Context(), n.Admin, webOnly(name, w))
		require.NoError(t, err)
		require.Empty(t, node.Settings().DICOMweb.Secret)
		require.NotContains(t, string(node.Server.WebSealedSecret), password)
	}
	change := func(name string, change func(*nodes.DICOMweb)) error {
		_, err := svc.UpdateServer(t.Context(), n.Admin, name, func(s *nodes.NewServer) error {
			change(&s.DICOMweb)
			return nil
		})
		return err
	}
	secretOf := func(name string) string {
		node, err := svc.ByName(t.Context(), name)
		require.NoError(t, err)
		peer, _ := svc.Web(node)
		auth, err := peer.Auth()
		require.NoError(t, err)
		return string(auth.Secret)
	}
	for _, tt := range []struct {
		name   string
		kept   bool
		change func(*nodes.DICOMweb)
	}{
		{"basic", true, func(w *nodes.DICOMweb) { w.RootURL = "https://PACS.example.org:443/v2" }},
		{"basic", true, func(w *nodes.DICOMweb) { w.QIDOPrefix, w.User = "qido", "adit2" }},
		{"basic", true, func(w *nodes.DICOMweb) { w.TokenURL = "https://other.example/token" }}, // which nobody asks
		{"basic", false, func(w *nodes.DICOMweb) { w.RootURL = "http://pacs.example.org/v2" }},
		{"basic", false, func(w *nodes.DICOMweb) { w.RootURL = "https://pacs.example.org:8443/v2" }},
		{"basic", false, func(w *nodes.DICOMweb) { w.RootURL = "https://pacs.example.org.evil.example/v2" }},
		{"basic", false, func(w *nodes.DICOMweb) { w.Auth = nodes.AuthHeader }},
		{"oauth2", true, func(w *nodes.DICOMweb) { w.ClientAuth, w.Audience = nodes.ClientBasic, "pacs" }},
		{"oauth2", true, func(w *nodes.DICOMweb) { w.TokenURL = "https://login.example.org/other" }},
		{"oauth2", false, func(w *nodes.DICOMweb) { w.TokenURL = "https://evil.example/token" }},
		{"oauth2", false, func(w *nodes.DICOMweb) { w.RootURL = "https://evil.example/rs" }},
	} {
		err := change(tt.name, tt.change)
		if !tt.kept {
			var invalid *refusal.Invalid
			require.ErrorAs(t, err, &invalid)
			require.Equal(t, "dicomweb.secret", invalid.Field)
			require.NotContains(t, err.Error(), password)
		} else {
			require.NoError(t, err)
		}
		require.Equal(t, password, secretOf(tt.name))
	}
	require.NoError(t, change("basic", func(w *nodes.DICOMweb) { w.RootURL, w.Secret = "https://new.example/rs", "new" }))
	require.Equal(t, "new", secretOf("basic"))
	rows, err := n.People.Audit().List(t.Context(), audit.Filter{Action: "server.change", Limit: 1})
	require.NoError(t, err)
	require.JSONEq(t, `{"fields":["DICOMweb.RootURL","DICOMweb.Secret"]}`, rows[0].Detail)

	require.NoError(t, change("basic", func(w *nodes.DICOMweb) { w.Auth = nodes.AuthNone }))
	require.Empty(t, secretOf("basic"), "it goes when nobody needs it")
	require.ErrorContains(t, change("basic", func(w *nodes.DICOMweb) { w.Auth = nodes.AuthBasic }), "give the password")
}

// TestMovesFirst: a claim takes a slot more for a C-MOVE if that is the method with which a run begins.
func TestMovesFirst(t *testing.T) {
	n := harness.New(t, harness.Config{Idle: true})
	n.AddServer("pacs", "PACS", "127.0.0.1:1", nil)
	orders := [][]string{nil}
	all := []string{nodes.MethodWADO, nodes.MethodGet, nodes.MethodMove}
	for _, a := range all {
		orders = append(orders, []string{a})
		for _, b := range all {
			for _, c := range all {
				if a != b && b != c && a != c {
					orders = append(orders, []string{a, b}, []string{a, b, c})
				}
			}
		}
	}
	for offers := range 1 << 3 {
		for _, order := range orders {
			var row db.Server
			require.NoError(t, n.Pool.QueryRow(t.Context(), `
				UPDATE servers SET wado_rs = $1, study_root_get = $2, patient_root_move = $3, retrieve_methods = $4, web_root_url = $5
				RETURNING wado_rs, study_root_get OR patient_root_get, study_root_move OR patient_root_move, retrieve_methods, moves_first`,
				offers&1 > 0, offers&2 > 0, offers&4 > 0, append([]string{}, order...), root,
			).Scan(&row.WadoRs, &row.StudyRootGet, &row.StudyRootMove, &row.RetrieveMethods, &row.MovesFirst))
			methods := nodes.MethodsOf(&row)
			require.Equal(t, len(methods) > 0 && methods[0] == nodes.MethodMove, row.MovesFirst, "%b %v", offers, order)
		}
	}
}

// TestUnsavedByDICOMweb: a server that is tried has what a saved one has, by whatever way it is reached.
func TestUnsavedByDICOMweb(t *testing.T) {
	n := harness.New(t, harness.Config{Idle: true})
	svc := n.Engine.Nodes
	saved, err := svc.AddServer(t.Context(), n.Admin, webOnly("saved", nodes.DICOMweb{}))
	require.NoError(t, err)
	s := webOnly("tried", basic())
	tried, err := svc.Unsaved(n.Admin, s)
	require.NoError(t, err)
	peer, is := svc.Web(tried)
	require.True(t, is)
	auth, err := peer.Auth()
	require.NoError(t, err)
	require.EqualValues(t, password, auth.Secret)
	at, err := svc.ServerAt(t.Context(), tried)
	require.NoError(t, err)
	require.Equal(t, saved.ID, at)

	s.Supports = nodes.Supports{} // what it offers is to be found out
	tried, err = svc.Unsaved(n.Admin, s)
	require.NoError(t, err)
	require.Equal(t, root, tried.Server.WebRootUrl)
	s.DICOMweb = nodes.DICOMweb{}
	_, err = svc.Unsaved(n.Admin, s)
	require.ErrorContains(t, err, "host")
	s.Host, s.Port = "127.0.0.1", 1
	tried, err = svc.Unsaved(n.Admin, s)
	require.NoError(t, err)
	at, err = svc.ServerAt(t.Context(), tried)
	require.NoError(t, err)
	require.Zero(t, at)
}
