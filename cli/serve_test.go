// SPDX-License-Identifier: AGPL-3.0-or-later

package cli

import (
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/cli/command"
	"github.com/adit-go/adit/db/dbtest"
	"github.com/adit-go/adit/server"
)

func TestServeUsage(t *testing.T) {
	path, err := exec.LookPath("adit")
	require.NoError(t, err)
	dir := filepath.Join(t.TempDir(), "data")
	for args, want := range map[string]string{
		"--public-url adit.example":                    "--public-url",
		"--public-url https://adit.example/x":          "nothing may follow",
		"--trusted-proxies proxy":                      `--trusted-proxies: "proxy" is neither an address nor a range`,
		"--cors-origins https://viewer.example/x":      "--cors-origins: \"https://viewer.example/x\" is not an address",
		"--cors-origins *":                             "is not an address",
		"--tls-cert cert.pem":                          "belong together",
		"--log-level loud":                             "--log-level must be one of",
		"--tls-cert /nowhere/c --tls-key /nowhere/key": "must be PEM files",
	} {
		out, err := exec.Command(
			path, append([]string{"serve", "--data-dir", dir}, strings.Fields(args)...)...,
		).CombinedOutput()
		require.Error(t, err, args)
		require.Contains(t, string(out), want)
		_, err = os.Stat(dir)
		require.ErrorIs(t, err, os.ErrNotExist, "nothing was begun")
	}
}

func TestSiteFlags(t *testing.T) {
	path, err := exec.LookPath("adit")
	require.NoError(t, err)
	for want, args := range map[string][]string{
		"unknown time zone":                      {"--timezone", "Europe/Heidelberg"},
		"--smtp-host needs --mail-from":          {"--smtp-host", "mail.example.org"},
		"the sender address of mails is invalid": {"--smtp-host", "mail.example.org", "--mail-from", "nobody"},
		"the password for the mail":              {"--smtp-host", "mail.example.org", "--mail-from", "a@example.org", "--smtp-password-file", "/nowhere"},
		"ADIT sends no password":                 {"--smtp-host", "mail.example.org", "--mail-from", "a@example.org", "--smtp-tls", "none", "--smtp-user", "a"},
		"must be one of \"starttls\",":           {"--smtp-tls", "maybe"},
	} {
		out, err := exec.Command(path, append([]string{
			"serve", "--data-dir", t.TempDir(), "--listen", "127.0.0.1:0",
			"--dicom-listen", "", "--database-url", dbtest.URL(t),
		}, args...)...).CombinedOutput()
		require.Error(t, err)
		require.Contains(t, string(out), want)
	}
}

// TestServeUsageCode: what is wrong with a flag is the fault of who typed it, though the server finds it.
func TestServeUsageCode(t *testing.T) {
	for _, args := range [][]string{{"--workers", "0"}, {"--public-url", "adit.example"}, {"--nonsense"}} {
		_, errs, code := runAdit(t, append(
			[]string{"serve", "--data-dir", filepath.Join(t.TempDir(), "data")}, args...,
		)...)
		require.Equal(t, command.ExitUsage, code, errs)
		require.Contains(t, errs, "adit serve: ")
	}
}

// TestServeConfig: the server is told of every flag.
func TestServeConfig(t *testing.T) {
	var c serveCmd
	fill(t, reflect.ValueOf(&c).Elem())
	told := reflect.ValueOf(c.config())
	for f, v := range told.Fields() {
		switch f.Name {
		case "LogTo", "LogText", "Started": // what the command knows by itself
			continue
		}
		require.False(t, v.IsZero(), f.Name)
	}
	require.Equal(t, server.ReceiverConfig(c.receiverFlags), c.config().Receiver)
}

// fill gives each field another value than none.
func fill(t *testing.T, v reflect.Value) {
	t.Helper()
	switch v.Kind() {
	case reflect.Struct:
		for _, f := range v.Fields() {
			fill(t, reflect.NewAt(f.Type(), f.Addr().UnsafePointer()).Elem()) // embedded ones are not exported
		}
	case reflect.String:
		v.SetString("x")
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Float64:
		v.SetFloat(1)
	case reflect.Int, reflect.Int64:
		v.SetInt(1)
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
	default:
		t.Fatal("a flag of another kind", v.Kind())
	}
}

// TestDemoDefaults: a demo has a data directory and an address of its own, unless it is told otherwise.
func TestDemoDefaults(t *testing.T) {
	c := serveCmd{DataDir: command.DefaultDataDir(), Demo: true, receiverFlags: receiverFlags{DICOMListen: anyReceiver}}
	require.Equal(t, command.DemoDataDir(), c.config().DataDir)
	require.Equal(t, demoReceiver, c.config().Receiver.DICOMListen)
	c.DataDir, c.DICOMListen = "elsewhere", ""
	require.Equal(t, "elsewhere", c.config().DataDir)
	require.Empty(t, c.config().Receiver.DICOMListen)
}
