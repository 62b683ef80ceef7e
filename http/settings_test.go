// SPDX-License-Identifier: AGPL-3.0-or-later

package http_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/client"
	"github.com/adit-go/adit/engine/nodes/settings"
)

// TestSettingsAreKept: each setting of the table can be changed, is kept, and is shown as it was given.
func TestSettingsAreKept(t *testing.T) {
	s := newSite(t)
	s.addServer("PACS", "PACS", func(c *client.ServerSettings) { c.DICOMweb.RootURL = "http://127.0.0.1/" })
	for _, g := range settings.Groups {
		for i, setting := range g.Settings {
			value := another(t, setting, i)
			if value == nil {
				continue
			}
			change, at := map[string]any{setting.Name: value}, []string{setting.Name}
			if g.Name != "" {
				change, at = map[string]any{g.Name: change}, []string{g.Name, setting.Name}
			}
			body, err := json.Marshal(change)
			require.NoError(t, err)
			r := s.send("PATCH", "/api/v1/servers/PACS", string(body))
			require.Equal(t, 200, r.StatusCode, "%s: %s", body, r.body)
			var shown any
			require.NoError(t, json.Unmarshal([]byte(s.send("GET", "/api/v1/servers/PACS", "").body), &shown))
			for _, name := range at {
				object, ok := shown.(map[string]any)
				require.True(t, ok, at)
				shown = object[name]
			}
			if shown == nil {
				shown = false // a switch that is off is left out
			}
			require.Equal(t, fmt.Sprint(value), fmt.Sprint(shown), at)
		}
	}
}

// another returns a value of a setting that is not its default; nil: its values depend on others, and it has tests of
// its own.
func another(t *testing.T, s settings.Setting, i int) any {
	t.Helper()
	if s.Fixed || s.Act || s.Kind == settings.PEM || s.Kind == settings.File || s.Kind == settings.Pairs ||
		s.Name == "auth" {
		return nil
	}
	text := s.Example
	switch s.Valid {
	case "fault.ValidAE", "fault.ValidHost", "fault.ValidText":
		text = fmt.Sprintf("OTHER%d", i)
	case "fault.ValidUID":
		text = "1.2.3"
	case "validRange":
		text = "10.0.0.0/8"
	}
	switch s.Kind {
	case settings.Number, settings.Time:
		return s.Min + 2
	case settings.Switch:
		return s.Default != true && s.Name != "study_root_get"
	case settings.Choice:
		return s.Choices[slices.IndexFunc(s.Choices, func(c string) bool { return c != s.Default })]
	case settings.List:
		if s.Choices != nil {
			text = s.Choices[len(s.Choices)-1]
		}
		require.NotEmpty(t, text, "%s wants an Example", s.Name)
		return []string{text}
	default:
		require.NotEmpty(t, text, "%s wants an Example", s.Name)
		return text
	}
}

// TestChangedListsAreSeen: a list that takes the place of another one of its length is a change, for the audit log and
// for the question whether it takes the password.
func TestChangedListsAreSeen(t *testing.T) {
	s := newSite(t)
	s.addServer("PACS", "PACS", func(c *client.ServerSettings) {
		c.Retrieve.AddressRanges, c.Rules.RefusedSOPClasses = []string{"10.0.0.1"}, []string{"1.2"}
	})
	send := func(change string) reply { return s.send("PATCH", "/api/v1/servers/PACS", change) }
	require.Equal(t, 200, send(`{"rules":{"refused_sop_classes":["1.3"]}}`).StatusCode)
	var detail string
	require.NoError(t, s.pool.QueryRow(
		t.Context(), "SELECT detail::text FROM audit WHERE action = 'server.change'",
	).Scan(&detail))
	require.JSONEq(t, `{"fields":["Rules.RefusedSOPClasses"]}`, detail)

	require.NoError(t, s.client.Users.SetPassword(t.Context(), "admin", client.NewPassword{Password: password}))
	require.Equal(t, 200, send(`{"rules":{"refused_sop_classes":["1.4"]}}`).StatusCode)
	require.Equal(t, client.CodePasswordNeeded, send(`{"retrieve":{"address_ranges":["0.0.0.0/0"]}}`).problem(t).Code)
}

// TestSecretOfDICOMweb: it goes in only, stays while its origin does, and all about it takes the password.
func TestSecretOfDICOMweb(t *testing.T) {
	s := newSite(t)
	const secret = "Bearer s3cret-of-the-archive"
	added, err := s.client.Servers.Add(t.Context(), client.ServerSettings{
		Name: "WEB", AETitle: "WEB", Supports: client.Supports{QIDO: true, WADO: true, STOW: true},
		DICOMweb: client.DICOMweb{RootURL: "https://archive.example/rs/", Auth: "header", Secret: secret},
	})
	require.NoError(t, err)
	require.Equal(t, client.DICOMweb{RootURL: "https://archive.example/rs", Auth: "header"}, added.DICOMweb)
	send := func(change string) reply { return s.send("PATCH", "/api/v1/servers/WEB", change) }
	for change, status := range map[string]int{
		`{"dicomweb":{"root_url":"https://archive.example/v2"}}`:                    200,
		`{"dicomweb":{"root_url":"https://other.example/rs"}}`:                      422,
		`{"dicomweb":{"root_url":"http://archive.example/rs"}}`:                     422,
		`{"dicomweb":{"auth":"basic","user":"adit"}}`:                               422,
		`{"dicomweb":{"secret":"two\nlines"}}`:                                      422,
		`{"dicomweb":{"header_name":"X-API-Key"},"supports":{"stow":false}}`:        200,
		`{"supports":{"store":true}}`:                                               422, // without host and port
		`{"dicomweb":{"root_url":"https://archive.example/rs?key=` + secret + `"}}`: 422,
	} {
		r := send(change)
		require.Equal(t, status, r.StatusCode, "%s: %s", change, r.body)
		require.NotContains(t, r.body, "s3cret")
	}
	for _, path := range []string{"/api/v1/servers/WEB", "/api/v1/servers", "/api/v1/nodes/WEB"} {
		r := s.send("GET", path, "")
		require.Equal(t, 200, r.StatusCode, path)
		require.NotContains(t, r.body, "s3cret", path)
	}
	var kept string
	require.NoError(t, s.pool.QueryRow(t.Context(), `
		SELECT (SELECT string_agg(a::text, '') FROM audit a) || (SELECT string_agg(s::text || encode(web_sealed_secret, 'escape'), '') FROM servers s)`,
	).Scan(&kept))
	require.NotContains(t, kept, "s3cret")
	require.Contains(t, kept, "DICOMweb.HeaderName")

	require.NoError(t, s.client.Users.SetPassword(t.Context(), "admin", client.NewPassword{Password: password}))
	require.Equal(t, 200, send(`{"dicomweb":{"max_request":32,"answer_patience":900}}`).StatusCode)
	for _, change := range []string{
		`{"dicomweb":{"root_url":"https://archive.example/v3"}}`, `{"dicomweb":{"stow_prefix":"stow"}}`,
		`{"dicomweb":{"secret":"other"}}`, `{"dicomweb":{"auth":"none"}}`, `{"supports":{"stow":true}}`,
	} {
		require.Equal(t, client.CodePasswordNeeded, send(change).problem(t).Code, change)
	}
}
