// SPDX-License-Identifier: AGPL-3.0-or-later

package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"github.com/adit-go/adit/client"
)

// tokenFile in a data directory holds the first administrator's token.
const tokenFile = "admin.token"

// remote says which server a command speaks to.
type remote struct {
	URL       string `name:"url" env:"ADIT_URL" default:"http://127.0.0.1:8080" placeholder:"URL" help:"Address of the ADIT server (${default})."`
	Token     string `env:"ADIT_TOKEN" placeholder:"TOKEN" help:"API token. Others on this machine can read it on a command line: rather use the environment or a file."`
	TokenFile string `env:"ADIT_TOKEN_FILE" type:"path" placeholder:"FILE" help:"File that holds the API token."`
	DataDir   string `env:"ADIT_DATA_DIR" type:"path" default:"${data_dir}" placeholder:"DIR" help:"Data directory of the server, if it runs on this machine: the token of its first start is taken from there (${default})."`
}

func (r *remote) client() (*client.Client, error) {
	token, err := r.token()
	if err != nil {
		return nil, err
	}
	c, err := client.New(r.URL, client.WithToken(token), client.WithUserAgent("adit/"+version))
	if err != nil {
		return nil, &status{exitUsage, fmt.Errorf("--url: %w", err)}
	}
	return c, nil
}

// token finds the API token. The one of a data directory goes to a server on this machine only.
func (r *remote) token() (string, error) {
	switch {
	case r.TokenFile != "":
		token, err := readToken(r.TokenFile)
		if err != nil {
			return "", fmt.Errorf("the token can't be read: %w", err)
		}
		return token, nil
	case r.Token != "":
		return r.Token, nil
	case !loopback(r.URL):
		return "", usage("an API token is needed for %s: set ADIT_TOKEN or ADIT_TOKEN_FILE", r.URL)
	}
	dirs := []string{r.DataDir}
	if r.DataDir == defaultDataDir() {
		dirs = append(dirs, demoDataDir()) // a demo alone was started here
	}
	token, err := tokenIn(dirs...)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission) {
		return "", usage("an API token is needed: set ADIT_TOKEN to the one that `adit serve` printed at its first start, or name its data directory (%s holds none that you may read)", r.DataDir)
	}
	if err != nil {
		return "", fmt.Errorf("the token can't be read: %w", err)
	}
	return token, nil
}

// tokenIn reads the token of the first data directory that has one.
func tokenIn(dirs ...string) (token string, err error) {
	for _, dir := range dirs {
		if token, err = readToken(filepath.Join(dir, tokenFile)); !errors.Is(err, fs.ErrNotExist) {
			break
		}
	}
	return token, err
}

func readToken(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer func() { _ = f.Close() }() // was only read
	text, err := io.ReadAll(io.LimitReader(f, 4<<10))
	return strings.TrimSpace(string(text)), err
}

func loopback(address string) bool {
	u, err := url.Parse(address)
	if err != nil {
		return false
	}
	ip := net.ParseIP(u.Hostname())
	return u.Hostname() == "localhost" || ip != nil && ip.IsLoopback()
}

// collect gives all of a list. None is an empty list, which JSON shows as such.
func collect[T any](list iter.Seq2[T, error]) ([]T, error) {
	all := []T{}
	for item, err := range list {
		if err != nil {
			return nil, err
		}
		all = append(all, item)
	}
	return all, nil
}

// upTo returns the first of a list, limit at most; 0: all. It reports whether there are more.
func upTo[T any](list iter.Seq2[T, error], limit int) (some []T, more bool, err error) {
	some = []T{}
	for item, err := range list {
		if err != nil {
			return nil, false, err
		}
		if limit > 0 && len(some) == limit {
			return some, true, nil
		}
		some = append(some, item)
	}
	return some, false, nil
}

// sayMore says that a list was cut, beside what is written for programs.
func sayMore(io streams, more bool, shown int, what string) {
	if more {
		fmt.Fprintf(io.err, "There are more than these %d %s; --limit 0 shows all.\n", shown, what)
	}
}

// printJSON writes a value for programs.
func printJSON(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	return e.Encode(v)
}
