// SPDX-License-Identifier: AGPL-3.0-or-later

package cli

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/term"

	"github.com/adit-go/adit/client"
	"github.com/adit-go/adit/people"
)

type loginCmd struct {
	remote
	Username string `arg:"" optional:"" help:"Your username; it is asked for by default."`
	Lifetime string `enum:"24h,7d,30d,90d" default:"7d" help:"How long the commands may go on without the password: 24h, 7d, 30d or 90d (${default})."`
}

// Help is the long description.
func (*loginCmd) Help() string {
	return `Asks for your password, makes an API token and keeps it in a file that you alone can read, where the other commands find it. "adit logout" revokes the token and removes the file. It takes the permission "tokens".
Without a terminal the password is read from --own-password-file or from the standard input.`
}

// Run logs in.
func (c *loginCmd) Run(ctx context.Context, io streams) error {
	path, err := loginPath(c.URL)
	if err != nil {
		return err
	}
	in, err := c.logIn(ctx, io, c.Username, true)
	if err != nil {
		return err
	}
	defer logOut(ctx, in)
	before, _ := readLogin(c.URL) // one that can't be read is replaced
	made, err := in.CreateToken(ctx, client.NewToken{Description: "adit login on " + machineName(), Lifetime: c.Lifetime})
	if err != nil {
		return err
	}
	text, err := json.Marshal(login{URL: c.URL, Username: made.Username, TokenID: made.ID, Token: made.Secret})
	if err == nil {
		err = os.MkdirAll(filepath.Dir(path), 0o700)
	}
	if err == nil {
		err = writeFile(path, string(text)+"\n")
	}
	if err != nil {
		return errors.Join(fmt.Errorf("the token can't be kept, and was revoked: %w", err), in.RevokeToken(ctx, made.ID))
	}
	if before.Username == made.Username {
		_ = in.RevokeToken(ctx, before.TokenID) // it may have ended by itself
	}
	ends := "for ever"
	if made.ExpiresAt != nil {
		ends = "until " + stamp(*made.ExpiresAt)
	}
	fmt.Fprintf(io.out, "You are logged in at %s as %s %s; adit logout ends that.\n", c.URL, printable(made.Username), ends)
	return nil
}

type logoutCmd struct {
	remote
}

// Run revokes the token of a login and removes it.
func (c *logoutCmd) Run(ctx context.Context, io streams) error {
	path, err := loginPath(c.URL)
	if err != nil {
		return err
	}
	kept, err := readLogin(c.URL)
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("you are not logged in at %s", c.URL)
	}
	if err != nil {
		return err
	}
	cl, err := c.with(kept.Token)
	if err != nil {
		return err
	}
	if err := cl.RevokeToken(ctx, kept.TokenID); err != nil && !refused(err, http.StatusUnauthorized) && !refused(err, http.StatusNotFound) {
		return fmt.Errorf("the token is still valid: %w", err)
	}
	if err := os.Remove(path); err != nil {
		return err
	}
	fmt.Fprintf(io.out, "You are logged out at %s.\n", c.URL)
	return nil
}

// login is what adit login keeps.
type login struct {
	URL      string `json:"url"`
	Username string `json:"username"`
	TokenID  int64  `json:"token_id"`
	Token    string `json:"token"`
}

// loginPath is where the login at a server is kept.
func loginPath(address string) (string, error) {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" {
		return "", usage("--url: the server's address can't be read; it looks like http://127.0.0.1:8080")
	}
	dir, err := os.UserConfigDir()
	if err != nil {
		return "", fmt.Errorf("there is no place to keep a login: %w; set HOME or XDG_CONFIG_HOME", err)
	}
	return filepath.Join(dir, "adit", "logins", url.PathEscape(u.Scheme+"://"+u.Host+strings.TrimSuffix(u.Path, "/"))+".json"), nil
}

// readLogin gives the login at a server. fs.ErrNotExist: there is none, as far as this user can see.
func readLogin(address string) (l login, err error) {
	path, err := loginPath(address)
	if err != nil {
		return l, fs.ErrNotExist
	}
	text, err := people.ReadPrivate(path)
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

// asMyself makes a call. Where the server wants the password for it, or no token is there, it asks the person for the password and makes the call
// in a session, which ends with it.
func asMyself[T any](ctx context.Context, io streams, r *remote, call func(*client.Client) (T, error)) (out T, err error) {
	username := r.User
	cl, err := r.client()
	missing, none := errors.AsType[*noToken](err)
	switch {
	case none && username == "" && !term.IsTerminal(int(os.Stdin.Fd())):
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
	in, err := r.logIn(ctx, io, username, false)
	if err != nil {
		return out, err
	}
	defer logOut(ctx, in)
	return call(in)
}

func needsPassword(err error) bool {
	p, ok := errors.AsType[*client.Problem](err)
	return ok && p.Code == client.CodePasswordNeeded
}

func refused(err error, status int) bool {
	p, ok := errors.AsType[*client.Problem](err)
	return ok && p.Status == status
}

// logIn begins a session of somebody who says who they are.
func (r *remote) logIn(ctx context.Context, io streams, username string, piped bool) (*client.Client, error) {
	cl, err := r.with("")
	if err != nil {
		return nil, err
	}
	if u, err := url.Parse(r.URL); err == nil && u.Scheme == "http" && !loopback(r.URL) {
		warn(io, "The password goes to "+u.Host+" unencrypted; give ADIT a certificate, or a proxy with TLS.")
	}
	if username == "" {
		if !term.IsTerminal(int(os.Stdin.Fd())) {
			return nil, usage("name the user: adit login USERNAME")
		}
		if username, err = askLine(io.err, "Username: "); err != nil {
			return nil, err
		}
	}
	password, err := ownPassword(io.err, username, r.OwnPasswordFile, piped)
	if err != nil {
		return nil, err
	}
	return cl.LogIn(ctx, client.Login{Username: username, Password: password})
}

// logOut ends a session of a command, also of one that was interrupted.
func logOut(ctx context.Context, in *client.Client) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), endGrace)
	defer cancel()
	_ = in.LogOut(ctx) // it ends by itself within hours, and nobody has its cookie
}

// ownPassword gets the password of who gives the command: from a file, from the person at the terminal, or from what is piped in.
func ownPassword(out io.Writer, username, file string, piped bool) (string, error) {
	fd := int(os.Stdin.Fd())
	switch {
	case file != "":
		return readSecret(out, "Password", file)
	case term.IsTerminal(fd):
		fmt.Fprintf(out, "Password of %s: ", printable(username))
		text, err := term.ReadPassword(fd)
		fmt.Fprintln(out)
		return string(text), err
	case piped:
		return oneLine(os.Stdin, "Password")
	}
	return "", usage("this takes the password of %s; name a file with it by --own-password-file (ADIT_OWN_PASSWORD_FILE), or give the command at a terminal", printable(username))
}

func askLine(out io.Writer, prompt string) (string, error) {
	fmt.Fprint(out, prompt)
	line, err := bufio.NewReader(os.Stdin).ReadString('\n')
	return strings.TrimSpace(line), err
}

// warn tells what went less well than it should have.
func warn(io streams, text string) {
	if text != "" {
		fmt.Fprintf(io.err, "adit: %s\n", printable(text))
	}
}
