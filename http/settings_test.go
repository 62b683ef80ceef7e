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
