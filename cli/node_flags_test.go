// SPDX-License-Identifier: AGPL-3.0-or-later

package cli

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/alecthomas/kong"
	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/client"
	"github.com/adit-go/adit/engine/nodes/settings"
)

// TestSettingsHaveFlags: each setting of the table has its flag, at both commands, and the flag says what is meant.
func TestSettingsHaveFlags(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file.pem")
	require.NoError(t, os.WriteFile(file, []byte("PEM"), 0o600))
	var all []string
	want := map[string]any{"name": "PACS"}
	for _, g := range settings.Groups {
		object := want
		if g.Name != "" {
			object = map[string]any{}
			want[g.Name] = object
		}
		for _, s := range g.Settings {
			flag := "--" + s.Flag.Name
			switch {
			case s.Fixed || s.Act || s.Flag.SetOnly:
				continue
			case g.Words.Name != "":
				all = append(all, "--"+g.Words.Name, s.Flag.Name)
				object[s.Name] = true
				continue
			case s.Kind == settings.Switch:
				all = append(all, flag)
				object[s.Name] = true
				continue
			}
			given, meant := "text", any("text")
			switch s.Kind {
			case settings.Number:
				given, meant = "7", 7.0
			case settings.Time:
				given, meant = "2m", 120.0
			case settings.Choice:
				given, meant = s.Choices[1], s.Choices[1]
			case settings.List:
				given, meant = "a, b", []any{"a", "b"}
			case settings.PEM, settings.File:
				given, meant = file, "PEM"
			case settings.Pairs:
				given, meant = "a=b", map[string]any{"a": "b"}
			}
			if s.Flag.Parse == "parseMethods" {
				given, meant = "move,wado,get", []any{"C-MOVE", "WADO-RS", "C-GET"}
			}
			all = append(all, flag, given)
			object[s.Name] = meant
		}
	}

	var add nodeAddServerCmd
	parse(t, &add, all)
	added, err := add.settings()
	require.NoError(t, err)
	require.Equal(t, want, asJSON(t, added))

	var set nodeSetCmd
	parse(t, &set, all)
	change, err := set.change()
	require.NoError(t, err)
	delete(want, "name")
	require.Equal(t, want, asJSON(t, change))
}

// TestNewServersSettings: what is said of a new server beside its settings.
func TestNewServersSettings(t *testing.T) {
	var c nodeAddServerCmd
	parse(t, &c, []string{
		"--ae-title", "A", "--host", "h", "--port", "1", "--supports", "find", "--tls-verify", "name",
		"--address-ranges", "10.0.0.1", "--add-address", "10.0.0.2",
	})
	s, err := c.settings()
	require.NoError(t, err)
	require.Equal(t, client.TLS{Use: true, Verify: "name"}, s.TLS, "whoever says how it is secured wants it to be")
	require.Equal(t, []string{"10.0.0.1", "10.0.0.2"}, s.Retrieve.AddressRanges)
	require.Equal(t, client.Supports{StudyRootFind: true}, s.Supports)
	require.Zero(t, s.Rules)
}

// TestServerByDICOMweb: it needs no host, TLS is in its URL, and its secret comes from a file of one line.
func TestServerByDICOMweb(t *testing.T) {
	file := filepath.Join(t.TempDir(), "secret")
	settings := func(secret string) (client.ServerSettings, error) {
		require.NoError(t, os.WriteFile(file, []byte(secret), 0o600))
		var c nodeAddServerCmd
		parse(t, &c, []string{
			"--ae-title", "A", "--supports", "qido,wado", "--root-url", "https://a/rs", "--web-auth", "header",
			"--web-secret-file", file, "--tls-verify", "authority",
		})
		return c.settings()
	}
	for _, end := range []string{"", "\n", "\r\n"} {
		s, err := settings("Bearer x" + end)
		require.NoError(t, err)
		require.Equal(t, client.DICOMweb{RootURL: "https://a/rs", Auth: "header", Secret: "Bearer x"}, s.DICOMweb)
		require.Equal(t, client.TLS{Verify: "authority"}, s.TLS, "associations are not meant: it has none")
		require.Equal(t, client.Supports{QIDO: true, WADO: true}, s.Supports)
	}
	for _, text := range []string{"\n", "a\nb\n"} {
		_, err := settings(text)
		require.ErrorContains(t, err, "has not one line")
	}
}

func parse(t *testing.T, command any, args []string) {
	t.Helper()
	parser, err := kong.New(command, kong.Vars{"data_dir": t.TempDir()})
	require.NoError(t, err)
	_, err = parser.Parse(append([]string{"PACS"}, args...))
	require.NoError(t, err)
}

func asJSON(t *testing.T, v any) map[string]any {
	t.Helper()
	text, err := json.Marshal(v)
	require.NoError(t, err)
	var out map[string]any
	require.NoError(t, json.Unmarshal(text, &out))
	return out
}
