// SPDX-License-Identifier: AGPL-3.0-or-later

package command

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/term"

	"github.com/adit-go/adit/client"
	"github.com/adit-go/adit/internal/files"
)

// Login is what adit login keeps.
type Login struct {
	URL      string `json:"url"`
	Username string `json:"username"`
	TokenID  int64  `json:"token_id"`
	Token    string `json:"token"`
}

// LoginPath is where the login at a server is kept.
func LoginPath(address string) (string, error) {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" {
		return "", Usage("--url: this is not the address of a server; an address looks like http://127.0.0.1:8080")
	}
	dir, err := os.UserConfigDir()
	if err != nil {
		return "", fmt.Errorf("there is no place to keep a login: %w; set HOME or XDG_CONFIG_HOME", err)
	}
	return filepath.Join(dir, "adit", "logins", url.PathEscape(
		u.Scheme+"://"+u.Host+strings.TrimSuffix(u.Path, "/"),
	)+".json"), nil
}

// ReadLogin gives the login at a server. fs.ErrNotExist: there is none, as far as this user can see.
func ReadLogin(address string) (l Login, err error) {
	path, err := LoginPath(address)
	if err != nil {
		return l, fs.ErrNotExist
	}
	text, err := files.ReadPrivate(path)
	if _, away := errors.AsType[*fs.PathError](err); away {
		return l, fs.ErrNotExist
	}
	if err != nil {
		return l, err
	}
	if err := json.Unmarshal([]byte(text), &l); err != nil {
		return l, fmt.Errorf("%s is damaged; log in again with adit login", path)
	}
	return l, nil
}

// AsMyself makes a call. Where the server wants the password for it, no token is there, or the flags say whose call it
// is, it asks that person for the password and makes the call in a session, which ends with it.
func AsMyself[T any](
	ctx context.Context, io Streams, r *Remote, call func(*client.Client) (T, error),
) (out T, err error) {
	username := r.User
	if username == "" {
		cl, err := r.Client()
		missing, none := errors.AsType[*noToken](err)
		switch {
		case none && !term.IsTerminal(int(os.Stdin.Fd())):
			return out, missing
		case err != nil && !none:
			return out, err
		case !none:
			if out, err = call(cl); !needsPassword(err) {
				return out, err
			}
			session, err := cl.Session(ctx)
			if err != nil {
				return out, err
			}
			username = session.Username
		}
	}
	in, err := r.LogIn(ctx, io, username, false)
	if err != nil {
		return out, err
	}
	defer LogOut(ctx, in)
	return call(in)
}

func needsPassword(err error) bool {
	return client.IsCode(err, client.CodePasswordNeeded)
}

// LogIn begins a session of somebody who says who they are.
func (r *Remote) LogIn(ctx context.Context, io Streams, username string, piped bool) (*client.Client, error) {
	cl, err := r.With("")
	if err != nil {
		return nil, err
	}
	if u, err := url.Parse(r.URL); err == nil && u.Scheme == "http" && !loopback(r.URL) {
		Warn(io, "The password goes to "+u.Host+" unencrypted; give ADIT a certificate, or a proxy with TLS.")
	}
	if username == "" {
		if !term.IsTerminal(int(os.Stdin.Fd())) {
			return nil, Usage("name the user: adit login USERNAME")
		}
		if username, err = askLine(io.Err, "Username: "); err != nil {
			return nil, err
		}
	}
	password, err := ownPassword(io.Err, username, r.OwnPasswordFile, piped)
	if err != nil {
		return nil, err
	}
	return cl.LogIn(ctx, client.Login{Username: username, Password: password})
}

// logOutGrace is how long that may take.
const logOutGrace = 5 * time.Second

// LogOut ends a session of a command, also of one that was interrupted.
func LogOut(ctx context.Context, in *client.Client) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), logOutGrace)
	defer cancel()
	_ = in.LogOut(ctx) // it ends by itself within hours, and nobody has its cookie
}

// ownPassword gets the password of who gives the command: from a file, from the person at the terminal, or from what is
// piped in.
func ownPassword(out io.Writer, username, file string, piped bool) (string, error) {
	fd := int(os.Stdin.Fd())
	switch {
	case file != "":
		return ReadSecret(out, "Password", file)
	case term.IsTerminal(fd):
		fmt.Fprintf(out, "Password of %s: ", Printable(username))
		text, err := term.ReadPassword(fd)
		fmt.Fprintln(out)
		return string(text), err
	case piped:
		return oneLine(os.Stdin, "Password")
	}
	return "", Usage(
		"this needs the password of %s; name a file with it by --own-password-file (ADIT_OWN_PASSWORD_FILE), or run "+
			"the command at a terminal",
		Printable(username),
	)
}

func askLine(out io.Writer, prompt string) (string, error) {
	fmt.Fprint(out, prompt)
	line, err := bufio.NewReader(os.Stdin).ReadString('\n')
	return strings.TrimSpace(line), err
}

// Warn tells what went less well than it should have.
func Warn(io Streams, text string) {
	if text != "" {
		fmt.Fprintf(io.Err, "adit: %s\n", Printable(text))
	}
}

// MachineName returns the name of the machine that this is.
func MachineName() string {
	name, err := os.Hostname()
	if err != nil {
		return "unknown"
	}
	return name
}
